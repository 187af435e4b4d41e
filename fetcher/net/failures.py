"""What went wrong on the wire, as errors of ours: the one place that words them.

Every function names the host and nothing else of a URL.  Knows no HTTP library.
Promise (tests/net/test_http.py compares each whole message).
"""

from fetcher.errors import AuthError, FetcherError, NotFoundError, SourceError

_AGAIN = "run the command again; what was received is kept"


def stalled(host: str, idle_timeout_s: float) -> SourceError:
    """Nothing came for too long."""
    return SourceError(f"{host} sent nothing for {idle_timeout_s:g} s.", fix=_AGAIN, transient=True)


def dripping(host: str, least: int, idle_timeout_s: float) -> SourceError:
    """A few bytes now and then, as if to keep us waiting."""
    return SourceError(f"{host} sent less than {least} bytes in {idle_timeout_s:g} s.", fix=_AGAIN, transient=True)


def cut(host: str, reason: str) -> SourceError:
    """The connection ended before the reply did."""
    return SourceError(f"{host} closed the connection early.", facts=[f"reason: {reason}"], fix=_AGAIN, transient=True)


def closed(host: str) -> SourceError:
    """The reply was closed on our side."""
    return SourceError(f"The reply of {host} was closed.", fix=_AGAIN, transient=True)


def unreachable(host: str, reason: str) -> SourceError:
    """No connection came about."""
    return SourceError(
        f"{host} cannot be reached.",
        facts=[f"reason: {reason}"],
        fix="check the network, the proxy settings and the endpoint, then run the command again",
        transient=True,
    )


def untrusted(host: str, reason: str) -> SourceError:
    """The certificate does not prove that the host is the host."""
    return SourceError(
        f"{host} cannot prove who it is: its TLS certificate was refused.",
        facts=[f"reason: {reason}"],
        fix="correct the endpoint; or, if your organisation signs it, add its CA to the system's trust store, "
        "or name the CA's file by SSL_CERT_FILE or by `ca-file` in [sources.NAME]",
    )


def leads_inside(host: str, *, path: str, there: str) -> SourceError:
    """A public host redirects to a private address."""
    return SourceError(
        f"{host} redirects into a private network.",
        facts=[f"path: {path}", f"leads to: {there}"],
        fix="do not use this source; or set FETCHER_PRIVATE_REDIRECTS=allow if it is meant to be so",
    )


def not_understood(host: str, what: str, *, facts: tuple[str, ...] = ()) -> SourceError:
    """An answer that makes no sense; asking again would not change it."""
    return SourceError(
        f"{host} {what}.", facts=facts, fix="check that the endpoint is right, then run the command again"
    )


def refused(status: int, *, host: str, path: str, retry_after_s: float | None) -> FetcherError:
    """A status that carries no bytes, as the error that it means.

    Args:
        path: Path of the URL, without its query.
        retry_after_s: Seconds that the server asked to wait, if it did.
    """
    facts = [f"status: {status}", f"path: {path}"]
    if status == 401:
        return AuthError(f"{host} asks for a token.", facts=facts, fix="give a token that may read the repository")
    if status == 403:
        return AuthError(f"{host} refuses access.", facts=facts, fix="give a token that may read the repository")
    if status in (404, 410):
        return NotFoundError(f"{host} does not have it.", facts=facts, fix="check `source` and `revision`")
    if status == 429:
        what = f"{host} asks to wait: too many requests."
        return SourceError(what, facts=facts, fix=_AGAIN, transient=True, retry_after_s=retry_after_s)
    if is_transient(status):
        what = f"{host} cannot answer at the moment."
        return SourceError(what, facts=facts, fix=_AGAIN, transient=True, retry_after_s=retry_after_s)
    return not_understood(host, f"answered with status {status}", facts=(f"path: {path}",))


def link_refused(status: int, *, host: str, path: str) -> SourceError:
    """A host to which we were sent refuses: its signed link has expired, so the next try asks for a new one."""
    return SourceError(
        f"{host} refuses the link that leads to it.",
        facts=[f"status: {status}", f"path: {path}"],
        fix=_AGAIN,
        transient=True,
    )


def is_transient(status: int) -> bool:
    """Whether another try may work (RFC 9110, 15.5.9, 15.6; RFC 6585, 4; RFC 8470, 5.2)."""
    return status in (408, 425, 429) or status >= 500
