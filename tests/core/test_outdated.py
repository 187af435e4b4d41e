"""A model has moved if, and only if, its next lock would be another one."""

from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import Commit, Sha256
from fetcher.core.interfaces import RemoteFile
from fetcher.core.lock import LockedFile, LockedModel, tree_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.outdated import outlook
from fetcher.core.paths import ModelName, RepoPath

_TREES = st.dictionaries(
    st.sampled_from(["a", "b/c", "d"]), st.sampled_from([(1, "1"), (1, "2"), (2, "3")]), min_size=1
)


def _sha256(mark: str) -> Sha256:
    return Sha256(mark * 64)


def _model(source: str, tree: dict[str, tuple[int, str]]) -> LockedModel:
    files = tuple(
        LockedFile(path=RepoPath(path), size=size, sha256=_sha256(mark)) for path, (size, mark) in sorted(tree.items())
    )
    return LockedModel(
        name=ModelName("m"),
        source=SourceRef.parse(source),
        commit=Commit("a" * 40),
        tree=tree_of(files),
        requested=Requested(),
        files=files,
    )


def _listing(tree: dict[str, tuple[int, str]], *, told: bool) -> list[RemoteFile]:
    return [
        RemoteFile(path=RepoPath(path), size=size, sha256=_sha256(mark) if told else None)
        for path, (size, mark) in tree.items()
    ]


@given(before=_TREES, after=_TREES)
def test_files_that_differ_are_told_and_unknown_bytes_counted_once(
    before: dict[str, tuple[int, str]], after: dict[str, tuple[int, str]]
) -> None:
    """At one commit, so that only the files tell."""
    found = outlook(_model("ms:o/n", before), Commit("a" * 40), _listing(after, told=True))
    assert found.has_moved == (before != after)
    assert {each.path for each in found.files} == {
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    }
    assert found.fetch_size == sum(size for size, _ in {*after.values()} - {*before.values()})


def test_another_commit_with_the_same_files_has_moved() -> None:
    """The lock pins it."""
    found = outlook(_model("ms:o/n", {"a": (1, "1")}), Commit("b" * 40), _listing({"a": (1, "1")}, told=True))
    assert found.has_moved
    assert (found.commit, found.files) == ("b" * 40, ())


def test_where_no_hash_is_told_sizes_are_compared_and_no_commit() -> None:
    """A folder or a web server; what its snapshot calls a commit is none."""
    model = _model("file:there", {"a": (1, "1"), "d": (2, "3")})
    assert not outlook(model, Commit("b" * 40), _listing({"a": (1, "2"), "d": (2, "1")}, told=False)).has_moved
    found = outlook(model, Commit("b" * 40), _listing({"a": (2, "1")}, told=False))
    assert [(each.kind, each.path) for each in found.files] == [("changed", "a"), ("removed", "d")]
    assert found.commit is None
