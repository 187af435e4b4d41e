"""What is said of a path is what `select` does with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import LockedFile, LockedModel, tree_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.core.selection import Chooser, select
from fetcher.core.why import why
from fetcher.errors import NotFoundError
from tests.core.strategies import unhurried
from tests.core.test_selection import names, offered, words

WISHES = Requested(include=("*.json", "onnx/"), exclude=("*.md", "onnx/*.bin"), files=("NOTES.md",))


def _model(name: str = "m", requested: Requested = WISHES, **files: int) -> LockedModel:
    locked = tuple(
        LockedFile(path=RepoPath(path), sha256=Sha256(f"{digit:064x}"), size=digit) for path, digit in files.items()
    )
    return LockedModel(
        name=ModelName(name),
        source=SourceRef.parse("ms:a/b"),
        commit=Commit("0123456789" * 4),
        tree=tree_of(locked),
        requested=requested,
        files=locked,
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("config.json", "`include` has '*.json'"),
        ("NOTES.md", "`files` names it"),
        ("README.md", "`exclude` has '*.md'"),
        ("onnx/a.bin", "`exclude` has 'onnx/*.bin'"),
        ("model.bin", "no `include` matches it"),
        ("lost.json", "modelscope:a/b has no such file at 012345678901"),
    ],
)
def test_each_reason_is_told(path: str, reason: str) -> None:
    """The pattern that decided, as it stands in models.toml."""
    model = _model(**{"config.json": 1, "NOTES.md": 2})
    told = why(model, path)
    assert (told.reason, told.file is not None) == (reason, path in ("config.json", "NOTES.md"))
    assert why(_model(requested=Requested(), x=1), "x").reason == "everything is wanted that nothing excludes"


@unhurried
@given(st.lists(names, unique=True, min_size=1), st.lists(words, max_size=2), st.lists(words, max_size=2))
def test_a_path_is_judged_as_it_is_selected(paths: list[str], include: list[str], exclude: list[str]) -> None:
    """Two opinions would send people to the wrong line."""
    requested = Requested(include=tuple(include), exclude=tuple(exclude))
    try:
        taken = {str(file.path) for file in select(offered(paths), requested, model="m").files}
    except NotFoundError:
        taken = set()
    assert {path for path in paths if Chooser(requested).judge(path).is_taken} == taken
