"""Where a token goes, and where it must never be seen (design 4, rule 9).

The servers record every header.  The hub is asked with a token; redirects, a mirror and a
fallback lead to other hosts, ports and names of this machine.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.command import Desk, desk
from tests.leaks import OTHER_SECRET, QUIET, SECRET, ProcessList, assert_unseen, carried, holds, log_in
from tests.net.wire import Wire, reply
from tests.sources.lookalike import API, COMMIT, Answer, Lookalike, blob, fail, listing, ok

FILES, FILE, COMMITS = f"{API}/repo/files", f"{API}/repo", f"{API}/commits"
DATA = b"some bytes"

StartHub = Callable[..., Lookalike]


@pytest.fixture
def start() -> Iterator[StartHub]:
    with ExitStack() as stack:

        def made(host: str = "127.0.0.1") -> Lookalike:
            hub = stack.enter_context(Lookalike(host))
            hub.says(FILES, listing(blob("a.bin", DATA))).says(COMMITS, ok({"Commit": [{"Id": COMMIT}]}))
            return hub.says(FILE, Answer(DATA, headers=(("Content-Type", "application/octet-stream"),)))

        yield made


@pytest.fixture
def at(tmp_path: Path) -> Desk:
    """A project of two models whose token stands in a login, not in a variable."""
    return desk(tmp_path / "project", "http://127.0.0.1:9", more=QUIET)


@pytest.mark.parametrize(
    ("host", "status"), [("127.0.0.2", 301), ("localhost", 302), ("127.0.0.1", 307), ("127.0.0.2", 308)]
)
def test_a_redirect_to_another_origin_carries_no_token(at: Desk, start: StartHub, host: str, status: int) -> None:
    """Another address, another name of the same machine, another port of the same address."""
    hub, cdn = start(), start(host)
    hub.says(FILE, Answer(b"", status, (("Location", f"{cdn.url}/cdn/x?auth_key=1"),)))
    cdn.says("/cdn/x", Answer(DATA, headers=(("Set-Cookie", f"again={SECRET}"),)))
    log_in(at, hub.url)
    at.environment["MODELSCOPE_ENDPOINT"] = hub.url
    at.model(repo="owner/name")
    runs = [
        at.ok("-vv", "lock"),
        at.ok("-vv", "sync", "--progress", "json", "--json"),
        at.ok("-vv", "status", "--json"),
    ]
    assert {seen.headers["authorization"] for seen in hub.seen} == {f"Bearer {SECRET}"}
    assert cdn.seen
    assert carried(cdn.seen) == []
    assert_unseen(at, *runs)


def test_listings_that_are_redirected_carry_no_token_either(at: Desk, start: StartHub) -> None:
    """And a way back to the hub has it again, because it is the hub's."""
    hub, other = start(), start("localhost")
    hub.says(COMMITS, Answer(b"", 302, (("Location", f"{other.url}/elsewhere"),)))
    other.says("/elsewhere", Answer(b"", 302, (("Location", f"{hub.url}/back"),)))
    hub.says("/back", ok({"Commit": [{"Id": COMMIT}]}))
    log_in(at, hub.url)
    at.environment["MODELSCOPE_ENDPOINT"] = hub.url
    at.model(repo="owner/name")
    run = at.ok("-vv", "lock")
    assert carried(other.seen) == []
    assert [seen.headers.get("authorization") for seen in hub.seen if seen.address == "/back"] == [f"Bearer {SECRET}"]
    assert_unseen(at, run)


def test_mirrors_and_fallbacks_get_their_own_token_or_none(at: Desk, start: StartHub) -> None:
    """The hub goes away, and everything else is asked for its bytes."""
    hub, mirror, fallback, known = start(), start("127.0.0.2"), start("localhost"), start()
    hub.says(FILE, Answer(b"", 503))
    for other in (mirror, fallback):
        other.says(FILE, Answer(b"", 503))
    at.manifest(
        '[models.m]\nsource = "corp:owner/name"\nfallback = ["two:owner/name", "three:owner/name"]\n'
        f'[sources.corp]\nkind = "modelscope"\nendpoint = "{hub.url}"\nmirrors = ["{mirror.url}"]\ntoken-env = "CORP"\n'
        f'[sources.two]\nkind = "modelscope"\nendpoint = "{fallback.url}"\n'
        f'[sources.three]\nkind = "modelscope"\nendpoint = "{known.url}"\n'
    )
    at.environment.update(CORP=SECRET, MODELSCOPE_API_TOKEN="ms-9999-for-modelscope-only")
    log_in(at, known.url, OTHER_SECRET)
    runs = [at.ok("-vv", "lock"), at.ok("-vv", "sync")]
    assert mirror.seen
    assert fallback.seen
    assert carried(mirror.seen) == carried(fallback.seen) == []
    assert {seen.headers["authorization"] for seen in hub.seen} == {f"Bearer {SECRET}"}
    assert {seen.headers["authorization"] for seen in known.seen} == {f"Bearer {OTHER_SECRET}"}
    assert_unseen(at, *runs)
    assert not any(holds(run.out + run.err, OTHER_SECRET) for run in runs)


def test_no_process_shows_the_token_in_its_arguments(at: Desk) -> None:
    """While a request is on its way, the program that sends it and all others are looked at."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("this system shows no arguments in /proc")
    seen = ProcessList()

    def script(head: bytes) -> list[bytes]:
        seen.look()
        return [reply(b'{"data": {"username": "me"}}')]

    with Wire(script) as wire:
        at.environment["MODELSCOPE_ENDPOINT"] = wire.url
        log_in(at, wire.url)
        at.ok("auth")
    assert any("fetcher\0auth" in line for line in seen.lines)
    assert not any(holds(line) for line in seen.lines)


ECHOES = {
    "message": fail(403, f"the token {SECRET} is bad", status=403),
    "capitals": fail(403, f"the token {SECRET.upper()} is bad"),
    "base64": fail(403, f"sent: {base64.b64encode(f'oauth2:{SECRET}'.encode()).decode()}"),
    "hex": fail(500, SECRET.encode().hex()),
    "between spaces and controls": fail(403, f"\x1b[31m\r\n{SECRET}\x00"),
    "beyond the cut": fail(403, "x" * (200 - len(SECRET) // 2) + SECRET),
    "location path": Answer(b"", 302, (("Location", f"/{SECRET}/"),)),
    "location circle": Answer(b"", 302, (("Location", f"/x/{SECRET}?{SECRET}#{SECRET}"),)),
    "location host": Answer(b"", 302, (("Location", f"http://{SECRET}.invalid:81/"),)),
    "location scheme": Answer(b"", 302, (("Location", f"{SECRET}://h"),)),
    "location user": Answer(b"", 302, (("Location", f"http://{SECRET}:{SECRET}@127.0.0.1:9/"),)),
    "shape": ok({"Files": [{"Type": SECRET, "Path": SECRET, "Size": SECRET}]}),
    "kind": listing(blob("a", Type=SECRET)),
    "hostile name": listing(blob(f"../{SECRET}")),
    "name": listing(blob(f"weights-{SECRET.upper()}.bin")),
    "short id": listing(blob("a"), short=SECRET),
    "no json": Answer(SECRET.encode(), 200),
}


@pytest.mark.parametrize("answer", ECHOES.values(), ids=ECHOES.keys())
def test_a_hub_that_repeats_the_token_brings_it_into_no_text(at: Desk, start: StartHub, answer: Answer) -> None:
    """Errors, -vv, JSON, the lock and the state; each of these was thought of by somebody's proxy."""
    hub = start()
    hub.says(FILES, answer)
    hub.says(f"{API}/revisions", ok({"RevisionMap": {"Branches": [{"Revision": SECRET}], "Tags": []}}))
    log_in(at, hub.url)
    at.environment["MODELSCOPE_ENDPOINT"] = hub.url
    at.model(repo="owner/name")
    run = at.fetcher("-vv", "lock", "--json")
    assert run.code in (4, 5, 6, 7), run
    assert "Traceback" not in run.err
    assert_unseen(at, run)
    assert not (at.folder / "models.lock").exists()


@pytest.mark.parametrize(
    "answer",
    [ECHOES["message"], ECHOES["location host"], Answer(f'{{"Message": "{SECRET}"}}'.encode(), 200)],
    ids=["refusal", "host", "json"],
)
def test_a_file_s_reply_that_repeats_the_token_brings_it_into_no_text(
    at: Desk, start: StartHub, answer: Answer
) -> None:
    """The second half of the road."""
    hub = start()
    log_in(at, hub.url)
    at.environment["MODELSCOPE_ENDPOINT"] = hub.url
    at.model(repo="owner/name")
    at.ok("lock")
    hub.says(FILE, answer)
    run = at.fetcher("-vv", "sync", "--progress", "json")
    assert run.code in (4, 5, 6, 7), run
    assert_unseen(at, run)


@pytest.mark.parametrize(
    "head",
    [
        f"HTTP/1.1 {SECRET}\r\n\r\n",
        f"{SECRET} 200 OK\r\n\r\n",
        f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n",
        f"HTTP/1.1 200 OK\r\nContent-Length: {SECRET}\r\n\r\n",
        f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n",
        f"HTTP/1.1 999 {'x' * 50_000}{SECRET}\r\n\r\n",
        f"HTTP/1.1 {'x' * 60_000}\r\n\r\n",
    ],
    ids=["status", "version", "header", "length", "chunk", "reason", "long"],
)
def test_a_broken_reply_is_told_in_a_few_words_without_the_token(at: Desk, head: str) -> None:
    """The library repeats a line that it does not understand, up to 60 KB of it."""
    with Wire(lambda _: [head.encode(), "cut"]) as wire:
        log_in(at, wire.url)
        at.environment["MODELSCOPE_ENDPOINT"] = wire.url
        at.model(repo="owner/name")
        run = at.fetcher("-vv", "lock")
    assert run.code in (5, 7), run
    assert_unseen(at, run)
    assert len(run.err) < 2500


def test_the_library_s_own_log_holds_no_token() -> None:
    """A program that turns all logs on."""
    import logging
    from io import StringIO

    from fetcher.core.manifest import SourceRef
    from fetcher.core.retry import RetrySchedule
    from fetcher.errors import FetcherError
    from fetcher.net.credentials import Token
    from fetcher.net.http import HttpClient
    from fetcher.sources.modelscope import ModelScopeSource

    said = StringIO()
    handler = logging.StreamHandler(said)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with Lookalike() as hub:
            for answer in ECHOES.values():
                hub.says(COMMITS, answer)
                source = ModelScopeSource(
                    endpoint=hub.url,
                    client=HttpClient(idle_timeout_s=5.0),
                    token=Token(secret=SECRET, variable="T"),
                    login="log in",
                    retry=RetrySchedule(attempts=1),
                )
                with pytest.raises(FetcherError) as caught:
                    source.snapshot(SourceRef.parse("ms:owner/name"), None)
                source.close()
                assert not holds(str(caught.value))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert "GET" in said.getvalue()
    assert not holds(said.getvalue())
