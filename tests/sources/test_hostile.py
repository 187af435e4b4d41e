"""Servers that want to harm, by the command line: each ends in a documented exit code, in bounded memory and time.

A process of fetcher is started against a server that sends exactly what a script says.  Its peak
of resident memory is the kernel's own figure, with that of the programs that it has started.
"""

import gzip
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from _pytest.mark import ParameterSet

from tests.cli.command import Desk, Done, desk
from tests.net.proxy import Proxy
from tests.net.wire import CUT, Piece, Wire, reply
from tests.sources.git_server import GitServer, git, needs_git_lfs

COMMIT = "83ee97c66e841048bedc5c02c15ce2f3ed259feb"
DATA = b"0123456789abcdef" * 4096
SHA256 = hashlib.sha256(DATA).hexdigest()
# What fetcher itself takes is 60 MiB; a reply that is read whole may have 64 MiB, and is copied once.
MOST_MEMORY = 400 << 20  # bytes
DEADLINE_S = 60.0  # the limits below allow for two seconds; the rest is for a busy machine
LIMITS = {"FETCHER_IDLE_TIMEOUT": "0.5", "FETCHER_RETRIES": "2", "NO_PROXY": "127.0.0.1"}

_WATCH = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""

Hostile = Callable[[str], Iterable[Piece]]  # the head of a request -> what is sent
Good = Callable[[str], bytes | None]  # the head of a request -> the answer, if it is a question that this one answers


def _json(document: object, *headers: str) -> bytes:
    return reply(json.dumps(document).encode(), "Content-Type: application/json", *headers)


# Who is asked, and how a good one answers


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of source.

    Attributes:
        variable: Names its endpoint, if it is a hub.
        pins: Answers what is asked before the listing.
        lists: Answers with a listing of one file, a.bin.
    """

    source: str
    variable: str = ""
    pins: Good = lambda head: None
    lists: Good = lambda head: None
    more: str = ""


def _modelscope_pins(head: str) -> bytes | None:
    is_asked = "/commits?" in head
    return _json({"Code": 200, "Success": True, "Data": {"Commit": [{"Id": COMMIT}]}}) if is_asked else None


def _modelscope_page(*entries: dict[str, object], total: int = 1) -> bytes:
    data = {"Files": entries, "LatestCommitter": {"ShortId": COMMIT[:8]}, "TotalCount": total}
    return _json({"Code": 200, "Success": True, "Data": data})


def _modelscope_lists(head: str) -> bytes | None:
    entry = {"Type": "blob", "Path": "a.bin", "Size": len(DATA), "Sha256": SHA256}
    return _modelscope_page(entry) if "/repo/files?" in head else None


def _huggingface_lists(head: str) -> bytes | None:
    lfs = {"oid": SHA256, "size": len(DATA)}
    entry = {"type": "file", "path": "a.bin", "size": len(DATA), "oid": "9" * 40, "lfs": lfs}
    return _json([entry]) if "/tree/" in head else None


def _first_byte(head: str) -> bytes | None:
    is_asked = "Range: bytes=0-0\r\n" in head or "Range: bytes=0-0" in head.splitlines()
    part = reply(DATA[:1], f"Content-Range: bytes 0-0/{len(DATA)}", status="206 Partial Content")
    return part if is_asked else None


MODELSCOPE = Kind(
    source="ms:owner/name", variable="MODELSCOPE_ENDPOINT", pins=_modelscope_pins, lists=_modelscope_lists
)
HUGGINGFACE = Kind(
    source="hf:owner/name",
    variable="HF_ENDPOINT",
    pins=lambda head: _json({"sha": COMMIT}) if "/revision/" in head else None,
    lists=_huggingface_lists,
)
URL = Kind(source="{url}/", lists=_first_byte, more=f'files = {{"a.bin" = {{url = "a.bin", sha256 = "{SHA256}"}}}}')
GIT = Kind(source="git+{url}/owner/name.git")
KINDS = {"modelscope": MODELSCOPE, "huggingface": HUGGINGFACE, "url": URL, "git": GIT}
UNKNOWN_URL = Kind(source="{url}/a.bin")  # its bytes are fetched to be locked


# What a hostile one sends


def _for_ever(start: bytes, piece: bytes, *pause: float) -> Hostile:
    def pieces(head: str) -> Iterator[Piece]:
        yield start
        while True:
            yield piece
            yield from pause

    return pieces


def _loop(head: str) -> Iterator[Piece]:
    parts = urlsplit(head.split(" ", 2)[1])
    yield reply(b"", f"Location: {parts.path}x?{parts.query}", status="302 Found")


def _bomb(encoding: str) -> Hostile:
    """A few KB that unpack to 300 MB."""
    packed = gzip.compress(gzip.compress(b" " * (300 << 20), 6), 9)
    return lambda head: [reply(packed, f"Content-Encoding: {encoding}", "Content-Type: application/json")]


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_LONG = _OK + b"Content-Length: 9999999\r\n\r\n"
HOSTILE: dict[str, Hostile] = {
    "endless body": _for_ever(_OK + b"\r\n[", b'"x",' * (1 << 18)),
    "endless head": _for_ever(_OK, b"X-Filler: " + b"x" * 10_000 + b"\r\n"),
    "endless line": _for_ever(_OK + b"X-Filler: ", b"x" * (1 << 20)),
    "gzip bomb": _bomb("gzip, gzip"),
    "brotli": _bomb("br"),
    "redirects": _loop,
    "nesting": lambda head: [reply(b"[" * (8 << 20), "Content-Type: application/json")],
    "dripping head": _for_ever(_OK + b"X-Filler: ", b"x", 0.1),
    "dripping body": _for_ever(_LONG, b" ", 0.1),
    "cut": lambda head: [_LONG + b"[", CUT],
}
OFTEN = ("endless body",)  # tried with every kind each time; the others by `make hostile`
SLOW = pytest.mark.slow


def _matrix(kinds: Iterable[str], *, also: Iterable[str]) -> list[ParameterSet]:
    """Each kind with each harm; of Hugging Face those of `also` are tried each time, too."""
    return [
        pytest.param(
            kind,
            name,
            id=f"{kind}-{name}",
            marks=() if name in OFTEN or (kind == "huggingface" and name in also) else SLOW,
        )
        for kind in kinds
        for name in HOSTILE
        if (kind, name) != ("url", "nesting")  # a good file
    ]


def _script(hostile: Hostile, *good: Good) -> Callable[[bytes], Iterable[Piece]]:
    """Good answers where there are some, hostile ones everywhere else."""

    def script(request: bytes) -> Iterable[Piece]:
        head = request.decode("latin-1")
        answers = [answer for each in good if (answer := each(head)) is not None]
        return answers or hostile(head)

    return script


# Locks


@pytest.fixture
def at(tmp_path: Path) -> Desk:
    return desk(tmp_path / "project", "http://127.0.0.1:9", more=LIMITS)


def _wants(at: Desk, kind: Kind, url: str) -> None:
    if kind.variable:
        at.environment[kind.variable] = url
    at.manifest(f'[models.m]\nsource = "{kind.source.format(url=url)}"\n{kind.more}\n')


def _ends(at: Desk, *command: str, codes: tuple[int, ...] = (5,), prefix: tuple[str, ...] = ()) -> Done:
    """The end of a command that has met something hostile."""
    peak = at.folder.parent / "peak"
    watch = (sys.executable, "-c", _WATCH, str(peak))
    done = at.fetcher(*command, prefix=(*watch, *prefix), timeout_s=DEADLINE_S)
    assert done.code in codes, done
    assert "error: " in done.err
    assert "\n  fix: " in done.err
    assert "Traceback" not in done.err
    assert len(done.err) < 5000
    taken = int(peak.read_text()) << 10  # KiB on Linux
    assert taken < MOST_MEMORY, f"{taken >> 20} MiB"
    return done


@pytest.mark.parametrize(("kind", "hostile"), _matrix(KINDS, also=HOSTILE))
def test_a_hostile_answer_ends_a_lock(at: Desk, kind: str, hostile: str) -> None:
    """Whatever the kind of source; nothing is locked."""
    # What git may take is tested in tests/sources/test_git_program.py; here it is given less, to be quick.
    prefix = ("sh", "-c", 'ulimit -d 200000; exec "$@"', "sh") if kind == "git" else ()
    asked = UNKNOWN_URL if kind == "url" else KINDS[kind]
    with Wire(_script(HOSTILE[hostile], asked.pins)) as wire:
        _wants(at, asked, wire.url)
        _ends(at, "lock", prefix=prefix, codes=(5, 7) if kind == "git" else (5,))  # git may take it for no refs
        assert wire.requests
    assert not (at.folder / "models.lock").exists()


def _entries(count: int) -> bytes:
    entries = (b'{"type":"file","path":"%07x","size":1,"oid":"%040x"}' % (number, number) for number in range(count))
    return b"[" + b",".join(entries) + b"]"


HUGE = {  # many values in few bytes: 60 MiB of the first take 1.5 GB when they are read
    "empty objects": lambda: b"[" + b"{}," * (20 << 20) + b"{}]",
    "entries": lambda: _entries(590_000),
    "envelope": lambda: b'{"Code":200,"Success":true,"Data":{"Files":' + _entries(590_000) + b"}}",
}


@pytest.mark.parametrize(
    ("kind", "huge"),
    [
        ("huggingface", "empty objects"),
        pytest.param("huggingface", "entries", marks=SLOW),
        pytest.param("modelscope", "envelope", marks=SLOW),
    ],
)
def test_a_listing_of_many_values_does_not_fill_the_memory(at: Desk, kind: str, huge: str) -> None:
    """Text that the reply's limit lets through."""
    answer = reply(HUGE[huge](), "Content-Type: application/json")
    with Wire(_script(lambda head: [answer], KINDS[kind].pins)) as wire:
        _wants(at, KINDS[kind], wire.url)
        _ends(at, "lock")


_NAME = "/".join(["x" * 199] * 3)


def _huggingface_pages(head: str) -> Iterable[Piece]:
    """A full page of long names, and there is always one more."""
    page = int(urlsplit(head.split(" ", 2)[1]).query.rpartition("page=")[2] or 0) if "page=" in head else 0
    entries = [
        {"type": "file", "path": f"{page}/{number}/{_NAME}", "size": 1, "oid": "9" * 40} for number in range(1000)
    ]
    return [_json(entries, f'Link: </api?page={page + 1}>; rel="next"')]


def _modelscope_pages(head: str) -> Iterable[Piece]:
    page = int(head.partition("PageNumber=")[2].partition("&")[0])
    entries = [
        {"Type": "blob", "Path": f"{page}/{number}/{_NAME}", "Size": 1, "Sha256": "0" * 64} for number in range(1000)
    ]
    return [_modelscope_page(*entries, total=10**9)]


@pytest.mark.parametrize(
    ("source", "variable", "pages"),
    [
        ("hf:owner/name", "HF_ENDPOINT", _huggingface_pages),
        pytest.param("ms:datasets/owner/name", "MODELSCOPE_ENDPOINT", _modelscope_pages, marks=SLOW),
    ],
    ids=["huggingface", "modelscope"],
)
def test_a_listing_of_a_million_pages_ends_a_lock(at: Desk, source: str, variable: str, pages: Hostile) -> None:
    """Each page is a good one; together they cost too much."""
    with Wire(_script(pages, MODELSCOPE.pins, HUGGINGFACE.pins)) as wire:
        _wants(at, Kind(source=source, variable=variable), wire.url)
        done = _ends(at, "lock")
    assert "its names have more than 67108864 characters" in done.err


@pytest.mark.parametrize("kind", [pytest.param("modelscope", marks=SLOW), "huggingface", "url"])
def test_a_public_server_leads_no_lock_into_the_house(at: Desk, kind: str) -> None:
    """The cloud's own address of secrets; through a proxy, so that the server has a public name."""
    inside = reply(b"", "Location: http://169.254.169.254/latest/meta-data", status="302 Found")
    with Wire(lambda head: [inside]) as wire, Proxy(wire.host) as proxy:
        at.environment["HTTP_PROXY"] = f"http://{proxy.host}"
        _wants(at, KINDS[kind], "http://hub.example")
        done = _ends(at, "lock")
        assert "hub.example redirects into a private network." in done.err
        assert proxy.heads
        assert not any(b"169.254" in head for head in proxy.heads)


# Syncs


def _on_disk(at: Desk) -> int:
    """Bytes of everything that a sync has left."""
    roots = (at.folder, Path(at.environment["FETCHER_STORE"]))
    return sum(path.stat().st_size for root in roots for path in root.rglob("*") if path.is_file())


def _assert_nothing_placed(at: Desk) -> None:
    assert not (at.folder / "models").exists() or at.placed() == {}
    assert _on_disk(at) < len(DATA) + (1 << 20)


@pytest.mark.parametrize(
    ("kind", "hostile"), _matrix(["modelscope", "huggingface", "url"], also=["gzip bomb", "dripping body"])
)
def test_a_hostile_reply_for_a_file_ends_a_sync(at: Desk, kind: str, hostile: str) -> None:
    """The listing was a good one; no byte of what comes gets a name, and no more is kept than the file has."""
    good = KINDS[kind]
    with Wire(_script(HOSTILE[hostile], good.pins, good.lists)) as wire:
        _wants(at, good, wire.url)
        at.ok("lock")
        _ends(at, "sync", codes=(4, 5))
    _assert_nothing_placed(at)


@needs_git_lfs
@pytest.mark.parametrize("place", ["batch", "link"])
@pytest.mark.parametrize(
    "hostile",
    [pytest.param(name, marks=() if name in OFTEN else SLOW) for name in [*HOSTILE, "empty objects"]],
)
def test_a_hostile_server_of_large_files_ends_a_sync(at: Desk, server: GitServer, place: str, hostile: str) -> None:
    """Both where links are asked for and where they lead."""
    repository = server.repository("owner/model")
    repository.publish({"a.bin": DATA}, large=["*.bin"])
    harm = HOSTILE.get(hostile) or (lambda head: [reply(b'{"objects":[' + b"[]," * (2 << 20) + b"[]]}")])
    with Wire(_script(harm)) as wire:
        link = {"oid": SHA256, "size": len(DATA), "actions": {"download": {"href": f"{wire.url}/a"}}}
        answers = {
            "batch": ("307 Temporary Redirect", [("Location", f"{wire.url}/batch")], b""),
            "link": ("200 OK", [("Content-Type", "application/json")], json.dumps({"objects": [link]}).encode()),
        }
        server.before = lambda asked: answers[place] if asked.path.endswith("/objects/batch") else None
        at.manifest(f'[models.m]\nsource = "{repository.source}"\nfiles = ["a.bin"]\n')
        at.ok("lock")
        _ends(at, "sync", codes=(4, 5))
        assert wire.requests
    _assert_nothing_placed(at)


@SLOW
def test_a_tree_that_unfolds_without_an_end_ends_a_lock(at: Desk, tmp_path: Path) -> None:
    """Ten trees, each ten times the one below it: 200 bytes that are 10,000,000,000 files."""
    folder = tmp_path / "bomb.git"
    git("init", "-q", "--bare", "-b", "main", str(folder))
    entry = f"100644 blob {git('hash-object', '-w', '--stdin', folder=folder, said=b'boom')}"
    for _ in range(10):
        lines = "".join(f"{entry}\t{number}\n" for number in range(10))
        entry = f"040000 tree {git('mktree', folder=folder, said=lines.encode())}"
    commit = git("commit-tree", entry.rpartition(" ")[2], "-m", "boom", folder=folder)
    git("update-ref", "refs/heads/main", commit, folder=folder)
    at.manifest(f'[models.m]\nsource = "git+file://{folder}"\n')
    at.environment["FETCHER_IDLE_TIMEOUT"] = "20"
    done = _ends(at, "lock")
    assert "said more than fetcher takes from a git repository." in done.err
