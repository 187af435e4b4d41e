"""Files of web servers: `https://…/file.bin`, or a folder there with files that models.toml names.

A web server lists nothing and has no commits: `look` asks for one byte of each file to learn
its size, and what the server calls this version of it.  Their sha256 is what models.toml
says, else what comes when the model is locked first.

Promises (tests/test_urls_and_folders.py):
  * a page (HTML) is not taken for a file that is none;
  * bytes that are hashed at lock time are all of one version of the file, as far as the server tells versions;
  * no message holds a query or a fragment of an address.
"""

import hashlib
import secrets
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote, urlsplit

from fetcher.core.digest import Commit
from fetcher.core.interfaces import Body, Head, RemoteAddress, RemoteFile, Snapshot
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import RepoPath
from fetcher.core.retry import RetrySchedule
from fetcher.core.web import address_of, file_name, is_folder
from fetcher.errors import FetcherError, IntegrityError, NotFoundError, SourceError
from fetcher.net.http import HttpClient
from fetcher.net.patience import Patience
from fetcher.net.redact import host_of, printable
from fetcher.net.reply import Reply

_AT_ONCE = 8  # questions to one server; as many as models are resolved at a time
_PAGES = (".html", ".htm", ".xhtml")


class UrlSource:
    """One address, and what is below it.  Used by several threads at once.

    Args:
        url: The file, or the folder with `/` at its end.
        addresses: Files that lie elsewhere than below it.
        client: Its connections; closed with the source.
        retry: When to ask again for a size.
    """

    def __init__(
        self,
        url: str,
        *,
        addresses: Mapping[RepoPath, str],
        client: HttpClient,
        retry: RetrySchedule,
    ) -> None:
        self._url = url
        self._addresses = addresses
        self._client = client
        self._patiently = Patience(retry)
        self._stamps: dict[RepoPath, str] = {}
        self._lock = threading.Lock()

    @property
    def label(self) -> str:
        """The host, with its port where it is not the scheme's own."""
        return host_of(self._url)

    def snapshot(self, ref: SourceRef, revision: str | None) -> Snapshot:
        """The files that are known by name (core.interfaces.Source)."""
        return self.look(ref, list(self._addresses) or [file_name(self._url)])

    def look(self, ref: SourceRef, names: Sequence[RepoPath]) -> Snapshot:
        """Ask for each of the files (core.interfaces.Unlisted).

        The commit is a stamp of sizes and versions: it tells states apart until the files are hashed.
        """
        if not is_folder(self._url) and len(names) > 1:
            raise NotFoundError(
                f"{self.label} is asked for {len(names)} files by the address of one.",
                facts=[f"address: {_shown(self._url)}"],
                fix="let the address end with `/` and name a folder",
            )
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            found = list(pool.map(self._ask, names))
        stamp = hashlib.sha256()
        for name, head in sorted(zip(names, found, strict=True), key=lambda pair: pair[0]):
            # What a server does not name cannot be told from another version of the same size.
            stamp.update(f"{name}\0{head.total}\0{head.stamp or secrets.token_hex(16)}\n".encode())
            with self._lock:
                self._stamps[name] = head.stamp
        files = tuple(
            RemoteFile(path=name, size=head.total or 0, sha256=None, version=printable(head.stamp))
            for name, head in zip(names, found, strict=True)
        )
        return Snapshot(ref=ref, commit=Commit(stamp.hexdigest()), files=files)

    def open(self, address: RemoteAddress, start: int, stop: int) -> Body:
        """Ask for bytes of a file (core.interfaces.Source)."""
        body = self._open(address.path, start, stop, address.size)
        with self._lock:
            known = self._stamps.get(address.path, "")
        if address.sha256 is None and body.head.stamp != known:
            body.close()
            raise IntegrityError(
                f"{self.label} has changed {address.path} while it was being locked.",
                fix="run `fetcher lock` again, or give the file's `sha256` in models.toml",
            )
        return body

    def close(self) -> None:
        """Release all connections."""
        self._client.close()

    def _ask(self, name: RepoPath) -> Head:
        """The head of a reply with the first byte; `total` is the file's size."""
        return self._patiently(lambda: self._first_byte(name))

    def _first_byte(self, name: RepoPath) -> Head:
        with self._open(name, 0, 1, 2) as body:
            return self._judged(name, body.head)

    def _judged(self, name: RepoPath, head: Head) -> Head:
        """The head with the file's size, if it is that of a file."""
        url = self._address(name)
        if head.content_type in ("text/html", "application/xhtml+xml") and not name.lower().endswith(_PAGES):
            raise SourceError(
                f"{head.host} sends a page instead of {name}.",
                facts=[f"address: {_shown(url)}", f"content type: {head.content_type}"],
                fix="write the address of the file itself; a page that asks for a login is none",
            )
        size = head.total if head.total is not None else head.length if head.first is None else None
        if size is None:
            raise SourceError(
                f"{head.host} does not tell the size of {name}.",
                facts=[f"address: {_shown(url)}"],
                fix="use another source; a size is needed before the first byte",
            )
        return Head(status=head.status, total=size, host=head.host, stamp=head.stamp)

    def _open(self, name: RepoPath, start: int, stop: int, size: int) -> Body:
        url = self._address(name)
        return self._client.open_range(
            url, start=start, stop=stop, size=size, explain=lambda reply: _refusal(reply, name, url)
        )

    def _address(self, name: RepoPath) -> str:
        return self._addresses.get(name) or address_of(self._url, name)


def _refusal(reply: Reply, name: RepoPath, url: str) -> FetcherError | None:
    if reply.status not in (404, 410):
        return None
    return NotFoundError(
        f"{reply.host} does not have {name}.",
        facts=[f"status: {reply.status}", f"address: {_shown(url)}"],
        fix="correct the address in models.toml",
    )


def _shown(url: str) -> str:
    """An address as a person reads it, without its query."""
    return printable(f"{host_of(url)}{unquote(urlsplit(url).path)}")
