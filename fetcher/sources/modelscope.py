"""ModelScope, read side: commits, listings and bytes of models and datasets.

Every assumption about the hub stands in this module.  What is not understood is an error,
never an empty list.  Not in here: which endpoint and which token (catalog.py).

Promises (tests/sources/test_modelscope.py, one test a trap of the hub):
  * a listing is that of one commit: the hub's own short id must be a prefix of it;
  * a listing is whole, or there is none;
  * names, sizes and hashes that cannot be are refused with the host and the entry;
  * the hub's own address is asked at every `open`; a signed link is never kept;
  * no error holds the token.
"""

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, quote_plus, urlencode

from fetcher.core.content.texts import joined_license
from fetcher.core.digest import Commit
from fetcher.core.interfaces import Body, Description, RemoteAddress, Snapshot
from fetcher.core.manifest import SourceRef
from fetcher.core.retry import RetrySchedule
from fetcher.core.tags import Tag
from fetcher.errors import AuthError, FetcherError, NotFoundError, SourceError
from fetcher.net import failures, git_refs
from fetcher.net.body import PeekedBody
from fetcher.net.credentials import Credential, Token, basic
from fetcher.net.http import HttpClient, user_agent
from fetcher.net.patience import Patience
from fetcher.net.redact import host_of, printable
from fetcher.net.reply import Reply
from fetcher.sources.allowance import Allowance
from fetcher.sources.hub_words import HubWords, named_refs

if TYPE_CHECKING:
    from fetcher.sources.modelscope_answers import Entry, Listing, Shape

DEFAULT_REVISION = "master"  # `main` normally does not exist here
LISTING_CUT = 3000  # entries; a longer listing of a model is cut without a word
PAGE_SIZE = 200  # entries of a dataset's page, as the official client asks
MAX_PAGES = 10_000
MAX_FOLDERS = 20_000  # listings of one walk

_FILE_NOT_FOUND = 10990101007
_REPOSITORY_NOT_FOUND = 10010205001
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHORT_ID = re.compile(r"[0-9a-f]{7,40}")
_USER_KEYS = ("Username", "username", "name", "preferred_username")  # in the official client's order
_MAX_ENVELOPE = 64 << 10  # bytes of an error that came instead of a file


_Answer = TypeVar("_Answer", bound="Shape")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A listing to ask for; `root` is a folder, "" the whole repository."""

    ref: SourceRef
    revision: str
    root: str = ""
    recursive: str = "True"
    allowance: Allowance = field(default_factory=Allowance)


class ModelScopeSource:
    """One ModelScope endpoint.  Used by several threads at once.

    Args:
        endpoint: Base URL without a trailing slash.
        client: Its connections; closed with the source.
        token: None to ask as anybody.
        login: How to give a token, for the fix of an error: "run `fetcher login NAME`".
        login_note: A fact for that error: why a login of the official tool is not used.
        peek_s: Seconds for the first bytes of a file that may be an error.
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
        peek_s: float = 30.0,
        sleep: Callable[[float], object] = time.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._endpoint = endpoint
        self._client = client
        notes = [login_note] if login_note and not token else []
        self._words = HubWords(label=self.label, login=login, has_token=token is not None, notes=notes)
        self._api_auth: Credential | None = None
        self._git_auth: Credential | None = None
        if token:
            api = {"Authorization": f"Bearer {token.secret}", "Cookie": f"m_session_id={token.secret}"}
            self._api_auth = Credential.bound(endpoint, api)
            self._git_auth = Credential.bound(endpoint, {"Authorization": basic("oauth2", token)})
        self._patiently = Patience(retry, sleep=sleep, dice=dice)
        self._peek_s = peek_s

    @property
    def label(self) -> str:
        """The host, with its port where it is not the scheme's own."""
        return host_of(self._endpoint)

    def snapshot(self, ref: SourceRef, revision: str | None) -> Snapshot:
        """Resolve a revision and list all files at its commit (core.interfaces.Source)."""
        wanted = revision or DEFAULT_REVISION
        commit = self._commit(ref, wanted)
        question = _Question(ref=ref, revision=commit)
        entries = self._paged(question, wanted) if ref.dataset else self._walked(question, wanted)
        files = (entry for entry in entries if entry.kind != "tree")
        return Snapshot(ref=ref, commit=commit, files=self._words.files(ref, files))

    def open(self, address: RemoteAddress, start: int, stop: int) -> Body:
        """Ask for bytes of a file (core.interfaces.Source)."""
        body = self._client.open_range(
            self._file_url(address),
            start=start,
            stop=stop,
            size=address.size,
            auth=self._api_auth,
            explain=lambda reply: self._refusal(reply, address.ref, address.path),
        )
        return self._sifted(body, address)

    def ahead(self, addresses: Sequence[RemoteAddress]) -> AbstractContextManager[None]:
        """Open these files next (core.interfaces.AskedAhead)."""
        return self._client.ahead([self._file_url(address) for address in addresses], auth=self._api_auth)

    def whole(self, address: RemoteAddress) -> bytes | None:
        """A small file in one piece (core.interfaces.SendsWhole)."""
        return self._client.whole(self._file_url(address), size=address.size, auth=self._api_auth)

    def wake(self) -> None:
        """End what waits for one (core.interfaces.SendsWhole)."""
        self._client.wake()

    def describe(self, ref: SourceRef, commit: Commit, wanted: frozenset[str]) -> Description:
        """The repository's licence, and when a commit was made (core.interfaces.Describing)."""
        from fetcher.sources.modelscope_answers import About, Commits  # pydantic: a transfer does without

        license_, committed_s = None, None
        if "license" in wanted:
            license_ = joined_license(self._ask(self._api(ref), ref, About).license)
        if "committed" in wanted:
            query = urlencode({"Ref": commit, "PageNumber": 1, "PageSize": 1})
            found = self._ask(f"{self._api(ref)}/commits?{query}", ref, Commits).commits or []
            committed_s = next((each.committed_s for each in found if each.id.lower() == commit), None)
        return Description(license=license_, committed_s=committed_s)

    def tags(self, ref: SourceRef) -> tuple[Tag, ...]:
        """The tags, with dates and without commits (core.interfaces.Tagging)."""
        from fetcher.sources.modelscope_answers import Revisions  # pydantic: a transfer does without

        found = self._ask(f"{self._api(ref)}/revisions", ref, Revisions).revisions.tags
        return tuple(each.to_core() for each in found or ())

    def user(self) -> str:
        """Ask whose token it is (the official client's `whoami`).

        Raises:
            AuthError: It is nobody's.
            SourceError: No answer, or none that tells.
        """
        reply = self._client.get(f"{self._endpoint}/openapi/v1/users/me", auth=self._api_auth)
        if reply.status in (401, 403):
            raise self._words.nobodys_token(reply.status)
        document = reply.json() if reply.status == 200 else None
        data = document.get("data") if isinstance(document, dict) else None
        names = [data.get(key) for key in _USER_KEYS] if isinstance(data, dict) else []
        for name in names:
            if isinstance(name, str) and name:
                return printable(name)
        raise failures.not_understood(
            self.label, "does not tell whose token it is", facts=(f"status: {reply.status}", f"path: {reply.path}")
        )

    def close(self) -> None:
        """Release all connections."""
        self._client.close()

    # from a revision to a commit

    def _commit(self, ref: SourceRef, revision: str) -> Commit:
        """The commit of a branch, tag or commit: by the commits, else by git, else by the listing."""
        if _COMMIT.fullmatch(revision):
            return Commit(revision)
        return self._by_commits(ref, revision) or self._by_git(ref, revision) or self._by_listing(ref, revision)

    def _by_commits(self, ref: SourceRef, revision: str) -> Commit | None:
        """Way A; not proven for datasets, so a refusal leads to way B."""
        from fetcher.sources.modelscope_answers import Commits  # pydantic: a transfer does without

        query = urlencode({"Ref": revision, "PageNumber": 1, "PageSize": 1})
        try:
            found = self._ask(f"{self._api(ref)}/commits?{query}", ref, Commits)
        except FetcherError as error:
            _raise_if_down(error)
            return None
        first = found.commits[0].id.lower() if found.commits else ""
        return Commit(first) if _COMMIT.fullmatch(first) else None

    def _by_git(self, ref: SourceRef, revision: str) -> Commit | None:
        """Way B: the refs that git would see."""
        kind = "datasets/" if ref.dataset else ""
        url = f"{self._endpoint}/{kind}{ref.repo}.git/info/refs?service=git-upload-pack"
        agent = f"git/2 ({user_agent()})"  # the hub answers this address to git only
        try:
            reply = self._patiently(lambda: self._client.get(url, headers={"User-Agent": agent}, auth=self._git_auth))
            refs = git_refs.parse_refs(reply.content) if reply.status == 200 else {}
        except ValueError:
            return None
        except FetcherError as error:
            _raise_if_down(error)
            return None
        found = git_refs.commit_of(refs, revision)
        return Commit(found) if found else None

    def _by_listing(self, ref: SourceRef, revision: str) -> Commit:
        """Way C: the one last commit of an entry that the listing's short id begins."""
        listing = self._listing(_Question(ref=ref, revision=revision), page=1 if ref.dataset else None)
        if not listing.files:
            raise self._no_revision(ref, revision)
        short = listing.short_id
        known = {(entry.revision or "").lower() for entry in listing.files}
        fitting = sorted(one for one in known if _COMMIT.fullmatch(one) and short and one.startswith(short))
        if len(fitting) != 1:
            facts = [f"repository: {ref.repo}", f"revision: {printable(revision)}", *self._revision_facts(ref)]
            raise SourceError(
                f"{self.label} does not tell the commit of a revision.",
                facts=facts,
                fix="set `revision` in models.toml to a full commit of 40 hex digits",
            )
        return Commit(fitting[0])

    # listings

    def _walked(self, question: _Question, wanted: str) -> "list[Entry]":
        """A model's entries, folder by folder where a listing comes back full."""
        whole = self._checked(self._listing(question), question, wanted)
        if len(whole) < LISTING_CUT:
            return whole
        found: list[Entry] = []
        folders = [""]
        for asked in count(1):
            if not folders:
                return found
            if asked > MAX_FOLDERS:
                raise self._words.odd(question.ref, f"it has more than {MAX_FOLDERS} folders")
            root = folders.pop()
            # The root is known to be full; any other folder may still fit whole.
            entries = self._below(question, root, "True") if root else []
            if not root or len(entries) >= LISTING_CUT:
                entries = self._below(question, root, "False")
                self._refuse_cut(question.ref, root, entries)
                folders += [entry.path for entry in entries if entry.kind == "tree"]
            found += [entry for entry in entries if entry.kind == "blob"]
        raise AssertionError("count() ended")

    def _below(self, question: _Question, root: str, recursive: str) -> "list[Entry]":
        """The entries of one folder; each must lie in it."""
        here = replace(question, root=root, recursive=recursive)
        listing = self._listing(here)
        entries = listing.files
        if not entries:
            raise self._words.odd(question.ref, f"the listing of the folder {printable(root)!r} is empty")
        self._require_commit(listing, here)
        if root and not all(entry.path.startswith(f"{root}/") for entry in entries):
            raise self._words.odd(question.ref, f"the listing of the folder {printable(root)!r} leads out of it")
        return entries

    def _refuse_cut(self, ref: SourceRef, root: str, entries: "Sequence[Entry]") -> None:
        if len(entries) < LISTING_CUT:
            return
        raise SourceError(
            f"{self.label} cannot list {ref.repo} whole.",
            facts=[
                f"folder: {printable(root) or 'the root'}",
                f"entries: {LISTING_CUT} or more; the hub cuts a listing there without saying so",
            ],
            fix="take the repository by git, or ask its owner to use more folders",
        )

    def _paged(self, question: _Question, wanted: str) -> "list[Entry]":
        """A dataset's entries, page by page."""
        found: list[Entry] = []
        seen: set[str] = set()
        for page in range(1, MAX_PAGES + 1):
            listing = self._listing(question, page=page)
            if listing.files is None or page == 1:
                self._checked(listing, question, wanted)
            entries = listing.files or []
            if not seen.isdisjoint(entry.path for entry in entries):
                raise self._words.odd(question.ref, f"page {page} repeats entries of an earlier page")
            seen.update(entry.path for entry in entries)
            found += entries
            if entries:
                self._require_commit(listing, question)
            if not entries or (len(entries) < PAGE_SIZE and len(found) >= (listing.total or 0)):
                return found
        raise self._words.odd(question.ref, f"it has more than {MAX_PAGES} pages")

    def _checked(self, listing: "Listing", question: _Question, wanted: str) -> "list[Entry]":
        """The entries of a listing of the whole repository, if it is that of the commit."""
        if not listing.files:
            raise self._no_revision(question.ref, wanted)
        self._require_commit(listing, question)
        return listing.files

    def _require_commit(self, listing: "Listing", question: _Question) -> None:
        short = listing.short_id.lower()
        if _SHORT_ID.fullmatch(short) and question.revision.startswith(short):
            return
        raise SourceError(
            f"{self.label} listed another commit of {question.ref.repo} than it was asked for.",
            facts=[f"asked: {question.revision}", f"listed: {printable(short) or 'unknown'}"],
            fix="run the command again; if it stays, use another source",
        )

    def _listing(self, question: _Question, page: int | None = None) -> "Listing":
        from fetcher.sources.modelscope_answers import Listing  # pydantic: a transfer does without

        query = {"Revision": question.revision, "Recursive": question.recursive}
        if page is not None:
            query |= {"PageNumber": str(page), "PageSize": str(PAGE_SIZE)}
        if question.root:
            query["Root"] = question.root
        url = f"{self._api(question.ref)}/repo/{'tree' if question.ref.dataset else 'files'}?{urlencode(query)}"
        # Later pages of a dataset are sometimes refused although they may be read.
        found = self._ask(url, question.ref, Listing, also_again=AuthError if (page or 1) > 1 else None)
        try:
            question.allowance.spend(entry.path for entry in found.files or ())
        except ValueError as error:
            raise self._words.odd(question.ref, str(error)) from None
        return found

    # asking

    def _api(self, ref: SourceRef) -> str:
        return f"{self._endpoint}/api/v1/{'datasets' if ref.dataset else 'models'}/{quote(ref.repo)}"

    def _file_url(self, address: RemoteAddress) -> str:
        return f"{self._api(address.ref)}/repo?Revision={address.commit}&FilePath={quote_plus(address.path)}"

    def _ask(
        self, url: str, ref: SourceRef, shape: type[_Answer], *, also_again: type[FetcherError] | None = None
    ) -> _Answer:
        """`Data` of an answer, in its shape; tried again by the schedule."""

        def once() -> _Answer:
            reply = self._client.get(url, auth=self._api_auth)
            refusal = self._refusal(reply, ref, None)
            if refusal:
                raise refusal
            document = reply.json()
            return self._shaped(ref, document, shape)

        return self._patiently(once, also_again=also_again)

    def _shaped(self, ref: SourceRef, document: object, shape: type[_Answer]) -> _Answer:
        from pydantic import ValidationError  # as above

        data = document.get("Data") if isinstance(document, dict) else None
        try:
            return shape.model_validate(data)
        except ValidationError as error:
            where = error.errors(include_url=False, include_input=False)[0]
            if where["loc"][:1] == ("Files",) and len(where["loc"]) > 1:
                raise self._words.hostile(
                    ref, _path_at(data, where["loc"][1]), f"{where['loc'][-1]}: {where['msg']}"
                ) from None
            place = ".".join(str(part) for part in ("Data", *where["loc"]))
            raise self._words.not_understood(ref, f"{place}: {where['msg']}") from None

    # what answers mean

    def _refusal(self, reply: Reply, ref: SourceRef, path: str | None) -> FetcherError | None:
        """The error that an answer is, whatever its HTTP status; None if it is none.

        Args:
            path: The file that was asked for, if it was one.
        """
        envelope = _envelope(reply)
        status, code = reply.status, envelope.get("Code")
        failed = bool(envelope) and (envelope.get("Success") is False or code not in (200, None))
        if status == 200 and not failed:
            return None
        message = printable(str(envelope.get("Message") or ""))
        said = f"status {status}" + (f", code {code}" if isinstance(code, int) else "")
        facts = [f"answer: {said}" + (f", {message!r}" if message else "")]
        if code == _FILE_NOT_FOUND:
            return self._words.no_file(ref, path, facts)
        if code == _REPOSITORY_NOT_FOUND or (status == 404 and path is None):
            return self._words.no_repository(ref, facts)
        if status == 404 or code == 404:
            return self._words.no_file(ref, path, facts)
        if status in (401, 403) or code in (401, 403):
            return self._words.no_access(ref, facts)
        transient = isinstance(code, int) and 500 <= code < 600
        return self._words.no_answer(ref, facts, transient=transient or code == 429)

    def _sifted(self, body: Body, address: RemoteAddress) -> Body:
        """The body, unless it is an error in JSON that came with status 200 (trap 3).

        A file may be JSON itself, so only a reply of another length than the locked one is refused.
        """
        head = body.head
        if head.status != 200 or head.first is not None or head.content_type != "application/json":
            return body
        if head.length == address.size or (head.length or 0) > _MAX_ENVELOPE:
            return body
        start, is_whole = _peeked(body, time.monotonic() + self._peek_s)
        if not is_whole or len(start) == address.size:
            return PeekedBody(start, body)
        body.close()
        reply = Reply(status=head.status, host=head.host, path="", content=start)
        raise self._refusal(reply, address.ref, address.path) or SourceError(
            f"{head.host} sent JSON instead of {address.path}.",
            facts=[f"locked: {address.size} bytes", f"sent: {len(start)} bytes"],
            fix="run the command again, or use another source",
            transient=True,
        )

    # errors

    def _no_revision(self, ref: SourceRef, revision: str) -> NotFoundError:
        return NotFoundError(
            f"{ref.repo} has no revision {printable(revision)} at {self.label}, or no file in it.",
            facts=self._revision_facts(ref),
            fix="set `revision` in models.toml to a branch, a tag or a full commit that exists",
        )

    def _revision_facts(self, ref: SourceRef) -> list[str]:
        """The branches and tags that exist, as facts of an error."""
        from fetcher.sources.modelscope_answers import Revisions  # pydantic: a transfer does without

        try:
            names = self._ask(f"{self._api(ref)}/revisions", ref, Revisions).revisions
        except FetcherError:
            return ["branches and tags: the hub does not tell"]
        return named_refs(*([each.name for each in found or ()] for found in (names.branches, names.tags)))


def _raise_if_down(error: FetcherError) -> None:
    """A hub that does not answer one question will not answer the next."""
    if isinstance(error, SourceError) and error.transient:
        raise error


def _envelope(reply: Reply) -> Mapping[str, Any]:
    """The hub's envelope around an answer; empty for anything else."""
    try:
        document = reply.json()
    except SourceError:
        return {}
    if not isinstance(document, dict) or not ("Success" in document or "Code" in document):
        return {}
    return document


def _path_at(data: object, index: int | str) -> str | None:
    """The path of an entry that could not be read, if it has one."""
    files = data.get("Files") if isinstance(data, dict) else None
    entry = files[index] if isinstance(files, list) and isinstance(index, int) else None
    path = entry.get("Path") if isinstance(entry, dict) else None
    return path if isinstance(path, str) else None


def _peeked(body: Body, end_s: float) -> tuple[bytes, bool]:
    """The first bytes of a body, and whether they are all of it.

    Raises:
        SourceError: They were not there in time; nobody else watches for a stall here.
    """
    buffer = memoryview(bytearray(_MAX_ENVELOPE))
    filled = 0
    try:
        while filled < len(buffer):
            count = body.readinto(buffer[filled:])
            if count == 0:
                return bytes(buffer[:filled]), True
            filled += count
            if time.monotonic() > end_s:
                raise failures.cut(body.head.host, "a short answer came too slowly")  # noqa: TRY301
    except BaseException:
        body.close()
        raise
    return bytes(buffer), False
