"""Rates as people write them."""

import pytest

from fetcher.core.units import parse_rate


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
