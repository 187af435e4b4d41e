"""What hubs have in common: how their refusals are said, and when a listing may be taken.

Not in here: which reply means what (one module a hub).

Promise (tests/sources/test_huggingface.py, test_modelscope.py): names, sizes and hashes that
cannot be are refused with the host and the entry, and a listing is taken whole or not at all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fetcher.core.interfaces import RemoteFile
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import refuse_twins
from fetcher.errors import AuthError, IntegrityError, NotFoundError, SourceError
from fetcher.net import failures
from fetcher.net.redact import printable

SHOWN_NAMES = 20  # branches and tags in an error


class Listed(Protocol):
    """A file of a listing, not judged yet."""

    @property
    def path(self) -> str:
        """As the hub says it."""
        ...

    def to_core(self) -> RemoteFile:
        """The entry as a file.

        Raises:
            ValueError: It is none, or its name, size or hash cannot be.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HubWords:
    """Words the errors of one endpoint.

    Attributes:
        label: The host.
        login: How to give a token, for fixes: "run `fetcher login NAME`".
        has_token: Whether it is asked with one.
        notes: Facts about the token that is missing.
    """

    label: str
    login: str
    has_token: bool
    notes: Sequence[str] = ()

    def no_repository(self, ref: SourceRef, facts: Sequence[str]) -> NotFoundError:
        """A repository that is missing, or private."""
        return NotFoundError(
            f"{self.label} has no {'dataset' if ref.dataset else 'model'} {ref.repo}, "
            "or does not show it without a token that may read it.",
            facts=[*facts, *self.notes],
            fix=f"correct the name in `source`; if the repository is private, {self.login}",
        )

    def no_file(self, ref: SourceRef, path: str | None, facts: Sequence[str]) -> NotFoundError:
        """A locked file that is gone."""
        return NotFoundError(
            f"{self.label} does not have {path or 'a file'} of {ref.repo} at the locked commit.",
            facts=facts,
            fix="run `fetcher lock --upgrade` to pin what is there now",
        )

    def no_access(self, ref: SourceRef, facts: Sequence[str]) -> AuthError:
        """A repository that wants a token, or another one."""
        what = "refuses the token for" if self.has_token else "asks for a token for"
        return AuthError(
            f"{self.label} {what} {ref.repo}.",
            facts=[*facts, *self.notes],
            fix=f"{self.login}, with a token that may read it",
        )

    def nobodys_token(self, status: int) -> AuthError:
        """A token that is refused when it is asked whose it is."""
        return AuthError(f"{self.label} refuses the token.", facts=[f"status: {status}"], fix=f"{self.login} again")

    def no_answer(self, ref: SourceRef, facts: Sequence[str], *, transient: bool = False) -> SourceError:
        """A refusal of which no more is known."""
        return SourceError(
            f"{self.label} refuses to answer about {ref.repo}.",
            facts=facts,
            fix="run the command again, or use another source",
            transient=transient,
        )

    def odd(self, ref: SourceRef, reason: str) -> SourceError:
        """An answer that makes no sense."""
        return self.not_understood(ref, f"reason: {printable(reason)}")

    def not_understood(self, ref: SourceRef, fact: str) -> SourceError:
        """An answer in another shape than the hub's."""
        return failures.not_understood(
            self.label, "answered in a way that is not understood", facts=(f"repository: {ref.repo}", fact)
        )

    def hostile(self, ref: SourceRef, path: str | None, reason: str) -> IntegrityError:
        """A listed name, size or hash that cannot be."""
        entry = [] if path is None else [f"entry: {printable(path)}"]
        return IntegrityError(
            f"{self.label} lists a file of {ref.repo} that cannot be taken.",
            facts=[*entry, f"reason: {printable(reason)}"],
            fix="tell the owner of the repository, or leave the model out of models.toml",
        )

    def files(self, ref: SourceRef, listed: Iterable[Listed]) -> tuple[RemoteFile, ...]:
        """The files of a listing, sorted by path.

        Raises:
            IntegrityError: One of them cannot be, or two cannot stand side by side.
            SourceError: There is none.
        """
        files: list[RemoteFile] = []
        for entry in listed:
            try:
                files.append(entry.to_core())
            except ValueError as error:
                raise self.hostile(ref, entry.path, str(error)) from None
        try:
            refuse_twins(file.path for file in files)
        except ValueError as error:
            raise self.hostile(ref, None, str(error)) from None
        if not files:
            raise self.odd(ref, "the listing holds no file")
        return tuple(sorted(files, key=lambda file: file.path))


def named_refs(branches: Iterable[str], tags: Iterable[str]) -> list[str]:
    """The branches and tags that exist, as facts of an error; the first ones of each."""
    return [
        f"{kind}: {', '.join(printable(name) for name in list(names)[:SHOWN_NAMES]) or 'none'}"
        for kind, names in (("branches", branches), ("tags", tags))
    ]
