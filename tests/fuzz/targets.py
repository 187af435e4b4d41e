"""What servers and files may hold, given to the code that reads it; for Hypothesis and for atheris.

Each target takes bytes.  It returns where the code understood them or refused them by one of its
documented errors; anything else is a bug that raises.  The oracles know nothing of the code.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fetcher.core.manifest import SourceRef
from fetcher.core.retry import RetrySchedule
from fetcher.disk.tokens import TokenStore
from fetcher.errors import ConfigError, FetcherError
from fetcher.formats.lock_toml import read_lock
from fetcher.net.git_refs import parse_refs
from fetcher.net.heads import content_range, retry_after_s
from fetcher.net.http import Reply
from fetcher.net.lane import parse_head
from fetcher.sources.modelscope import ModelScopeSource

CORPUS = Path(__file__).with_name("corpus")
COMMIT = "83ee97c66e841048bedc5c02c15ce2f3ed259feb"


class OneAnswer:
    """Our own door to HTTP: whatever is asked, the answer is the same."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def get(self, url: str, **_: Any) -> Reply:
        return Reply(status=200, host="hub.example", path="/x", content=self._content)

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


def listing(data: bytes) -> None:
    """An answer of a hub to each of the questions of a lock."""
    source = ModelScopeSource(
        endpoint="https://hub.example",
        client=OneAnswer(data),  # type: ignore[arg-type]
        token=None,
        login="log in",
        retry=RetrySchedule(attempts=1),
        sleep=lambda _: None,
    )
    for text in ("ms:owner/name", "ms:datasets/owner/name"):
        for revision in (COMMIT, "master"):
            try:
                snapshot = source.snapshot(SourceRef.parse(text), revision)
            except FetcherError as error:
                require_short(str(error))
                continue
            assert snapshot.files
            assert len({file.path.lower() for file in snapshot.files}) == len(snapshot.files)
            for file in snapshot.files:
                require_inside(file.path)


def refs(data: bytes) -> None:
    """An advertisement of git refs."""
    try:
        found = parse_refs(data)
    except ValueError:
        return
    assert all(len(commit) == 40 for commit in found.values())


def head(data: bytes) -> None:
    """The head of a reply, and the headers of which a byte's place depends."""
    parse_head(data)
    text = data.decode("latin-1")
    try:
        found = content_range(text)
    except ValueError:
        found = None
    assert found is None or found.size is None or found.size > 0
    wait_s = retry_after_s(text, now_s=1.7e9)
    assert wait_s is None or wait_s >= 0


def lock(data: bytes) -> None:
    """A models.lock that somebody else has committed."""
    try:
        known = read_lock(data.decode("utf-8", "replace"), file="models.lock")
    except FetcherError:
        return
    for model in known.lock.models.values():
        for file in model.files:
            require_inside(file.path)


def logins(data: bytes) -> None:
    """A file of logins that another program has written."""
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"fetcher-fuzz-{os.getpid()}.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, data)
    os.close(descriptor)
    try:
        store = TokenStore(path)
        for origin in store.origins():
            assert isinstance(origin, str)
    except ConfigError:
        pass
    finally:
        path.unlink()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "listing": listing,
    "refs": refs,
    "head": head,
    "lock": lock,
    "logins": logins,
}
