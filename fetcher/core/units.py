"""Sizes and rates as people write them."""

import re

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKmMgG]?)(?:i?[bB])?(?:/s)?\Z")
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
