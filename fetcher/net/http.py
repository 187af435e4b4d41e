"""HTTP for sources: asks, follows redirects, says what went wrong.

Not in here: what an answer means (sources/), when to try again (core/retry.py), whose
token goes where (credentials.py), the ways to a reply (exchange.py, lane.py, transport.py),
what a reply says (reply.py).

Promises (tests/net/test_http.py, tests/net/test_body.py):
  * redirects are followed by hand, five at most; never from https to http, never in a
    circle, and credentials are asked for anew at each step, so they stay with their host;
  * cookies that a server sets are never kept;
  * each failure of the wire is one of the errors of failures.py;
  * no log holds a token, a signed link or a cookie, the library's own logs included.
"""

import contextlib
import logging
import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Protocol, TypeVar

from fetcher import __version__
from fetcher.core.secrets import SECRETS
from fetcher.errors import ConfigError, FetcherError
from fetcher.net import failures
from fetcher.net.body import HttpBody
from fetcher.net.exchange import RAW_FROM, Exchange, LaneExchange, LibraryExchange, translated
from fetcher.net.heads import rate_limit_s, retry_after_s
from fetcher.net.lane import REDIRECTS, Lane
from fetcher.net.library import httpx
from fetcher.net.parking import HEAD_S, ParkingLot
from fetcher.net.private import Neighbours
from fetcher.net.redact import host_of, origin_of, path_of, redact
from fetcher.net.reply import MAX_REFUSAL, MAX_REPLY, Reply, drain, head_of, length_of, read_whole
from fetcher.net.transport import Clients, Transport, mounts, once
from fetcher.net.trust import tls_context

_MAX_REDIRECTS = 5
_CONNECT_S = 15.0
_KEEP_METHOD = (307, 308)

_log = logging.getLogger(__name__)


class _Discreet(logging.Filter):
    """Takes what may be a secret out of the library's own log: queries of URLs, headers of replies, tokens."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may be logged; it is changed first."""
        if "headers.complete" in str(record.msg):
            return False
        if isinstance(record.args, tuple):
            record.args = tuple(redact(str(arg)) if isinstance(arg, httpx.URL) else arg for arg in record.args)
        record.msg, record.args = SECRETS.conceal(record.getMessage()), ()
        return True


for _name in ("httpx", "httpcore.http11", "httpcore.connection", "httpcore.proxy"):
    logging.getLogger(_name).addFilter(_Discreet())


class Auth(Protocol):
    """Knows which headers may go to which URL: `credentials.Credential`."""

    def header_for(self, url: str) -> Mapping[str, str]:
        """Headers for exactly this URL; empty for a foreign host."""
        ...


Explain = Callable[[Reply], FetcherError | None]
_Way = TypeVar("_Way", bound=Exchange)


def user_agent() -> str:
    """Who is asking."""
    return f"fetcher/{__version__}"


class HttpClient:
    """The connections of one source.  Used by several threads at once.

    Args:
        idle_timeout_s: Seconds without a byte after which a reply is given up.
        tls: Makes or gives the TLS context; called once, at the first https URL.
        may_go_private: Whether redirects may lead from public hosts to private ones.
        head_s: Seconds for a reply's head, however it drips; None for five times as long as for a byte.
        wall_clock: Seconds since the epoch, for Retry-After dates.
    """

    def __init__(
        self,
        *,
        idle_timeout_s: float = 60.0,
        tls: Callable[[], ssl.SSLContext] = lambda: tls_context({}),
        may_go_private: bool = False,
        head_s: float | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._head_s = min(HEAD_S, 5 * idle_timeout_s) if head_s is None else head_s
        self._neighbours = Neighbours(may_go=may_go_private)
        self._idle_timeout_s = idle_timeout_s
        self._tls = once(tls)
        self._wall_clock = wall_clock
        self._headers = {"User-Agent": user_agent(), "Accept-Encoding": "identity", "Accept": "*/*"}
        self._lot = ParkingLot()
        self._clients = Clients(self._client)
        self._lane = Lane(
            self._lot,
            headers={"Connection": "keep-alive", **self._headers},
            idle_timeout_s=idle_timeout_s,
            head_s=self._head_s,
        )

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, auth: Auth | None = None, limit: int = MAX_REPLY
    ) -> Reply:
        """Read a reply whole, whatever its status below 500 but 429.

        Args:
            limit: Most bytes that the reply may have.

        Raises:
            SourceError: No usable reply, one that is too large, 429 or 5xx.
        """
        return self._whole(self._follow(url, headers or {}, auth, self._by_library), limit)

    def post(
        self, url: str, content: bytes, *, headers: Mapping[str, str], auth: Auth | None = None, limit: int = MAX_REPLY
    ) -> Reply:
        """Send bytes and read the reply whole, as `get` does.

        A redirect that keeps the method (RFC 9110: 15.4.8, 15.4.9) is followed as for `get`;
        any other one is the reply.
        """

        def ask(here: str, with_auth: Mapping[str, str]) -> LibraryExchange:
            return self._through_library(here, with_auth, raw_from=RAW_FROM, content=content)

        return self._whole(self._follow(url, headers, auth, ask, redirects=_KEEP_METHOD), limit)

    def get_json(self, url: str, *, headers: Mapping[str, str] | None = None, auth: Auth | None = None) -> object:
        """The parsed JSON of a 200.

        Raises:
            AuthError, NotFoundError, SourceError: Another status, or no JSON.
        """
        reply = self.get(url, headers=headers, auth=auth)
        if reply.status != 200:
            raise failures.refused(reply.status, host=reply.host, path=reply.path, retry_after_s=None)
        return reply.json()

    def open_range(
        self,
        url: str,
        *,
        start: int,
        stop: int,
        size: int,
        auth: Auth | None = None,
        explain: Explain | None = None,
    ) -> HttpBody:
        """Ask for the bytes `start` to `stop` (excluded) of a file of `size` bytes.

        The reply may be another range (the head says which), or a 416.

        Args:
            explain: Given a refusal of the host that was asked, says what it means; None
                if it does not know.

        Raises:
            AuthError, NotFoundError, SourceError: No bytes.
        """
        headers = {} if (start, stop) == (0, size) else {"Range": f"bytes={start}-{stop - 1}"}
        exchange = self._follow(url, headers, auth, self._by_lane_or_library)
        try:
            return self._body(exchange, url, explain)
        except BaseException:
            exchange.release()
            raise

    def ahead(self, urls: Sequence[str], *, auth: Auth | None) -> contextlib.AbstractContextManager[None]:
        """In the block the calling thread opens these files whole, in this order; they may be asked for ahead."""
        return self._lane.ahead([(url, auth.header_for(url) if auth else {}) for url in urls])

    def whole(self, url: str, *, size: int, auth: Auth | None) -> bytes | None:
        """A small file of `size` bytes, if its host sends it at once and plainly; else it must be opened."""
        data = self._lane.whole(url, auth.header_for(url) if auth else {}, size)
        if data is not None and _log.isEnabledFor(logging.DEBUG):
            _log.debug("asked %s: 200", redact(url))
        return data

    def wake(self) -> None:
        """End what waits in `whole`."""
        self._lane.wake()

    def require_public(self, asked: str, there: str) -> None:
        """Refuse a link that a server gave, where a redirect to the same place would be refused."""
        self._neighbours.require_public(asked, asked, there)

    def close(self) -> None:
        """Close all connections; those of replies on their way close with them."""
        self._lot.close()
        self._clients.close()

    # asking

    def _client(self) -> httpx.Client:
        try:
            routes = mounts(lot=self._lot, tls=self._tls, head_s=self._head_s)
        except (ValueError, httpx.InvalidURL, ImportError) as error:
            raise ConfigError(
                "The proxy of the environment cannot be used.",
                facts=[f"reason: {type(error).__name__}"],
                fix="correct HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, such as http://proxy.example:3128, or unset them",
            ) from None
        return httpx.Client(
            transport=Transport(lot=self._lot, tls=self._tls, head_s=self._head_s),
            mounts=routes,
            headers=self._headers,
            timeout=httpx.Timeout(self._idle_timeout_s, connect=min(_CONNECT_S, self._idle_timeout_s)),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
        )

    def _whole(self, exchange: LibraryExchange, limit: int) -> Reply:
        try:
            if failures.is_transient(exchange.status):
                raise self._refused(exchange)
            return read_whole(exchange, exchange.chunks(), limit=limit, idle_timeout_s=self._idle_timeout_s)
        finally:
            exchange.release()

    def _follow(
        self,
        url: str,
        headers: Mapping[str, str],
        auth: Auth | None,
        ask: Callable[[str, Mapping[str, str]], _Way],
        *,
        redirects: Collection[int] = REDIRECTS,
    ) -> _Way:
        """Send a request and follow redirects; the reply's body is not read yet."""
        seen = [url]
        while True:
            here = seen[-1]
            exchange = ask(here, {**headers, **(auth.header_for(here) if auth else {})})
            if _log.isEnabledFor(logging.DEBUG):
                _log.debug("asked %s %s: %d", redact(here), headers.get("Range", ""), exchange.status)
            if exchange.status not in redirects:
                return exchange
            try:
                drain(exchange, idle_timeout_s=self._idle_timeout_s)
                there = _next_hop(here, exchange.headers.get("location"), seen)
                self._neighbours.require_public(url, here, there)
                seen.append(there)
            finally:
                exchange.release()

    def _by_lane_or_library(self, url: str, headers: Mapping[str, str]) -> Exchange:
        answer = self._lane.ask(url, headers)
        if answer is None:
            return self._through_library(url, headers, raw_from=0 if self._lane.takes(url) else RAW_FROM)
        return LaneExchange(url, answer, self._lane, idle_timeout_s=self._idle_timeout_s)

    def _by_library(self, url: str, headers: Mapping[str, str]) -> LibraryExchange:
        return self._through_library(url, headers, raw_from=RAW_FROM)

    def _through_library(
        self, url: str, headers: Mapping[str, str], *, raw_from: int, content: bytes | None = None
    ) -> LibraryExchange:
        client = self._clients.lend()
        try:
            method = "GET" if content is None else "POST"
            request = client.build_request(method, url, headers=headers, content=content)
            # An Auth of its own that adds nothing: a user in a URL is never sent.
            response = client.send(request, auth=httpx.Auth(), stream=True)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            self._clients.take_back(client)
            raise translated(error, host_of(url), self._idle_timeout_s) from None
        except BaseException:
            client.close()
            raise
        return LibraryExchange(
            response,
            raw_from=raw_from,
            idle_timeout_s=self._idle_timeout_s,
            give_back=lambda: self._clients.take_back(client),
        )

    # reading

    def _body(self, exchange: Exchange, asked: str, explain: Explain | None) -> HttpBody:
        if exchange.status not in (200, 206, 416):
            raise self._why(exchange, asked, explain)
        head = head_of(exchange)
        return HttpBody(
            head=head,
            feed=exchange.feed(head.length),
            wake=exchange.wake,
            release=exchange.release,
            idle_timeout_s=self._idle_timeout_s,
        )

    # failing

    def _why(self, exchange: Exchange, asked: str, explain: Explain | None) -> FetcherError:
        """The error that a refusal means."""
        status, url = exchange.status, exchange.url
        is_asked_host = origin_of(url) == origin_of(asked)
        if status in (401, 403) and not is_asked_host:
            return failures.link_refused(status, host=host_of(url), path=path_of(url))
        if explain and is_asked_host and not failures.is_transient(status):
            feed = exchange.feed(length_of(exchange))
            explained = explain(read_whole(exchange, feed, limit=MAX_REFUSAL, idle_timeout_s=self._idle_timeout_s))
            if explained:
                return explained
        else:
            drain(exchange, idle_timeout_s=self._idle_timeout_s)
        return self._refused(exchange)

    def _refused(self, exchange: Exchange) -> FetcherError:
        url = exchange.url
        headers = exchange.headers
        wait_s = retry_after_s(headers.get("retry-after"), now_s=self._wall_clock())
        if wait_s is None:
            wait_s = rate_limit_s(headers.get("ratelimit"))
        return failures.refused(exchange.status, host=host_of(url), path=path_of(url), retry_after_s=wait_s)


def _next_hop(here: str, location: str | None, seen: Sequence[str]) -> str:
    """Where a redirect leads.

    Raises:
        SourceError: Nowhere, in a circle, too far, or out of TLS.
    """
    facts = (f"path: {path_of(here)}",)
    try:
        there = str(httpx.URL(here).join(location if location is not None else "file:"))
        scheme = origin_of(there)[0]
    except (ValueError, httpx.InvalidURL):
        raise failures.not_understood(host_of(here), "sent a redirect that leads nowhere", facts=facts) from None
    if there in seen:
        raise failures.not_understood(host_of(here), "redirects in a circle", facts=facts)
    if len(seen) > _MAX_REDIRECTS:
        raise failures.not_understood(host_of(here), f"redirects more than {_MAX_REDIRECTS} times", facts=facts)
    if scheme == "http" and here.startswith("https:"):
        raise failures.not_understood(host_of(here), "redirects from https to http", facts=facts)
    return there
