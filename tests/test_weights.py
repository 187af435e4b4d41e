"""`fetcher no-weights` and `fetcher digest`: model files among others, and the key that changes with them."""

from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher, content


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """A project that is locked and not synced; its name is reached by a link too."""
    publisher.publish("owner/model", {"config.json": b"{}", "sub/model.bin": 2 * MIB, "LICENSE": b"all of it"})
    at = desk(tmp_path / "project", hub.url)
    at.model(more='target = "weights of/m"')
    at.ok("lock")
    (tmp_path / "link").symlink_to("project")
    return at


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_a_file_in_a_model_s_place_is_found_whatever_is_in_it(at: Desk) -> None:
    """Also one that git-lfs would commit as a pointer, one that was edited, and one that is gone again."""
    _write(at.folder / "weights of/m/config.json", b"edited")
    _write(at.folder / "weights of/m/mine.txt", b"a file of the user")
    found = at.fetcher("no-weights", "weights of/m/mine.txt", "weights of/m/config.json", "x/../weights of/m/LICENSE")
    assert found.code == 1
    assert found.err == (
        "error: 2 files of the models are to be committed.\n"
        "  weights of/m/config.json: fetcher places it there, for m\n"
        "  x/../weights of/m/LICENSE: fetcher places it there, for m\n"
        "  fix: run `git rm --cached -- 'weights of/m/config.json' 'x/../weights of/m/LICENSE'`, "
        "and name them in .gitignore\n"
    )
    assert at.fetcher("no-weights", "../link/weights of/m/config.json").code == 1
    other = ("--manifest", "project/models.toml")
    at.folder = at.folder.parent
    assert at.fetcher("no-weights", *other, "project/weights of/m/config.json", "weights of/m/config.json").code == 1
    assert at.fetcher("no-weights", *other, "weights of/m/config.json").code == 0


def test_elsewhere_a_large_file_is_found_by_its_bytes(at: Desk) -> None:
    """A copy under another name; small files and files of that size are anybody's, a link is no copy."""
    weights = content("sub/model.bin", 2 * MIB)
    _write(at.folder / "copy of.bin", weights)
    _write(at.folder / "own.bin", bytes(2 * MIB))
    _write(at.folder / "empty.json", b"{}")
    (at.folder / "link.bin").symlink_to("copy of.bin")
    done = at.fetcher("no-weights", "own.bin", "empty.json", "link.bin", "gone.bin", "copy of.bin")
    assert done.code == 1
    assert done.err == (
        "error: 1 file of the models is to be committed.\n"
        "  copy of.bin: the same bytes as sub/model.bin of m\n"
        "  fix: run `git rm --cached -- 'copy of.bin'`, and name it in .gitignore\n"
    )


def test_without_files_or_without_a_lock_there_is_nothing_to_find(at: Desk) -> None:
    """A commit that only removes; a repository that begins."""
    assert at.ok("no-weights").err == ""
    (at.folder / "models.lock").unlink()
    at.ok("no-weights", "weights of/m/config.json")


def test_the_digest_changes_with_the_files_and_with_nothing_else(at: Desk, publisher: Publisher) -> None:
    """A cache that is thrown away for a comment would be fetched again for nothing."""
    publisher.publish("owner/other", {"a": b"a"})
    models = '[models.m]\nsource = "ms:owner/model"\n[models.o]\nsource = "ms:owner/other"\ngroups = ["g"]\n'
    at.manifest(models)
    at.ok("lock")
    both, one = at.ok("digest").out, at.ok("digest", "--group", "g").out
    at.manifest('default-groups = ["g"]\n' + models.replace('model"', 'model"\ngroups = ["f"]'))
    assert (at.ok("digest").out, at.ok("digest", "--all-groups").out) == (one, both)
    at.manifest(
        "# a comment\n" + models.replace('groups = ["g"]', 'groups = ["g", "h"]\ninclude = ["*"]\ntarget = "x"')
    )
    at.ok("lock")
    assert (at.ok("digest").out, at.ok("digest", "o").out) == (both, one)
    publisher.publish("owner/model", {"config.json": b"[]"})
    at.ok("lock", "--upgrade")
    assert at.ok("digest", "o").out == one
    assert at.ok("digest").out not in (both, one)
    assert len({both, one}) == 2
