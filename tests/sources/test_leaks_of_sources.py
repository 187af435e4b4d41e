"""The tokens of Hugging Face and of git servers: where they go, and where they must never be seen (design 4, rule 9).

Servers record every header.  Redirects, links of pages, mirrors, fallbacks and links to large files lead
to other hosts, ports and names of this machine; git is a program of its own, whose arguments anybody may read.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.command import Desk, desk
from tests.hub.publish import read_tree
from tests.leaks import OTHER_SECRET, QUIET, SECRET, ProcessList, assert_unseen, carried, holds, log_in
from tests.net.wire import CUT, Wire, reply
from tests.sources.git_server import Asked, GitServer, basic, needs_git_lfs
from tests.sources.hf_lookalike import API, RESOLVE, TREE, file, large, says
from tests.sources.lookalike import API as MODELSCOPE
from tests.sources.lookalike import COMMIT, Answer, Lookalike, blob, listing, ok, status

SMALL, LARGE = b"{}", b"the bytes of a large file"
LINK_SECRET = "link-8901-SECRET"

StartHub = Callable[..., Lookalike]


@pytest.fixture
def start() -> Iterator[StartHub]:
    """Starts hubs that have owner/name, in Hugging Face's way and in ModelScope's."""
    with ExitStack() as stack:

        def made(host: str = "127.0.0.1") -> Lookalike:
            hub = stack.enter_context(Lookalike(host))
            hub.says(f"{API}/revision/main", says({"sha": COMMIT}))
            hub.says(TREE, says([file("config.json", SMALL), large("a.bin", LARGE)]))
            hub.says(f"{RESOLVE}/config.json", Answer(SMALL)).says(f"{RESOLVE}/a.bin", Answer(LARGE))
            hub.says(f"{MODELSCOPE}/commits", ok({"Commit": [{"Id": COMMIT}]}))
            hub.says(f"{MODELSCOPE}/repo/files", listing(blob("a.bin", LARGE), blob("config.json", SMALL)))
            return hub.says(f"{MODELSCOPE}/repo", status(503))

        yield made


@pytest.fixture
def at(tmp_path: Path) -> Desk:
    made = desk(tmp_path / "project", "http://127.0.0.1:9", more=QUIET)
    made.manifest('[models.m]\nsource = "hf:owner/name"\n')
    return made


def _sent(hub: Lookalike) -> set[str | None]:
    """What the requests to a hub had for Authorization."""
    return {seen.headers.get("authorization") for seen in hub.seen}


@pytest.mark.parametrize(
    ("kept", "host"),
    [
        ("login", "127.0.0.2"),
        ("HF_TOKEN", "localhost"),
        ("HUGGING_FACE_HUB_TOKEN", "127.0.0.1"),
        ("the official tool's file", "localhost"),
    ],
)
def test_the_token_of_hugging_face_is_for_the_hub_and_not_for_where_it_leads(
    at: Desk, start: StartHub, kept: str, host: str
) -> None:
    """Files by a redirect, the listing's further pages by a link; whoever keeps the token."""
    hub, cdn = start(), start(host)
    for name, data in (("config.json", SMALL), ("a.bin", LARGE)):
        hub.says(f"{RESOLVE}/{name}", status(302, ("Location", f"{cdn.url}/cdn/{name}?X-Amz-Signature=1")))
        cdn.says(f"/cdn/{name}", Answer(data, headers=(("Set-Cookie", f"again={SECRET}"),)))
    hub.says(TREE, says([large("a.bin", LARGE)], ("Link", f'<{cdn.url}{TREE}?cursor=2>; rel="next"')))
    hub.says(f"{TREE}?cursor=2", says([file("config.json", SMALL)]))
    at.environment["HF_ENDPOINT"] = hub.url
    if kept == "login":
        log_in(at, hub.url)
    elif kept.startswith("H"):
        at.environment[kept] = SECRET
    else:
        at.environment["HF_TOKEN_PATH"] = str(at.folder.parent / "token")
        (at.folder.parent / "token").write_text(f"{SECRET}\n")
    runs = [
        at.ok("-vv", "lock"),
        at.ok("-vv", "sync", "--progress", "json", "--json"),
        at.ok("-vv", "status", "--json"),
        at.ok("auth", "--offline", "--json"),
    ]
    assert at.placed() == {"a.bin": LARGE, "config.json": SMALL}
    assert _sent(hub) == {f"Bearer {SECRET}"}
    assert {seen.address.partition("?")[0] for seen in cdn.seen} == {"/cdn/config.json", "/cdn/a.bin"}
    assert carried(cdn.seen) == []
    assert_unseen(at, *runs)


def test_mirrors_and_other_hubs_get_no_token_of_hugging_face(at: Desk, start: StartHub) -> None:
    """A route of the environment, a mirror of the manifest, a fallback at the other hub; everybody is asked."""
    home, route, mirror, modelscope = start(), start("127.0.0.2"), start("localhost"), start()
    for hub in (home, route):
        hub.says(f"{RESOLVE}/a.bin", status(503))
    mirror.says(f"{RESOLVE}/a.bin", status(503))
    modelscope.says(f"{MODELSCOPE}/repo", Answer(LARGE, headers=(("Content-Type", "application/octet-stream"),)))
    at.environment.update(
        FETCHER_CORP_MIRRORS=route.url,
        MODELSCOPE_ENDPOINT=modelscope.url,
        CORP_TOKEN=SECRET,
        MODELSCOPE_API_TOKEN=OTHER_SECRET,
    )
    at.manifest(
        '[models.m]\nsource = "corp:owner/name"\nfallback = ["ms:owner/name"]\nfiles = ["a.bin"]\n'
        f'[sources.corp]\nkind = "huggingface"\nendpoint = "{home.url}"\nmirrors = ["{mirror.url}"]\n'
        'token-env = "CORP_TOKEN"\n'
    )
    runs = [at.ok("-vv", "lock"), at.ok("-vv", "sync", "--json")]
    assert at.placed() == {"a.bin": LARGE}
    assert route.seen
    assert mirror.seen
    assert carried(route.seen) == carried(mirror.seen) == []
    assert _sent(home) == {f"Bearer {SECRET}"}
    assert {text for text in carried(modelscope.seen) if holds(text)} == set()
    assert f"Bearer {OTHER_SECRET}" in _sent(modelscope)
    assert_unseen(at, *runs)
    assert not any(holds(run.out + run.err, OTHER_SECRET) for run in runs)


_B64 = base64.b64encode(f"oauth2:{SECRET}".encode()).decode()
_ECHOES = {
    "message": (f"{API}/revision/main", says({}, ("X-Error-Message", f"bad token {SECRET}"), status=403)),
    "code": (f"{API}/revision/main", says({}, ("X-Error-Code", SECRET.upper()), status=500)),
    "gated": (
        f"{API}/revision/main",
        says({}, ("X-Error-Code", "GatedRepo"), ("X-Error-Message", _B64), status=403),
    ),
    "commit": (f"{API}/revision/main", says({"sha": SECRET})),
    "name": (TREE, says([large(f"weights-{SECRET}.bin", LARGE)])),
    "hostile name": (TREE, says([file(f"../{SECRET}", SMALL)])),
    "kind": (TREE, says([{**file("a", SMALL), "type": SECRET}])),
    "hash": (TREE, says([{**file("a", SMALL), "oid": SECRET}])),
    "link in a circle": (TREE, says([], ("Link", f'<http://h/?recursive=true&expand=false&{SECRET}>; rel="next"'))),
    "redirect": (TREE, status(302, ("Location", f"http://{SECRET}:{SECRET}@{SECRET}.invalid/"))),
}


_OFTEN = ("message", "name", "hash", "link in a circle", "redirect")  # the others by `make hostile`


@pytest.mark.parametrize(
    ("place", "answer"),
    [pytest.param(*_ECHOES[name], id=name, marks=() if name in _OFTEN else pytest.mark.slow) for name in _ECHOES],
)
def test_a_hugging_face_that_repeats_the_token_brings_it_into_no_text(
    at: Desk, start: StartHub, place: str, answer: Answer
) -> None:
    """Errors, -vv, JSON, the lock and the state."""
    hub = start().says(place, answer)
    at.environment.update(HF_ENDPOINT=hub.url, HF_TOKEN=SECRET)
    run = at.fetcher("-vv", "lock", "--json")
    assert run.code in (4, 5, 6, 7), run
    assert "Traceback" not in run.err
    assert_unseen(at, run)
    assert not (at.folder / "models.lock").exists()


# git and its large files


class Watched:
    """A git server that looks around whenever it is asked, and answers for large files as a test says."""

    def __init__(self, server: GitServer, *roots: Path) -> None:
        self._roots = roots
        self.server = server
        self.processes = ProcessList()
        self.found: set[str] = set()
        self.batch: Callable[[Asked], tuple[str, list[tuple[str, str]], bytes] | None] = lambda asked: None
        server.before = self._answer

    def _answer(self, asked: Asked) -> tuple[str, list[tuple[str, str]], bytes] | None:
        self.processes.look()
        for root in self._roots:
            self.found |= {name for name, data in read_tree(root).items() if holds(data.decode("latin-1"))}
        return self.batch(asked) if asked.path.endswith("/objects/batch") else None


def _wants(at: Desk, server: GitServer, name: str) -> None:
    at.manifest(
        f'[models.m]\nsource = "corp:{name}"\nexclude = [".gitattributes"]\n'
        f'[sources.corp]\nkind = "git"\nendpoint = "{server.url}"\ntoken-env = "GIT_TOKEN"\n'
    )


@pytest.fixture
def watched(at: Desk, server: GitServer) -> Watched:
    server.repository("owner/name").publish({"config.json": SMALL, "a.bin": LARGE}, large=["*.bin"])
    server.asked.clear()
    server.token = SECRET
    at.environment["GIT_TOKEN"] = SECRET
    _wants(at, server, "owner/name")
    return Watched(server, at.folder, Path(at.environment["HOME"]))


def _link(href: str, *, data: bytes = LARGE, **headers: str) -> bytes:
    action = {"href": href, "header": headers}
    return json.dumps(
        {"objects": [{"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "actions": {"download": action}}]}
    ).encode()


@needs_git_lfs
def test_links_to_large_files_get_their_own_headers_and_no_token(at: Desk, watched: Watched) -> None:
    """What the server gives along goes to its link's own host only; a redirect from there has nothing."""
    with Lookalike("localhost") as storage, Lookalike() as further:
        storage.says("/large", status(302, ("Location", f"{further.url}/moved")))
        further.says("/moved", Answer(LARGE))
        content = _link(f"{storage.url}/large?sig=1", Authorization=f"Basic {LINK_SECRET}")
        watched.batch = lambda asked: ("200 OK", [("Content-Type", "application/json")], content)
        runs = [at.ok("-vv", "lock"), at.ok("-vv", "sync", "--json", "--progress", "json")]
        assert at.placed() == {"a.bin": LARGE, "config.json": SMALL}
        assert carried(storage.seen) == [f"Basic {LINK_SECRET}"]
        assert further.seen
        assert carried(further.seen) == []
    assert {asked.headers.get("authorization") for asked in watched.server.asked} == {basic(SECRET)}
    assert_unseen(at, *runs)
    assert not any(holds(run.out + run.err, LINK_SECRET) for run in runs)


@needs_git_lfs
def test_a_question_for_links_that_is_led_elsewhere_has_no_token(at: Desk, watched: Watched) -> None:
    """And neither has the fallback, a server of its own with the same repository."""
    with Lookalike("localhost") as other:
        watched.batch = lambda asked: ("307 There", [("Location", f"{other.url}/batch")], b"")
        at.ok("-vv", "lock")
        run = at.fetcher("-vv", "sync", "--json")
        assert run.code == 5, "the look-alike answers no POST"
    assert not any("authorization" in seen.headers for seen in other.seen)
    assert_unseen(at, run)


@needs_git_lfs
def test_a_fallback_in_git_gets_no_token_of_another_server(at: Desk, watched: Watched, start: StartHub) -> None:
    """The hub fails in the middle; the git server, which needs no token, has the rest."""
    hub = start().says(f"{RESOLVE}/a.bin", status(503))
    watched.server.token = ""
    at.environment.update(HF_ENDPOINT=hub.url, HF_TOKEN=SECRET)
    at.manifest(f'[models.m]\nsource = "hf:owner/name"\nfallback = ["git+{watched.server.url}/owner/name"]\n')
    runs = [at.ok("-vv", "lock"), at.ok("-vv", "sync")]
    assert at.placed() == {"a.bin": LARGE, "config.json": SMALL}
    assert _sent(hub) == {f"Bearer {SECRET}"}
    assert not any(holds(" ".join(asked.headers.values())) for asked in watched.server.asked)
    assert_unseen(at, *runs)


@needs_git_lfs
def test_while_git_works_neither_its_arguments_nor_any_file_show_the_token(at: Desk, watched: Watched) -> None:
    """Looked at whenever the server is asked: git, its helper for http, and fetcher are at work then."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("this system shows no arguments in /proc")
    at.ok("lock")
    at.ok("sync")
    lines = watched.processes.lines
    assert any("git\0ls-remote" in line for line in lines)
    assert any("git\0fetch" in line for line in lines)
    assert any("remote-http" in line for line in lines)
    assert any("fetcher\0sync" in line for line in lines)
    assert [line for line in lines if holds(line)] == []
    assert watched.found == set()


@needs_git_lfs
def test_what_a_failed_sync_leaves_holds_no_token(at: Desk, watched: Watched) -> None:
    """A partial, its journal, the index, the lock: with a link that broke in the middle."""
    size = 3 << 20
    watched.server.token = ""
    watched.server.repository("owner/half").publish({"a.bin": bytes(size)}, large=["*.bin"])
    watched.server.token = SECRET
    _wants(at, watched.server, "owner/half")
    with Wire(lambda head: [reply(bytes(size * 2 // 3), length=size), CUT]) as storage:
        content = _link(f"{storage.url}/large?sig={LINK_SECRET}", data=bytes(size))
        watched.batch = lambda asked: ("200 OK", [("Content-Type", "application/json")], content)
        at.ok("lock")
        run = at.fetcher("-vv", "sync")
    assert run.code == 5, run
    assert_unseen(at, run)
    left = read_tree(Path(at.environment["FETCHER_STORE"]))
    assert sum(name.startswith("partial/") for name in left) >= 2, "the bytes and their journal"
    assert not any(holds(f"{name} {data.decode('latin-1')}", LINK_SECRET) for name, data in left.items())
    assert not holds(run.out + run.err, LINK_SECRET)
