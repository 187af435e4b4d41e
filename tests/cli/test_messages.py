"""What people run into, and what they are told then."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher, read_tree


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    publisher.publish("owner/model", {"config.json": b"{}", "model.bin": 2 * MIB})
    at = desk(tmp_path / "project", hub.url)
    at.model()
    at.ok("lock")
    return at


def test_two_manifests_of_one_folder_leave_each_other_s_files_alone(at: Desk) -> None:
    """Each has its own index, so neither prunes what the other placed."""
    (at.folder / "other.toml").write_text(
        'version = 1\n[models.o]\nsource = "ms:owner/model"\ninclude = ["*.json"]\n', encoding="utf-8"
    )
    at.ok("sync")
    at.ok("lock", "--manifest", "other.toml")
    at.ok("sync", "--manifest", "other.toml")
    at.ok("sync")
    assert set(at.placed("m")) == {"config.json", "model.bin"}
    assert set(at.placed("o")) == {"config.json"}


def test_a_fix_repeats_the_options_that_it_needs(at: Desk) -> None:
    """A fix that is run as it stands must act on the same project."""
    (at.folder / "other.toml").write_text('version = 1\n[models.o]\nsource = "ms:owner/model"\n', encoding="utf-8")
    done = at.fetcher("sync", "--manifest", "other.toml")
    assert done.err == ("error: There is no other.lock yet.\n  fix: run `fetcher --manifest other.toml lock`\n")
    done = at.fetcher("sync", "--check", "-C", str(at.folder))
    assert done.err.endswith(f"  fix: run `fetcher -C {at.folder} sync`\n")


def test_a_lock_named_as_manifest_is_recognised(at: Desk) -> None:
    """Correcting `its mistakes` would wreck the lock."""
    done = at.fetcher("sync", "--manifest", "models.lock")
    assert (done.code, done.err) == (
        2,
        "error: models.lock is a lock, not a manifest.\n  fix: name the manifest: models.toml\n",
    )


def test_an_error_with_json_is_one_document(at: Desk) -> None:
    """A program that asked for JSON must not get an empty output."""
    at.model("other")
    done = at.fetcher("path", "m2", "--json")
    assert done.code == 2
    assert done.json["error"]["code"] == 2
    done = at.fetcher("sync", "--json")
    assert done.code == 1
    assert done.json["error"]["what"] == "models.lock is not what models.toml asks for."


def test_a_check_with_json_prints_one_document_only(at: Desk) -> None:
    """The plan, not the plan and then an error."""
    done = at.fetcher("sync", "--check", "--json")
    assert done.code == 1
    assert json.loads(done.out)["up_to_date"] is False


def test_without_the_index_a_sync_begins_one_anew(at: Desk) -> None:
    """Otherwise each later sync would hash everything again."""
    at.ok("sync")
    shutil.rmtree(at.folder / ".fetcher")
    at.ok("sync")
    assert (at.folder / ".fetcher" / "index.sqlite").exists()


def test_an_edited_file_stays_edited_in_every_message(at: Desk) -> None:
    """`verify` saves what it found; `status` must not contradict it afterwards."""
    at.ok("sync")
    (at.folder / "models/m/config.json").write_bytes(b"[]")
    assert "edited since fetcher wrote it" in at.fetcher("verify").err
    assert "edited since fetcher wrote it" in at.ok("status").out


def test_a_model_that_is_not_locked_yet_is_told_from_an_unknown_one(at: Desk) -> None:
    """`path` reads the lock; the manifest may be ahead of it."""
    at.manifest('[models.m]\nsource = "ms:owner/model"\n[models.fresh]\nsource = "ms:owner/model"\n')
    done = at.fetcher("path", "fresh")
    assert (done.code, done.err) == (
        1,
        "error: models.lock has no model fresh yet.\n  fix: run `fetcher lock`, then `fetcher sync`\n",
    )


def test_a_full_output_is_an_error_without_a_traceback(at: Desk) -> None:
    """`> /dev/full` stands for a log disk that is full."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    at.ok("sync")
    done = at.fetcher("status", prefix=("sh", "-c", 'exec "$@" > /dev/full', "sh"))
    assert done.code == 11
    assert "Traceback" not in done.err


def test_a_full_disk_in_the_middle_is_told_once_and_as_such(at: Desk) -> None:
    """The index cannot be written either then; that must not hide the cause."""
    if sys.platform != "linux":
        pytest.skip("makes a small file system of its own")
    small = at.folder.parent / "small"
    small.mkdir()
    script = (
        f'mount -t tmpfs -o size=3m tmpfs "{small}" && cp models.* "{small}" && cd "{small}" '
        '&& head -c 3000000 /dev/zero > filler; exec "$@"'
    )
    done = at.fetcher("sync", prefix=("unshare", "--map-root-user", "-m", "sh", "-c", script, "sh"))
    assert done.code == 11
    assert "Traceback" not in done.err


def test_a_text_that_the_terminal_cannot_encode_is_escaped(tmp_path: Path, hub: Hub, publisher: Publisher) -> None:
    """An old locale on a server must not end a sync; a path keeps its bytes."""
    publisher.publish("owner/model", {"权重.bin": b"x"})
    at = desk(tmp_path / "项目", hub.url, more={"PYTHONIOENCODING": "ascii"})
    at.model()
    at.ok("lock")
    at.ok("sync")
    assert set(read_tree(at.folder / "models/m")) == {"权重.bin"}
    at.environment.pop("PYTHONIOENCODING")
    assert at.ok("path", "m", "权重.bin").out == f"{at.folder}/models/m/权重.bin\n"


def test_a_locale_that_cannot_name_files_is_refused_with_the_fix(at: Desk) -> None:
    """Better than a wrong file name."""
    at.environment.update(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    done = at.fetcher("status")
    assert done.code == 2
    assert done.err.endswith("  fix: run it with LC_ALL=C.UTF-8\n")


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root reads everything")
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_checked(at: Desk) -> None:
    """One bad mode must not end the proof of the rest."""
    at.ok("sync")
    path = at.folder / "models/m/config.json"
    path.chmod(0)
    drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
    done = at.fetcher("verify", prefix=drop)
    assert done.code == 4
    assert "  models/m/config.json: cannot be read (Permission denied)\n" in done.err
    assert "model.bin" not in done.err


def test_a_look_at_a_file_in_the_way_says_what_helps(at: Desk) -> None:
    """`fetcher sync` alone would be refused; the way into the trash is told as people find it."""
    at.ok("sync")
    (at.folder / "models/m/config.json").unlink()
    (at.folder / "models/m/config.json").write_text("mine", encoding="utf-8")
    advice = "Move away what is in the way, or run `fetcher sync --force` to have it moved into .fetcher/trash/.\n"
    looked = at.ok("status")
    assert looked.err == advice
    assert "trash: 1 sync can be undone with `fetcher undo`\n" in looked.out
    told = at.ok("sync", "--force").err.splitlines()[0]
    assert re.fullmatch(
        r"moved aside: models/m/config\.json -> \.fetcher/trash/[0-9A-Z-]+/kept/project/models/m/config\.json", told
    )


def test_a_command_without_its_source_says_how_to_name_it(at: Desk) -> None:
    """Of patterns only where there are some; then they may be where it went."""
    assert at.fetcher("download").err == (
        "error: No repository is named.\n  fix: name it first: fetcher download OWNER/NAME\n"
    )
    assert at.fetcher("add", "--include", "*.json", "owner/model").err == (
        "error: No source is named.\n"
        "  after --include and --exclude all words up to the next option are patterns\n"
        "  fix: name it first: fetcher add OWNER/NAME --include '*.json'\n"
    )


def test_a_lock_of_nothing_says_why(at: Desk) -> None:
    """Between `init` and the first model it would look as if all was done."""
    at.manifest("")
    assert at.ok("lock").err.splitlines() == [
        "- m  is no longer in the manifest",
        "models.toml declares no model yet.",
        "Wrote models.lock.",
    ]
