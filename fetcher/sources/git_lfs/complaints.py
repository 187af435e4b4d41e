"""What git says when it fails, as errors of ours.  Pure.

git has one exit status for nearly everything, so its words are read, in English (LC_ALL=C).
What is not recognised is an error that shows git's own last line.

Promise (tests/sources/test_git_program.py): each kind of complaint, as a real git words it, is
the error with the exit code that it means, and no error shows a token or a URL's user.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fetcher.errors import AuthError, ConfigError, DiskError, FetcherError, NotFoundError, SourceError
from fetcher.net import failures
from fetcher.net.redact import printable

_URL_USER = re.compile(r"(?<=://)[^/\s@]*@")
_SPEAKS = re.compile(
    r"(?:fatal|error|remote|warning|ssh): *(.*)|(.*Permission denied.*|Host key verification failed.*)"
)

_PROGRESS = re.compile(
    r"(?:Enumerating|Counting|Compressing|Receiving|Resolving|Finding|Total) ?(?:objects|deltas|sources)?[:. ]"
)
_UNTRUSTED = re.compile(r"SSL certificate problem|certificate verification failed|SSL: .*certificate", re.IGNORECASE)
_PASSES = re.compile(
    r"Could not resolve|Failed to connect|Connection (?:refused|reset|timed out|closed)|timed out|early EOF|RPC failed|"
    r"unexpected disconnect|hung up|Operation too slow|returned error: (?:408|425|429|5\d\d)|Empty reply|"
    r"Recv failure|gnutls_handshake|unable to access|kex_exchange_identification|Network is unreachable|"
    r"No route to host"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meaning:
    """The error that some words of git mean.

    Attributes:
        what: With `{host}`, and `{named}` for what the group of the pattern holds.
        fix: With `{token_fix}`.
    """

    words: re.Pattern[str]
    error: type[FetcherError]
    what: str
    fix: str


_MEANINGS = (  # the first one that fits counts
    _Meaning(
        words=re.compile(r"transport '([a-z+]+)' not allowed"),
        error=ConfigError,
        what="The way to {host} leads over `{named}`, which fetcher does not use for this source.",
        fix="correct `source` in models.toml, or `url.….insteadOf` in git's configuration",
    ),
    _Meaning(
        words=re.compile(r"No space left on device|Disk quota exceeded"),
        error=DiskError,
        what="The disk is full: git could not keep what {host} sent.",
        fix="make room, or move the store by FETCHER_STORE",
    ),
    _Meaning(
        words=re.compile(r"[Oo]ut of memory|[Uu]nable to create thread|failed to allocate"),
        error=SourceError,
        what="{host} sends git more than it may keep in memory.",
        fix="use another source",
    ),
    _Meaning(
        words=re.compile(r"detected dubious ownership"),
        error=ConfigError,
        what="{host} belongs to somebody else, so git does not read it.",
        fix="add the folder to `safe.directory` of git's configuration, if you trust its owner",
    ),
    _Meaning(
        words=re.compile(
            r"Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|Permission denied|"
            r"returned error: 40[13]|Invalid username or (?:password|token)|Host key verification failed|"
            r"HTTP Basic: Access denied"
        ),
        error=AuthError,
        what="{host} asks for a token, or refuses the one it was given.",
        fix="{token_fix}",
    ),
    _Meaning(
        words=re.compile(
            r"returned error: 4(?:04|10)|repository '.*' not found|Repository not found|"
            r"does not appear to be a git repository|project you were looking for could not be found|"
            r"ERROR: .*not found|does not exist"
        ),
        error=NotFoundError,
        what="{host} has no such repository, or does not show it without a token that may read it.",
        fix="correct `source` in models.toml, or {token_fix} if the repository is private",
    ),
    _Meaning(  # only where redirects are not followed: with a token
        words=re.compile(r"returned error: 30\d"),
        error=SourceError,
        what="{host} sends git elsewhere, and a token does not go along.",
        fix="correct `source` in models.toml to where the repository is now",
    ),
    _Meaning(
        words=re.compile(r"not our ref|unadvertised object|couldn't find remote ref|no such remote ref"),
        error=NotFoundError,
        what="{host} does not give the commit that was asked for.",
        fix="run `fetcher lock --upgrade` to pin what is there now; an old server gives only what a branch or "
        "tag points at",
    ),
    _Meaning(
        words=re.compile(r"mismatched algorithms|unknown object format|does not support object-format"),
        error=SourceError,
        what="{host} has a repository with SHA-256 object names, which fetcher does not read.",
        fix="use another source",
    ),
)


def explained(complaint: str, *, host: str, secrets: Sequence[str], token_fix: str) -> FetcherError:
    """The error that a complaint means.

    Args:
        host: Who was asked.
        secrets: Texts that no message may show.
        token_fix: What to do when a token is missing or refused.
    """
    said = _last_words(complaint, secrets)
    facts = [f"git: {line}" for line in said] or ["git: said nothing"]
    if _UNTRUSTED.search(complaint):
        return failures.untrusted(host, said[-1] if said else "unknown")
    for meaning in _MEANINGS:
        if found := meaning.words.search(complaint):
            named = printable(found[1]) if found.lastindex else ""
            return meaning.error(
                meaning.what.format(host=host, named=named), facts=facts, fix=meaning.fix.format(token_fix=token_fix)
            )
    return SourceError(
        f"git could not fetch from {host}.",
        facts=facts,
        fix="run the command again; if it stays, try `git ls-remote` with the address of the source",
        transient=_PASSES.search(complaint) is not None,
    )


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
