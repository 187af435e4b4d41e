"""Sizes, counts and rates as people write them."""

import pytest

from fetcher.core.units import count_text, parse_rate, size_text


@pytest.mark.parametrize(
    ("text", "rate"),
    [("1", 1), ("500k", 512_000), ("20M", 20 << 20), ("20MiB/s", 20 << 20), ("1.5G", 3 << 29), (" 7K ", 7168)],
)
def test_the_forms_of_curl_and_wget_are_understood(text: str, rate: int) -> None:
    """People bring their habits."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-1", "20X", "M", "1e9", "nan", "20 M B", "٣M"])
def test_other_forms_are_refused(text: str) -> None:
    """A limit that was misread is no limit."""
    with pytest.raises(ValueError, match="expected a rate such as 500k"):
        parse_rate(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 29, "1.5 GiB"),
        (5 << 50, "5120.0 TiB"),
    ],
)
def test_a_size_is_told_in_units_of_1024(size: int, text: str) -> None:
    """The units say so: MiB, not MB."""
    assert size_text(size) == text


def test_one_thing_has_no_plural() -> None:
    """`1 files` reads like a program that does not care."""
    assert [count_text(number, "file") for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
