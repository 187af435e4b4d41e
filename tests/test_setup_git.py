"""`fetcher setup git`: real git calls the driver wherever it merges, and loses nothing where it cannot."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.repository import attribute_line
from fetcher.serve.hub import Hub
from tests.branches import BASE, World, begin, declare, upgrade
from tests.git import git
from tests.hub.publish import Publisher

_ADDED = {**BASE, "n1": "", "n2": ""}


@pytest.fixture
def world(tmp_path: Path, hub: Hub, publisher: Publisher) -> World:
    """In a folder whose name shells and git have to quote."""
    return begin(tmp_path / "it's 100% a %A $HOME", hub, publisher)


def _driver(world: World) -> str:
    return git(world.at.folder, "config", "--local", "merge.fetcher.driver").stdout


def _set_up(world: World) -> None:
    world.at.ok("setup", "git", "--manifest", world.name)
    world.commit()


def _two_adds(world: World) -> None:
    """Lines that git cannot merge and the driver can; models.toml conflicts either way."""
    world.diverge(declare(**BASE, n1=""), declare(**BASE, n2=""))


def _assert_merged(world: World) -> None:
    """The lock is what both sides want, without `fetcher lock`."""
    world.declare(_ADDED)
    assert world.project.staleness() == []
    merged = world.text
    assert merged == world.fresh_text()


def test_it_is_set_up_once_and_taken_away_whole(world: World) -> None:
    """Who runs it twice, or in each clone's start-up script, must not pile anything up."""
    attributes, config = world.at.folder / ".gitattributes", world.at.folder / ".git/config"
    attributes.write_bytes(b"*.bin binary")
    before = config.read_text("utf-8")
    first = world.at.ok("setup", "git")  # as docs/merging.md says
    assert first.err == (
        "git now merges models.lock by fetcher, in this clone.\n"
        "Next: commit .gitattributes; who clones runs `fetcher setup git` once.\n"
    )
    assert attributes.read_bytes() == b"*.bin binary\n/models.lock merge=fetcher\n"
    made = config.read_text("utf-8")
    assert world.at.ok("setup", "git").err == "git merges models.lock by fetcher already.\n"
    assert (attributes.read_bytes(), config.read_text("utf-8")) == (b"*.bin binary\n/models.lock merge=fetcher\n", made)
    world.at.ok("setup", "git", "--remove")
    assert (attributes.read_bytes(), config.read_text("utf-8")) == (b"*.bin binary\n", before)
    assert world.at.ok("setup", "git", "--remove").err == "Nothing to remove for models.lock.\n"


def test_a_file_that_it_made_goes_with_its_line(world: World) -> None:
    """Nothing of it stays."""
    world.at.ok("setup", "git")
    world.at.ok("setup", "git", "--remove")
    assert not (world.at.folder / ".gitattributes").exists()


def test_outside_a_repository_it_says_so(tmp_path: Path, world: World) -> None:
    """A driver that nobody calls would be believed in."""
    (tmp_path / "plain").mkdir()
    shutil.copy(world.at.folder / "models.toml", tmp_path / "plain")
    done = world.at.fetcher("setup", "git", "-C", str(tmp_path / "plain"))
    assert (done.code, done.err) == (
        2,
        f"error: {tmp_path / 'plain'} is in no git repository.\n  fix: run `git init`, or name the folder with -C\n",
    )


def test_attributes_elsewhere_that_win_are_told(world: World) -> None:
    """.git/info/attributes comes before all files of the repository."""
    info = world.at.folder / ".git/info"
    info.mkdir(exist_ok=True)
    (info / "attributes").write_text("models.lock merge=union\n", encoding="utf-8")
    done = world.at.fetcher("setup", "git")
    assert done.code == 2
    assert done.err == (
        "error: git's attributes give models.lock another merge driver.\n"
        "  merge: union\n"
        "  fix: take that line out of .gitattributes or .git/info/attributes: `git check-attr merge -- models.lock`\n"
    )


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("models.lock", "/models.lock merge=fetcher"),
        ("my models.lock", '"/my models.lock" merge=fetcher'),
        ('a "[b]*?\\.lock', '"/a \\"\\\\[b]\\\\*\\\\?\\\\\\\\.lock" merge=fetcher'),
        ("#!模型.lock", "/#!模型.lock merge=fetcher"),
    ],
)
def test_git_reads_the_line_as_that_one_file(tmp_path: Path, name: str, line: str) -> None:
    """Judged by git itself: the lock has the driver, no other file does."""
    git(tmp_path, "init")
    (tmp_path / ".gitattributes").write_text(f"{attribute_line(name)}\n", encoding="utf-8")
    said = git(tmp_path, "check-attr", "-z", "merge", "--", name, f"sub/{name}", "a b.lock").stdout.split("\0")
    assert (attribute_line(name), said[2::3]) == (line, ["fetcher", "unspecified", "unspecified"])


def test_a_rebase_and_a_cherry_pick_merge_by_it(world: World) -> None:
    """They merge commit by commit, with the sides exchanged."""
    _set_up(world)
    _two_adds(world)
    git(world.at.folder, "checkout", "-b", "picked")
    git(world.at.folder, "cherry-pick", "theirs")
    _assert_merged(world)
    git(world.at.folder, "add", ".")
    git(world.at.folder, "-c", "core.editor=true", "cherry-pick", "--continue")
    git(world.at.folder, "checkout", "theirs")
    git(world.at.folder, "rebase", "ours")
    _assert_merged(world)
    git(world.at.folder, "add", ".")
    assert git(world.at.folder, "-c", "core.editor=true", "rebase", "--continue").returncode == 0
    assert git(world.at.folder, "diff", "picked", "theirs").stdout == ""


def test_a_second_worktree_and_a_lock_of_another_name_merge_by_it(
    tmp_path: Path, hub: Hub, publisher: Publisher
) -> None:
    """The configuration belongs to the repository; a project may lie anywhere in it."""
    world = begin(tmp_path / "top/sub", hub, publisher, name="big ones.toml", top=tmp_path / "top")
    _set_up(world)
    _two_adds(world)
    assert git(world.at.folder, "worktree", "add", str(tmp_path / "second tree"), "theirs").returncode == 0
    world.at.folder = tmp_path / "second tree/sub"
    git(world.at.folder, "merge", "ours", "-m", "merge")
    assert world.lock_path.name == "big ones.lock"
    _assert_merged(world)


def test_criss_crossing_branches_merge_by_it(world: World) -> None:
    """git then merges the bases first, into one with markers of its own."""
    _set_up(world)
    world.diverge(upgrade("2"), upgrade("3"))
    tips = [git(world.at.folder, "rev-parse", name).stdout.strip() for name in ("ours", "theirs")]
    for branch, other in (("ours", tips[1]), ("theirs", tips[0])):
        git(world.at.folder, "checkout", branch)
        git(world.at.folder, "merge", "-s", "ours", "-m", "kept", other)
    git(world.at.folder, "checkout", "ours")
    assert git(world.at.folder, "merge", "theirs", "-m", "both").returncode == 1
    assert world.text.count("<<<<<<<") == 1
    assert world.lock()[0].startswith("m: resolved anew, because both sides moved its pin (")


def test_a_clone_without_the_driver_merges_by_lines(world: World, tmp_path: Path) -> None:
    """.gitattributes comes with the clone, the configuration does not."""
    _set_up(world)
    _two_adds(world)
    git(tmp_path, "clone", str(world.at.folder), "clone")
    world.at.folder = tmp_path / "clone"
    git(world.at.folder, "merge", "origin/theirs", "-m", "merge")
    assert world.text.count("<<<<<<<") == 1
    world.declare(_ADDED)
    assert [line.split(",")[0] for line in world.lock()] == ["n1: took ours", "n2: took theirs"]


@pytest.mark.parametrize("why", ["gone", "dies", "not on PATH"])
def test_a_driver_that_cannot_run_loses_no_side(world: World, tmp_path: Path, why: str) -> None:
    """git takes any exit code up to 128 for a conflict that was written, and what lies there for both sides."""
    _set_up(world)
    broken = tmp_path / "python"
    if why == "dies":
        broken.write_text("#!/bin/sh\necho conflict >&2\nexit 1\n", encoding="utf-8")
        broken.chmod(0o755)
    command = _driver(world).strip().replace(shlex.quote(sys.executable), shlex.quote(str(broken)))
    assert str(broken) in command
    git(world.at.folder, "config", "--local", "merge.fetcher.driver", command)
    _two_adds(world)
    programs = tmp_path / "bin"
    programs.mkdir()
    if why == "gone":  # `fetcher` of PATH is there, and does it
        (programs / "fetcher").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m fetcher "$@"\n', encoding="utf-8")
        (programs / "fetcher").chmod(0o755)
    path = os.environ["PATH"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}:{':'.join(p for p in path.split(':') if not Path(p, 'fetcher').exists())}")
        git(world.at.folder, "merge", "theirs", "-m", "merge")
    if why == "gone":
        _assert_merged(world)
        return
    assert world.text.count("<<<<<<<") == 1
    world.declare(_ADDED)
    assert [line.split(",")[0] for line in world.lock()] == ["n1: took ours", "n2: took theirs"]
    assert world.text == world.fresh_text()


def test_no_program_of_the_repository_is_run_by_it(world: World) -> None:
    """Python takes modules from the current folder, which is what somebody has pushed."""
    _set_up(world)
    (world.at.folder / "fetcher.py").write_text("open('trodden', 'w')\n", encoding="utf-8")
    (world.at.folder / "json.py").write_text("open('trodden', 'w')\n", encoding="utf-8")
    world.commit()
    _two_adds(world)
    git(world.at.folder, "merge", "theirs", "-m", "merge")
    assert not (world.at.folder / "trodden").exists()
    world.declare(_ADDED)
    assert world.project.staleness() == []


def test_an_interpreter_with_any_name_is_started(world: World, tmp_path: Path) -> None:
    """git replaces %A and its like in the command, a shell does the rest."""
    home = tmp_path / "100%A it's $HOME"
    home.symlink_to(sys.prefix)
    words = [str(home / "bin/python"), "-m", "fetcher", "setup", "git"]
    subprocess.run(words, cwd=world.at.folder, env=world.at.environment, check=True, capture_output=True)
    world.commit()
    _two_adds(world)
    git(world.at.folder, "merge", "theirs", "-m", "merge")
    _assert_merged(world)


def test_a_lock_of_a_newer_fetcher_is_left_to_git(world: World) -> None:
    """The driver says why; git's merge of lines keeps both sides."""
    _set_up(world)
    texts = [world.text.replace("version = 1", "version = 2"), world.text + "# mine\n"]
    world.diverge(*(lambda w, text=text: w.lock_path.write_text(text, "utf-8") for text in texts))  # type: ignore[misc]
    done = git(world.at.folder, "merge", "theirs", "-m", "merge")
    assert "models.lock is not as `fetcher lock` writes it, on one side at least." in done.stderr
    assert ("version = 2" in world.text, world.text.endswith("# mine\n")) == (True, True)
