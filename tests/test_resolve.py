"""Pins: moved only when the manifest or the user says so."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from fetcher.core.digest import Commit, GitBlob, Sha256
from fetcher.core.interfaces import Body, FetchRequest, NoEvents, RemoteAddress, RemoteFile, Snapshot, Source
from fetcher.core.lock import Lock
from fetcher.core.manifest import Manifest, ModelSpec, Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.errors import ConfigError, FetcherError, IntegrityError, NotFoundError, SourceError
from fetcher.resolve import KEEP_PINS, Upgrade, resolve

_FIRST, _SECOND = Commit("1" * 40), Commit("2" * 40)


def _sha(text: str) -> Sha256:
    return Sha256(hashlib.sha256(text.encode()).hexdigest())


@dataclass
class _FakeHub:
    """A source of one repository: branch names to commits, commits to path -> content."""

    branches: dict[str | None, Commit]
    trees: dict[str, dict[str, str]]
    label: str = "fake"
    asked: list[str | None] = field(default_factory=list)
    broken: bool = False

    def snapshot(self, ref: SourceRef, revision: str | None) -> Snapshot:
        self.asked.append(revision)
        if self.broken:
            raise SourceError("fake does not answer.", transient=True)
        commit = self.branches.get(revision, revision)
        if commit not in self.trees:
            raise NotFoundError(f"There is no revision {revision}.")
        files = tuple(
            RemoteFile(path=RepoPath(path), size=len(text), sha256=_sha(text))
            for path, text in self.trees[commit].items()
        )
        return Snapshot(ref=ref, commit=Commit(commit), files=files)

    def open(self, address: RemoteAddress, start: int, stop: int) -> Body:
        raise AssertionError("resolving reads listings only")

    def close(self) -> None: ...


@dataclass
class _Sources:
    hubs: dict[str, tuple[Source, ...]]
    detours: tuple[Source, ...] = ()

    def candidates(self, ref: SourceRef) -> tuple[Source, ...]:
        return self.hubs[ref.repo]

    def routes(self, ref: SourceRef) -> tuple[Source, ...]:
        return self.detours


class _NoBytes:
    """For listings that tell every sha256."""

    def fetch(self, requests: Sequence[FetchRequest]) -> Sequence[Sha256]:
        raise AssertionError("nothing was to be fetched")

    def holds(self, sha256: Sha256, size: int, git_blob: GitBlob) -> bool:
        raise AssertionError("nothing was to be looked up")


class _Notes(NoEvents):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def _hub() -> _FakeHub:
    return _FakeHub(
        branches={None: _FIRST, "master": _FIRST},
        trees={
            _FIRST: {"config.json": "one", "onnx/model.onnx": "first"},
            _SECOND: {"config.json": "two", "onnx/model.onnx": "first"},
        },
    )


def _spec(name: str = "a", *, fallback: tuple[str, ...] = (), **wishes: object) -> ModelSpec:
    return ModelSpec(
        name=ModelName(name),
        source=SourceRef.parse("modelscope:o/home"),
        requested=Requested(**wishes),  # type: ignore[arg-type]
        fallback=tuple(SourceRef.parse(text) for text in fallback),
        target=f"models/{name}",
    )


def _manifest(*specs: ModelSpec) -> Manifest:
    return Manifest(models={spec.name: spec for spec in specs})


def _resolve(
    spec: ModelSpec, hub: _FakeHub, previous: Lock | None = None, *, upgrade: Upgrade = KEEP_PINS, **others: _FakeHub
) -> Lock:
    hubs: dict[str, tuple[Source, ...]] = {"o/home": (hub,)}
    hubs.update((f"o/{name}", (other,)) for name, other in others.items())
    return resolve(
        _manifest(spec), previous or Lock(), _Sources(hubs), hasher=_NoBytes(), upgrade=upgrade, events=NoEvents()
    )


def test_a_new_model_is_pinned_to_the_commit_of_its_branch() -> None:
    """The first lock."""
    lock = _resolve(_spec(revision="master"), _hub())
    model = lock.models[ModelName("a")]
    assert model.commit == _FIRST
    assert [(f.path, f.sha256, f.size) for f in model.files] == [
        ("config.json", _sha("one"), 3),
        ("onnx/model.onnx", _sha("first"), 5),
    ]
    assert model.tree_is_right()


def test_a_fresh_lock_asks_nobody() -> None:
    """`fetcher lock` twice must not depend on the hub being up."""
    hub = _hub()
    lock = _resolve(_spec(), hub)
    hub.asked.clear()
    hub.broken = True
    assert _resolve(_spec(), hub, lock) == lock
    assert hub.asked == []


def test_changed_patterns_list_the_locked_commit_again() -> None:
    """A change of wishes must not smuggle an upgrade in."""
    hub = _hub()
    lock = _resolve(_spec(), hub)
    hub.branches[None] = _SECOND
    model = _resolve(_spec(include=("*.json",)), hub, lock).models[ModelName("a")]
    assert model.commit == _FIRST
    assert [f.path for f in model.files] == ["config.json"]
    assert hub.asked[-1] == _FIRST


def test_a_changed_revision_is_resolved_anew() -> None:
    """The manifest no longer allows the old pin."""
    hub = _hub()
    lock = _resolve(_spec(), hub)
    hub.branches["v2"] = _SECOND
    assert _resolve(_spec(revision="v2"), hub, lock).models[ModelName("a")].commit == _SECOND


def test_upgrade_moves_the_named_pins_only() -> None:
    """`--upgrade NAME` leaves the others byte for byte."""
    hub = _hub()
    specs = (_spec("a"), _spec("b"))
    sources = _Sources({"o/home": (hub,)})
    lock = resolve(_manifest(*specs), Lock(), sources, hasher=_NoBytes(), upgrade=KEEP_PINS, events=NoEvents())
    hub.branches[None] = _SECOND
    upgrade = Upgrade(names=frozenset({"b"}))
    after = resolve(_manifest(*specs), lock, sources, hasher=_NoBytes(), upgrade=upgrade, events=NoEvents())
    assert after.models[ModelName("a")] == lock.models[ModelName("a")]
    assert after.models[ModelName("b")].commit == _SECOND
    every = resolve(_manifest(*specs), lock, sources, hasher=_NoBytes(), upgrade=Upgrade(names=None), events=NoEvents())
    assert {model.commit for model in every.models.values()} == {_SECOND}


def test_a_section_whose_tree_is_wrong_is_listed_again_at_its_commit() -> None:
    """A bad merge is mended without moving the pin."""
    hub = _hub()
    lock = _resolve(_spec(), hub)
    hub.branches[None] = _SECOND
    model = lock.models[ModelName("a")]
    broken = Lock(models={model.name: replace(model, files=model.files[:1])})
    assert _resolve(_spec(), hub, broken) == lock


def test_a_section_whose_seal_is_wrong_is_listed_again_at_its_commit() -> None:
    """The files agree with the tree, but nobody knows whether they are those of the commit."""
    hub = _hub()
    lock = _resolve(_spec(), hub)
    hub.branches[None] = _SECOND
    hub.asked.clear()
    model = lock.models[ModelName("a")]
    broken = Lock(models={model.name: replace(model, seal=_sha("another"))})
    mended = _resolve(_spec(), hub, broken)
    assert hub.asked == [_FIRST]
    assert mended == lock
    assert mended.models[model.name].is_intact()


def test_models_that_left_the_manifest_leave_the_lock() -> None:
    """The lock holds what the manifest asks for and nothing else."""
    hub = _hub()
    lock = _resolve(_spec("a"), hub)
    assert set(_resolve(_spec("b"), hub, lock).models) == {"b"}


def test_a_pattern_that_matches_nothing_is_said() -> None:
    """Official clients end with 0 and say nothing."""
    notes = _Notes()
    spec = _spec(include=("*.json", "*.bin"))
    resolve(
        _manifest(spec), Lock(), _Sources({"o/home": (_hub(),)}), hasher=_NoBytes(), upgrade=KEEP_PINS, events=notes
    )
    assert notes.texts == ['a: the pattern "*.bin" matches no file']


def test_an_error_names_the_model() -> None:
    """Several models may come from one hub."""
    with pytest.raises(FetcherError) as caught:
        _resolve(_spec(revision="nowhere"), _hub())
    assert str(caught.value) == "a: There is no revision nowhere."


def test_a_mirror_is_asked_when_the_endpoint_does_not_answer() -> None:
    """A hub that is down for an hour must not stop a team."""
    down, up = _hub(), _hub()
    down.broken = True
    sources = _Sources({"o/home": (down, up)})
    lock = resolve(_manifest(_spec()), Lock(), sources, hasher=_NoBytes(), upgrade=KEEP_PINS, events=NoEvents())
    assert lock.models[ModelName("a")].commit == _FIRST


@pytest.mark.parametrize("lacks", [True, False], ids=["lacks the revision", "does not answer"])
def test_a_route_is_asked_first_and_need_not_have_it(lacks: bool) -> None:
    """A mirror of one's own often holds a part of the hub; what it lacks is to be had at the hub."""
    route, home = _hub(), _hub()
    home.broken = True
    sources = _Sources({"o/home": (home,)}, detours=(route,))
    lock = resolve(_manifest(_spec()), Lock(), sources, hasher=_NoBytes(), upgrade=KEEP_PINS, events=NoEvents())
    assert lock.models[ModelName("a")].commit == _FIRST
    home.broken, route.broken = False, not lacks
    route.branches.clear()
    assert resolve(_manifest(_spec()), Lock(), sources, hasher=_NoBytes(), upgrade=KEEP_PINS, events=NoEvents()) == lock
    assert len(route.asked) == 2


def test_a_fallback_with_the_same_bytes_is_pinned_to_its_own_commit() -> None:
    """Another hub's commits are other numbers."""
    other = _FakeHub(branches={None: _SECOND}, trees={_SECOND: _hub().trees[_FIRST]})
    model = _resolve(_spec(fallback=("modelscope:o/other",)), _hub(), other=other).models[ModelName("a")]
    assert [str(pin) for pin in model.fallback] == [f"modelscope:o/other@{_SECOND}"]


def test_a_fallback_with_other_bytes_fails_the_lock_and_names_the_file() -> None:
    """Same bytes, or no lock: else a sync would depend on who answers."""
    other = _FakeHub(branches={None: _SECOND}, trees=_hub().trees)
    with pytest.raises(IntegrityError) as caught:
        _resolve(_spec(fallback=("modelscope:o/other",)), _hub(), other=other)
    assert str(caught.value) == (
        "a: the fallback modelscope:o/other has other bytes.\n"
        f"  config.json: sha256 {_sha('one')} at the source, {_sha('two')} at the fallback\n"
        "  fix: remove it from `fallback` of [models.a] in models.toml"
    )


def test_a_fallback_that_lacks_a_file_fails_the_lock() -> None:
    """A home that cannot deliver is none."""
    other = _FakeHub(branches={None: _FIRST}, trees={_FIRST: {"config.json": "one"}})
    with pytest.raises(NotFoundError, match="lacks 1 of the model's files"):
        _resolve(_spec(fallback=("modelscope:o/other",)), _hub(), other=other)


def test_upgrading_an_unknown_model_names_the_closest() -> None:
    """A typing error must not upgrade nothing in silence."""
    with pytest.raises(ConfigError) as caught:
        _resolve(_spec("gpt2"), _hub(), upgrade=Upgrade(names=frozenset({"gtp2"})))
    assert str(caught.value) == (
        "There is no such model.\n  unknown: gtp2 (did you mean gpt2?)\n  fix: name one of: gpt2"
    )
