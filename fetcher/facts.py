"""What a policy needs to know of a model beside its files, found out when it is locked.

The licence and the time of the commit from the source, else the licence from the model card;
the format of each file from a few KiB of it.  Only what the policy asks for is asked for, and
what the lock knows of the same commit, or of the same bytes under the same name, is not asked again.

Promises (tests/test_policy.py):
  * without a policy no request more is sent;
  * at most 64 KiB of a file are read.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from fetcher.core.content.judge import format_of
from fetcher.core.content.texts import card_license
from fetcher.core.digest import Sha256
from fetcher.core.interfaces import Candidate, Describing, Description, FetchRequest, RemoteAddress, RemoteFile
from fetcher.core.lock import UNKNOWN, LockedFile, LockedModel
from fetcher.core.paths import RepoPath
from fetcher.core.secrets import SECRETS
from fetcher.errors import IntegrityError
from fetcher.unhashed import Home

CARD = "readme.md"  # in small letters; hubs look for no other
_CARD_READ = 16 << 10  # bytes of a model card
_AT_ONCE = 8  # files; small replies, hubs ask to be treated gently


class Peeker(Protocol):
    """Has the store and the sources' bytes: `transfer.peek.StorePeeker`."""

    def peek(self, request: FetchRequest, start: int, stop: int) -> bytes:
        """The bytes `start` (included) to `stop` (excluded) of a file.

        Raises:
            SpentError: They cannot be had without all that precedes them.
            FetcherError: As `Source.open`.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A model that is being locked, and what is to be found out of it.

    Attributes:
        records: `license`, `committed`, `formats`.
        home: Where it comes from; its commit.
        card: The model card in the listing, whether it is chosen or not.
        known: The section of the lock before, if it is as it was written.
    """

    records: frozenset[str]
    home: Home
    card: RemoteFile | None
    known: LockedModel | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a section of the lock says beside its files (core.lock.LockedModel)."""

    license: str | None = None
    committed: str | None = None
    formats: Mapping[RepoPath, str] = field(default_factory=dict)


def facts_of(question: Question, files: Sequence[LockedFile], peeker: Peeker) -> Facts:
    """Find out what the policy needs.

    Args:
        files: The model's, with their sha256.

    Raises:
        FetcherError: The source does not answer.
    """
    told = _told(question, peeker)
    formats = _formats(question, files, peeker) if "formats" in question.records else {}
    return replace(told, formats=formats)


def _told(question: Question, peeker: Peeker) -> Facts:
    """Licence and time: as the lock has them for this commit, else as the source tells them."""
    wanted = question.records - {"formats"}
    if not wanted:
        return Facts()
    home, known = question.home, question.known
    if known is not None and (known.source, known.commit) == (home.ref, home.commit):
        had = Facts(
            license=known.license if "license" in wanted else None,
            committed=known.committed if "committed" in wanted else None,
        )
        if [had.license, had.committed].count(None) == 2 - len(wanted):
            return had
    said = _described(home, wanted)
    license_ = said.license or (_from_card(question, peeker) if "license" in wanted else None)
    return Facts(
        license=_clean(license_ or UNKNOWN) if "license" in wanted else None,
        committed=moment_text(said.committed_s) if "committed" in wanted else None,
    )


def _described(home: Home, wanted: frozenset[str]) -> Description:
    source = home.sources[0]  # who listed it
    return source.describe(home.ref, home.commit, wanted) if isinstance(source, Describing) else Description()


def _from_card(question: Question, peeker: Peeker) -> str | None:
    card = question.card
    if card is None or card.obstacle is not None or card.size == 0:
        return None
    request = _request(question.home, card.path, card.size, card.sha256)
    return card_license(peeker.peek(request, 0, min(card.size, _CARD_READ)).decode("utf-8", "replace"))


def _clean(text: str) -> str:
    """What a source says, for a line of the lock.

    Raises:
        IntegrityError: It would bring a token into the lock.
    """
    if SECRETS.are_in(text):
        raise IntegrityError(
            "A source tells a licence that holds your token.",
            fix="revoke the token, and do not use this server any more",
        )
    return "".join(each if each.isprintable() else " " for each in text).strip()[:200] or UNKNOWN


def moment_text(seconds: int | None) -> str:
    """A time as the lock has it."""
    try:
        moment = datetime.fromtimestamp(seconds, tz=UTC) if seconds is not None and seconds >= 0 else None
    except (OverflowError, ValueError, OSError):
        moment = None
    return UNKNOWN if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _formats(question: Question, files: Sequence[LockedFile], peeker: Peeker) -> dict[RepoPath, str]:
    """The format of each file, sorted by path."""
    known: dict[tuple[RepoPath, Sha256], str] = {}
    if question.known is not None:
        had = question.known
        known = {(file.path, file.sha256): had.formats[file.path] for file in had.files if file.path in had.formats}

    def judged(file: LockedFile) -> str:
        said = known.get((file.path, file.sha256))
        if said is not None:
            return said
        request = _request(question.home, file.path, file.size, file.sha256)
        return format_of(file.path, file.size, lambda start, stop: peeker.peek(request, start, stop))

    pool = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="look")
    try:
        return dict(zip((file.path for file in files), pool.map(judged, files), strict=True))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a Ctrl-C must not wait for a hub that is silent


def _request(home: Home, path: RepoPath, size: int, sha256: Sha256 | None) -> FetchRequest:
    address = RemoteAddress(ref=home.ref, commit=home.commit, path=path, size=size, sha256=sha256)
    return FetchRequest(
        label=f"{home.model}/{path}",
        sha256=sha256,
        size=size,
        candidates=tuple(Candidate(source=source, address=address) for source in home.sources),
    )
