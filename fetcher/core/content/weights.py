"""Formats of weights and tables, by their first bytes and what these must mean.

Promise (tests/core/content/test_judge.py): a magic alone is not believed where the format says more.
"""

import json
import re

from fetcher.core.content import words
from fetcher.core.content.window import Window

_MAX_HEADER = 100_000_000  # bytes; the limit of the safetensors library
_HEADER_WHOLE = 16 << 10  # bytes of a header that is read whole
_HEADER_READ = 4 << 10  # bytes of a longer one that are looked through
_TENSOR = {"dtype", "shape", "data_offsets"}
_OBJECTS = re.compile(rb"""['"][|<>=]?O[0-9]*['"]""")

_MAGICS = (  # offset, bytes, format
    (0, b"\x89HDF\r\n\x1a\n", words.HDF5),
    (512, b"\x89HDF\r\n\x1a\n", words.HDF5),  # behind a user block
    (4, b"TFL3", words.TFLITE),
    (4, b"ftyp", words.VIDEO),
    (0, b"PAR1", words.PARQUET),
    (0, b"ARROW1\0\0", words.ARROW),
    (0, b"SQLite format 3\0", words.SQLITE),
    (0, b"lmgg", words.GGML),
    (0, b"fmgg", words.GGML),
    (0, b"tjgg", words.GGML),
    (0, b"algg", words.GGML),
    (0, b"\x7fELF", words.EXECUTABLE),
    (0, b"\xcf\xfa\xed\xfe", words.EXECUTABLE),
    (0, b"\xce\xfa\xed\xfe", words.EXECUTABLE),
    (0, b"\xca\xfe\xba\xbe", words.EXECUTABLE),
    (0, b"%PDF-", words.PDF),
    (0, b"\x89PNG\r\n\x1a\n", words.IMAGE),
    (0, b"\xff\xd8\xff", words.IMAGE),
    (0, b"GIF87a", words.IMAGE),
    (0, b"GIF89a", words.IMAGE),
    (0, b"II*\0", words.IMAGE),
    (0, b"MM\0*", words.IMAGE),
    (0, b"fLaC", words.AUDIO),
    (0, b"OggS", words.AUDIO),
    (0, b"ID3", words.AUDIO),
)
_RIFF = {b"WEBP": words.IMAGE, b"WAVE": words.AUDIO, b"AVI ": words.VIDEO}

# Fields of ONNX's ModelProto (onnx.proto) and their wire types: 0 is a number, 2 has a length.
_MODEL = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
_GRAPH = 7


def weights_format(window: Window, head: bytes) -> str | None:
    """What a file of weights, tables or media is; None for none that is known."""
    if is_safetensors(window):
        return words.SAFETENSORS
    if head.startswith(b"\x93NUMPY"):
        return words.NPY_PICKLE if _OBJECTS.search(_npy_header(head)) else words.NPY
    found = next((word for at, magic, word in _MAGICS if head.startswith(magic, at)), None)
    found = found or (_RIFF.get(head[8:12]) if head.startswith(b"RIFF") else None)
    if found:
        return found
    if head.startswith(b"MZ") and b"PE\0\0" in head[:1024]:
        return words.EXECUTABLE
    if head[:4] == b"GGUF" and _is_gguf(head):
        return words.GGUF
    if _is_onnx(window):
        return words.ONNX
    return words.SENTENCEPIECE if _is_sentencepiece(head) else None


def is_safetensors(window: Window) -> bool:
    """Whether the first 8 bytes are the length of a JSON header that describes tensors."""
    first = window.take(0, 16)
    size = int.from_bytes(first[:8], "little")
    if not 2 <= size <= min(_MAX_HEADER, window.size - 8) or first[8:9] != b"{":
        return False
    header = window.upto(8, 8 + (size if size <= _HEADER_WHOLE else _HEADER_READ))
    if len(header) == size:
        return _is_header(header, room=window.size - 8 - size)
    return _begins_header(header.decode("utf-8", "ignore"))


def _is_header(header: bytes, *, room: int) -> bool:
    """Whether a whole header is one, and its tensors lie in the `room` bytes behind it."""
    try:
        found = json.loads(header)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict):
        return False
    tensors = {name: each for name, each in found.items() if name != "__metadata__"}
    return all(_is_tensor(each, room) for each in tensors.values()) and bool(found or not room)


def _is_tensor(found: object, room: int) -> bool:
    if not isinstance(found, dict) or found.keys() != _TENSOR:
        return False
    offsets: object = found["data_offsets"]
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(each) is int for each in offsets):
        return False
    return bool(0 <= offsets[0] <= offsets[1] <= room)


def _begins_header(text: str) -> bool:
    """Whether a header that was not read whole begins with whole entries."""
    decoder = json.JSONDecoder()
    at, entries = 1, 0
    while True:
        key = re.compile(r'\s*("(?:[^"\\]|\\.)*")\s*:\s*').match(text, at)
        if key is None:
            return entries > 0
        try:
            value, at = decoder.raw_decode(text, key.end())
        except (ValueError, RecursionError):
            return entries > 0 or key[1] == '"__metadata__"'
        if key[1] != '"__metadata__"' and (not isinstance(value, dict) or value.keys() != _TENSOR):
            return False
        entries += 1
        comma = re.compile(r"\s*,").match(text, at)
        if comma is None:
            return not text[at:].strip()
        at = comma.end()


def _npy_header(head: bytes) -> bytes:
    """The description of the array (numpy's format.py): a length of 2 bytes, from version 2 on of 4."""
    width = 2 if head[6:7] == b"\x01" else 4
    size = int.from_bytes(head[8 : 8 + width], "little")
    return head[8 + width : 8 + width + size]


def _is_gguf(head: bytes) -> bool:
    """Whether version and counts can be (ggml's gguf.md); big-endian files are written too."""
    for order in ("little", "big"):
        version = int.from_bytes(head[4:8], order)
        tensors = int.from_bytes(head[8:16], order)
        if 1 <= version <= 16 and tensors < 1 << 32:
            return True
    return False


def _is_onnx(window: Window) -> bool:
    """Whether the fields of the file are those of a ModelProto, up to its graph, which lies in the file."""
    at, seen = 0, set[int]()
    while at < window.size and len(seen) < 12:
        data = window.upto(at, at + 20)
        tag, used = _varint(data)
        number, wire = tag >> 3, tag & 7
        if _MODEL.get(number) != wire or not used:
            return False
        value, more = _varint(data[used:])
        if not more or (not seen and not (number == 1 and 1 <= value <= 64)):
            return False
        at += used + more + (value if wire == 2 else 0)
        if at > window.size:
            return False
        if number == _GRAPH:
            return value > 0
        seen.add(number)
    return False


def _varint(data: bytes) -> tuple[int, int]:
    """A number and the bytes that it takes; no bytes for none."""
    value = 0
    for place, byte in enumerate(data[:10]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return value, place + 1
    return 0, 0


def _is_sentencepiece(head: bytes) -> bool:
    """Whether the first field is a piece: its text, then its score (sentencepiece_model.proto)."""
    if len(head) < 8 or head[0] != 0x0A or head[2] != 0x0A or head[3] + 2 > head[1]:
        return False
    score = 4 + head[3]
    return head[score : score + 1] == b"\x15" and head[2 + head[1] : 3 + head[1]] == b"\x0a"
