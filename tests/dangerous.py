"""Files of every format that the detector must tell apart, made by hand or by the format's own library."""

import gzip
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Mapping

import numpy as np
from safetensors.numpy import save

KIB = 1024


class Payload:
    """What an attacker puts into a pickle."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("true",)


def pickled(protocol: int = 2) -> bytes:
    """A pickle that would run a command."""
    return pickle.dumps({"weights": [1.0] * 50, "code": Payload()}, protocol)


def zipped(entries: Mapping[str, bytes]) -> bytes:
    """A zip archive with stored entries, as torch writes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return made.getvalue()


def torch_file(*, tensors: int = 3, size: int = 40 * KIB) -> bytes:
    """What `torch.save` writes: a zip archive with data.pkl and one entry a tensor."""
    parts = {f"archive/data/{number}": bytes(size) for number in range(tensors)}
    return zipped({"archive/data.pkl": pickled(), "archive/byteorder": b"little", **parts, "archive/version": b"3\n"})


def two_lists() -> bytes:
    """A torch file with a second list before its own, to which its end points: programs differ in which they read."""
    whole = torch_file(tensors=1)
    at = whole.rfind(b"PK\x05\x06")
    size, start = struct.unpack("<II", whole[at + 12 : at + 20])
    own = whole[start : start + size]
    return whole[:start] + own.replace(b"data.pkl", b"data.txt") + own + whole[at:]


def safetensors_file(*, tensors: int = 4, size: int = 1 * KIB) -> bytes:
    """By the real library."""
    return save({f"layer.{number}.weight": np.zeros(size, np.uint8) for number in range(tensors)})


def npz_file() -> bytes:
    """By numpy."""
    made = io.BytesIO()
    np.savez(made, a=np.zeros(4), b=np.ones(4))
    return made.getvalue()


def npy_file(*, objects: bool = False) -> bytes:
    """By numpy, of numbers or of pickled objects."""
    made = io.BytesIO()
    np.save(made, np.array([{}, 1], dtype=object) if objects else np.zeros(4), allow_pickle=objects)
    return made.getvalue()


def gguf_file(size: int = 100 * KIB) -> bytes:
    """Magic, version 3, counts; then one key and nothing that matters."""
    key = b"general.architecture"
    return b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, len(key)) + key + struct.pack("<IQ", 8, 5) + b"llama" + bytes(size)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def onnx_file(size: int = 100 * KIB) -> bytes:
    """A ModelProto as exporters write it: version, producer, graph, opset."""
    graph = _field(1, b"\x0a\x01x") + _field(2, b"main") + _field(5, bytes(size))
    return b"\x08\x08" + _field(2, b"pytorch") + _field(3, b"2.1.0") + _field(7, graph) + _field(8, b"\x10\x11")


def sentencepiece_file() -> bytes:
    """A ModelProto of sentencepiece: pieces with a score."""
    pieces = [b"<unk>", b"<s>", b"</s>", b"\xe2\x96\x81the"] * 50
    return b"".join(_field(1, _field(1, piece) + b"\x15" + struct.pack("<f", -1.0)) for piece in pieces)


def config(**keys: object) -> bytes:
    """A config.json."""
    return json.dumps({"architectures": ["BertModel"], "hidden_size": 8, **keys}, indent=2).encode()


def labels(count: int) -> dict[str, str]:
    """What makes the configuration of an image classifier long."""
    return {str(number): f"a label of some length, number {number}" for number in range(count)}


AUTO_MAP = {"AutoModel": "modeling_own.OwnModel"}

# path -> content, verdict
SAFE: dict[str, tuple[bytes, str]] = {
    "model.safetensors": (safetensors_file(), "safetensors"),
    "many.safetensors": (safetensors_file(tensors=3000, size=8), "safetensors"),
    "weights.bin": (safetensors_file(tensors=1), "safetensors"),
    "empty.safetensors": (save({}), "safetensors"),
    "model.gguf": (gguf_file(), "gguf"),
    "model.onnx": (onnx_file(), "onnx"),
    "spiece.model": (sentencepiece_file(), "sentencepiece"),
    "a.npz": (npz_file(), "npz"),
    "a.npy": (npy_file(), "npy"),
    "model.h5": (b"\x89HDF\r\n\x1a\n" + bytes(9000), "hdf5"),
    "m.keras": (zipped({"metadata.json": b"{}", "config.json": b"{}", "model.weights.h5": b"x"}), "keras"),
    "model.tflite": (b"\x1c\0\0\0TFL3" + bytes(90), "tflite"),
    "t.parquet": (b"PAR1" + bytes(90) + b"PAR1", "parquet"),
    "raw.bin": (np.linspace(-1, 1, 9000, dtype=np.float32).tobytes(), "unknown"),
    "half.bin": (np.linspace(-1, 1, 9000, dtype=np.float16).tobytes(), "unknown"),
    "zeros.bin": (bytes(9000), "unknown"),
    "config.json": (config(), "json"),
    "vit/config.json": (config(id2label=labels(1500)), "json-part"),
    "tokenizer.json": (json.dumps({"vocab": labels(4000)}).encode(), "json-part"),
    "README.md": (b"---\nlicense: mit\n---\n# A model\n\nN. B. it is small. " + b"words " * 2000, "text"),
    "vocab.txt": (b"[PAD]\n[unused0]\n" + b"".join(b"word%d\n" % n for n in range(9000)), "text"),
    "merges.txt": (b"#version: 0.2\n" + b"a b\nth e\n" * 3000, "text"),
    "modeling_own.py": (b"class OwnModel:\n    pass\n", "python"),
    "chat_template.jinja": ("{% for message in messages %}深度{% endfor %}".encode() * 300, "text"),
    "a.csv": (b"(1,2)\n" * 900, "text"),
    "N.txt": (b"N. America\n", "text"),
    "V.txt": (b"Version 1.0\nThe rest\n", "text"),
    "I.txt": (b"I1\nI2\n", "text"),
    "c.txt": (b"class\nname\n", "text"),
    "marks.txt": (b"(((((((((((((((((((((((((((" * 9, "text"),
    "list.txt": (b"]a]a]a\n" * 99, "text"),
    "one-line.txt": (b"Very long " * 9000, "text"),
    "t.png": (b"\x89PNG\r\n\x1a\n" + bytes(50), "image"),
    "a.wav": (b"RIFF\0\0\0\0WAVE" + bytes(50), "audio"),
    "data.zip": (zipped({"images/1.png": b"x", "labels.csv": b"y"}), "zip"),
    "log.gz": (gzip.compress(b"hello " * 999), "compressed"),
    "none": (b"", "empty"),
}
DANGEROUS: dict[str, tuple[bytes, str]] = {
    "model.safetensors": (pickled(), "pickle"),
    **{f"protocol{number}.bin": (pickled(number), "pickle") for number in range(6)},
    "long.bin": (pickle.dumps(["x" * 90_000, Payload()], 2), "pickle"),
    "long0.bin": (b"V" + b"x" * 90_000 + b"\n0cos\nsystem\n(S'true'\ntR.", "pickle"),
    "legacy.pt": (pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickled(), "pickle"),
    "text.txt": (b"cos\nsystem\n(S'true'\ntR.", "pickle"),
    "stops.json": (b"cos\nsystem\n(S'true'\ntR{}", "pickle"),
    "pytorch_model.bin": (torch_file(), "zip-pickle"),
    "model.pt": (torch_file(tensors=400, size=10), "zip-pickle"),
    "hidden.bin": (zipped({**{f"archive/data/{n}": b"" for n in range(600)}, "archive/DATA.PKL": b"x"}), "zip-pickle"),
    "far.pt": (zipped({**{f"archive/data/{n}": b"" for n in range(3000)}, "archive/data.pkl": b"x"}), "zip-unread"),
    "comment.pt": (torch_file()[:-2] + struct.pack("<H", 3000) + b"c" * 3000, "zip-pickle"),
    "two_lists.pt": (two_lists(), "zip-unread"),
    "cut.pt": (torch_file()[:-7], "zip-unread"),
    "objects.npy": (npy_file(objects=True), "npy-pickle"),
    "model.joblib": (gzip.compress(pickled()), "compressed-pickle"),
}
REMOTE: dict[str, tuple[bytes, str]] = {
    "config.json": (config(auto_map=AUTO_MAP), "json-auto-map"),
    "escaped.json": (b'{"\\u0061uto_map": {"AutoModel": "own.Model"}}', "json-auto-map"),
    "twice.json": (b'{"auto_map": {"AutoModel": "own.Model"}, "auto_map": {}}', "json-auto-map"),
    "commented.json": (b'{"auto_map": {"AutoModel": "own.Model"}, // a comment\n}', "json-auto-map"),
    "elsewhere.json": (config(auto_map={"AutoModel": "evil/repo--own.Model"}), "json-auto-map-elsewhere"),
    "long_config.json": (config(id2label=labels(9000), auto_map=AUTO_MAP), "json-auto-map"),
}
