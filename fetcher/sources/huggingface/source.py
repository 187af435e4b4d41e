"""One Hugging Face endpoint: commits, listings and bytes.

A lock costs one request for the commit and one for each 1000 entries; a file costs one GET
for each reply (the redirect to the CDN belongs to it).  No HEAD is ever sent.

Promises (tests/sources/test_huggingface.py):
  * a listing is that of one commit, whole, or there is none;
  * pages that never end are given up (allowance.py);
  * names, sizes and hashes that cannot be are refused with the host and the entry;
  * pages are asked for at this endpoint, whatever a link says: mirrors repeat the hub's links;
  * the hub's own address is asked at every `open`; a signed link is never kept;
  * no ETag is taken for a hash; no error holds the token;
  * a reply of more than 16 GiB is never asked for: the hub sends none above 50 GB.
"""

import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from fetcher.core.digest import Commit
from fetcher.core.interfaces import Body, Description, RemoteAddress, Snapshot
from fetcher.core.manifest import SourceRef
from fetcher.core.retry import RetrySchedule
from fetcher.core.tags import Tag
from fetcher.errors import FetcherError, NotFoundError
from fetcher.net import failures, heads
from fetcher.net.credentials import Credential, Token
from fetcher.net.http import HttpClient
from fetcher.net.patience import Patience
from fetcher.net.redact import host_of, printable
from fetcher.net.reply import Reply
from fetcher.sources.allowance import Allowance
from fetcher.sources.hub_words import HubWords, named_refs
from fetcher.sources.huggingface.refusals import Refusals

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from fetcher.sources.huggingface.listing import Entry

DEFAULT_REVISION = "main"
MAX_FILES = 1_000_000  # of one repository
MAX_PAGES = 20_000  # of one listing; a full one has 1000 entries, of which some mirrors send 50 at a time
MOST_AT_ONCE = 16 << 30  # bytes of one reply
_COMMIT = re.compile(r"[0-9a-f]{40}")

_Answer = TypeVar("_Answer")


class HuggingFaceSource:
    """One endpoint.  Used by several threads at once.

    Args:
        endpoint: Base URL without a trailing slash.
        client: Its connections; closed with the source.
        token: None to ask as anybody.
        login: How to give a token, for the fix of an error: "run `fetcher login NAME`".
        login_note: Of no use here: the official tool's token is read.
        sleep: Waits between tries of a listing.
        dice: Gives 0 to 1, to spread the waits.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        client: HttpClient,
        token: Token | None,
        login: str,
        retry: RetrySchedule,
        login_note: str | None = None,
        sleep: Callable[[float], object] = time.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._endpoint = endpoint
        self._client = client
        self._auth = Credential.bound(endpoint, {"Authorization": f"Bearer {token.secret}"}) if token else None
        self._patiently = Patience(retry, sleep=sleep, dice=dice)
        self._words = HubWords(label=self.label, login=login, has_token=token is not None)
        self._refusals = Refusals(words=self._words, endpoint=endpoint, secret=token.secret if token else "")

    @property
    def label(self) -> str:
        """The host, with its port where it is not the scheme's own."""
        return host_of(self._endpoint)

    def snapshot(self, ref: SourceRef, revision: str | None) -> Snapshot:
        """Resolve a revision and list all files at its commit (core.interfaces.Source)."""
        wanted = revision or DEFAULT_REVISION
        commit = Commit(wanted) if _COMMIT.fullmatch(wanted) else self._commit(ref, wanted)
        files = (entry for entry in self._entries(ref, commit) if entry.kind != "directory")
        return Snapshot(ref=ref, commit=commit, files=self._words.files(ref, files))

    def open(self, address: RemoteAddress, start: int, stop: int) -> Body:
        """Ask for bytes of a file (core.interfaces.Source)."""
        ref = address.ref
        return self._client.open_range(
            self._file_url(address),
            start=start,
            stop=min(stop, start + MOST_AT_ONCE),
            size=address.size,
            auth=self._auth,
            explain=lambda reply: self._refusals.of(reply, ref, address.path),
        )

    def ahead(self, addresses: Sequence[RemoteAddress]) -> AbstractContextManager[None]:
        """Open these files next (core.interfaces.AskedAhead)."""
        return self._client.ahead([self._file_url(address) for address in addresses], auth=self._auth)

    def whole(self, address: RemoteAddress) -> bytes | None:
        """A small file in one piece (core.interfaces.SendsWhole)."""
        return self._client.whole(self._file_url(address), size=address.size, auth=self._auth)

    def wake(self) -> None:
        """End what waits for one (core.interfaces.SendsWhole)."""
        self._client.wake()

    def describe(self, ref: SourceRef, commit: Commit, wanted: frozenset[str]) -> Description:
        """What the model card says of the licence, and when a commit was made (core.interfaces.Describing)."""
        from fetcher.sources.huggingface.listing import HISTORY, About  # pydantic: a transfer does without

        license_, committed_s = None, None
        if "license" in wanted:
            license_ = self._ask(f"{self._api(ref)}/revision/{commit}", ref, About).license
        if "committed" in wanted:
            found = self._shaped(ref, self._reply(f"{self._api(ref)}/commits/{commit}?limit=1", ref), HISTORY)
            committed_s = next((each.committed_s for each in found if each.id == commit), None)
        return Description(license=license_, committed_s=committed_s)

    def tags(self, ref: SourceRef) -> tuple[Tag, ...]:
        """The tags, with commits and without dates (core.interfaces.Tagging)."""
        from fetcher.sources.huggingface.listing import Refs  # pydantic: a transfer does without

        return tuple(each.to_core() for each in self._ask(f"{self._api(ref)}/refs", ref, Refs).tags)

    def user(self) -> str:
        """Ask whose token it is.

        Raises:
            AuthError: It is nobody's.
            SourceError: No answer, or none that tells.
        """
        from pydantic import ValidationError  # a transfer does without

        from fetcher.sources.huggingface.listing import User

        reply = self._patiently(lambda: self._client.get(f"{self._endpoint}/api/whoami-v2", auth=self._auth))
        if reply.status in (401, 403):
            raise self._words.nobodys_token(reply.status)
        try:
            return printable(User.model_validate(reply.json() if reply.status == 200 else None).name)
        except ValidationError:
            raise failures.not_understood(
                self.label, "does not tell whose token it is", facts=(f"status: {reply.status}",)
            ) from None

    def close(self) -> None:
        """Release all connections."""
        self._client.close()

    # commits

    def _commit(self, ref: SourceRef, revision: str) -> Commit:
        from fetcher.sources.huggingface.listing import Revision  # pydantic: a transfer does without

        try:
            answer = self._ask(f"{self._api(ref)}/revision/{quote(revision, safe='')}", ref, Revision)
        except NotFoundError as error:
            raise self._named(error, ref, revision) from None
        if not _COMMIT.fullmatch(answer.sha):
            raise self._words.odd(ref, f"the commit of {revision} is {answer.sha!r}")
        return Commit(answer.sha)

    def _named(self, error: NotFoundError, ref: SourceRef, revision: str) -> NotFoundError:
        """The error with what exists instead, if it was the revision that does not exist."""
        from fetcher.sources.huggingface.listing import Refs  # pydantic: a transfer does without

        try:
            refs = self._ask(f"{self._api(ref)}/refs", ref, Refs)
        except FetcherError:
            return error  # the repository is what is missing, or nobody knows
        facts = named_refs(*([each.name for each in found] for found in (refs.branches, refs.tags)))
        return self._refusals.no_revision(ref, revision, facts)

    # listings

    def _entries(self, ref: SourceRef, commit: Commit) -> "Iterator[Entry]":
        """All entries at a commit, page by page."""
        from fetcher.sources.huggingface.listing import PAGE  # pydantic: a transfer does without

        address = f"{self._api(ref)}/tree/{commit}"
        query = "recursive=true&expand=false"
        allowance = Allowance(entries=MAX_FILES)
        seen: set[str] = set()
        while query not in seen:
            seen.add(query)
            reply = self._reply(f"{address}?{query}", ref)
            page = self._shaped(ref, reply, PAGE)
            try:
                allowance.spend((query, *(entry.path for entry in page)))  # an empty page is not free
            except ValueError as error:
                raise self._words.odd(ref, str(error)) from None
            yield from page
            if len(seen) == MAX_PAGES:
                raise self._words.odd(ref, f"it has more than {MAX_PAGES} pages")
            following = heads.next_link(reply.headers.get("link"))
            if following is None:
                return
            # Of the link only the query counts: a mirror repeats the hub's own address.
            query = following.partition("#")[0].partition("?")[2]
        raise self._words.odd(ref, "its pages lead in a circle")

    # asking

    def _file_url(self, address: RemoteAddress) -> str:
        kind = "datasets/" if address.ref.dataset else ""
        repo, path = quote(address.ref.repo), quote(address.path)
        return f"{self._endpoint}/{kind}{repo}/resolve/{address.commit}/{path}"

    def _api(self, ref: SourceRef) -> str:
        return f"{self._endpoint}/api/{'datasets' if ref.dataset else 'models'}/{quote(ref.repo)}"

    def _reply(self, url: str, ref: SourceRef) -> Reply:
        """A 200; tried again by the schedule."""

        def once() -> Reply:
            reply = self._client.get(url, auth=self._auth)
            refusal = self._refusals.of(reply, ref)
            if refusal is not None:
                raise refusal
            return reply

        return self._patiently(once)

    def _ask(self, url: str, ref: SourceRef, shape: type[_Answer]) -> _Answer:
        from pydantic import TypeAdapter

        return self._shaped(ref, self._reply(url, ref), TypeAdapter(shape))

    def _shaped(self, ref: SourceRef, reply: Reply, shape: "TypeAdapter[_Answer]") -> _Answer:
        from pydantic import ValidationError

        document = reply.json()
        try:
            return shape.validate_python(document)
        except ValidationError as error:
            where = error.errors(include_url=False, include_input=False)[0]
            path = _path_at(document, where["loc"])
            if path is not None:
                raise self._words.hostile(ref, path, f"{where['loc'][-1]}: {where['msg']}") from None
            place = ".".join(str(part) for part in where["loc"]) or "answer"
            raise self._words.odd(ref, f"{place}: {where['msg']}") from None


def _path_at(document: object, location: Sequence[int | str]) -> str | None:
    """The path of an entry that could not be read, if it has one."""
    index = location[0] if len(location) > 1 else None
    entry = document[index] if isinstance(document, list) and isinstance(index, int) else None
    path = entry.get("path") if isinstance(entry, dict) else None
    return path if isinstance(path, str) else None
