"""A hub on loopback that is known by a certificate of one's own CA."""

import ssl
from collections.abc import Callable

import trustme

from tests.net.wire import reply
from tests.sources.lookalike import COMMIT, blob, listing, ok


def signed(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """The context of a server that is called so."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def hub_of_one_file(repo: str = "owner/name") -> Callable[[bytes], list[bytes]]:
    """A script of a ModelScope that has one model, of one file: a.bin."""

    def script(head: bytes) -> list[bytes]:
        target = head.split()[1].decode()
        if "/commits" in target:
            return [reply(ok({"Commit": [{"Id": COMMIT}]}).body)]
        if target.startswith(f"/api/v1/models/{repo}/repo/files"):
            return [reply(listing(blob("a.bin", b"bytes")).body)]
        return [reply(b"bytes")]

    return script
