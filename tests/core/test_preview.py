"""Which files a model would have, and why not the others."""

import pytest

from fetcher.core.digest import Commit
from fetcher.core.interfaces import RemoteFile, Snapshot
from fetcher.core.manifest import ModelSpec, Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.core.preview import preview_of
from fetcher.errors import NotFoundError

_REF = SourceRef.parse("ms:a/b")
_FILES = {"README.md": 1, "config.json": 2, "onnx/model.onnx": 4, "onnx/notes.md": 8, "model.bin": 16}


def _snapshot() -> Snapshot:
    files = tuple(RemoteFile(path=RepoPath(path), size=size, sha256=None) for path, size in _FILES.items())
    return Snapshot(ref=_REF, commit=Commit("a" * 40), files=files)


def _spec(**wishes: tuple[str, ...]) -> ModelSpec:
    return ModelSpec(name=ModelName("m"), source=_REF, target="m", requested=Requested(**wishes))


def test_every_file_is_taken_or_left_with_its_reason() -> None:
    """Sorted by path, with the sums of both."""
    found = preview_of(_spec(include=("onnx/*", "*.json", "*.gguf"), exclude=("*.md",)), _snapshot())
    assert [file.path for file in found.taken] == ["config.json", "onnx/model.onnx"]
    assert [(each.file.path, each.reason) for each in found.left] == [
        ("README.md", "`exclude` has '*.md'"),
        ("model.bin", "no `include` matches it"),
        ("onnx/notes.md", "`exclude` has '*.md'"),
    ]
    assert (found.taken_size, found.left_size, found.idle_patterns) == (6, 25, ("*.gguf",))


def test_wishes_that_take_nothing_are_an_error() -> None:
    """As they would be for the lock."""
    with pytest.raises(NotFoundError):
        preview_of(_spec(files=("nope",)), _snapshot())
