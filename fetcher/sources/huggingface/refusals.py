"""What a refusal of the hub means, and how it is said.

The hub tells by `X-Error-Code`; a private repository and a missing one look alike, on purpose.
"""

from dataclasses import dataclass

from fetcher.core.manifest import SourceRef
from fetcher.errors import AuthError, FetcherError, IntegrityError, NotFoundError, SourceError
from fetcher.net import failures
from fetcher.net.http import Reply
from fetcher.net.redact import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """Words the errors of one endpoint.

    Attributes:
        label: The host, for messages.
        endpoint: Base URL, for the page on which conditions are accepted.
        secret: The token, "" without one; it is taken out of what the server says.
        login: How to give a token, for fixes: "run `fetcher login NAME`".
    """

    label: str
    endpoint: str
    secret: str
    login: str

    def __repr__(self) -> str:
        return f"Refusals({self.label})"

    def of(self, reply: Reply, ref: SourceRef, path: str | None = None) -> FetcherError | None:
        """The error that a reply is; None if it is none.

        Args:
            path: The file that was asked for, if it was one.
        """
        status, code = reply.status, reply.headers.get("x-error-code", "")
        if status == 200:
            return None
        facts = self._facts(reply)
        if code == "GatedRepo":
            return self._gated(ref, facts)
        if code == "RepoNotFound":
            return self._no_repository(ref, facts)
        if code == "EntryNotFound" or (status == 404 and path is not None and code != "RevisionNotFound"):
            return self._no_file(ref, path, facts)
        if code == "RevisionNotFound":
            return self.no_revision(ref, None, facts)
        if status == 404:
            return self._no_repository(ref, facts)
        if status in (401, 403):
            return self._no_access(ref, facts)
        return SourceError(
            f"{self.label} refuses to answer about {ref.repo}.",
            facts=facts,
            fix="run the command again, or use another source",
        )

    def _facts(self, reply: Reply) -> list[str]:
        code, message = reply.headers.get("x-error-code", ""), reply.headers.get("x-error-message", "")
        said = [f"status {reply.status}", *([printable(code)] if code else [])]
        if message:
            said.append(repr(printable(message.replace(self.secret, "***") if self.secret else message)))
        return [f"answer: {', '.join(said)}"]

    def _gated(self, ref: SourceRef, facts: list[str]) -> AuthError:
        page = f"{self.endpoint}/{'datasets/' if ref.dataset else ''}{ref.repo}"
        return AuthError(
            f"{ref.repo} is gated at {self.label}: its owner asks for consent to conditions first.",
            facts=facts,
            fix=f"accept the conditions at {page}, then {self.login}, with a token of that account",
        )

    def _no_repository(self, ref: SourceRef, facts: list[str]) -> NotFoundError:
        return NotFoundError(
            f"{self.label} has no {'dataset' if ref.dataset else 'model'} {ref.repo}, "
            "or does not show it without a token that may read it.",
            facts=facts,
            fix=f"correct the name in `source`; if the repository is private, {self.login}",
        )

    def no_revision(self, ref: SourceRef, revision: str | None, facts: list[str]) -> NotFoundError:
        """The error of a revision that does not exist."""
        name = "the revision that was asked for" if revision is None else f"the revision {printable(revision)}"
        return NotFoundError(
            f"{ref.repo} does not have {name} at {self.label}.",
            facts=facts,
            fix="set `revision` in models.toml to a branch, a tag or a full commit that exists",
        )

    def _no_file(self, ref: SourceRef, path: str | None, facts: list[str]) -> NotFoundError:
        return NotFoundError(
            f"{self.label} does not have {path or 'a file'} of {ref.repo} at the locked commit.",
            facts=facts,
            fix="run `fetcher lock --upgrade` to pin what is there now",
        )

    def _no_access(self, ref: SourceRef, facts: list[str]) -> AuthError:
        what = "refuses the token for" if self.secret else "asks for a token for"
        return AuthError(
            f"{self.label} {what} {ref.repo}.",
            facts=facts,
            fix=f"{self.login}, with a token that may read it",
        )

    def odd(self, ref: SourceRef, reason: str) -> SourceError:
        """An answer that makes no sense."""
        return failures.not_understood(
            self.label,
            "answered in a way that is not understood",
            facts=(f"repository: {ref.repo}", f"reason: {printable(reason)}"),
        )

    def hostile(self, ref: SourceRef, path: str | None, reason: str) -> IntegrityError:
        """A listed name, size or hash that cannot be."""
        entry = [] if path is None else [f"entry: {printable(path)}"]
        return IntegrityError(
            f"{self.label} lists a file of {ref.repo} that cannot be taken.",
            facts=[*entry, f"reason: {printable(reason)}"],
            fix="tell the owner of the repository, or leave the model out of models.toml",
        )
