"""How httpx reaches hosts: pools of httpcore's with our own streams, proxies of the environment.

One client carries one reply at a time (a shared one serialises, performance.md); `Clients`
lends them.  Not in here: requests and replies (http.py), what becomes of connections (parking.py).

Promises (tests/net/test_transport.py, tests/net/test_parking.py):
  * the proxies are those that httpx would use;
  * no TLS context is made before the first https URL;
  * a request that met a connection in the moment of its closing is sent once more, on a new one.
"""

import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast
from urllib.request import getproxies

import httpcore

from fetcher.core.secrets import SECRETS
from fetcher.net.library import httpx
from fetcher.net.parking import HEAD_S, IDLE_S, ParkingBackend, ParkingLot, Route

_ERRORS: Mapping[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.ProxyError: httpx.ProxyError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
}


def once(make: Callable[[], ssl.SSLContext]) -> Callable[[], ssl.SSLContext]:
    """`make`, called at most once, whoever asks first."""
    made: list[ssl.SSLContext] = []
    lock = threading.Lock()

    def given() -> ssl.SSLContext:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return given


class Clients:
    """Lends httpx clients to threads, one to each reply on its way.

    Args:
        make: Makes one more.
    """

    def __init__(self, make: Callable[[], httpx.Client]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._free: list[httpx.Client] = []
        self._is_closed = False

    def lend(self) -> httpx.Client:
        """A client that nobody else uses."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return self._make()

    def take_back(self, client: httpx.Client) -> None:
        """Its reply has ended."""
        with self._lock:
            if not self._is_closed:
                self._free.append(client)
                return
        client.close()

    def close(self) -> None:
        """Close those that are free now, and the others when they come back."""
        with self._lock:
            self._is_closed = True
            free, self._free = self._free, []
        for client in free:
            client.close()


class Transport(httpx.BaseTransport):
    """Connections to all hosts, directly or through one proxy.

    Args:
        tls: Gives the TLS context; called when the first https URL is asked for.
    """

    def __init__(
        self,
        *,
        lot: ParkingLot,
        tls: Callable[[], ssl.SSLContext],
        proxy: httpcore.Proxy | None = None,
        head_s: float = HEAD_S,
    ) -> None:
        self._head_s = head_s
        self._lot = lot
        self._tls = tls
        self._proxy = proxy
        self._pools: dict[str, tuple[httpcore.ConnectionPool, ParkingBackend]] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the response's body is not read yet."""
        url = request.url
        asked = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _translating():
            answer = self._sent(asked, url.scheme)
        stream = _Stream(cast("Iterator[bytes]", answer.stream), answer.close)
        return httpx.Response(
            status_code=answer.status, headers=answer.headers, stream=stream, extensions=answer.extensions
        )

    def close(self) -> None:
        """Close all connections but the parked ones."""
        for pool, _ in self._pools.values():
            pool.close()

    def _sent(self, request: httpcore.Request, scheme: str) -> httpcore.Response:
        pool, backend = self._pool(scheme)
        backend.latest = None
        try:
            answer = pool.handle_request(request)
        except (httpcore.NetworkError, httpcore.RemoteProtocolError):
            if not backend.has_died_unheard():
                raise
            answer = pool.handle_request(request)
        backend.head_has_come()
        return answer

    def _pool(self, scheme: str) -> tuple[httpcore.ConnectionPool, ParkingBackend]:
        if scheme not in self._pools:
            backend = ParkingBackend(self._lot, self._route(scheme), head_s=self._head_s)
            pool = httpcore.ConnectionPool(
                ssl_context=self._tls() if scheme == "https" else None,
                proxy=self._proxy,
                keepalive_expiry=IDLE_S,
                network_backend=backend,
            )
            self._pools[scheme] = (pool, backend)
        return self._pools[scheme]

    def _route(self, scheme: str) -> Route:
        """A proxy that is itself asked by TLS ends the way: its connections are left to the library."""
        if self._proxy is None or self._proxy.url.scheme.startswith(b"socks"):
            return Route()
        may_park = self._proxy.url.scheme == b"http"
        return Route(forward=tuple(self._proxy.headers) if scheme == "http" else None, may_park=may_park)


class _Stream(httpx.SyncByteStream):
    """The library's stream with the errors of httpx."""

    def __init__(self, chunks: Iterator[bytes], release: Callable[[], None]) -> None:
        self._chunks = chunks
        self._release = release

    def __iter__(self) -> Iterator[bytes]:
        with _translating():
            yield from self._chunks

    def close(self) -> None:
        self._release()


def mounts(
    *, lot: ParkingLot, tls: Callable[[], ssl.SSLContext], head_s: float = HEAD_S
) -> dict[str, Transport | None]:
    """Transports by URL pattern, as the environment wants them; None is the direct way.

    Raises:
        ValueError: A proxy's URL that cannot be used.
    """
    made: dict[str, Transport | None] = {}
    for pattern, url in proxies_of_environment().items():
        made[pattern] = Transport(lot=lot, tls=tls, proxy=_proxy(url, tls), head_s=head_s) if url else None
    return made


def proxies_of_environment() -> dict[str, str | None]:
    """HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY as patterns of httpx; None is the direct way."""
    found = getproxies()
    excepted = [name for name in (name.strip() for name in found.get("no", "").split(",")) if name]
    if "*" in excepted:
        return {}
    wanted: dict[str, str | None] = {}
    for scheme in ("http", "https", "all"):
        if url := found.get(scheme):
            wanted[f"{scheme}://"] = url if "://" in url else f"http://{url}"
    for name in excepted:
        wanted[name if "://" in name else f"all://{_pattern(name)}"] = None
    return wanted


def _pattern(name: str) -> str:
    """A name of NO_PROXY: an address and `localhost` stand for themselves, a domain for all below it too."""
    if name.lower() == "localhost":
        return name
    try:
        address = ipaddress.ip_address(name.partition("/")[0])
    except ValueError:
        return f"*{name}"
    return name if address.version == 4 else f"[{name}]"


def _proxy(url: str, tls: Callable[[], ssl.SSLContext]) -> httpcore.Proxy:
    read = httpx.Proxy(url)
    if read.raw_auth:
        SECRETS.add(read.raw_auth[1].decode("utf-8", "replace"))
    return httpcore.Proxy(
        url=httpcore.URL(
            scheme=read.url.raw_scheme, host=read.url.raw_host, port=read.url.port, target=read.url.raw_path
        ),
        auth=read.raw_auth,
        ssl_context=tls() if read.url.scheme == "https" else None,
    )


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except tuple(_ERRORS) as error:
        raise _ERRORS[type(error)](str(error)) from error
