"""The formats by the names that models.lock and [policy.formats] have for them.  Imports nothing."""

from collections.abc import Mapping

SAFETENSORS = "safetensors"
GGUF = "gguf"
GGML = "ggml"
ONNX = "onnx"
HDF5 = "hdf5"
KERAS = "keras"
TFLITE = "tflite"
NPY = "npy"
NPZ = "npz"
PARQUET = "parquet"
ARROW = "arrow"
SENTENCEPIECE = "sentencepiece"
ZIP = "zip"
TAR = "tar"
COMPRESSED = "compressed"
JSON = "json"
TEXT = "text"
PYTHON = "python"
IMAGE = "image"
AUDIO = "audio"
VIDEO = "video"
PDF = "pdf"
SQLITE = "sqlite"
EXECUTABLE = "executable"
EMPTY = "empty"
UNKNOWN = "unknown"

PICKLE = "pickle"
ZIP_PICKLE = "zip-pickle"
TAR_PICKLE = "tar-pickle"
COMPRESSED_PICKLE = "compressed-pickle"
NPY_PICKLE = "npy-pickle"
ZIP_UNREAD = "zip-unread"

AUTO_MAP = "json-auto-map"
AUTO_MAP_ELSEWHERE = "json-auto-map-elsewhere"
JSON_PART = "json-part"
REMOTE_CODE = "remote-code"  # of a model, not of a file: what a lock has of several files makes it

MEANINGS: Mapping[str, str] = {
    SAFETENSORS: "tensors in safetensors",
    GGUF: "a GGUF model",
    GGML: "a GGML model",
    ONNX: "an ONNX model",
    HDF5: "HDF5",
    KERAS: "a Keras archive",
    TFLITE: "a TensorFlow Lite model",
    NPY: "a numpy array",
    NPZ: "numpy arrays in a zip archive",
    PARQUET: "a Parquet table",
    ARROW: "an Arrow table",
    SENTENCEPIECE: "a SentencePiece model",
    ZIP: "a zip archive without a pickle",
    TAR: "a tar archive without a pickle",
    COMPRESSED: "compressed, and no pickle as far as it was looked into",
    JSON: "JSON",
    TEXT: "text",
    PYTHON: "Python source",
    IMAGE: "an image",
    AUDIO: "audio",
    VIDEO: "a video",
    PDF: "a PDF",
    SQLITE: "an SQLite database",
    EXECUTABLE: "a program",
    EMPTY: "empty",
    UNKNOWN: "nothing that is known",
    PICKLE: "a pickle, which runs code when it is loaded",
    ZIP_PICKLE: "a pickle in a zip archive, which runs code when it is loaded",
    TAR_PICKLE: "a pickle in a tar archive, which runs code when it is loaded",
    COMPRESSED_PICKLE: "a compressed pickle, which runs code when it is loaded",
    NPY_PICKLE: "a numpy array of objects, which are pickled",
    ZIP_UNREAD: "a zip archive whose list is too long or too odd to tell whether a pickle is in it",
    AUTO_MAP: "JSON whose `auto_map` names Python code",
    AUTO_MAP_ELSEWHERE: "JSON whose `auto_map` names Python code of another repository",
    JSON_PART: "JSON too large to be read whole",
}
FAMILIES: Mapping[str, frozenset[str]] = {
    PICKLE: frozenset({PICKLE, ZIP_PICKLE, TAR_PICKLE, COMPRESSED_PICKLE, NPY_PICKLE, ZIP_UNREAD}),
}
KNOWN = frozenset({*MEANINGS, REMOTE_CODE})
