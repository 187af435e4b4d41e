"""Whether a redirect leads from the public network into a private one.

A public hub that is taken over could otherwise have fetcher ask servers that only this machine
can reach, such as a cloud's metadata.  An endpoint that is private itself may lead wherever it
likes.  Names are looked up, except where a proxy is set, which looks them up itself.  Known
limit: a name that means another address at the next look is not caught.

Promises (tests/net/test_private.py):
  * from a public host no redirect is followed to a loopback, private or link-local address;
  * a name is looked up once for all redirects that lead to it.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from urllib.request import getproxies

from fetcher.net import failures
from fetcher.net.redact import host_of, origin_of, path_of

# RFC 6890's and RFC 4193's; not 100.64/10 and 198.18/15, which stand for public hosts behind some VPNs.
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
        *("::/127", "fc00::/7", "fe80::/10"),
    )
]

Lookup = Callable[[str], Iterable[str]]


def addresses_of(host: str) -> list[str]:
    """The addresses of a name; none if it is not known."""
    try:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        return []


class Neighbours:
    """Knows which hosts are private.  Used by several threads at once.

    Args:
        look_up: Gives the addresses of a name.
        may_go: Whether redirects may lead from public hosts to private ones.
    """

    def __init__(self, *, look_up: Lookup = addresses_of, may_go: bool = False) -> None:
        self._look_up = look_up
        self._may_go = may_go
        self._known: dict[str, bool] = {}

    def require_public(self, asked: str, here: str, there: str) -> None:
        """Refuse a redirect into a private network.

        Args:
            asked: The URL that was asked first.
            here: The URL that redirects to `there`.

        Raises:
            SourceError: `there` is private, and the host of `asked` is not.
        """
        if self._may_go or origin_of(asked)[1] == origin_of(there)[1]:
            return
        if self._is_private(there) and not self._is_private(asked):
            raise failures.leads_inside(host_of(here), path=path_of(here), there=host_of(there))

    def _is_private(self, url: str) -> bool:
        host = origin_of(url)[1]
        if host not in self._known:
            self._known[host] = any(map(_is_private_address, self._addresses(host)))
        return self._known[host]

    def _addresses(self, host: str) -> Iterable[str]:
        if _address(host):
            return [host]
        if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, section 6.3
            return ["127.0.0.1"]
        proxies = getproxies()
        return () if proxies.keys() & {"http", "https", "all"} else self._look_up(host)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address however it is written: `127.1`, `0x7f000001` and `2130706433` are one too."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(text)) if text[:1].isdigit() else None
        except (OSError, UnicodeError):
            return None
    return getattr(found, "ipv4_mapped", None) or found


def _is_private_address(text: str) -> bool:
    address = _address(text)
    return address is not None and any(address in network for network in _PRIVATE)
