"""What a refusal of the hub means, and how it is said.

The hub tells by `X-Error-Code`; a private repository and a missing one look alike, on purpose.
"""

from dataclasses import dataclass

from fetcher.core.manifest import SourceRef
from fetcher.errors import AuthError, FetcherError, NotFoundError
from fetcher.net.redact import printable
from fetcher.net.reply import Reply
from fetcher.sources.hub_words import HubWords


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """Words the errors of one endpoint.

    Attributes:
        words: What hubs have in common.
        endpoint: Base URL, for the page on which conditions are accepted.
        secret: The token, "" without one; it is taken out of what the server says.
    """

    words: HubWords
    endpoint: str
    secret: str

    def __repr__(self) -> str:
        return f"Refusals({self.words.label})"

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
            return self.words.no_repository(ref, facts)
        if code == "EntryNotFound" or (status == 404 and path is not None and code != "RevisionNotFound"):
            return self.words.no_file(ref, path, facts)
        if code == "RevisionNotFound":
            return self.no_revision(ref, None, facts)
        if status == 404:
            return self.words.no_repository(ref, facts)
        if status in (401, 403):
            return self.words.no_access(ref, facts)
        return self.words.no_answer(ref, facts)

    def _facts(self, reply: Reply) -> list[str]:
        code, message = reply.headers.get("x-error-code", ""), reply.headers.get("x-error-message", "")
        said = [f"status {reply.status}", *([printable(code)] if code else [])]
        if message:
            said.append(repr(printable(message.replace(self.secret, "***") if self.secret else message)))
        return [f"answer: {', '.join(said)}"]

    def _gated(self, ref: SourceRef, facts: list[str]) -> AuthError:
        page = f"{self.endpoint}/{'datasets/' if ref.dataset else ''}{ref.repo}"
        return AuthError(
            f"{ref.repo} is gated at {self.words.label}: its owner asks for consent to conditions first.",
            facts=facts,
            fix=f"accept the conditions at {page}, then {self.words.login}, with a token of that account",
        )

    def no_revision(self, ref: SourceRef, revision: str | None, facts: list[str]) -> NotFoundError:
        """The error of a revision that does not exist."""
        name = "the revision that was asked for" if revision is None else f"the revision {printable(revision)}"
        return NotFoundError(
            f"{ref.repo} does not have {name} at {self.words.label}.",
            facts=facts,
            fix="set `revision` in models.toml to a branch, a tag or a full commit that exists",
        )
