"""What git servers send: pointers, links to large files, refs and trees as the git program tells them."""

import hashlib
from pathlib import Path
from typing import Any, cast

from fetcher.core.digest import Commit, Sha256
from fetcher.core.paths import RepoPath
from fetcher.core.pointer import MAX_POINTER, Pointer, is_pointer, parse_pointer, pointer_error
from fetcher.errors import FetcherError, SourceError
from fetcher.net.credentials import Credential
from fetcher.net.http import HttpClient
from fetcher.sources.git_lfs.access import Access, Place, checked_headers
from fetcher.sources.git_lfs.batch import Batch
from fetcher.sources.git_lfs.complaints import explained
from fetcher.sources.git_lfs.program import Done, Git, Task
from fetcher.sources.git_lfs.remote import Remote, is_safe_revision
from fetcher.sources.git_lfs.scratch import Scratch
from tests.fuzz.oracles import COMMIT, OneAnswer, require_inside, require_short

SECRET = "git-0123-SECRET"
_WANTED = Pointer(sha256=Sha256(hashlib.sha256(b"x").hexdigest()), size=1)


def pointer(data: bytes) -> None:
    """A small file that may be a pointer."""
    try:
        found = parse_pointer(data)
    except ValueError:
        assert is_pointer(data)
        found = None
    assert found is None or (len(data) <= MAX_POINTER and found.size >= 0 and found.sha256.encode() in data)
    if is_pointer(data):
        require_short(str(pointer_error("m/a.bin", data)))


class _Storage(OneAnswer):
    """Answers questions for links, and takes note of who would be asked for the bytes, and with what."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.links: list[tuple[str, Credential]] = []

    def require_public(self, asked: str, there: str) -> None:
        pass

    def open_range(self, url: str, *, auth: Credential, **_: Any) -> None:
        self.links.append((url, auth))
        raise SourceError("No bytes.", transient=True)


class _OnePlace:
    """Access of a server with a token."""

    def places(self) -> Any:
        auth = Credential.bound("https://git.example", {"Authorization": SECRET})
        yield Place(url="https://git.example/o/n.git/info/lfs", auth=auth)


def batch(data: bytes) -> None:
    """An answer to a question for links."""
    storage = _Storage(data)
    asking = Batch(
        Remote.parse("https://git.example/o/n", shown="it"),
        client=cast(HttpClient, storage),
        access=cast(Access, _OnePlace()),
        token_fix="log in",
        scrub=lambda text: text,
        clock=lambda: 0.0,
    )
    try:
        asking.open(_WANTED, list, 0, 1)
    except FetcherError as error:
        require_short(str(error))
    for url, auth in storage.links:
        assert url.lower().startswith(("https://", "http://")), url
        sent = auth.header_for(url)
        assert SECRET not in sent.values()
        assert not any(sign in f"{key}{value}" for key, value in sent.items() for sign in "\r\n\0"), sent
        assert not {key.lower() for key in sent} & {"host", "range", "content-length", "transfer-encoding"}
        assert auth.header_for("https://git.example/") == {} or "git.example" in url


class _Says:
    """A git that has one answer for everything."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def run(self, task: Task, *, limit: int = 0) -> Done:
        return Done(status=0, answer=self._answer, complaint="")

    def end(self, process: object) -> None:
        pass


def tree(data: bytes) -> None:
    """A list of refs, or of the entries of a commit, as the program prints what a server has sent."""
    scratch = Scratch(
        cast(Git, _Says(data)),
        url="https://git.example/o/n",
        host="git.example",
        root=Path(),
        config=(),
        explain=lambda complaint: SourceError(complaint),
    )
    scratch._folder = Path()  # it needs no place of its own
    refs = scratch.refs(())
    assert all(len(oid) in (40, 64) and oid.isalnum() for oid in [*refs.found.values(), refs.default or "0" * 40])
    is_safe_revision(data.decode("latin-1"))
    try:
        entries = scratch.tree(Commit(COMMIT))
    except FetcherError as error:
        require_short(str(error))
        return
    for entry in entries:
        assert len(entry.oid) == 40
        try:
            require_inside(RepoPath(entry.name.decode("utf-8")))
        except ValueError:
            continue


def complaint(data: bytes) -> None:
    """What git complains of, words of the server among it."""
    text = data.decode("utf-8", "replace") + SECRET
    error = explained(text, host="git.example", secrets=(SECRET,), token_fix="log in")
    require_short(str(error))
    assert SECRET not in str(error)
    try:
        headers = checked_headers({"Authorization": text, text[:20]: "x"})
    except ValueError:
        return
    assert not any(sign in f"{name}{value}" for name, value in headers.items() for sign in "\r\n\0")
