"""Requests that fail leave nothing open."""

import itertools
import os
import time

import pytest

from fetcher.net.http import HttpClient
from tests.net.test_lane import outcome
from tests.net.wire import CUT, RESET, Piece, Wire, reply

_FAILURES: tuple[list[Piece], ...] = (
    [CUT],
    [RESET],
    [reply(b"12", length=5), CUT],
    [reply(b"12", length=5), RESET],
    [reply(b"no", status="503 Later")],
    [reply(b"no", status="404 No")],
    [reply(b"", "Location: http://127.0.0.1:1/", status="302 There")],
    [b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n", CUT],
    [b"no HTTP at all\r\n\r\n", CUT],
    [reply(b"12345")],  # and one that does not fail, so that connections are kept
)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open descriptors are not listed here")
def test_a_thousand_failed_requests_leave_no_descriptor() -> None:
    """Of each kind, over real sockets; the server's own ends are counted too."""
    before = len(os.listdir("/proc/self/fd"))
    turns = itertools.cycle(_FAILURES)
    failed = 0
    with Wire(lambda head: next(turns)) as wire:
        client = HttpClient(idle_timeout_s=5.0)
        while failed < 1000:
            failed += outcome(client, f"{wire.url}/f", 5)[0] != 200
        client.close()
        end_s = time.monotonic() + 5
        while len(os.listdir("/proc/self/fd")) > before + 1 and time.monotonic() < end_s:
            time.sleep(0.02)  # for the server's threads to see the ends
        assert len(os.listdir("/proc/self/fd")) <= before + 1  # where it listens
