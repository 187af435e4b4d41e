"""At lock time: the sha256 of files that no listing tells.  Real engine, real store, a scripted source."""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fetcher.core.digest import Commit, GitBlob, Sha256
from fetcher.core.interfaces import Candidate, FetchRequest, NoEvents, RemoteAddress, RemoteFile, Snapshot
from fetcher.core.lock import Lock, LockedModel
from fetcher.core.manifest import Manifest, ModelSpec, Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.core.retry import RetrySchedule
from fetcher.disk.store import Store
from fetcher.errors import IntegrityError, InterruptedRun
from fetcher.resolve import KEEP_PINS, Upgrade, resolve
from fetcher.sources.folder import FolderSource
from fetcher.transfer import StoreHasher, TransferSettings
from tests.scripted import ScriptedSource, Turn

_FIRST, _SECOND = Commit("1" * 40), Commit("2" * 40)
_EVERYTHING = Upgrade(names=None)


def _sha(data: bytes) -> Sha256:
    return Sha256(hashlib.sha256(data).hexdigest())


def _blob(data: bytes) -> GitBlob:
    return GitBlob(hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())


@dataclass(slots=True, kw_only=True)
class _GitHub(ScriptedSource):
    """Lists git blobs, or nothing, for each file; `commit` is where its only branch stands."""

    commit: Commit = _FIRST
    tells_blobs: bool = True
    tells_sha256: frozenset[str] = frozenset()
    listed: dict[str, bytes] = field(default_factory=dict)  # other bytes than those that come

    def snapshot(self, ref: SourceRef, revision: str | None) -> Snapshot:
        files = []
        for path, data in {**self.files, **self.listed}.items():
            sha256 = _sha(data) if path in self.tells_sha256 else None
            blob = _blob(data) if self.tells_blobs and sha256 is None else None
            files.append(RemoteFile(path=RepoPath(path), size=len(data), sha256=sha256, git_blob=blob))
        return Snapshot(ref=ref, commit=self.commit, files=tuple(files))

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]


@dataclass
class _Sources:
    hubs: dict[str, tuple[ScriptedSource, ...]]

    def candidates(self, ref: SourceRef) -> tuple[ScriptedSource, ...]:
        return self.hubs[ref.repo]

    def routes(self, ref: SourceRef) -> tuple[ScriptedSource, ...]:
        return ()


def _spec(*, fallback: Sequence[str] = (), include: tuple[str, ...] = ()) -> ModelSpec:
    return ModelSpec(
        name=ModelName("m"),
        source=SourceRef.parse("huggingface:o/home"),
        requested=Requested(include=include),
        fallback=tuple(SourceRef.parse(text) for text in fallback),
        target="models/m",
    )


@dataclass
class _Desk:
    """One user's store, and what is locked with it."""

    root: Path
    lock: Lock = field(default_factory=Lock)

    def pin(
        self, spec: ModelSpec, *hubs: ScriptedSource, upgrade: Upgrade = KEEP_PINS, **others: ScriptedSource
    ) -> LockedModel:
        settings = TransferSettings(cores=2, keep_going=False, retry=RetrySchedule(attempts=2, base_s=0.01))
        hasher = StoreHasher(Store(self.root), settings=settings, events=NoEvents(), stop=threading.Event())
        places = {"o/home": hubs, **{f"o/{name}": (hub,) for name, hub in others.items()}}
        manifest = Manifest(models={spec.name: spec})
        self.lock = resolve(manifest, self.lock, _Sources(places), hasher=hasher, upgrade=upgrade, events=NoEvents())
        return self.lock.models[spec.name]

    def stored(self, data: bytes) -> bytes:
        return Store(self.root).object_path(_sha(data)).read_bytes()


@pytest.fixture
def desk(tmp_path: Path) -> _Desk:
    return _Desk(tmp_path / "store")


_FILES = {
    "config.json": b'{"a": 1}',
    "empty.txt": b"",
    "big.txt": bytes(range(256)) * 9000,  # larger than what is received in memory
    "weights.bin": b"w" * 5000,
    **{f"vocab/{number}.txt": b"%d" % number for number in range(40)},
}


@pytest.mark.parametrize("tells_blobs", [True, False])
def test_files_without_a_sha256_are_fetched_once_into_the_store_and_hashed(desk: _Desk, tells_blobs: bool) -> None:
    """Small ones together, large ones through a partial; those with a sha256 stay where they are."""
    hub = _GitHub(files=dict(_FILES), tells_blobs=tells_blobs, tells_sha256=frozenset({"weights.bin"}))
    model = desk.pin(_spec(), hub)
    assert {file.path: (file.sha256, file.size) for file in model.files} == {
        path: (_sha(data), len(data)) for path, data in _FILES.items()
    }
    assert sorted(hub.paths()) == sorted(path for path in _FILES if path not in ("weights.bin", "empty.txt"))
    assert all(desk.stored(data) == data for path, data in _FILES.items() if path != "weights.bin")
    assert list((desk.root / "partial").iterdir()) == []


def test_a_file_that_is_not_wanted_is_not_fetched(desk: _Desk) -> None:
    """Patterns come first."""
    hub = _GitHub(files=dict(_FILES))
    desk.pin(_spec(include=("*.json",)), hub)
    assert hub.paths() == ["config.json"]


def test_at_an_unchanged_commit_nothing_is_fetched_again(desk: _Desk, tmp_path: Path) -> None:
    """Upgraded, or listed again for other patterns, and on a machine whose store is empty."""
    hub = _GitHub(files=dict(_FILES))
    desk.pin(_spec(include=("*.json", "vocab/*")), hub)
    hub.asked.clear()
    elsewhere = _Desk(tmp_path / "other", desk.lock)
    elsewhere.pin(_spec(include=("*.json", "vocab/*")), hub, upgrade=_EVERYTHING)
    elsewhere.pin(_spec(include=("*.json", "weights.bin")), hub)
    assert hub.paths() == ["weights.bin"]


def test_what_did_not_change_between_two_commits_is_not_fetched_while_the_store_has_it(desk: _Desk) -> None:
    """The listing's git blob is that of the bytes that are here."""
    hub = _GitHub(files=dict(_FILES))
    desk.pin(_spec(), hub)
    hub.asked.clear()
    hub.commit, hub.files["config.json"] = _SECOND, b'{"a": 2}'  # of the same size
    model = desk.pin(_spec(), hub, upgrade=_EVERYTHING)
    assert hub.paths() == ["config.json"]
    assert model.commit == _SECOND
    assert model.files[1].sha256 == _sha(b'{"a": 2}')


def test_without_a_git_blob_a_new_commit_is_fetched_again(desk: _Desk) -> None:
    """Nothing says that the bytes are the same."""
    hub = _GitHub(files={"a.bin": b"one"}, tells_blobs=False)
    desk.pin(_spec(), hub)
    hub.commit, hub.files["a.bin"] = _SECOND, b"two"
    assert desk.pin(_spec(), hub, upgrade=_EVERYTHING).files[0].sha256 == _sha(b"two")


@pytest.mark.parametrize("size", [6, 3 << 20])
def test_bytes_that_are_not_the_listed_git_blob_are_refused(desk: _Desk, size: int) -> None:
    """Hashing what a damaged cache sends would pin the damage."""
    right, wrong = b"r" * size, b"w" * size
    hub = _GitHub(files={"config.json": wrong}, listed={"config.json": right}, label="hub.example")
    with pytest.raises(IntegrityError) as caught:
        desk.pin(_spec(), hub)
    assert str(caught.value) == (
        "hub.example sent other bytes than its listing has for m/config.json.\n"
        f"  listed: git blob {_blob(right)}\n"
        f"  received: git blob {_blob(wrong)}\n"
        "  fix: run the command again, or use another source"
    )
    assert not Store(desk.root).object_path(_sha(wrong)).exists()
    assert desk.lock == Lock()


def test_a_mirror_may_send_what_a_git_blob_proves_and_nothing_else(desk: _Desk) -> None:
    """The first one sends damage; a mirror's bytes are taken only where the listing can prove them."""
    broken = _GitHub(files=dict(_FILES), always=Turn(flip_at=0))
    mirror = _GitHub(files=dict(_FILES))
    assert desk.pin(_spec(include=("config.json",)), broken, mirror).files[0].sha256 == _sha(b'{"a": 1}')
    assert mirror.paths() == ["config.json"]
    broken.tells_blobs = False
    broken.always = Turn(error=IntegrityError("broken"))
    with pytest.raises(IntegrityError, match="broken"):
        desk.pin(_spec(include=("vocab/1.txt",)), broken, mirror)
    assert mirror.paths() == ["config.json"]


def test_a_fallback_that_lists_the_same_blobs_sends_nothing(desk: _Desk) -> None:
    """The listings tell."""
    other = _GitHub(files=dict(_FILES), commit=_SECOND)
    model = desk.pin(_spec(fallback=["huggingface:o/other"]), _GitHub(files=dict(_FILES)), other=other)
    assert other.paths() == []
    assert [str(pin) for pin in model.fallback] == [f"huggingface:o/other@{_SECOND}"]


def test_a_fallback_that_lists_no_hash_is_asked_for_its_bytes(desk: _Desk) -> None:
    """Where no listing tells, bytes do, and the error has both hashes."""
    home = _GitHub(files={"a.txt": b"one", "b.txt": b"two"}, tells_sha256=frozenset({"a.txt", "b.txt"}))
    other = _GitHub(files={"a.txt": b"one", "b.txt": b"TWO"}, tells_blobs=False)
    with pytest.raises(IntegrityError) as caught:
        desk.pin(_spec(fallback=["huggingface:o/other"]), home, other=other)
    assert str(caught.value) == (
        "m: the fallback huggingface:o/other has other bytes.\n"
        f"  b.txt: sha256 {_sha(b'two')} at the source, {_sha(b'TWO')} at the fallback\n"
        "  fix: remove it from `fallback` of [models.m] in models.toml"
    )
    assert sorted(other.paths()) == ["a.txt", "b.txt"]


def test_a_large_file_that_was_cut_goes_on_where_it_was(desk: _Desk) -> None:
    """A partial without a sha256 is found again by what is known of it."""
    data = bytes(range(256)) * (12 << 12)  # 12 MiB
    hub = _GitHub(files={"big.bin": data}, tells_blobs=False)
    hub.always = Turn(cut_after=9 << 20)
    hub.script = [Turn(cut_after=9 << 20), Turn(error=IntegrityError("gone"))]
    with pytest.raises(IntegrityError, match="gone"):
        desk.pin(_spec(), hub)
    hub.always, hub.sent = Turn(), 0
    assert desk.pin(_spec(), hub).files[0].sha256 == _sha(data)
    assert hub.sent == len(data) - (9 << 20)


@dataclass
class _Watcher(NoEvents):
    """Counts the bytes that were hashed, and asks for a stop after the first of them."""

    stop: threading.Event
    announced: int = 0
    hashed: int = 0
    is_over: bool = False

    def hashing_started(self, *, files: int, size: int) -> None:
        self.announced = size

    def bytes_hashed(self, count: int) -> None:
        self.hashed += count
        self.stop.set()

    def hashing_done(self) -> None:
        self.is_over = True


def test_hashing_a_large_file_of_a_folder_is_watched_and_ends_at_once(tmp_path: Path) -> None:
    """A file of a terabyte takes an hour."""
    size = 64 << 20
    (tmp_path / "weights").mkdir()
    with (tmp_path / "weights/a.bin").open("wb") as file:
        file.truncate(size)
    stop = threading.Event()
    events = _Watcher(stop)
    hasher = StoreHasher(Store(tmp_path / "store"), settings=TransferSettings(cores=1), events=events, stop=stop)
    source = FolderSource(tmp_path / "weights", label="file:weights", project=tmp_path / "project")
    ref = SourceRef.parse("file:weights")
    address = RemoteAddress(ref=ref, commit=_FIRST, path=RepoPath("a.bin"), size=size, sha256=None)
    request = FetchRequest(
        label="m/a.bin", sha256=None, size=size, candidates=(Candidate(source=source, address=address),)
    )
    with pytest.raises(InterruptedRun):
        hasher.fetch([request])
    assert events.announced == size
    assert 0 < events.hashed < size // 4
    assert events.is_over
