"""HTTP for sources.  The only module that knows httpx.

Not in here: what an answer means (sources/), when to try again (core/retry.py), whose
token goes where (credentials.py).

Promises (tests/net/test_http.py, tests/net/test_body.py):
  * redirects are followed by hand, five at most; never from https to http, never in a
    circle, and credentials are asked for anew at each step, so they stay with their host;
  * cookies that a server sets are never kept;
  * a reply that is read whole is bounded in size and time;
  * each failure of the wire is one of the errors of failures.py;
  * no log holds a token, a signed link or a cookie, the library's own logs included.
"""

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol
from urllib.parse import urlsplit

import httpx

from fetcher.core.interfaces import Head
from fetcher.errors import FetcherError, SourceError
from fetcher.net import failures
from fetcher.net.body import ChunkFeed, Feed, HttpBody, SocketFeed, shut_down
from fetcher.net.heads import content_length, content_range, media_type, retry_after_s
from fetcher.net.redact import host_of, origin_of, redact

MAX_REPLY = 64 << 20  # bytes of a reply that is read whole; 100,000 entries of a listing take 40 MiB
_MAX_REFUSAL = 64 << 10  # bytes read of an error's text
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_WHOLE_REPLY_S = 300.0  # a listing that drips for longer than this is given up
_CONNECT_S = 15.0
_RAW_FROM = 1 << 20  # bytes; below, a connection that is used again is worth more than a faster body

_log = logging.getLogger(__name__)


class _Discreet(logging.Filter):
    """Takes what may be a secret out of the library's own log: queries of URLs, headers of replies."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may be logged; it is changed first."""
        if isinstance(record.args, tuple):
            record.args = tuple(redact(str(arg)) if isinstance(arg, httpx.URL) else arg for arg in record.args)
        return "headers.complete" not in str(record.msg)


for _name in ("httpx", "httpcore.http11"):
    logging.getLogger(_name).addFilter(_Discreet())


class Auth(Protocol):
    """Knows which headers may go to which URL: `credentials.Credential`."""

    def header_for(self, url: str) -> Mapping[str, str]:
        """Headers for exactly this URL; empty for a foreign host."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply that was read whole; `host` is who answered."""

    status: int
    host: str
    path: str
    content: bytes

    def json(self) -> object:
        """The parsed content.

        Raises:
            SourceError: It is not JSON.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError):
            raise failures.not_understood(
                self.host,
                "did not answer with JSON",
                facts=(f"status: {self.status}", f"path: {self.path}"),
            ) from None


Explain = Callable[[Reply], FetcherError | None]


def tls_context() -> ssl.SSLContext:
    """Trusted certificates: SSL_CERT_FILE or SSL_CERT_DIR, else those of certifi.  Takes 45 ms."""
    return httpx.create_ssl_context()


def user_agent() -> str:
    """Who is asking."""
    try:
        return f"fetcher/{version('fetcher')}"
    except PackageNotFoundError:
        return "fetcher"


class HttpClient:
    """The connections of one source.  Used by several threads at once; each has its own connections.

    Args:
        idle_timeout_s: Seconds without a byte after which a reply is given up.
        tls: Makes or gives the TLS context; called once a thread.
        wall_clock: Seconds since the epoch, for Retry-After dates.
    """

    def __init__(
        self,
        *,
        idle_timeout_s: float = 60.0,
        tls: Callable[[], ssl.SSLContext] = tls_context,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._idle_timeout_s = idle_timeout_s
        self._tls = tls
        self._wall_clock = wall_clock
        self._local = threading.local()
        self._clients: list[httpx.Client] = []
        self._lock = threading.Lock()
        self._agent = user_agent()

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, auth: Auth | None = None, limit: int = MAX_REPLY
    ) -> Reply:
        """Read a reply whole, whatever its status below 500 but 429.

        Args:
            limit: Most bytes that the reply may have.

        Raises:
            SourceError: No usable reply, one that is too large, 429 or 5xx.
        """
        response = self._ask(url, dict(headers or {}), auth)
        try:
            if failures.is_transient(response.status_code):
                raise self._refused(response)
            return self._read_whole(response, limit)
        finally:
            response.close()

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
        response = self._ask(url, headers, auth)
        try:
            return self._body(response, url, explain)
        except BaseException:
            response.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            clients, self._clients = self._clients, []
        for client in clients:
            client.close()

    # asking

    def _client(self) -> httpx.Client:
        client: httpx.Client | None = getattr(self._local, "client", None)
        if client is None or client.is_closed:
            client = httpx.Client(
                verify=self._tls(),
                headers={"User-Agent": self._agent, "Accept-Encoding": "identity", "Accept": "*/*"},
                timeout=httpx.Timeout(self._idle_timeout_s, connect=min(_CONNECT_S, self._idle_timeout_s)),
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                follow_redirects=False,
            )
            self._local.client = client
            with self._lock:
                self._clients.append(client)
        return client

    def _ask(self, url: str, headers: dict[str, str], auth: Auth | None) -> httpx.Response:
        """Send a GET and follow redirects; the response's body is not read yet."""
        seen = [url]
        while True:
            response = self._send(seen[-1], headers, auth)
            if response.status_code not in _REDIRECTS:
                return response
            response.close()
            seen.append(_next_hop(response, seen))

    def _send(self, url: str, headers: dict[str, str], auth: Auth | None) -> httpx.Response:
        secret = auth.header_for(url) if auth else {}
        client = self._client()
        try:
            request = client.build_request("GET", url, headers={**headers, **secret})
            # An Auth of its own that adds nothing: a user in a URL is never sent.
            response = client.send(request, auth=httpx.Auth(), stream=True)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._translated(error, host_of(url)) from None
        _log.debug("GET %s %s: %d", redact(url), headers.get("Range", ""), response.status_code)
        return response

    # reading

    def _read_whole(self, response: httpx.Response, limit: int) -> Reply:
        url = str(response.url)
        content = bytearray()
        end_s = time.monotonic() + _WHOLE_REPLY_S
        for chunk in self._translating(response.iter_bytes(), host_of(url)):
            content += chunk
            if len(content) > limit:
                facts = (f"limit: {limit} bytes", f"path: {urlsplit(url).path}")
                raise failures.not_understood(host_of(url), "sent a reply that is too large", facts=facts)
            if time.monotonic() > end_s:
                raise failures.cut(host_of(url), f"the reply took longer than {_WHOLE_REPLY_S:g} s")
        return Reply(status=response.status_code, host=host_of(url), path=urlsplit(url).path, content=bytes(content))

    def _body(self, response: httpx.Response, asked: str, explain: Explain | None) -> HttpBody:
        if response.status_code not in (200, 206, 416):
            raise self._why(response, asked, explain)
        head = _head(response)
        sock: socket.socket | None = response.extensions["network_stream"].get_extra_info("socket")
        return HttpBody(
            head=head,
            feed=self._feed(response, head, sock),
            wake=lambda: shut_down(sock) if sock else None,
            release=response.close,
        )

    def _feed(self, response: httpx.Response, head: Head, sock: socket.socket | None) -> Feed:
        if "content-encoding" in response.headers:
            return ChunkFeed(self._translating(response.iter_bytes(), head.host))
        chunks = self._translating(response.iter_raw(), head.host)
        if sock is None or head.length is None or head.length < _RAW_FROM or not _is_readable_raw(response, sock):
            return ChunkFeed(chunks)
        return SocketFeed(chunks, sock, length=head.length, host=head.host, idle_timeout_s=self._idle_timeout_s)

    # failing

    def _why(self, response: httpx.Response, asked: str, explain: Explain | None) -> FetcherError:
        """The error that a refusal means."""
        status, url = response.status_code, str(response.url)
        is_asked_host = origin_of(url) == origin_of(asked)
        if status in (401, 403) and not is_asked_host:
            return failures.link_refused(status, host=host_of(url), path=urlsplit(url).path)
        if explain and is_asked_host and not failures.is_transient(status):
            explained = explain(self._read_whole(response, _MAX_REFUSAL))
            if explained:
                return explained
        return self._refused(response)

    def _refused(self, response: httpx.Response) -> FetcherError:
        url = str(response.url)
        wait_s = retry_after_s(response.headers.get("retry-after"), now_s=self._wall_clock())
        return failures.refused(response.status_code, host=host_of(url), path=urlsplit(url).path, retry_after_s=wait_s)

    def _translating(self, chunks: Iterator[bytes], host: str) -> Iterator[bytes]:
        try:
            yield from chunks
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise self._translated(error, host) from None

    def _translated(self, error: Exception, host: str) -> SourceError:
        for cause in _causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return failures.untrusted(host, cause.verify_message)
            if isinstance(cause, socket.gaierror):
                return failures.unreachable(host, "the name is not known")
        if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError | httpx.ProxyError):
            return failures.unreachable(host, _reason(error))
        if isinstance(error, httpx.TimeoutException):
            return failures.stalled(host, self._idle_timeout_s)
        if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError | httpx.StreamError):
            return failures.cut(host, _reason(error))
        if isinstance(error, httpx.DecodingError):
            return failures.cut(host, "its compression is damaged")
        return failures.not_understood(host, "cannot be asked", facts=(f"reason: {type(error).__name__}",))


def _head(response: httpx.Response) -> Head:
    host = host_of(str(response.url))
    headers = response.headers
    try:
        part = content_range(headers.get("content-range"))
    except ValueError as error:
        raise _odd_reply(host, f"Content-Range: {error}") from None
    length = content_length(headers)
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        if encoding not in ("gzip", "deflate") or part:
            raise _odd_reply(host, "the bytes are encoded, which was not asked for")
        length = None
    if part and part.size is not None and length not in (None, part.size):
        raise _odd_reply(host, "Content-Range and Content-Length contradict each other")
    return Head(
        status=response.status_code,
        first=part.first if part else None,
        total=part.total if part else None,
        length=length,
        content_type=media_type(headers.get("content-type")),
        host=host,
    )


def _odd_reply(host: str, reason: str) -> SourceError:
    return SourceError(
        f"{host} sent a reply that cannot be used.",
        facts=[f"reason: {reason}"],
        fix="run the command again, or use another source",
        transient=True,
    )


def _is_readable_raw(response: httpx.Response, sock: socket.socket) -> bool:
    """Whether the socket's own bytes are the body's (performance.md, "Why").

    For TLS the socket's own TLS object must be the stream's: an https proxy is TLS in TLS.
    """
    stream_tls = response.extensions["network_stream"].get_extra_info("ssl_object")
    own_tls = getattr(sock, "_sslobj", None)
    return response.http_version == "HTTP/1.1" and own_tls is stream_tls and "transfer-encoding" not in response.headers


def _next_hop(response: httpx.Response, seen: Sequence[str]) -> str:
    """Where a redirect leads.

    Raises:
        SourceError: Nowhere, in a circle, too far, or out of TLS.
    """
    here = str(response.url)
    facts = (f"path: {urlsplit(here).path}",)
    try:
        there = str(response.url.join(response.headers["location"]))
        scheme = origin_of(there)[0]
    except (KeyError, ValueError, httpx.InvalidURL):
        raise failures.not_understood(host_of(here), "sent a redirect that leads nowhere", facts=facts) from None
    if there in seen:
        raise failures.not_understood(host_of(here), "redirects in a circle", facts=facts)
    if len(seen) > _MAX_REDIRECTS:
        raise failures.not_understood(host_of(here), f"redirects more than {_MAX_REDIRECTS} times", facts=facts)
    if scheme == "http" and here.startswith("https:"):
        raise failures.not_understood(host_of(here), "redirects from https to http", facts=facts)
    return there


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _reason(error: BaseException) -> str:
    """The operating system's word for it, else the library's."""
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
    if isinstance(error, httpx.ConnectTimeout):
        return "no answer in time"
    return str(error) or type(error).__name__
