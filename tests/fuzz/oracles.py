"""What must hold whatever came in, and a door to HTTP behind which stands one answer.  Knows nothing of the code."""

import os
from collections.abc import Mapping
from typing import Any

from fetcher.net.reply import Reply

COMMIT = "83ee97c66e841048bedc5c02c15ce2f3ed259feb"


class OneAnswer:
    """Our own door to HTTP: whatever is asked, the answer is the same; `asked` are the addresses."""

    def __init__(self, content: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self._reply = Reply(status=status, host="hub.example", path="/x", content=content, headers=headers or {})
        self.asked: list[str] = []

    def get(self, url: str, **_: Any) -> Reply:
        self.asked.append(url)
        return self._reply

    def post(self, url: str, content: bytes, **more: Any) -> Reply:
        return self.get(url, **more)

    def close(self) -> None:
        pass


def require_inside(path: str) -> None:
    """A file name leads to a place below the target, on every system."""
    joined = os.path.normpath(f"/target/{path}")
    assert joined == f"/target/{path}", path
    assert joined.startswith("/target/"), path
    assert not any(sign in path for sign in "\\\0\r\n\x1b"), path
    assert path[1:2] != ":", path


def require_short(message: str) -> None:
    """An error is for people: a few lines, and nothing that steers a terminal."""
    assert len(message) < 5000, message
    assert all(line.isprintable() for line in message.split("\n")), message
