"""The planner's promises, each as a property over random locks, disks and stores."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import LockedFile, LockedModel, tree_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.core.plan import (
    Leftover,
    LocalState,
    Look,
    Plan,
    State,
    Wanted,
    fetch_again,
    force,
    make_plan,
    wanted_files,
)
from fetcher.errors import BlockedError, ConfigError, IntegrityError, OfflineError


def _sha(text: str) -> Sha256:
    return Sha256(hashlib.sha256(text.encode()).hexdigest())


_DIGESTS = [_sha(str(number)) for number in range(5)]


@st.composite
def _worlds(draw: st.DrawFn) -> tuple[list[Wanted], LocalState, set[Sha256]]:
    spots = draw(st.lists(st.integers(0, 30), unique=True, max_size=12))
    wanted = [
        Wanted(
            model=f"m{spot % 3}",
            path=RepoPath(f"f{spot}"),
            spot=f"models/m{spot % 3}/f{spot}",
            sha256=draw(st.sampled_from(_DIGESTS)),
            size=7,
        )
        for spot in spots
    ]
    looks = {w.spot: Look(state=draw(st.sampled_from(State)), reason="a reason") for w in wanted}
    digests = st.none() | st.sampled_from(_DIGESTS)
    states = st.sampled_from([State.OURS, State.RIGHT, State.FOREIGN, State.DAMAGED])
    leftovers = tuple(
        Leftover(model="old", spot=f"old/{n}", state=state, sha256=draw(digests) if state is State.OURS else None)
        for n, state in enumerate(draw(st.lists(states, max_size=4)))
    )
    stored = draw(st.sets(st.sampled_from(_DIGESTS)))
    return wanted, LocalState(looks=looks, leftovers=leftovers), stored


@given(_worlds())
def test_every_wanted_file_is_in_exactly_one_list(world: tuple[list[Wanted], LocalState, set[Sha256]]) -> None:
    """A file in none would never arrive; a file in two would be placed over what is kept."""
    wanted, local, stored = world
    plan = make_plan(wanted, local, stored)
    found = [*plan.keep, *_brought(plan), *(blocked.wanted for blocked in plan.blocked)]
    assert sorted(w.spot for w in found) == sorted(w.spot for w in wanted)


@given(_worlds())
def test_what_fetcher_did_not_write_is_never_replaced_and_never_removed(
    world: tuple[list[Wanted], LocalState, set[Sha256]],
) -> None:
    """Rule 1: nothing of the user's is lost."""
    wanted, local, stored = world
    plan = make_plan(wanted, local, stored)
    foreign = {spot for spot, look in local.looks.items() if look.state is State.FOREIGN}
    assert not foreign & {w.spot for w in _brought(plan)}
    assert {b.wanted.spot for b in plan.blocked} == foreign
    edited = {item.spot for item in local.leftovers if item.state is State.FOREIGN}
    assert not edited & {*(item.spot for item in plan.remove), *(move.origin for move in plan.move)}


@given(_worlds())
def test_a_digest_is_fetched_at_most_once_and_only_when_it_is_missing(
    world: tuple[list[Wanted], LocalState, set[Sha256]],
) -> None:
    """Two models that share a file must not pay for it twice."""
    wanted, local, stored = world
    plan = make_plan(wanted, local, stored)
    fetched = [w.sha256 for w in plan.fetch]
    assert len(fetched) == len(set(fetched))
    assert set(fetched) == {w.sha256 for w in plan.place} - stored - _own(local)


@given(_worlds())
def test_planning_again_after_carrying_out_gives_an_empty_plan(
    world: tuple[list[Wanted], LocalState, set[Sha256]],
) -> None:
    """Otherwise sync would never come to rest."""
    wanted, local, stored = world
    plan = force(make_plan(wanted, local, stored), stored)
    placed = {w.spot for w in _brought(plan)}
    looks = {spot: Look(state=State.RIGHT) if spot in placed else look for spot, look in local.looks.items()}
    removed = {*(item.spot for item in plan.remove), *(move.origin for move in plan.move)}
    rest = tuple(item for item in local.leftovers if item.spot not in removed)
    again = make_plan(wanted, LocalState(looks=looks, leftovers=rest), stored | {w.sha256 for w in plan.fetch})
    assert again.is_empty()
    assert not again.fetch


@given(_worlds())
def test_force_moves_aside_everything_that_it_places_over(
    world: tuple[list[Wanted], LocalState, set[Sha256]],
) -> None:
    """`--force` does not destroy: each obstacle goes to the trash first."""
    wanted, local, stored = world
    plan = make_plan(wanted, local, stored)
    forced = force(plan, stored)
    assert {b.obstacle for b in plan.blocked} <= set(forced.aside)
    assert not forced.blocked
    assert {w.sha256 for w in forced.fetch} == {w.sha256 for w in forced.place} - stored - _own(local)


@given(_worlds())
def test_a_leftover_with_wanted_bytes_is_moved_once_and_only_to_a_free_spot(
    world: tuple[list[Wanted], LocalState, set[Sha256]],
) -> None:
    """A rename instead of a download; whatever is not needed again is removed."""
    wanted, local, stored = world
    plan = make_plan(wanted, local, stored)
    own = {item.spot: item for item in local.leftovers if item.state in (State.OURS, State.RIGHT)}
    for move in plan.move:
        assert own[move.origin].sha256 == move.wanted.sha256
        assert local.looks[move.wanted.spot].state is State.ABSENT
    gone = [*(move.origin for move in plan.move), *(item.spot for item in plan.remove)]
    assert sorted(gone) == sorted(own)
    absent = {w.sha256 for w in plan.place if local.looks[w.spot].state is State.ABSENT}
    assert not absent & {own[item.spot].sha256 for item in plan.remove}, "it could have been moved"


@given(_worlds())
def test_without_pruning_nothing_moves_and_nothing_more_is_fetched(
    world: tuple[list[Wanted], LocalState, set[Sha256]],
) -> None:
    """The file gets a second name."""
    wanted, local, stored = world
    plan = make_plan(wanted, local, stored)
    whole = plan.without_remove()
    assert (whole.move, whole.remove, whole.fetch) == ((), (), plan.fetch)
    assert sorted(w.spot for w in whole.place) == sorted(w.spot for w in _brought(plan))


def _brought(plan: Plan) -> list[Wanted]:
    return [*plan.place, *(move.wanted for move in plan.move)]


def _own(local: LocalState) -> set[Sha256]:
    return {item.sha256 for item in local.leftovers if item.sha256}


def test_damaged_files_are_moved_aside_not_destroyed() -> None:
    """Nobody is known to have edited them, but nobody can know that for certain."""
    wanted = _wanted("a", "x")
    plan = make_plan([wanted], LocalState(looks={wanted.spot: Look(state=State.DAMAGED)}), set())
    assert plan.place == (wanted,)
    assert plan.aside == (wanted.spot,)


def test_a_changed_store_changes_only_what_is_fetched() -> None:
    """An object found damaged is fetched anew, nothing else moves."""
    wanted = _wanted("a", "x")
    plan = make_plan([wanted], LocalState(looks={wanted.spot: Look(state=State.ABSENT)}), {wanted.sha256})
    assert plan.fetch == ()
    assert fetch_again(plan, set()).fetch == (wanted,)


def test_models_left_out_take_only_their_own_fetches_with_them() -> None:
    """A digest that two models share is still fetched for the one that stays."""
    first, second = _wanted("a", "x"), _wanted("b", "x")
    looks = {first.spot: Look(state=State.ABSENT), second.spot: Look(state=State.ABSENT)}
    plan = make_plan([first, second], LocalState(looks=looks), set())
    rest = plan.without_models({"a"})
    assert rest.place == (second,)
    assert [w.sha256 for w in rest.fetch] == [second.sha256]


def test_blocked_files_are_listed_with_their_reason_and_the_fix() -> None:
    """Exit 9 must say what is in the way and how to go on."""
    wanted = _wanted("a", "x")
    local = LocalState(looks={wanted.spot: Look(state=State.FOREIGN, reason="a symlink")})
    with pytest.raises(BlockedError) as caught:
        make_plan([wanted], local, set()).require_free_way()
    assert str(caught.value) == (
        "1 thing is in the way and not fetcher's to replace.\n"
        "  models/a/x: a symlink\n"
        "  fix: move it away, or run `fetcher sync --force` to have it moved into .fetcher/trash/"
    )


def test_a_missing_file_is_named_when_the_network_is_not_to_be_used() -> None:
    """Exit 12 must say what is missing."""
    wanted = _wanted("a", "x")
    with pytest.raises(OfflineError) as caught:
        Plan(fetch=(wanted,)).require_no_fetch()
    assert str(caught.value) == (
        "1 file is not on this machine, and the network is not to be used.\n"
        "  missing: a/x (7 bytes)\n"
        "  fix: run `fetcher sync` once without --offline"
    )


def test_two_models_that_own_one_file_are_refused_by_name() -> None:
    """Otherwise the last one placed would win, and each sync would undo the other."""
    models = [_locked("a", "w.bin"), _locked("b", "W.bin")]
    with pytest.raises(ConfigError) as caught:
        wanted_files(models, {"a": "models/x", "b": "models/x/"})
    assert str(caught.value) == (
        "Two models own the same file.\n"
        "  a/w.bin and b/W.bin\n"
        "  'models/x/w.bin' and 'models/x/W.bin' would be the same file on some systems\n"
        "  fix: give one of them another `target` in models.toml"
    )


def test_a_target_of_dot_places_at_the_project_s_root() -> None:
    """`./config.json` and `config.json` must be one spot in the index."""
    assert [w.spot for w in wanted_files([_locked("a", "w.bin")], {"a": "."})] == ["w.bin"]


def _wanted(model: str, path: str) -> Wanted:
    return Wanted(model=model, path=RepoPath(path), spot=f"models/{model}/{path}", sha256=_sha(path), size=7)


def _locked(name: str, path: str) -> LockedModel:
    files = (LockedFile(path=RepoPath(path), sha256=_sha(path), size=7),)
    return LockedModel(
        name=ModelName(name),
        source=SourceRef.parse("modelscope:o/n"),
        commit=Commit("a" * 40),
        tree=tree_of(files),
        requested=Requested(),
        files=files,
    )


def test_a_file_of_the_project_itself_is_never_a_model_s() -> None:
    """With `target = "."` a repository could bring its own models.toml, in any case of letters."""
    with pytest.raises(ConfigError) as caught:
        wanted_files([_locked("a", "Models.toml")], {"a": "."}, reserved={"models.toml", "models.lock"})
    assert str(caught.value) == (
        "A model would replace a file of the project itself.\n"
        "  a/Models.toml: Models.toml\n"
        "  fix: give the model a `target` of its own, or exclude the file, in models.toml"
    )


def test_one_digest_with_two_sizes_is_a_lie() -> None:
    """One of the two files would get a size that is not the locked one."""
    first, second = _locked("a", "w.bin"), _locked("b", "w.bin")
    lying = replace(second, files=(replace(second.files[0], size=8),))
    with pytest.raises(IntegrityError) as caught:
        wanted_files([first, lying], {"a": "models/a", "b": "models/b"})
    assert caught.value.facts == ("a/w.bin: 7 bytes", "b/w.bin: 8 bytes")


@given(_worlds())
def test_nothing_of_a_model_that_is_left_out_is_removed_or_moved(
    world: tuple[list[Wanted], LocalState, set[Sha256]],
) -> None:
    """`--keep-going`: a model that cannot be brought to its lock keeps its old files."""
    wanted, local, stored = world
    rest = force(make_plan(wanted, local, stored), stored).without_models({"old", "m0"})
    assert rest.remove == ()
    assert not any(spot.startswith("models/m0/") for spot in rest.aside)
    assert not any(w.model == "m0" for w in rest.place)
