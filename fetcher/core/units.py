"""Sizes and rates as people write them."""

import re

_RATE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)\s*([kKmMgG]?)(?:i?[bB])?(?:/s)?\Z")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%?\Z")
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


def size_text(size: float) -> str:
    """Bytes as people read them: `90.9 MiB`."""
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"


def count_text(number: int, word: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
