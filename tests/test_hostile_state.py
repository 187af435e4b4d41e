"""A project that came with a `.fetcher/` which somebody else made: none of it reaches what is not fetcher's.

The records are written by hand, or by fetcher in another project whose folder is then copied.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from fetcher.core.change import Bounds
from fetcher.disk.index import Index
from fetcher.disk.leftovers import remove_leftovers
from fetcher.disk.store import Store
from fetcher.disk.tidy import tidy, usage
from fetcher.disk.trash import Trash
from fetcher.errors import BlockedError, FetcherError, IntegrityError
from fetcher.project import Project
from fetcher.serve.hub import Hub
from fetcher.settings import Settings
from tests.cli.command import Desk, desk
from tests.disk.looks import sha
from tests.hub.publish import Publisher, read_tree

_VICTIM = b"the user's, and known to whoever made the record"
_LET_GO = Bounds(age_s=-1, size=0)


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """A project that was synced, in a folder with a file of the user's."""
    publisher.publish("owner/model", {"config.json": b"{}"})
    at = desk(tmp_path / "project", hub.url)
    at.model()
    _sync(at)
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "file").write_bytes(_VICTIM)
    (at.folder / "src").mkdir()
    (at.folder / "src" / "main.py").write_bytes(_VICTIM)
    return at


def _project(at: Desk) -> Project:
    return Project.find(at.folder, settings=Settings.of(at.environment))


def _sync(at: Desk) -> None:
    project = _project(at)
    project.save_lock(project.resolve())
    _project(at).sync()


def _picture(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but in the published repositories and fetcher's own folders."""
    return {name: data for name, data in read_tree(folder).items() if ".fetcher/" not in name}


def _victims(tmp_path: Path) -> dict[str, str]:
    """Each way to say where the user's file is."""
    return {
        "up": "../victim/file",
        "up and down": "models/../../victim/file",
        "absolute": f"{tmp_path}/victim/file",
        "absolute and up": f"{tmp_path}/project/../victim/file",
        "a link": "models/way/file",
        "git": ".git/hooks/pre-commit",
        "empty parts": "models//m/config.json",
    }


_WAYS = ["up", "up and down", "absolute", "absolute and up", "a link", "git", "empty parts"]


def _make_victim(at: Desk, tmp_path: Path, way: str) -> str:
    spot = _victims(tmp_path)[way]
    if way == "a link":
        (at.folder / "models" / "way").symlink_to(tmp_path / "victim")
    if way == "git":
        (at.folder / ".git" / "hooks").mkdir(parents=True)
        (at.folder / spot).write_bytes(_VICTIM)
    return spot


def _copied_in(at: Desk) -> None:
    """Give the project a `.fetcher` that was made elsewhere: the same bytes in another folder."""
    own, other = at.folder / ".fetcher", at.folder / ".copied"
    shutil.copytree(own, other)
    own.rename(at.folder.parent / "away")
    other.rename(own)


# --- the index ---------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["files", "intents"])
@pytest.mark.parametrize("way", _WAYS)
def test_an_index_that_names_the_user_s_file_has_it_not_pruned(at: Desk, tmp_path: Path, way: str, table: str) -> None:
    """Not by its rows, and not by what it says that a killed run was about to write."""
    spot = _make_victim(at, tmp_path, way)
    path = at.folder / ".fetcher" / "index.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        if table == "files":
            found = (at.folder / spot).stat()
            facts = (found.st_size, found.st_mtime_ns, found.st_ino, found.st_mtime_ns + 10**12, 1, 0)
            db.execute("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?)", (spot, "m", sha(_VICTIM), *facts))
        else:
            db.execute("INSERT OR REPLACE INTO intents VALUES (?,?,?)", (spot, "m", sha(_VICTIM)))
    _copied_in(at)
    before = _picture(tmp_path)
    at.manifest("")
    _sync(at)
    after = _picture(tmp_path)
    gone = {name for name in before if name not in after}
    assert gone <= {"project/models/m/config.json"}
    assert all(after[name] == before[name] for name in after if not name.startswith("project/models."))
    rows = Index(path).rows()
    assert spot not in rows


def test_an_absolute_target_is_fetcher_s_in_its_own_project_and_not_in_a_copy(at: Desk, tmp_path: Path) -> None:
    """The original prunes what it placed; the copy has placed nothing there."""
    weights = tmp_path / "weights"
    at.model(more=f'target = "{weights}"')
    _sync(at)
    shutil.copytree(at.folder, tmp_path / "copy")
    copy = Desk(folder=tmp_path / "copy", environment=at.environment)
    copy.manifest("")
    _sync(copy)
    assert read_tree(weights) == {"config.json": b"{}"}
    at.folder = at.folder.rename(tmp_path / "moved")
    at.manifest("")
    _sync(at)
    assert not weights.exists() or read_tree(weights) == {}


# --- the trash ----------------------------------------------------------------------------


def _record(at: Desk, *steps: dict[str, object], name: str = "000009-20260101T000000Z") -> Path:
    """A change that was done, as somebody wrote it by hand."""
    folder = at.folder / ".fetcher" / "trash" / name
    (folder / "kept" / "project").mkdir(parents=True)
    head = {"version": 1, "index": "index.sqlite", "began_s": 1.0}
    lines = [json.dumps(line) for line in (head, *steps)]
    (folder / "done.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def _former(sha256: str) -> dict[str, object]:
    return {"model": "m", "sha256": sha256, "size": len(_VICTIM), "mtime_ns": 1, "inode": 1, "looked_ns": 1}


def _placed(spot: str) -> dict[str, object]:
    return {"act": "place", "spot": spot, "model": "m", "sha256": sha(_VICTIM), "size": len(_VICTIM)}


def _removed(spot: str) -> dict[str, object]:
    return {"act": "remove", "spot": spot, "former": _former(sha(_VICTIM))}


def _moved(spot: str) -> dict[str, object]:
    return {**_placed("models/m/x"), "act": "move", "origin": spot, "former": _former(sha(_VICTIM))}


def _aside(spot: str) -> dict[str, object]:
    return {"act": "aside", "spot": spot}


_ACTS = [_placed, _removed, _moved, _aside]


@pytest.mark.parametrize("act", _ACTS)
@pytest.mark.parametrize("way", [way for way in _WAYS if way != "a link"])
def test_a_record_that_names_the_user_s_file_is_refused_whole(
    at: Desk, tmp_path: Path, way: str, act: Callable[[str], dict[str, object]]
) -> None:
    """`undo` says which line; `status` and the bounds of the trash leave all of it alone."""
    spot = _make_victim(at, tmp_path, way)
    folder = _record(at, _placed("models/m/config.json"), act(spot))
    kept = folder / "kept" / "project" / "models" / "m"
    kept.mkdir(parents=True)
    (kept / "x").write_bytes(_VICTIM)
    before, state = _picture(tmp_path), read_tree(folder)
    with pytest.raises(IntegrityError) as caught:
        _project(at).undo()
    assert str(caught.value).startswith(
        "The record of a sync cannot be believed; nothing was changed.\n"
        f"  record: {folder}/done.jsonl, line 3\n"
        f"  reason: unsafe spot '{spot}': it "
        if way != "git"
        else "The record of a sync"
    )
    assert str(caught.value).endswith(f"  fix: if the folder came with the project, remove it: rm -r {folder}")
    assert (_picture(tmp_path), read_tree(folder)) == (before, state)
    trash = Trash(root=at.folder, folder=folder.parent, index="index.sqlite")
    assert usage(trash.folder, trash.all()).own == 0
    assert trash.offers({sha(_VICTIM)}) == {}
    tidy(trash.all(), _LET_GO)
    assert (_picture(tmp_path), (kept / "x").read_bytes()) == (before, _VICTIM)


@pytest.mark.parametrize("act", _ACTS)
def test_no_link_on_the_way_to_a_spot_is_followed(
    at: Desk, tmp_path: Path, act: Callable[[str], dict[str, object]]
) -> None:
    """The spot is a good one; the project has a symlink there."""
    spot = _make_victim(at, tmp_path, "a link")
    _record(at, act(spot))
    before = _picture(tmp_path)
    with suppress(FetcherError):
        _project(at).undo()
    assert _picture(tmp_path) == before


@pytest.mark.parametrize("where", ["kept", "kept/project", "kept/project/models", "."])
def test_no_link_in_the_trash_is_followed(at: Desk, tmp_path: Path, where: str) -> None:
    """What is kept is neither put back from elsewhere, nor let go there."""
    folder = _record(at, _removed("src/main.py" if where != "." else "models/m/other"))
    (at.folder / "src" / "main.py").unlink()
    victim = tmp_path / "victim"
    for name in ("file", "kept/project/src/main.py", "project/src/main.py", "src/main.py", "main.py"):
        (victim / name).parent.mkdir(parents=True, exist_ok=True)
        (victim / name).write_bytes(_VICTIM)
    if where == "kept/project/models":
        where = "kept/project/src"
    link = folder / where
    if where == ".":
        shutil.copytree(folder, victim, dirs_exist_ok=True)
        link = folder
    if link.exists():
        shutil.rmtree(link)
    link.symlink_to(victim)
    before = read_tree(victim)
    trash = Trash(root=at.folder, folder=at.folder / ".fetcher" / "trash", index="index.sqlite")
    tidy(trash.all(), _LET_GO)
    _record(at, _removed("src/main.py"), name="000010-20260101T000000Z") if where == "." else None
    _project(at).undo()
    assert read_tree(victim) == before
    assert not (at.folder / "src" / "main.py").exists()


# --- the rest of it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", [".", "trash", "partial", "objects", "partial/batch-1", "claim", "index.sqlite", "ready"]
)
def test_a_state_that_leads_elsewhere_is_not_written_through(at: Desk, tmp_path: Path, where: str) -> None:
    """Exit 9 with the link, and the command that removes it."""
    state, victim = at.folder / ".fetcher", tmp_path / "victim"
    link = state / where if where != "." else state
    if where == ".":
        shutil.rmtree(state)
    elif link.is_dir():
        shutil.rmtree(link)
    else:
        link.unlink(missing_ok=True)
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(victim if where in (".", "trash", "partial", "objects", "partial/batch-1") else victim / "file")
    before = read_tree(victim)
    at.manifest("")
    with pytest.raises(BlockedError) as caught:
        _sync(at)
    assert str(caught.value) == (
        "A symlink stands where fetcher keeps its state; nothing was written through it.\n"
        f"  {link} -> {os.readlink(link)}\n"
        f"  fix: remove it, what it leads to stays: rm {link}"
    )
    assert read_tree(victim) == before


def test_what_killed_runs_left_is_not_looked_for_behind_links(tmp_path: Path) -> None:
    """A partial that is a link to somebody's folder would be emptied."""
    victim = tmp_path / "victim"
    (victim / "batch-2").mkdir(parents=True)
    (victim / "batch-2" / "file").write_bytes(_VICTIM)
    (tmp_path / "state" / "partial").mkdir(parents=True)
    (tmp_path / "state" / "partial" / "batch-1").symlink_to(victim / "batch-2")
    remove_leftovers(Store(tmp_path / "state"))
    shutil.rmtree(tmp_path / "state" / "partial")
    (tmp_path / "state" / "partial").symlink_to(victim)
    remove_leftovers(Store(tmp_path / "state"))
    assert read_tree(victim) == {"batch-2/file": _VICTIM}
