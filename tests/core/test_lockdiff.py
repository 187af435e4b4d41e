"""What changed between two locks."""

from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.lock import Lock
from fetcher.core.lockdiff import diff_of, field_changes
from tests.core.strategies import locks, unhurried


@st.composite
def _mixed(draw: st.DrawFn) -> tuple[Lock, Lock]:
    """Two locks that may share sections, and names with other sections."""
    first, second = draw(locks()), draw(locks())
    taken = dict(second.models)
    for name, model in first.models.items():
        match draw(st.sampled_from(["keep", "drop", "swap"])):
            case "keep":
                taken[name] = model
            case "swap" if second.models:
                taken[name] = next(iter(second.models.values()))
    return first, Lock(models=taken)


@unhurried
@given(_mixed())
def test_two_locks_that_differ_say_in_what(pair: tuple[Lock, Lock]) -> None:
    """A change that says nothing would be passed over in a review."""
    before, after = pair
    found = diff_of(before, after, base="HEAD", commit=None)
    assert bool(found.changes) == (dict(before.models) != dict(after.models))
    for change in found.changes:
        if change.before and change.after:
            moved = change.before.commit != change.after.commit or change.before.name != change.after.name
            assert moved or change.files or field_changes(change)
        else:
            assert change.kind in ("added", "removed")


@unhurried
@given(_mixed())
def test_only_bytes_that_no_model_had_are_to_be_fetched(pair: tuple[Lock, Lock]) -> None:
    """The store has the others already."""
    before, after = pair
    contents = [{file.sha256 for model in lock.models.values() for file in model.files} for lock in pair]
    sizes = {file.sha256: file.size for model in after.models.values() for file in model.files}
    found = diff_of(before, after, base="HEAD", commit=None)
    assert found.fetch_size == sum(sizes[sha256] for sha256 in contents[1] - contents[0])
    assert diff_of(after, after, base="HEAD", commit=None).fetch_size == 0
