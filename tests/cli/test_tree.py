"""`fetcher tree`: the locked files in their folders."""

from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import Publisher


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """Two locked models that share a file, and the hub gone."""
    publisher.publish(
        "owner/model",
        {"config.json": b"{}", "onnx/a.onnx": 3 << 20, "onnx/deep/b.bin": b"b", "zero.txt": b"", "a.txt": b"a"},
    )
    publisher.publish("owner/other", {"config.json": b"{}"})
    at = desk(tmp_path / "project", hub.url)
    at.manifest('[models.m]\nsource = "ms:owner/model"\n[models.o]\nsource = "ms:owner/other"\ngroups = ["g"]\n')
    at.ok("lock", "-q")
    hub.close()
    return at


def _drawn(text: str) -> list[str]:
    """Without the commits."""
    return [line.split("@")[0] + "  " + line.split("  ")[-1] if "@" in line else line for line in text.splitlines()]


def test_files_stand_in_their_folders(at: Desk) -> None:
    """Sorted, with sizes, and shared bytes marked; from the lock alone."""
    at.environment["PYTHONIOENCODING"] = "utf-8"
    assert _drawn(at.ok("tree").out) == [
        "m  modelscope:owner/model  5 files, 3.0 MiB",
        "├── a.txt  1 B",
        "├── config.json  2 B  = o/config.json",
        "├── onnx/",
        "│   ├── a.onnx  3.0 MiB",
        "│   └── deep/",
        "│       └── b.bin  1 B",
        "└── zero.txt  0 B",
        "o  modelscope:owner/other  1 file, 2 B",
        "└── config.json  2 B  = m/config.json",
    ]
    assert _drawn(at.ok("tree", "--group", "g").out)[0].startswith("o  ")


def test_a_terminal_without_these_letters_gets_others(at: Desk) -> None:
    """An escape for each line would be worse than none."""
    at.environment["PYTHONIOENCODING"] = "ascii"
    assert _drawn(at.ok("tree", "m").out)[3:7] == [
        "|-- onnx/",
        "|   |-- a.onnx  3.0 MiB",
        "|   `-- deep/",
        "|       `-- b.bin  1 B",
    ]


def test_json_for_programs(at: Desk) -> None:
    """Whole digests, bytes as numbers."""
    (model,) = at.ok("tree", "o", "--json").json["models"]
    assert (model["name"], model["source"], len(model["commit"]), model["size"]) == (
        "o",
        "modelscope:owner/other",
        40,
        2,
    )
    assert model["files"] == [
        {
            "path": "config.json",
            "size": 2,
            "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "same_as": ["m/config.json"],
        }
    ]


def test_without_a_lock_it_says_what_to_run(at: Desk) -> None:
    """There is nothing to draw."""
    (at.folder / "models.lock").unlink()
    done = at.fetcher("tree")
    assert (done.code, done.err) == (1, "error: There is no models.lock yet.\n  fix: run `fetcher lock`\n")
    assert at.fetcher("tree", "n").code == 1
