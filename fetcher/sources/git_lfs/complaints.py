"""What git says when it fails, as errors of ours.  Pure.

git has one exit status for nearly everything, so its words are read, in English (LC_ALL=C).
What is not recognised is an error that shows git's own last line.

Promise (tests/sources/test_git_program.py): each kind of complaint, as a real git words it, is
the error with the exit code that it means, and no error shows a token or a URL's user.
"""

import re
from collections.abc import Sequence

from fetcher.errors import AuthError, ConfigError, DiskError, FetcherError, NotFoundError, SourceError
from fetcher.net import failures
from fetcher.net.redact import printable

_URL_USER = re.compile(r"(?<=://)[^/\s@]*@")
_SPEAKS = re.compile(
    r"(?:fatal|error|remote|warning|ssh): *(.*)|(.*Permission denied.*|Host key verification failed.*)"
)

_REFUSED = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|Permission denied|"
    r"returned error: 40[13]|Invalid username or (?:password|token)|Host key verification failed|"
    r"HTTP Basic: Access denied"
)
_ABSENT = re.compile(
    r"returned error: 4(?:04|10)|repository '.*' not found|Repository not found|does not appear to be a git repository|"
    r"project you were looking for could not be found|ERROR: .*not found|does not exist"
)
_NO_COMMIT = re.compile(r"not our ref|unadvertised object|couldn't find remote ref|no such remote ref")
_UNTRUSTED = re.compile(r"SSL certificate problem|certificate verification failed|SSL: .*certificate", re.IGNORECASE)
_PASSES = re.compile(
    r"Could not resolve|Failed to connect|Connection (?:refused|reset|timed out|closed)|timed out|early EOF|RPC failed|"
    r"unexpected disconnect|hung up|Operation too slow|returned error: (?:408|425|429|5\d\d)|Empty reply|"
    r"Recv failure|gnutls_handshake|unable to access|kex_exchange_identification|Network is unreachable|"
    r"No route to host"
)
_ELSEWHERE = re.compile(r"returned error: 30\d")  # only where redirects are not followed: with a token
_NOT_ALLOWED = re.compile(r"transport '([a-z+]+)' not allowed")
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_PROGRESS = re.compile(
    r"(?:Enumerating|Counting|Compressing|Receiving|Resolving|Finding|Total) ?(?:objects|deltas|sources)?[:. ]"
)
_FOREIGN = re.compile(r"detected dubious ownership")
_FORMAT = re.compile(r"mismatched algorithms|unknown object format|does not support object-format")


def explained(complaint: str, *, host: str, secrets: Sequence[str], token_fix: str) -> FetcherError:
    """The error that a complaint means.

    Args:
        host: Who was asked.
        secrets: Texts that no message may show.
        token_fix: What to do when a token is missing or refused.
    """
    said = _last_words(complaint, secrets)
    facts = [f"git: {line}" for line in said] or ["git: said nothing"]
    here = _of_this_machine(complaint, host, facts)
    if here is not None:
        return here
    if _UNTRUSTED.search(complaint):
        return failures.untrusted(host, said[-1] if said else "unknown")
    if _REFUSED.search(complaint):
        return AuthError(f"{host} asks for a token, or refuses the one it was given.", facts=facts, fix=token_fix)
    if _ABSENT.search(complaint):
        return NotFoundError(
            f"{host} has no such repository, or does not show it without a token that may read it.",
            facts=facts,
            fix=f"correct `source` in models.toml, or {token_fix} if the repository is private",
        )
    if _ELSEWHERE.search(complaint):
        return SourceError(
            f"{host} sends git elsewhere, and a token does not go along.",
            facts=facts,
            fix="correct `source` in models.toml to where the repository is now",
        )
    if _NO_COMMIT.search(complaint):
        return NotFoundError(
            f"{host} does not give the commit that was asked for.",
            facts=facts,
            fix="run `fetcher lock --upgrade` to pin what is there now; an old server gives only what a branch or "
            "tag points at",
        )
    if _FORMAT.search(complaint):
        return SourceError(
            f"{host} has a repository with SHA-256 object names, which fetcher does not read.",
            facts=facts,
            fix="use another source",
        )
    return SourceError(
        f"git could not fetch from {host}.",
        facts=facts,
        fix="run the command again; if it stays, try `git ls-remote` with the address of the source",
        transient=_PASSES.search(complaint) is not None,
    )


def _of_this_machine(complaint: str, host: str, facts: list[str]) -> FetcherError | None:
    """The error of a complaint that has its cause in git's settings or on the disk."""
    if found := _NOT_ALLOWED.search(complaint):
        return ConfigError(
            f"The way to {host} leads over `{printable(found[1])}`, which fetcher does not use for this source.",
            facts=facts,
            fix="correct `source` in models.toml, or `url.….insteadOf` in git's configuration",
        )
    if _DISK_FULL.search(complaint):
        return DiskError(
            f"The disk is full: git could not keep what {host} sent.",
            facts=facts,
            fix="make room, or move the store by FETCHER_STORE",
        )
    if _FOREIGN.search(complaint):
        return ConfigError(
            f"{host} belongs to somebody else, so git does not read it.",
            facts=facts,
            fix="add the folder to `safe.directory` of git's configuration, if you trust its owner",
        )
    return None


def too_large(host: str, how: str, limit: int) -> SourceError:
    """More than a source may say or send.

    Args:
        how: `said` or `sent`.
        limit: Bytes.
    """
    return SourceError(
        f"{host} {how} more than fetcher takes from a git repository.",
        facts=[f"limit: {limit} bytes, without the files in git-lfs"],
        fix="use a repository that keeps its large files in git-lfs, or another source",
    )


def scrubbed(text: str, secrets: Sequence[str]) -> str:
    """A program's text without secrets and without users of URLs."""
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    return _URL_USER.sub("", text)


def _last_words(complaint: str, secrets: Sequence[str]) -> list[str]:
    """The last lines that say something, two at most."""
    found = []
    for line in scrubbed(complaint, secrets).splitlines():
        speaks = _SPEAKS.match(line.strip())
        text = (speaks[1] or speaks[2] or "").strip() if speaks else ""
        if text and not _PROGRESS.match(text):
            found.append(printable(text))
    return list(dict.fromkeys(found))[-2:]
