"""What `fetcher init` offers."""

from fetcher.core.manifest import SourceRef
from fetcher.core.offers import Offer, merged, short_form


def _offer(place: str, **keys: tuple[str, ...]) -> Offer:
    return Offer(source="hf:a/b", places=(place,), **keys)


def test_a_command_is_one_that_a_shell_reads() -> None:
    """Patterns and odd names in quotes."""
    offer = Offer(source="ms:a/b", revision="v 1", files=("x;y",), include=("*.json", "o/*"), exclude=("*.md",))
    assert offer.command == ("fetcher add ms:a/b 'x;y' --revision 'v 1' --include '*.json' 'o/*' --exclude '*.md'")
    forms = {"ms:a/b": "ms:a/b", "huggingface:datasets/a/b": "hf:datasets/a/b"}
    assert {text: short_form(SourceRef.parse(text)) for text in forms} == forms


def test_places_of_one_model_are_one_offer() -> None:
    """What one place takes as a whole is offered as a whole."""
    assert merged([_offer("a.py:1", include=("x",)), _offer("b.py:2", include=("y", "x"))], []) == [
        Offer(source="hf:a/b", include=("x", "y"), places=("a.py:1", "b.py:2"))
    ]
    assert merged([_offer("a.py:1", files=("x",)), _offer("a.py:2", files=("y",))], [])[0].files == ("x", "y")
    for other in ({}, {"include": ("z",)}):
        (offer,) = merged([_offer("a.py:1", files=("x",)), _offer("a.py:2", **other)], [])
        assert (offer.files, offer.include) == ((), ())
    assert merged([_offer("a.py:1", exclude=("x",)), _offer("b.py:2")], [])[0].exclude == ()


def test_what_is_cached_only_comes_last() -> None:
    """What programs load is marked as cached where it is."""
    other = Offer(source="ms:c/d", revision="v1", places=("z.py:1",))
    found = merged([other, _offer("z.py:2")], ["ms:x/y", "hf:a/b", "hf:e/f"])
    assert [(each.source, each.cached) for each in found] == [
        ("ms:c/d", False),
        ("hf:a/b", True),
        ("hf:e/f", True),
        ("ms:x/y", True),
    ]
