"""Which projects use a store."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from fetcher.disk.registry import KnownProject, Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "store" / "projects")


def _project(root: Path) -> KnownProject:
    root.mkdir()
    return KnownProject(root=root, lock=root / "models.lock", index=root / ".fetcher" / "index.sqlite")


def test_what_was_added_is_there_once(registry: Registry, tmp_path: Path) -> None:
    """Each sync adds its project again; two manifests of one folder are two."""
    one = _project(tmp_path / "one")
    other = replace(one, lock=one.root / "other.lock")
    for project in (one, other, one):
        registry.add(project)
    assert sorted(registry.all(), key=lambda project: project.lock) == [one, other]


@pytest.mark.parametrize("name", [b"caf\xc3\xa9", b"not utf-8 \xff", b'quote " and\nline'])
def test_any_folder_s_name_comes_back_as_it_was(registry: Registry, tmp_path: Path, name: bytes) -> None:
    """File systems know bytes only."""
    project = _project(tmp_path / os.fsdecode(name))
    registry.add(project)
    assert registry.all() == [project]


def test_a_project_that_is_gone_does_not_count_and_is_forgotten(registry: Registry, tmp_path: Path) -> None:
    """Nobody tells the store that a folder was removed."""
    one, two = _project(tmp_path / "one"), _project(tmp_path / "two")
    registry.add(one)
    registry.add(two)
    two.root.rmdir()
    assert registry.all() == [one]
    registry.forget_gone()
    two.root.mkdir()
    assert registry.all() == [one]


def test_an_entry_that_cannot_be_read_is_passed_over(registry: Registry, tmp_path: Path) -> None:
    """Torn, of another version, of somebody else."""
    one = _project(tmp_path / "one")
    registry.add(one)
    for number, text in enumerate(["", "{", "[]", '{"root": 1, "lock": 2, "index": 3}', "{}"]):
        (tmp_path / "store" / "projects" / f"{number}.json").write_text(text)
    assert registry.all() == [one]
