"""What servers and files may hold, given to the code that reads it; for Hypothesis and for atheris.

Each target takes bytes.  It returns where the code understood them or refused them by one of its
documented errors; anything else is a bug that raises.  The oracles know nothing of the code.
"""

import os
from collections.abc import Callable
from pathlib import Path

from fetcher.disk.tokens import TokenStore
from fetcher.errors import ConfigError, FetcherError
from fetcher.formats.lock_toml import read_lock
from fetcher.net.git_refs import parse_refs
from fetcher.net.heads import content_range, retry_after_s
from fetcher.net.lane import parse_head
from tests.fuzz.of_addresses import address, name
from tests.fuzz.of_content import content
from tests.fuzz.of_git import batch, complaint, pointer, tree
from tests.fuzz.of_hubs import huggingface, link, listing
from tests.fuzz.oracles import require_inside

CORPUS = Path(__file__).with_name("corpus")


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
    "huggingface": huggingface,
    "link": link,
    "pointer": pointer,
    "batch": batch,
    "tree": tree,
    "complaint": complaint,
    "address": address,
    "name": name,
    "refs": refs,
    "head": head,
    "lock": lock,
    "logins": logins,
    "content": content,
}
