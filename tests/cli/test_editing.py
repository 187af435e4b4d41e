"""`fetcher add`, `remove` and `update`: both files move on, and nothing that was not meant."""

import subprocess
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fetcher.cli.app import app
from fetcher.disk.atomic import write_atomic
from fetcher.edits import Editor
from fetcher.errors import BusyError, DiskError, FetcherError
from fetcher.formats.lock_toml import split_lock
from fetcher.formats.manifest_entry import Entry
from fetcher.project import Project
from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import KIB, Publisher, write_tree

_MANIFEST = """\
# ours
version = 1

# The one that we use.
[models.kept]
source = "modelscope:owner/kept"   # do not move

# Notes.

[sources.corp]
kind = "modelscope"
endpoint = "https://hub.corp.example"
"""
_TREE: dict[str, bytes | int] = {"README.md": 300, "config.json": b"{}", "onnx/a.onnx": 20 * KIB}


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """A project with one locked model, and another one on the hub."""
    publisher.publish("owner/kept", {"config.json": b"[]"})
    publisher.publish("owner/new", _TREE)
    at = desk(tmp_path / "project", hub.url, more={"HF_ENDPOINT": hub.url})
    (at.folder / "models.toml").write_text(_MANIFEST, encoding="utf-8")
    at.ok("lock")
    return at


def _files(at: Desk) -> tuple[str, str]:
    return (at.folder / "models.toml").read_text(encoding="utf-8"), (at.folder / "models.lock").read_text("utf-8")


def test_add_writes_the_entry_locks_it_and_brings_its_files(at: Desk) -> None:
    """Every other byte stays, and the other model is not synced."""
    _, lock = _files(at)
    done = at.ok("add", "owner/new", "--exclude", "*.md", "--group", "text", "--target", "data/new")
    assert done.err.splitlines()[1] == "Wrote models.toml and models.lock."
    manifest, after = _files(at)
    assert manifest == _MANIFEST.replace(
        "# Notes.",
        '[models.new]\nsource = "modelscope:owner/new"\ntarget = "data/new"\nexclude = ["*.md"]\ngroups = ["text"]\n\n'
        "# Notes.",
    )
    assert split_lock(after)[1]["kept"] == split_lock(lock)[1]["kept"]
    at.ok("lock", "--check")
    assert sorted(path.name for path in (at.folder / "data/new").iterdir()) == ["config.json", "onnx"]
    assert not (at.folder / "models").exists()
    at.ok("remove", "new")
    assert _files(at) == (_MANIFEST, lock)
    assert not (at.folder / "data").exists()


def test_a_section_that_git_merged_wrongly_is_not_sealed_anew(at: Desk) -> None:
    """`add` is about its own model; what is wrong with another one stays to be seen."""
    lock = at.folder / "models.lock"
    lock.write_text(
        lock.read_text("utf-8").replace("[models.kept.requested]", '[models.kept.requested]\ninclude = ["x"]')
    )
    broken = split_lock(lock.read_text("utf-8"))[1]["kept"]
    at.ok("add", "owner/new", "--no-sync")
    assert split_lock(lock.read_text("utf-8"))[1]["kept"] == broken
    assert "kept.seal" in at.fetcher("lock", "--check").err


_FAILURES: list[tuple[tuple[str, ...], int, str]] = [
    (("owner/nope",), 7, "nope: "),
    (("owner/new", "confg.json"), 7, "new: 1 of the names in `files` do not exist upstream."),
    (("owner/new", "--include", "*.gguf"), 7, "new: no file is left after include and exclude."),
    (
        ("owner/new", "--include", "a\\b"),
        2,
        "models.toml, line 10: `models.new.include[0]` holds a backslash",
    ),
    (("owner/new", "--name", "kept"), 2, "models.toml has a model kept already."),
    (("owner/new", "--name", "a b"), 2, 'models.toml, line 8: `models."a b"` is not a safe name.'),
    (("owner/new", "--target", "models/kept"), 2, "Two models own the same file."),
    (("owner/new", "--fallback", "owner/kept"), 7, "new: the fallback modelscope:owner/kept lacks 2"),
    (("corp2:owner/new",), 2, "models.toml, line 9: `models.new.source` names the unknown source `corp2`."),
    (("not a source",), 2, "This is no source: "),
    ((), 2, "No source is named."),
]


def test_where_add_fails_nothing_is_written(at: Desk) -> None:
    """Neither file has changed by a byte, and the message says what to do."""
    before = _files(at)
    for words, code, what in _FAILURES:
        done = CliRunner().invoke(app, ["-C", str(at.folder), "add", *words], env=at.environment)
        error = done.exception
        assert isinstance(error, FetcherError), done.output
        assert (error.exit_code, error.what[: len(what)]) == (code, what)
        assert error.fix
        assert _files(at) == before


def test_a_name_that_is_taken(at: Desk) -> None:
    """Of the same source: how to move it on; of another: a name that is free."""
    assert at.fetcher("add", "owner/kept").err == (
        "error: models.toml has a model kept already.\n"
        "  source: modelscope:owner/kept\n"
        "  models.toml was not changed\n"
        "  fix: run `fetcher update kept` to move its pin; edit its entry to take other files\n"
    )
    assert "--name kept-2" in at.fetcher("add", "owner/new", "--name", "kept").err


def test_dry_run_shows_what_is_taken_and_left(at: Desk) -> None:
    """With bytes and reasons; nothing is written, not even to the store."""
    before = _files(at)
    store = Path(at.environment["FETCHER_STORE"])
    had = sorted(store.rglob("*"))
    done = at.ok("add", "hf:owner/new", "--include", "*.json", "onnx/*", "--dry-run")
    assert done.out.splitlines()[1:] == [
        "  take   config.json  2 B",
        "  take   onnx/a.onnx  20.0 KiB",
        "  leave  README.md  300 B  (no `include` matches it)",
    ]
    assert done.err == "2 files (20.0 KiB) would be taken, 1 file (300 B) left; nothing was written.\n"
    found = at.ok("add", "owner/new", "--exclude", "*.json", "--dry-run", "--json").json
    assert (found["taken_size"], found["left"]) == (
        300 + 20 * KIB,
        [{"path": "config.json", "size": 2, "reason": "`exclude` has '*.json'"}],
    )
    assert _files(at) == before
    assert sorted(store.rglob("*")) == had
    assert not (at.folder / ".fetcher").exists()


def test_a_target_that_git_would_commit_is_told(at: Desk) -> None:
    """`init` has git ignore models/ only; outside a repository there is nothing to tell."""
    note = "note: git does not ignore data/new; a line `/data/new/` in .gitignore keeps it out of commits\n"
    words = ("add", "owner/new", "--no-sync", "--target", "data/new")
    assert "note" not in at.ok(*words).err
    at.ok("remove", "new")
    subprocess.run(["git", "init", "-q", str(at.folder)], check=True)
    assert note in at.ok(*words).err
    (at.folder / ".gitignore").write_text("/data/\n", encoding="utf-8")
    assert "note" not in at.ok("add", "owner/new", "--no-sync", "--name", "three", "--target", "data/three").err


def test_what_people_paste_is_a_source(at: Desk) -> None:
    """The address of a page; a folder, as seen from where they are."""
    at.ok("add", "https://modelscope.cn/models/owner/new/file/view/master/config.json", "--no-sync", "--name", "page")
    write_tree(at.folder / "weights/own", {"w.bin": b"w"})
    done = at.fetcher("add", "./own", "-C", "weights", "--no-sync")
    assert done.code == 0, done.err
    models = tomllib.loads(_files(at)[0])["models"]
    assert models["page"] == {"source": "modelscope:owner/new", "revision": "master", "files": ["config.json"]}
    assert models["own"] == {"source": "file:weights/own"}


def test_without_a_manifest_add_says_what_to_run(at: Desk) -> None:
    """As `uv add` does without a pyproject.toml."""
    (at.folder / "models.toml").unlink()
    done = at.fetcher("add", "owner/new")
    assert (done.code, done.err.splitlines()[-1]) == (
        2,
        "  fix: run `fetcher init` to write one, or name the folder with -C",
    )
    assert not (at.folder / "models.toml").exists()


def test_a_manifest_that_changed_meanwhile_is_not_overwritten(at: Desk) -> None:
    """Locking asks a network; somebody may have saved the file in their editor."""
    editor = Editor(Project.find(at.folder))
    edit = editor.remove(["kept"])
    (at.folder / "models.toml").write_text(_MANIFEST + "# more\n", encoding="utf-8")
    with pytest.raises(BusyError, match=r"models\.toml has changed"):
        editor.save(edit)
    assert _files(at)[0] == _MANIFEST + "# more\n"
    assert "[models.kept]" in _files(at)[1]


def test_killed_between_the_files_the_same_command_does_the_rest(
    at: Desk, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """models.lock is written first, and neither command minds a lock that is ahead."""
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.url)
    entry, before = Entry(name="new", source="modelscope:owner/new"), _files(at)
    for command, names in ((["add", "owner/new"], {"kept", "new"}), (["remove", "new"], {"kept"})):
        editor = Editor(Project.find(at.folder))
        edit = editor.add(entry) if command[0] == "add" else editor.remove(["new"])
        with monkeypatch.context() as killed:
            killed.setattr("fetcher.edits.write_atomic", _Once())
            with pytest.raises(DiskError):
                editor.save(edit)
        assert _files(at)[0] == before[0]
        assert set(split_lock(_files(at)[1])[1]) == names
        at.ok(*command, "--no-sync")
        at.ok("lock", "--check")
        before = _files(at)


class _Once:
    """Writes one file, and no other."""

    def __init__(self) -> None:
        self._is_done = False

    def __call__(self, path: Path, data: bytes, *, within: Path | None = None) -> None:
        if self._is_done:
            raise DiskError("killed")
        self._is_done = True
        write_atomic(path, data, within=within)


def test_remove_leaves_what_was_edited(at: Desk) -> None:
    """Files of the model that were not touched go, and those of other models stay."""
    at.ok("sync")
    at.ok("add", "owner/new")
    (at.folder / "models/new/config.json").unlink()
    (at.folder / "models/new/config.json").write_bytes(b"mine")
    done = at.ok("remove", "new")
    assert at.placed("new") == {"config.json": b"mine"}
    assert "models/new/config.json" in done.err
    assert at.placed("kept") == {"config.json": b"[]"}
    assert at.fetcher("remove", "knew", "kept").err.splitlines()[1] == "  unknown: knew"
    assert "[models.kept]" in _files(at)[0]


def test_a_broken_entry_can_be_removed(at: Desk) -> None:
    """models.toml cannot be used because of it; that is why it is to go."""
    (at.folder / "models.toml").write_text(_MANIFEST + '\n[models.bad]\nsorce = "x"\n', encoding="utf-8")
    at.ok("remove", "bad")
    assert _files(at)[0] == _MANIFEST


def test_update_moves_pins_and_syncs(at: Desk, publisher: Publisher) -> None:
    """Of the models named, or of all; `--dry-run` only says it."""
    at.ok("add", "owner/new")
    publisher.publish("owner/new", {**_TREE, "config.json": b'{"a": 1}'})
    publisher.publish("owner/kept", {"config.json": b"[1]"})
    before = _files(at)
    done = at.ok("update", "--dry-run")
    assert done.err.splitlines()[-1] == "2 models would move, 11 B of new bytes; nothing was written."
    assert _files(at) == before
    done = at.ok("update", "new", "--json")
    assert done.json["changes"] == [{"model": "new", "kind": "changed", "files": 1, "fetch_size": 8}]
    assert [file["path"] for file in done.json["synced"]["fetched"]] == ["models/new/config.json"]
    assert done.err.startswith("~ new  ")
    assert (at.placed("new")["config.json"], at.placed("kept")) == (b'{"a": 1}', {})
    at.ok("update", "--no-sync")
    assert at.placed("kept") == {}
    assert at.ok("update").err.startswith("models.lock is up to date.\n")
    assert at.placed("kept") == {"config.json": b"[1]"}
    assert at.fetcher("update", "nope").code == 2
