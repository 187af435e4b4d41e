"""How the files of each model stand, in numbers."""

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import LockedFile, LockedModel, tree_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.core.plan import LocalState, Look, State, make_plan, wanted_files
from fetcher.core.standing import standings
from tests.core.strategies import unhurried

_LOOKS = st.one_of(
    st.sampled_from([State.ABSENT, State.RIGHT, State.OURS, State.DAMAGED]).map(lambda state: Look(state=state)),
    st.booleans().map(lambda edited: Look(state=State.FOREIGN, reason="r", obstacle="o", edited=edited)),
)
_COUNTS = ("right", "missing", "outdated", "damaged", "edited", "in_the_way")


def _file(number: int) -> LockedFile:
    return LockedFile(path=RepoPath(f"{number}"), sha256=Sha256(f"{number:064x}"), size=10 + number)


def _model(name: str, number: int) -> LockedModel:
    files = tuple(map(_file, range(number)))
    return LockedModel(
        name=ModelName(name),
        source=SourceRef.parse("modelscope:a/b"),
        commit=Commit("0" * 40),
        tree=tree_of(files),
        requested=Requested(),
        files=files,
    )


@unhurried
@given(st.lists(_LOOKS, max_size=6), st.lists(_LOOKS, max_size=6))
def test_every_file_is_counted_once_beside_the_total(first: list[Look], second: list[Look]) -> None:
    """Of two models, each with its own."""
    models = {name: _model(name, len(looks)) for name, looks in (("a", first), ("b", second))}
    wanted = wanted_files(models.values(), {"a": "a", "b": "b"})
    looks = dict(zip((item.spot for item in wanted), [*first, *second], strict=True))
    plan = make_plan(wanted, LocalState(looks=looks), ())
    found = standings(models, wanted, looks, plan)
    assert [each.name for each in found] == ["a", "b"]
    for standing, seen in zip(found, (first, second), strict=True):
        counts = {name: getattr(standing, name) for name in _COUNTS}
        assert standing.files == len(seen) == sum(counts.values())
        assert counts["edited"] == sum(look.edited for look in seen)
        assert standing.is_synced() == all(look.state is State.RIGHT for look in seen)
    assert sum(each.fetch_size for each in found) == plan.fetch_size
    assert {field.name for field in fields(found[0])} == {"name", "files", "size", "fetch_size", *_COUNTS}
