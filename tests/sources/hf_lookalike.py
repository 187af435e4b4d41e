"""What Hugging Face answers, for the scripted hub of lookalike.py.  Knows nothing of the code under test."""

import hashlib
import json
from typing import Any

from tests.sources.lookalike import COMMIT, Answer

API = "/api/models/owner/name"
TREE = f"{API}/tree/{COMMIT}"
REVISION = f"{API}/revision/main"
RESOLVE = f"/owner/name/resolve/{COMMIT}"


def says(document: object, *headers: tuple[str, str], status: int = 200) -> Answer:
    return Answer(json.dumps(document).encode(), status, (("Content-Type", "application/json"), *headers))


def refuses(status: int, code: str = "", message: str = "", **headers: str) -> Answer:
    """A refusal; `_` in the names of `headers` stands for `-`."""
    told = [("X-Error-Code", code)] if code else []
    told += [("X-Error-Message", message)] if message else []
    more = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return says({"error": message}, *told, *more, status=status)


def git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def file(path: str, data: bytes, **changes: Any) -> dict[str, Any]:
    """A small file, of which no sha256 is listed."""
    return {"type": "file", "oid": git_blob(data), "size": len(data), "path": path, **changes}


def large(path: str, data: bytes, **changes: Any) -> dict[str, Any]:
    """A file in git-lfs."""
    lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return {**file(path, data, oid="9" * 40, lfs=lfs, xetHash="f" * 64), **changes}
