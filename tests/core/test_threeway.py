"""Pieces of a text, merged whole or not at all."""

from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.threeway import merge_pieces

_VERSIONS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("123"))


@given(base=_VERSIONS, ours=_VERSIONS, theirs=_VERSIONS)
def test_a_piece_is_a_side_s_or_a_conflict(base: dict[str, str], ours: dict[str, str], theirs: dict[str, str]) -> None:
    """Who left a piece alone has no say about it; two who changed it must both be heard."""
    found = merge_pieces(base, ours, theirs)
    assert [piece.name for piece in found] == sorted({*ours, *theirs})
    for piece in found:
        was, mine, other = (side.get(piece.name) for side in (base, ours, theirs))
        changed = {each for each in (mine, other) if each != was}
        assert piece.is_conflict == (len(changed) == 2)
        if not piece.is_conflict:
            assert {piece.ours, piece.theirs} == (changed or {was})
        else:
            assert (piece.ours, piece.theirs) == (mine, other)


def test_a_piece_of_an_unsure_base_is_a_conflict_unless_both_sides_agree() -> None:
    """Two bases that differ tell not who has changed it."""
    found = merge_pieces({"a": "1", "b": "1"}, {"a": "1", "b": "2"}, {"a": "2", "b": "2"}, unsure={"a", "b"})
    assert [(piece.name, piece.is_conflict) for piece in found] == [("a", True), ("b", False)]
