"""Targets that are not what they seem: links, git's folders, folders in folders, folders that may not be written."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fetcher.errors import BlockedError, ConfigError, DiskError, FetcherError
from fetcher.project import Project
from fetcher.serve.hub import Hub
from fetcher.settings import Settings
from tests.cli.command import Desk, desk
from tests.hub.publish import Publisher, read_tree

_TREE: dict[str, bytes | int] = {"config.json": b"{}", "sub/model.bin": b"weights"}


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    publisher.publish("owner/model", _TREE)
    publisher.publish("owner/other", {"other.txt": b"other"})
    return desk(tmp_path / "project", hub.url)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that is not the project's."""
    outside = tmp_path / "outside"
    outside.mkdir()
    return outside


def _project(at: Desk) -> Project:
    return Project.find(at.folder, settings=Settings.of(at.environment))


def _lock(at: Desk) -> None:
    project = _project(at)
    project.save_lock(project.resolve())


def _sync(at: Desk, *, force: bool = False) -> None:
    _lock(at)
    _project(at).sync(force=force)


def _refused(at: Desk, kind: type[FetcherError]) -> str:
    with pytest.raises(kind) as caught:
        _sync(at)
    return str(caught.value)


# --- links -----------------------------------------------------------------------------


def test_a_target_that_is_a_link_out_of_the_project_is_refused(at: Desk, outside: Path, hub: Hub) -> None:
    """The whole message; `--force` takes the link away, not what it leads to."""
    (outside / "mine.txt").write_bytes(b"mine")
    (at.folder / "models").mkdir()
    (at.folder / "models" / "m").symlink_to(outside)
    at.model()
    assert _refused(at, BlockedError) == (
        "1 thing is in the way and not fetcher's to replace.\n"
        f"  models/m: a symlink to {outside} where a folder is due (models.toml: models.m.target)\n"
        "  fix: move it away, or run `fetcher sync --force` to have it moved into .fetcher/trash/; "
        "or write where the link leads as an absolute `target`"
    )
    _sync(at, force=True)
    assert read_tree(outside) == {"mine.txt": b"mine"}
    assert read_tree(at.folder / "models" / "m") == _TREE


def test_a_target_that_passes_through_a_link_is_refused(at: Desk, outside: Path) -> None:
    """Also where the link is above the target."""
    (at.folder / "models").symlink_to(outside)
    at.model()
    assert f"  models: a symlink to {outside} where a folder is due (models.toml: models.m.target)\n" in _refused(
        at, BlockedError
    )
    assert list(outside.iterdir()) == []


def test_an_absolute_target_may_be_reached_by_links_but_none_is_followed_below_it(
    at: Desk, outside: Path, tmp_path: Path
) -> None:
    """The user wrote the one; the other may be anybody's."""
    (tmp_path / "disk").symlink_to(outside)
    at.model(more=f'target = "{tmp_path}/disk/weights"')
    _sync(at)
    assert read_tree(outside / "weights") == _TREE
    elsewhere = tmp_path / "elsewhere"
    (outside / "weights" / "sub").rename(elsewhere)
    (outside / "weights" / "sub").symlink_to(elsewhere)
    assert f"{tmp_path}/disk/weights/sub: a symlink to {elsewhere} where a folder is due" in _refused(at, BlockedError)
    at.manifest("")
    _sync(at)
    assert read_tree(elsewhere) == {"model.bin": b"weights"}, "prune did not follow it either"


@pytest.mark.parametrize("target", ["{at}/.git/hooks", "{at}/.GIT", "{at}/git~1/x", "{at}/.fetcher/x", "{at}/../.Git"])
def test_no_target_is_in_a_folder_of_git_or_fetcher(at: Desk, target: str) -> None:
    """Files there run commands; by no spelling."""
    at.model(more=f'target = "{target.format(at=at.folder)}"')
    text = _refused(at, ConfigError)
    assert "models.toml, line 4: `models.m.target` lies in a folder of git or of fetcher.\n" in text
    assert "fix: choose another folder, such as `models/NAME`" in text


def test_no_target_leads_into_git_s_folder_by_a_link(at: Desk, tmp_path: Path, hub: Hub) -> None:
    """The whole message; a link in the project is in the way like any other."""
    (at.folder / ".git" / "hooks").mkdir(parents=True)
    (tmp_path / "way").symlink_to(at.folder / ".git")
    at.model(more=f'target = "{tmp_path}/way/hooks"')
    assert _refused(at, ConfigError) == (
        "A model would be placed in a folder of git or of fetcher.\n"
        f"  models.toml: models.m.target = '{tmp_path}/way/hooks'\n"
        f"  leads to: {at.folder}/.git/hooks\n"
        "  fix: name another folder"
    )
    (at.folder / "way").symlink_to(".git")
    for target in (f"{at.folder}/way/hooks", "way/hooks"):
        at.model(more=f'target = "{target}"')
        assert f"  way: a symlink to {at.folder}/.git where a folder is due" in _refused(at, BlockedError)
    assert read_tree(at.folder / ".git") == {}


def test_a_download_into_git_s_folder_is_refused(at: Desk) -> None:
    """`fetcher download --local-dir` has no manifest that would say so."""
    (at.folder / ".git").mkdir()
    (at.folder / "way").symlink_to(".git")
    done = at.fetcher("download", "owner/model", "--local-dir", "way")
    assert done.code == 2
    assert done.err.endswith(
        "error: A model would be placed in a folder of git or of fetcher.\n"
        f"  folder: {at.folder}/way\n  leads to: {at.folder}/.git\n  fix: name another folder\n"
    )
    assert list((at.folder / ".git").iterdir()) == []


def test_two_models_cannot_own_one_file_by_two_ways_to_a_folder(at: Desk, outside: Path, tmp_path: Path) -> None:
    """One is there by a link, the other is not; and a link to the project itself."""
    (tmp_path / "way").symlink_to(outside)
    (tmp_path / "home").symlink_to(at.folder)
    for one, two in ((f"{outside}/m", f"{tmp_path}/way/m"), ("m", f"{tmp_path}/home/m")):
        at.manifest(
            f'[models.a]\nsource = "ms:owner/model"\ntarget = "{one}"\n'
            f'[models.b]\nsource = "ms:owner/model"\ntarget = "{two}"\n'
        )
        assert _refused(at, ConfigError).startswith(
            "Two models own the same file.\n  a/config.json and b/config.json\n"
        )


def test_the_same_folder_by_another_way_is_not_pruned(at: Desk, outside: Path, tmp_path: Path) -> None:
    """Yesterday by a link, today by its own path: the files are wanted, and fetcher's still."""
    (tmp_path / "way").symlink_to(outside)
    at.model(more=f'target = "{tmp_path}/way/m"')
    _sync(at)
    before = {path: path.stat().st_ino for path in outside.rglob("*")}
    at.model(more=f'target = "{outside}/m"')
    _sync(at)
    assert {path: path.stat().st_ino for path in outside.rglob("*")} == before
    at.manifest("")
    _sync(at)
    assert read_tree(outside) == {}, "and pruned when they are not wanted"


# --- targets in each other ---------------------------------------------------------------


def test_a_target_in_another_one_is_pruned_and_put_back_alone(at: Desk) -> None:
    """No file is owned twice, so each model's files go and come without the other's."""
    other = '[models.b]\nsource = "ms:owner/other"\ntarget = "models/a/sub/deep"\n'
    both = f'[models.a]\nsource = "ms:owner/model"\n{other}'
    at.manifest(both)
    _sync(at)
    tree = {**_TREE, "sub/deep/other.txt": b"other"}
    assert read_tree(at.folder / "models/a") == tree
    at.manifest(other)
    _sync(at)
    assert read_tree(at.folder / "models/a") == {"sub/deep/other.txt": b"other"}
    _project(at).undo()
    assert read_tree(at.folder / "models/a") == tree
    at.manifest('[models.a]\nsource = "ms:owner/model"\n')
    _sync(at)
    assert read_tree(at.folder / "models/a") == _TREE
    assert not (at.folder / "models/a/sub/deep").exists()
    _project(at).undo()
    assert read_tree(at.folder / "models/a") == tree


def test_a_file_where_another_model_has_its_folder_is_refused(at: Desk) -> None:
    """Targets in each other that cannot both be."""
    at.manifest(
        '[models.a]\nsource = "ms:owner/model"\n[models.b]\nsource = "ms:owner/other"\ntarget = "models/a/config.json"'
    )
    text = _refused(at, ConfigError)
    assert text.startswith("Two models own the same file.\n")
    assert "'models/a/config.json' is a file and also a directory of 'models/a/config.json/other.txt'" in text


# --- what is no file -----------------------------------------------------------------------


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{here}/{path.name}")  # a path of a socket has room for 108 bytes
    os.close(here)


def _device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may make devices")
    try:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("devices cannot be made here")


@pytest.mark.parametrize("name", ["config.json", "sub"])
@pytest.mark.parametrize(
    ("make", "kind"),
    [(_pipe, "a named pipe"), (_socket, "a socket"), (_device, "a device")],
    ids=["pipe", "socket", "device"],
)
def test_what_is_no_file_is_in_the_way_and_never_opened(
    at: Desk, make: Callable[[Path], None], kind: str, name: str
) -> None:
    """To open a pipe is to wait for ever; `--force` renames it."""
    path = at.folder / "models" / "m" / name
    path.parent.mkdir(parents=True)
    make(path)
    found = path.lstat()
    at.model()
    due = " where a folder is due" if name == "sub" else ""
    assert f"  models/m/{name}: {kind}{due}\n" in _refused(at, BlockedError)
    _sync(at, force=True)
    assert read_tree(at.folder / "models" / "m") == _TREE
    kept = next((at.folder / ".fetcher" / "trash").rglob(f"kept/project/models/m/{name}"))
    assert (kept.lstat().st_ino, kept.lstat().st_mode) == (found.st_ino, found.st_mode)


# --- what may not be written -----------------------------------------------------------------


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that even root may not write to, where this machine lets us mount one; else one by its mode."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid() != 0:
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "none", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_target_that_may_not_be_written_is_refused_before_the_first_byte(at: Desk, read_only: Path, hub: Hub) -> None:
    """The whole message; exit 11."""
    at.model(more=f'target = "{read_only}/deep/m"')
    _lock(at)
    hub.forget_requests()
    reason = "its file system is read-only" if os.geteuid() == 0 else "permission denied"
    assert _refused(at, DiskError) == (
        "Files cannot be placed: the folder may not be written; nothing was fetched.\n"
        f"  {read_only}: {reason}; wanted there: m/config.json\n"
        f"  fix: check its owner and mode with `ls -ld {read_only}`, or choose another folder"
    )
    assert [request for request in hub.requests if request.sent > 1 << 10] == []
