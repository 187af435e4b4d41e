"""A small but genuine model for the demo: it predicts the next character of a text.

Trained by counting on a text of this package, written as two safetensors shards with an
index, the layout in which large models are published.  Needs nothing but Python.
"""

import array
import hashlib
import json
import math
import struct
import sys
from itertools import pairwise
from pathlib import Path

import fetcher.errors

VOCABULARY = "\n" + "".join(map(chr, range(32, 127)))
_SIZE = len(VOCABULARY)  # characters
_BIGRAM_SHARD = "model-00001-of-00002.safetensors"
TRIGRAM_SHARD = "model-00002-of-00002.safetensors"


def write_model(folder: Path, *, smoothing: float) -> None:
    """Train and write the model.

    Args:
        smoothing: Added to every count of the second shard; another value gives
            another second shard and the same first one.
    """
    text = "".join(c for c in Path(fetcher.errors.__file__).read_text(encoding="utf-8") if c in VOCABULARY)
    codes = [VOCABULARY.index(c) for c in text]
    bigram = _log_probabilities(_counts([a * _SIZE + b for a, b in pairwise(codes)], 2), 1.0)
    triples = [(a * _SIZE + b) * _SIZE + c for a, b, c in zip(codes, codes[1:], codes[2:], strict=False)]
    trigram = _log_probabilities(_counts(triples, 3), smoothing)
    folder.mkdir(parents=True)
    _write_shard(folder / _BIGRAM_SHARD, "bigram.weight", bigram, [_SIZE, _SIZE])
    _write_shard(folder / TRIGRAM_SHARD, "trigram.weight", trigram, [_SIZE, _SIZE, _SIZE])
    _write_json(folder / "config.json", {"model_type": "babbler", "vocabulary": VOCABULARY, "order": 3})
    shards = {"bigram.weight": _BIGRAM_SHARD, "trigram.weight": TRIGRAM_SHARD}
    size = 4 * (len(bigram) + len(trigram))
    _write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": shards})
    (folder / "README.md").write_text("A model that babbles like an error message.\n", encoding="utf-8")


def babble(folder: Path, *, seed: str, length: int) -> str:
    """Load the placed model and let it speak; `length` is in characters."""
    weights = _read_shard(folder / TRIGRAM_SHARD)
    text = seed
    for step in range(length):
        a, b = VOCABULARY.index(text[-2]), VOCABULARY.index(text[-1])
        begin = (a * _SIZE + b) * _SIZE
        text += VOCABULARY[_draw(weights[begin : begin + _SIZE], f"{seed}{step}")]
    return text


def _counts(indexes: list[int], order: int) -> "array.array[float]":
    counts = array.array("f", bytes(4 * _SIZE**order))
    for index in indexes:
        counts[index] += 1
    return counts


def _log_probabilities(counts: "array.array[float]", smoothing: float) -> "array.array[float]":
    result = array.array("f")
    for begin in range(0, len(counts), _SIZE):
        row = counts[begin : begin + _SIZE]
        total = math.log(sum(row) + smoothing * _SIZE)
        result.extend(math.log(count + smoothing) - total for count in row)
    return result


def _write_shard(path: Path, name: str, values: "array.array[float]", shape: list[int]) -> None:
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()  # safetensors is little-endian
    header = json.dumps({name: {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * len(values)]}}).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header + values.tobytes())


def _read_shard(path: Path) -> "array.array[float]":
    content = path.read_bytes()
    (length,) = struct.unpack_from("<Q", content)
    values = array.array("f", content[8 + length :])
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _draw(row: "array.array[float]", seed: str) -> int:
    """Draw by the row's probabilities; the same seed gives the same character."""
    point = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big") / 2**64
    for code, value in enumerate(row):
        point -= math.exp(value)
        if point <= 0:
            return code
    return len(row) - 1
