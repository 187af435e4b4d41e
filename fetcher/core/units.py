"""Sizes and rates as people write them."""

import re

_RATE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([kKmMgG]?)(?:i?[bB])?(?:/s)?\Z")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%?\Z")
_AGE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([dhms]?)\Z")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_rate(text: str) -> int:
    """Bytes per second from `500k`, `20M`, `1.5G`; k, M and G are powers of 1024, as curl and wget have them.

    Raises:
        ValueError: Another form, or less than one byte per second.
    """
    found = _RATE.match(text.strip())
    rate = int(float(found[1]) * _FACTORS[found[2].lower()]) if found else 0
    if rate < 1:
        raise ValueError(f"expected a rate such as 500k, 20M or 1.5G (bytes per second), got {text[:40]!r}")
    return rate


def parse_percent(text: str) -> float:
    """A share from `5%` or `0.5`.

    Raises:
        ValueError: Another form, nothing, or more than all.
    """
    found = _PERCENT.match(text.strip())
    percent = float(found[1]) if found else 0.0
    if not 0 < percent <= 100:
        raise ValueError(f"expected a share such as 5% (above 0, up to 100), got {text[:40]!r}")
    return percent


def parse_size(text: str) -> int:
    """Bytes from `0`, `500M`, `20G`; k, M and G are powers of 1024.

    Raises:
        ValueError: Another form.
    """
    found = _RATE.match(text.strip())
    if not found or "/" in text:
        raise ValueError(f"expected a size such as 500M or 20G (bytes), got {text[:40]!r}")
    return int(float(found[1]) * _FACTORS[found[2].lower()])


def parse_age(text: str) -> float:
    """Seconds from `30d`, `12h`, `90m`, `45s`; a number alone is days.

    Raises:
        ValueError: Another form.
    """
    found = _AGE.match(text.strip())
    if not found:
        raise ValueError(f"expected an age such as 30d or 12h, got {text[:40]!r}")
    return float(found[1]) * {"": 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}[found[2]]


def size_text(size: float) -> str:
    """Bytes as people read them: `90.9 MiB`."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def count_text(number: int, word: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
