"""The LFS batch API: from a sha256 to a link that gives the bytes (git-lfs, docs/api/batch.md).

Links are asked for a hundred at a time, and kept until they expire or are refused.

Promises (tests/sources/test_git_batch.py):
  * a link's headers go to the scheme, host and port of its own URL, and to nobody else;
  * a link that has expired is never used, one that is refused is asked for again once;
  * an answer about other objects than those asked for is refused.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fetcher.core.digest import Sha256
from fetcher.core.interfaces import Body
from fetcher.core.pointer import Pointer
from fetcher.errors import AuthError, FetcherError, NotFoundError, SourceError
from fetcher.net import failures
from fetcher.net.credentials import Credential
from fetcher.net.http import HttpClient
from fetcher.net.redact import printable
from fetcher.net.reply import Reply
from fetcher.sources.git_lfs.access import Access, Place, checked_headers, may_lead
from fetcher.sources.git_lfs.remote import Remote

AT_ONCE = 100  # objects a question; as git-lfs asks
_MEDIA_TYPE = "application/vnd.git-lfs+json"
_MAX_ANSWER = 8 << 20  # bytes; 100 links with long signatures are 300 KiB
_MAX_LIFETIME_S = 3600.0  # of a link of which nothing is said; signed links seldom live longer
_MARGIN_S = 5.0  # a link is not used so shortly before its end (git-lfs: tools.IsExpiredAtOrIn)


class _Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Action(_Shape):
    href: str = Field(max_length=32 << 10)
    header: dict[str, str] | None = None
    expires_in: int | None = None
    expires_at: str | None = None

    def lifetime_s(self, now: datetime) -> float:
        """Seconds for which the link is good."""
        if self.expires_in and self.expires_in > 0:
            return min(float(self.expires_in), _MAX_LIFETIME_S)
        try:
            end = datetime.fromisoformat(self.expires_at or "")
        except ValueError:
            return _MAX_LIFETIME_S
        left_s = (end if end.tzinfo else end.replace(tzinfo=UTC)).timestamp() - now.timestamp()
        return min(left_s, _MAX_LIFETIME_S) if end.year > 1 else _MAX_LIFETIME_S  # the year 1 is Go's zero


class _Trouble(_Shape):
    code: int
    message: str = ""


class _Object(_Shape):
    oid: str
    actions: dict[str, _Action] | None = None
    error: _Trouble | None = None


class _Answer(_Shape):
    transfer: str | None = None
    hash_algo: str | None = None
    objects: list[_Object] = Field(max_length=AT_ONCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """Where an object's bytes are, until when, on the monotonic clock."""

    url: str
    auth: Credential
    good_until_s: float


_Found = _Link | FetcherError


class Batch:
    """The large files of one remote.  Used by several threads at once.

    Args:
        token_fix: What to do when a token is missing or refused.
        scrub: Takes secrets out of a server's text.
        clock: Monotonic seconds.
        now: The time of day, for links that expire at one.
    """

    def __init__(
        self,
        remote: Remote,
        *,
        client: HttpClient,
        access: Access,
        token_fix: str,
        scrub: Callable[[str], str],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._remote = remote
        self._client = client
        self._access = access
        self._token_fix = token_fix
        self._scrub = scrub
        self._clock = clock
        self._now = now
        self._lock = threading.Lock()
        self._links: dict[Sha256, _Link] = {}
        self._place: Place | None = None
        self._untried: Iterator[Place] | None = None

    def open(self, pointer: Pointer, others: Callable[[], Sequence[Pointer]], start: int, stop: int) -> Body:
        """Ask for the bytes `start` to `stop` (excluded) of an object.

        Args:
            others: Tells the objects that may be asked for next.

        Raises:
            AuthError, NotFoundError, SourceError: No bytes.
        """
        link, is_fresh = self._link(pointer, others)
        try:
            return self._follow(link, pointer, start, stop)
        except FetcherError as error:
            self._forget(pointer, link)
            if is_fresh or (isinstance(error, SourceError) and error.transient):
                raise
        link, _ = self._link(pointer, others)
        return self._follow(link, pointer, start, stop)

    def _follow(self, link: _Link, pointer: Pointer, start: int, stop: int) -> Body:
        self._client.require_public(self._remote.web_url, link.url)
        return self._client.open_range(
            link.url, start=start, stop=stop, size=pointer.size, auth=link.auth, explain=self._refused_link
        )

    # links

    def _link(self, pointer: Pointer, others: Callable[[], Sequence[Pointer]]) -> tuple[_Link, bool]:
        """A link, and whether it was asked for just now."""
        with self._lock:
            known = self._known(pointer)
            if known:
                return known, False
            wanted = [pointer, *(other for other in others() if other != pointer and not self._known(other))]
            found = self._ask(wanted[:AT_ONCE])
            self._links.update({oid: link for oid, link in found.items() if isinstance(link, _Link)})
        asked = found[pointer.sha256]
        if isinstance(asked, _Link):
            return asked, True
        raise asked

    def _known(self, pointer: Pointer) -> _Link | None:
        link = self._links.get(pointer.sha256)
        return link if link and self._clock() < link.good_until_s else None

    def _forget(self, pointer: Pointer, link: _Link) -> None:
        with self._lock:
            if self._links.get(pointer.sha256) is link:
                del self._links[pointer.sha256]

    # asking

    def _ask(self, pointers: Sequence[Pointer]) -> dict[Sha256, _Found]:
        question = {
            "operation": "download",
            "transfers": ["basic"],
            "objects": [{"oid": each.sha256, "size": each.size} for each in pointers],
            "hash_algo": "sha256",
        }
        reply = self._answer(json.dumps(question).encode("ascii"))
        document = reply.json()
        if not isinstance(document, dict):
            raise self._odd(reply.host, "it is no object of JSON")
        try:
            answer = _Answer.model_validate(document)
        except ValidationError as error:
            where = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in where["loc"])
            raise self._odd(reply.host, f"{place}: {where['msg']}") from None
        if answer.transfer not in (None, "", "basic") or answer.hash_algo not in (None, "", "sha256"):
            raise self._odd(reply.host, "it wants another way of transfer than was asked for")
        asked = {each.sha256: each for each in pointers}
        told = {each.oid: each for each in answer.objects}
        if not told.keys() <= asked.keys():
            raise self._odd(reply.host, "it speaks of objects that were not asked for")
        return {oid: self._found(pointer, told.get(oid), reply.host) for oid, pointer in asked.items()}

    def _answer(self, question: bytes) -> Reply:
        """The reply of the first place that does not refuse; that one is asked from then on."""
        place = self._first_place()
        while True:
            headers = {"Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE}
            url = f"{place.url}/objects/batch"
            reply = self._client.post(url, question, headers=headers, auth=place.auth, limit=_MAX_ANSWER)
            if reply.status == 200:
                return reply
            following = next(self._untried, None) if self._untried and reply.status in (401, 403, 404) else None
            if following is None:
                self._place = None
                raise self._refusal(reply)
            self._place = place = following

    def _first_place(self) -> Place:
        if self._place is None or self._clock() >= self._place.good_until_s:
            self._untried = self._access.places()
            self._place = next(self._untried)
        return self._place

    def _found(self, pointer: Pointer, told: _Object | None, host: str) -> _Found:
        """The link that an answer has for an object, or the error that it is."""
        if told is not None and told.error is not None:
            return self._trouble(pointer, told.error, host)
        action = (told.actions or {}).get("download") if told else None
        if action is None:
            return self._trouble(pointer, _Trouble(code=404, message="no link"), host)
        if not may_lead(self._remote, action.href):
            return self._odd(host, "its link leads to another kind of address than http(s), or out of TLS")
        try:
            auth = Credential.bound(action.href, checked_headers(action.header or {}))
        except ValueError as error:
            return self._odd(host, f"its link has headers of which one is wrong: {error}")
        good_s = action.lifetime_s(self._now()) - _MARGIN_S
        return _Link(url=action.href, auth=auth, good_until_s=self._clock() + max(0.0, good_s))

    # errors

    def _trouble(self, pointer: Pointer, trouble: _Trouble, host: str) -> FetcherError:
        facts = [
            f"object: sha256 {pointer.sha256}, {pointer.size} bytes",
            *_said(trouble.code, trouble.message, self._scrub),
        ]
        if trouble.code in (401, 403):
            return AuthError(
                f"{host} does not give a large file without another token.", facts=facts, fix=self._token_fix
            )
        if trouble.code in (404, 410, 422):
            return NotFoundError(
                f"{host} does not have a large file that its repository points at.",
                facts=facts,
                fix="tell the owner of the repository, who may have to run `git lfs push --all`",
            )
        return SourceError(
            f"{host} cannot give a large file.",
            facts=facts,
            fix="run the command again, or use another source",
            transient=failures.is_transient(trouble.code),
        )

    def _refusal(self, reply: Reply) -> FetcherError:
        """The error of an answer to a question for links."""
        facts = _said(reply.status, _message(reply), self._scrub)
        if reply.status in (401, 403):
            return AuthError(
                f"{reply.host} does not say where large files are without a token that may read them.",
                facts=facts,
                fix=self._token_fix,
            )
        if reply.status == 404:
            return NotFoundError(
                f"{reply.host} has no git-lfs for this repository, or does not show it without a token.",
                facts=[*facts, f"path: {reply.path}"],
                fix=f"correct `source` in models.toml, or {self._token_fix} if the repository is private",
            )
        return failures.not_understood(
            reply.host, "does not answer where large files are", facts=(*facts, f"path: {reply.path}")
        )

    def _refused_link(self, reply: Reply) -> FetcherError | None:
        if reply.status not in (401, 403, 404, 410):
            return None
        kind = AuthError if reply.status in (401, 403) else NotFoundError
        return kind(
            f"{reply.host} refuses its own link to a large file.",
            facts=_said(reply.status, "", self._scrub),
            fix="run the command again, or use another source",
        )

    def _odd(self, host: str, reason: str) -> SourceError:
        return failures.not_understood(
            host, "answers questions for large files in a way that is not understood", facts=(f"reason: {reason}",)
        )


def _said(code: int, message: str, scrub: Callable[[str], str]) -> list[str]:
    text = printable(scrub(message))
    return [f"answer: {code}" + (f", {text!r}" if text else "")]


def _message(reply: Reply) -> str:
    """The `message` of an error in JSON, "" if there is none."""
    try:
        document = reply.json()
    except SourceError:
        return ""
    message = document.get("message") if isinstance(document, dict) else None
    return message if isinstance(message, str) else ""
