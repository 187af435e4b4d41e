"""`fetcher outdated`: what sources have now, beside what is pinned."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from fetcher.serve.repositories import REVISIONS_FOLDER
from tests.cli.command import Desk, desk
from tests.git import git
from tests.hub.faults import FaultProxy, Rule, Status
from tests.hub.publish import KIB, Publisher, write_tree

_MADE, _MOVED = "2024-05-01", "2024-06-30"
_BEFORE: dict[str, bytes | int] = {
    "config.json": b'{"a": 1}',
    "model.bin": 20 * KIB,
    "old.txt": b"old",
    "same.txt": b"x",
}


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """A locked model of ModelScope."""
    _at_commit(publisher, _BEFORE, _MADE)
    at = desk(tmp_path / "project", hub.url)
    at.model()
    at.ok("lock", "-q")
    return at


def _at_commit(publisher: Publisher, tree: dict[str, bytes | int], made: str) -> None:
    """master is at a commit of that day; those before stay to be had."""
    publisher.commit("owner/model", made, tree)
    moment_s = datetime.fromisoformat(f"{made}T00:00:00+00:00").timestamp()
    for path in (publisher.folder("owner/model") / REVISIONS_FOLDER / "commits" / made).rglob("*"):
        os.utime(path, (moment_s, moment_s))
    publisher.move("owner/model", "master", to=made)


def _move_on(publisher: Publisher) -> None:
    """One file changed, one that has the bytes of another, one gone."""
    after = {**_BEFORE, "config.json": b'{"a": 22}', "copy.txt": b"x"}
    del after["old.txt"]
    _at_commit(publisher, after, _MOVED)


def test_a_model_whose_branch_stands_still_is_up_to_date(at: Desk) -> None:
    """Nothing is written, and `--exit-code` finds nothing."""
    lock = (at.folder / "models.lock").read_bytes()
    done = at.ok("outdated", "--exit-code")
    assert done.out.endswith(f"  up to date, of {_MADE}\n")
    assert (done.out.startswith("m  "), done.err) == (True, "")
    assert (at.folder / "models.lock").read_bytes() == lock


def test_what_an_upgrade_would_change_is_told(at: Desk, publisher: Publisher) -> None:
    """Files and the bytes to fetch; bytes that the lock has under another name cost nothing."""
    _move_on(publisher)
    before, after = at.ok("outdated").out.splitlines()[0].split("  ")[1].split(" -> ")
    done = at.ok("outdated")
    assert done.out == (
        f"m  {before} -> {after}  3 files differ, 9 B to fetch; {_MADE} -> {_MOVED}\n"
        "  ~ config.json  9 B\n"
        "  + copy.txt  1 B\n"
        "  - old.txt  3 B\n"
    )
    assert done.err == "To move on: fetcher update m\n"
    assert at.fetcher("outdated", "--exit-code").code == 1
    at.ok("lock", "--upgrade", "m", "-q")
    assert at.ok("outdated", "--exit-code").out == f"m  {after}  up to date, of {_MOVED}\n"


def test_json_says_the_same(at: Desk, publisher: Publisher) -> None:
    """With whole commits and bytes as numbers."""
    _move_on(publisher)
    (found,) = at.ok("outdated", "--json").json["models"]
    assert len({found.pop("locked"), found.pop("commit")}) == 2
    assert found == {
        "name": "m",
        "source": "modelscope:owner/model",
        "revision": None,
        "locked_committed": f"{_MADE}T00:00:00Z",
        "committed": f"{_MOVED}T00:00:00Z",
        "moved": True,
        "files": [
            {"path": "config.json", "kind": "changed", "size": 9},
            {"path": "copy.txt", "kind": "added", "size": 1},
            {"path": "old.txt", "kind": "removed", "size": 3},
        ],
        "fetch_size": 9,
        "newer_tags": [],
        "versions": {},
    }


def test_of_a_web_server_the_version_is_told(at: Desk, web: tuple[Path, str]) -> None:
    """It tells no hash: a file of another size has moved, of one of the same size ETag or date is shown."""
    write_tree(web[0], {"weights.bin": 3 * KIB})
    os.utime(web[0] / "weights.bin", (1_700_000_000, 1_700_000_000))
    at.manifest(f'[models.w]\nsource = "{web[1]}/weights.bin"\n')
    at.ok("lock", "-q")
    commit = at.ok("outdated").out.split()[1]
    assert at.ok("outdated", "--exit-code").out == (
        f"w  {commit}  as large as locked\n  weights.bin: now Tue, 14 Nov 2023 22:13:20 GMT\n"
    )
    write_tree(web[0], {"weights.bin": 5 * KIB})
    done = at.fetcher("outdated", "--exit-code")
    assert (done.code, done.out.splitlines()[:2]) == (
        1,
        [f"w  {commit} -> other files  1 file differs, 5.0 KiB to fetch", "  ~ weights.bin  5.0 KiB"],
    )


@pytest.mark.parametrize(("source", "newer"), [("ms:owner/model", ["odd", "v1.0.1"]), ("hf:owner/model", ["v1.10"])])
def test_tags_that_are_newer_than_the_pinned_one_are_told(
    at: Desk, hub: Hub, publisher: Publisher, source: str, newer: list[str]
) -> None:
    """By date where the hub tells it (ModelScope), else by number (Hugging Face); a model at a tag has not moved."""
    at.environment["HF_ENDPOINT"] = hub.url
    dates_s = {"v1.0.1": 1_700_000_003, "v1.2": 1_700_000_001, "v1.10": 1_600_000_000, "odd": 1_700_000_002}
    for name, made_s in dates_s.items():
        publisher.tag("owner/model", name, {"model.bin": name.encode()})
        folder = publisher.folder("owner/model") / REVISIONS_FOLDER / "tags" / name
        os.utime(folder / "model.bin", (made_s, made_s))
    at.manifest(f'[models.m]\nsource = "{source}"\nrevision = "v1.2"\n')
    at.ok("lock", "-q")
    done = at.ok("outdated", "--exit-code")
    assert done.out.splitlines()[1:] == [f"  newer tags: {', '.join(newer)}"]
    assert at.ok("outdated", "--json").json["models"][0]["newer_tags"] == newer


def test_tags_of_a_git_repository_are_those_that_it_names(at: Desk) -> None:
    """Annotated ones by the commit that they are about: a second name of the pinned commit is not newer."""
    repository = at.folder.parent / "repository"
    repository.mkdir()
    git(repository, "init", "-q")
    for number in (1, 2):
        (repository / "a.bin").write_text(str(number), encoding="utf-8")
        git(repository, "add", ".")
        git(repository, "commit", "-m", "work")
        git(repository, "tag", "-a", "-m", "release", f"v{number}.0")
    git(repository, "tag", "v1.5", "v1.0^{}")
    at.manifest(f'[models.g]\nsource = "git+file://{repository}"\nrevision = "v1.0"\n')
    at.ok("lock", "-q")
    assert at.ok("outdated", "--exit-code").out.splitlines()[1:] == ["  newer tags: v2.0"]


def test_a_hub_that_does_not_tell_its_tags_is_asked_all_the_same(
    at: Desk, fault_proxy: Callable[..., FaultProxy]
) -> None:
    """Mirrors and small hubs serve listings and files only."""
    at.environment["MODELSCOPE_ENDPOINT"] = fault_proxy(Rule("revisions", Status(404))).url
    assert at.ok("outdated").out.endswith(f"  up to date, of {_MADE}\n")
    assert at.ok("outdated", "--json").json["models"][0]["newer_tags"] is None


def test_only_the_named_models_are_asked_about(at: Desk, hub: Hub) -> None:
    """An unknown one is told with those that there are; without a lock there is nothing to ask."""
    at.ok("outdated", "m")
    assert at.fetcher("outdated", "n").code == 2
    hub.close()
    assert at.fetcher("outdated").code == 5
    (at.folder / "models.lock").unlink()
    assert at.fetcher("outdated").code == 1
