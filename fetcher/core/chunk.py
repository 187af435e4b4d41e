"""Where the chunks of a file begin and end.

Imports nothing: `verify` hashes chunks before anything else is loaded (disk/ahead.py).
"""

CHUNK = 16 << 20  # bytes; performance.md: parts of 16 MiB


def chunk_stop(offset: int, size: int) -> int:
    """End of the chunk that holds the byte at `offset`, in an object of `size` bytes."""
    return min((offset // CHUNK + 1) * CHUNK, size)
