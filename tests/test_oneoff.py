"""`fetcher download`: files of one repository without a manifest."""

from pathlib import Path

import pytest

from fetcher.cli.several import spread
from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher, read_tree

MODEL = "AI-ModelScope/gpt2"
TREE: dict[str, bytes | int] = {
    "README.md": b"# gpt2\n",
    "config.json": b'{"n_layer": 12}',
    "64.tflite": 2 * MIB + 1,
    "onnx/config.json": 700,
    "onnx/decoder_model.onnx": 3 * MIB,
}


@pytest.fixture
def published(publisher: Publisher) -> dict[str, bytes]:
    return publisher.publish(MODEL, TREE)


@pytest.fixture
def table(tmp_path: Path, hub: Hub, published: dict[str, bytes]) -> Desk:
    return desk(tmp_path / "desk", hub.url, more={"HF_ENDPOINT": hub.url})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("a --include x y --exclude z -q", "a --include x --include y --exclude z -q"),
        ("--include x --include y -- z", "--include x --include y -- z"),
        ("--include=x y", "--include=x y"),
        ("--include x --json y", "--include x --json y"),
        ("a --include", "a --include"),
        ("a --include --json", "a --include --json"),
    ],
)
def test_several_values_may_follow_one_flag(given: str, meant: str) -> None:
    """People bring their command lines from the official tool."""
    assert spread(given.split()) == meant.split()


def test_an_unknown_revision_a_missing_file_and_an_idle_pattern_are_errors(table: Desk) -> None:
    """The official client ends with 0 and an empty folder."""
    missing = table.fetcher("download", MODEL, "confg.json", "--local-dir", "here")
    assert missing.code == 7
    assert missing.err == (
        "error: gpt2: 1 of the names in `files` do not exist upstream.\n"
        "  missing: confg.json (closest: config.json, onnx/config.json)\n"
        "  fix: correct the names of the files\n"
    )
    idle = table.fetcher("download", MODEL, "--include", "*.json", "*.bin", "--local-dir", "here")
    assert idle.code == 7
    assert idle.err == (
        'error: gpt2: the pattern "*.bin" matches no file.\n'
        "  files upstream: 5, such as 64.tflite, README.md, config.json, onnx/config.json, onnx/decoder_model.onnx\n"
        "  fix: correct the patterns; `*` crosses `/`, and upper and lower case differ\n"
    )
    revision = table.fetcher("download", MODEL, "--revision", "v9", "--local-dir", "here")
    assert revision.code == 7
    assert "fix: give as the revision a branch, a tag or a full commit that exists" in revision.err
    assert not (table.folder / "here").exists()


def test_a_second_run_keeps_what_is_there_and_what_is_not_its_own(
    table: Desk, publisher: Publisher, published: dict[str, bytes]
) -> None:
    """A moved branch brings the new file; other downloads and the user's files stay; edits are never lost."""
    table.ok("download", MODEL, "64.tflite", "README.md", "--local-dir", "here")
    (table.folder / "here/notes.txt").write_text("mine")
    table.ok("download", MODEL, "config.json", "--local-dir", "here")
    again = table.ok("download", MODEL, "config.json", "--local-dir", "here", "--json").json
    assert (again["fetched"], again["kept"]) == ([], 1)
    moved = publisher.publish(MODEL, {**TREE, "config.json": b"{}"})
    table.ok("download", MODEL, "config.json", "--local-dir", "here")
    kept = {path: published[path] for path in ("64.tflite", "README.md")}
    assert read_tree(table.folder / "here") == {**kept, "config.json": moved["config.json"], "notes.txt": b"mine"}
    (table.folder / "here/config.json").write_text("edited")
    publisher.publish(MODEL, {**TREE, "config.json": b"[]"})
    assert table.fetcher("download", MODEL, "config.json", "--local-dir", "here").code == 9
    assert (table.folder / "here/config.json").read_text() == "edited"


def test_dry_run_json_and_print_manifest(table: Desk, published: dict[str, bytes]) -> None:
    """To look first, and to keep for good what was tried once."""
    words = ("download", MODEL, "--include", "onnx/*", "*.md", "--exclude", "*.onnx", "--revision", "master")
    looked = table.ok(*words, "--local-dir", "here", "--dry-run", "--json").json
    assert [item["path"] for item in looked["plan"]["fetch"]] == ["README.md", "onnx/config.json"]
    assert not (table.folder / "here").exists()
    entry = table.ok(*words, "--local-dir", "here", "--print-manifest").out
    assert entry == (
        '[models.gpt2]\nsource = "modelscope:AI-ModelScope/gpt2"\nrevision = "master"\ntarget = "here"\n'
        'include = ["onnx/*", "*.md"]\nexclude = ["*.onnx"]\n'
    )
    table.manifest(entry)
    table.ok("lock")
    table.ok("sync")
    assert read_tree(table.folder / "here") == {p: published[p] for p in ("README.md", "onnx/config.json")}


def test_offline_needs_what_was_asked_before(table: Desk, hub: Hub) -> None:
    """What is here is answered without the hub, what is not is exit 12."""
    words = ("download", MODEL, "config.json", "--local-dir", "here")
    assert table.fetcher(*words, "--offline").code == 12
    table.ok(*words)
    hub.close()
    table.ok(*words, "--offline")
    (table.folder / "here/config.json").unlink()
    table.ok(*words, "--offline")  # from the store
    assert table.fetcher("download", MODEL, "README.md", "--local-dir", "here", "--offline").code == 12


def test_a_token_in_an_argument_opens_a_private_repository_and_is_said_to_be_seen(
    tmp_path: Path, published: dict[str, bytes], start_hub: object
) -> None:
    """The guide's way works; a better one is named, and the token is in no output."""
    token = "ms-11111111-2222-3333-4444-555555555555"
    hub = start_hub(token=token)  # type: ignore[operator]
    table = desk(tmp_path / "private", "http://127.0.0.1:1")
    words = ("download", "--model", MODEL, "config.json", "--endpoint", hub.url, "--local_dir", "here")
    assert table.fetcher(*words).code == 6
    done = table.ok(*words, "--token", token)
    assert "note: others on this machine can see --token" in done.err
    assert token not in done.err + done.out
    assert read_tree(table.folder / "here") == {"config.json": published["config.json"]}
