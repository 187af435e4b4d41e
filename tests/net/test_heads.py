"""Headers that decide where bytes go and how long to wait."""

import pytest

from fetcher.net.heads import ContentRange, content_length, content_range, media_type, retry_after_s


@pytest.mark.parametrize(
    ("text", "first", "last", "total"),
    [
        ("bytes 0-0/1", 0, 0, 1),
        ("bytes 5-9/100", 5, 9, 100),
        ("Bytes 5-9/*", 5, 9, None),
        ("bytes */100", None, None, 100),
    ],
)
def test_a_content_range_is_read(text: str, first: int | None, last: int | None, total: int | None) -> None:
    """RFC 9110, section 14.4."""
    assert content_range(text) == ContentRange(first=first, last=last, total=total)
    assert content_range(None) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes 5-9",
        "bytes=5-9/100",
        "items 5-9/100",
        "bytes 9-5/100",
        "bytes 5-100/100",
        "bytes -5-9/100",
        "bytes 5 - 9/100",
        "bytes */*",
        "bytes ٥-٩/100",
        "bytes 5-9/100, bytes 20-30/100",
        f"bytes 0-9/{'9' * 40}",
    ],
)
def test_a_content_range_that_is_not_one_is_refused(text: str) -> None:
    """A guess here would put bytes in the wrong place."""
    with pytest.raises(ValueError, match=r"bytes FIRST-LAST/SIZE|contradict"):
        content_range(text)


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"content-length": "12"}, 12),
        ({}, None),
        ({"content-length": "12", "transfer-encoding": "chunked"}, None),
        ({"content-length": "-1"}, None),
        ({"content-length": "١٢"}, None),
    ],
)
def test_a_length_is_known_only_when_it_is_certain(headers: dict[str, str], length: int | None) -> None:
    """RFC 9112, section 6.3: Transfer-Encoding overrides."""
    assert content_length(headers) == length


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("\x1c7\x1f", 7.0),
        ("Mon, 23 Nov 2026 21:30:20 GMT", 20.0),
        ("Mon, 23 Nov 2026 21:29:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        ("Mon, 99 Nov 99999 21:29:00 GMT", None),
    ],
)
def test_retry_after_gives_seconds_from_now(text: str | None, seconds: float | None) -> None:
    """RFC 9110, section 10.2.3: seconds or a date."""
    assert retry_after_s(text, now_s=1795469400.0) == seconds


def test_a_media_type_has_no_parameters() -> None:
    """`application/json; charset=utf-8` is JSON."""
    assert media_type("Application/JSON; charset=utf-8") == "application/json"
    assert media_type(None) == ""
