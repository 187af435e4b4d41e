"""The lock as values: sizes, the tree digest, and every way to be stale."""

from dataclasses import replace

import pytest
from hypothesis import given

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import Lock, LockedFile, LockedModel, PinnedSource, Staleness, seal_of, staleness, tree_of
from fetcher.core.manifest import Manifest, ModelSpec, Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from tests.core.strategies import locks, unhurried

GPT2 = ModelName("gpt2")
SOURCE = SourceRef.parse("modelscope:a/gpt2")
MIRROR = SourceRef.parse("modelscope:b/gpt2")
REQUESTED = Requested(revision="master", include=("*.json",), exclude=("*.md",), files=("a.bin",))
FILES = (
    LockedFile(path=RepoPath("a.bin"), sha256=Sha256("a" * 64), size=10),
    LockedFile(path=RepoPath("c.json"), sha256=Sha256("c" * 64), size=32),
)
SPEC = ModelSpec(name=GPT2, source=SOURCE, requested=REQUESTED, fallback=(MIRROR,), target="models/gpt2")
LOCKED = LockedModel(
    name=GPT2,
    source=SOURCE,
    commit=Commit("0" * 40),
    tree=tree_of(FILES),
    requested=REQUESTED,
    files=FILES,
    fallback=(PinnedSource(source=MIRROR, commit=Commit("1" * 40)),),
)


def found(spec: ModelSpec | None, locked: LockedModel | None) -> list[Staleness]:
    manifest = Manifest(models={spec.name: spec} if spec else {})
    return staleness(manifest, Lock(models={locked.name: locked} if locked else {}))


def test_a_lock_that_fits_is_fresh() -> None:
    """`lock --check` exits 0 then."""
    assert found(SPEC, LOCKED) == []


def test_where_files_land_does_not_make_a_lock_stale() -> None:
    """Targets and groups are local matters and not in the lock (design 3)."""
    assert found(replace(SPEC, target="elsewhere", groups=("text",)), LOCKED) == []


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (
            replace(SPEC, source=SourceRef.parse("hf:a/gpt2")),
            'gpt2.source: models.toml has "huggingface:a/gpt2", models.lock has "modelscope:a/gpt2"',
        ),
        (
            replace(SPEC, source=SourceRef.parse("ms:datasets/a/gpt2")),
            'gpt2.source: models.toml has "modelscope:datasets/a/gpt2", models.lock has "modelscope:a/gpt2"',
        ),
        (
            replace(SPEC, requested=replace(REQUESTED, revision=None)),
            'gpt2.revision: models.toml has none, models.lock has "master"',
        ),
        (
            replace(SPEC, requested=replace(REQUESTED, include=())),
            'gpt2.include: models.toml has none, models.lock has ["*.json"]',
        ),
        (
            replace(SPEC, requested=replace(REQUESTED, exclude=("*.md", "*.txt"))),
            'gpt2.exclude: models.toml has ["*.md", "*.txt"], models.lock has ["*.md"]',
        ),
        (
            replace(SPEC, requested=replace(REQUESTED, files=("b.bin",))),
            'gpt2.files: models.toml has ["b.bin"], models.lock has ["a.bin"]',
        ),
        (
            replace(SPEC, fallback=()),
            'gpt2.fallback: models.toml has none, models.lock has ["modelscope:b/gpt2"]',
        ),
    ],
)
def test_each_wish_that_changed_is_named_with_both_values(spec: ModelSpec, text: str) -> None:
    """`lock --check` prints exactly this line."""
    assert [str(difference) for difference in found(spec, LOCKED)] == [text]


def test_all_differences_are_told_at_once() -> None:
    """One run should be enough to see what changed."""
    spec = replace(SPEC, source=MIRROR, requested=Requested(), fallback=())
    fields = [difference.field for difference in found(spec, LOCKED)]
    assert fields == ["source", "revision", "include", "exclude", "files", "fallback"]


def test_a_missing_and_a_left_over_section_are_told() -> None:
    """A model that was added or removed in models.toml."""
    assert [str(difference) for difference in found(SPEC, None)] == [
        "gpt2.model: models.toml has a section, models.lock has nothing"
    ]
    assert [str(difference) for difference in found(None, LOCKED)] == [
        "gpt2.model: models.toml has nothing, models.lock has a section"
    ]


def test_a_tree_that_does_not_fit_the_files_is_told() -> None:
    """A merge can take one side's files and the other's tree without a conflict mark."""
    broken = replace(LOCKED, files=FILES[:1])
    assert not broken.tree_is_right()
    assert not broken.is_intact()
    assert [str(difference) for difference in found(SPEC, broken)] == [
        "gpt2.tree: expected the digest of its files, models.lock has that of another file list"
    ]


OTHER_PINS = {
    "source": replace(LOCKED, source=MIRROR),
    "commit": replace(LOCKED, commit=Commit("2" * 40)),
    "tree": replace(LOCKED, tree=Sha256("0" * 64)),
    "fallback": replace(LOCKED, fallback=()),
    "fallback commit": replace(LOCKED, fallback=(PinnedSource(source=MIRROR, commit=Commit("2" * 40)),)),
    "revision": replace(LOCKED, requested=replace(REQUESTED, revision="main")),
    "no revision": replace(LOCKED, requested=replace(REQUESTED, revision=None)),
    "include": replace(LOCKED, requested=replace(REQUESTED, include=("*.json", "*.zip"))),
    "exclude": replace(LOCKED, requested=replace(REQUESTED, exclude=())),
    "files": replace(LOCKED, requested=replace(REQUESTED, files=())),
    "include for exclude": replace(
        LOCKED, requested=replace(REQUESTED, include=REQUESTED.exclude, exclude=REQUESTED.include)
    ),
    "one pattern for two": replace(LOCKED, requested=replace(REQUESTED, include=('*.json","*.zip',))),
}


def test_whatever_is_pinned_changes_the_seal() -> None:
    """Two changes of one model must touch one line, or git mixes them."""
    assert len({seal_of(model) for model in (LOCKED, *OTHER_PINS.values())}) == 1 + len(OTHER_PINS)


@pytest.mark.parametrize("what", OTHER_PINS)
def test_a_section_under_the_seal_of_another_is_told(what: str) -> None:
    """`lock --check` finds a clean merge that mixed two sections, and an edit by hand."""
    mixed = replace(OTHER_PINS[what], seal=seal_of(LOCKED))
    assert not mixed.is_intact()
    assert (
        "gpt2.seal: expected a section as `fetcher lock` wrote it, "
        "models.lock has one that was changed by hand or merged"
    ) in [str(difference) for difference in found(SPEC, mixed)]


def test_a_right_seal_and_none_are_fine() -> None:
    """None stands in the lock of an older fetcher, which must not be stale for it."""
    for seal in (seal_of(LOCKED), None):
        assert found(SPEC, replace(LOCKED, seal=seal)) == []
        assert replace(LOCKED, seal=seal).is_intact()


def test_equality_does_not_ask_how_a_section_was_sealed() -> None:
    """Two sections that pin the same are no change to tell."""
    assert replace(LOCKED, seal=Sha256("0" * 64)) == LOCKED


def test_the_size_is_the_sum_of_the_files() -> None:
    """In bytes; the space check relies on it."""
    assert LOCKED.size == 42


@unhurried
@given(locks())
def test_a_pin_reads_back_as_it_was_written(lock: Lock) -> None:
    """`fallback` holds `SOURCE@COMMIT`, and a source may hold an `@` itself."""
    for model in lock.models.values():
        assert tuple(PinnedSource.parse(str(pin)) for pin in model.fallback) == model.fallback


@pytest.mark.parametrize("text", ["", "ms:a/b", "ms:a/b@", "ms:a/b@master", "@" + "0" * 40])
def test_what_is_not_a_pin_is_refused(text: str) -> None:
    """A home without a full commit is no pin."""
    with pytest.raises(ValueError, match="expected"):
        PinnedSource.parse(text)
