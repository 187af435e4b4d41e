"""models.lock under real git: work on different models merges, two changes of one model conflict."""

import random
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import Lock, LockedFile, LockedModel, PinnedSource, tree_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.errors import ConfigError
from fetcher.formats.lock_lines import END
from fetcher.formats.lock_toml import read_lock, write_lock
from tests.git import git

NAMES = ("config.json", "merges.txt", "model.bin", "vocab.json")
Models = dict[str, LockedModel]


def files(version: str, names: tuple[str, ...] = NAMES) -> tuple[LockedFile, ...]:
    """Files whose every line is another for another version."""
    return tuple(LockedFile(path=RepoPath(name), sha256=Sha256(version * 64), size=int(version, 16)) for name in names)


def model(name: str, version: str = "1") -> LockedModel:
    return LockedModel(
        name=ModelName(name),
        source=SourceRef.parse(f"ms:owner/{name}"),
        commit=Commit(version * 40),
        tree=tree_of(files(version)),
        requested=Requested(revision="master", include=("*.json", "*.txt", "*.bin")),
        files=files(version),
    )


def with_files(old: LockedModel, new: tuple[LockedFile, ...]) -> LockedModel:
    return replace(old, files=new, tree=tree_of(new))


def with_pattern(old: LockedModel, pattern: str) -> LockedModel:
    """The model after a pattern that matches nothing was added in models.toml."""
    return replace(old, requested=replace(old.requested, include=(*old.requested.include, pattern)))


def unsealed(text: str) -> str:
    """The lock as a fetcher writes it that knows no seal and no last line."""
    return re.sub(r"^seal = .*\n", "", text, flags=re.MULTILINE).removesuffix(f"\n{END}\n")


def locked(models: Models) -> dict[ModelName, LockedModel]:
    return {one.name: one for one in models.values()}


def text_of(models: Models) -> str:
    return write_lock(Lock(models=locked(models)), None)


def commit(folder: Path, models: Models) -> None:
    """Lock as fetcher would: from the text that lies there."""
    path = folder / "models.lock"
    previous = read_lock(path.read_text("utf-8"), file="models.lock") if path.exists() else None
    path.write_text(write_lock(Lock(models=locked(models)), previous), encoding="utf-8", newline="\n")
    git(folder, "add", "models.lock")
    assert git(folder, "commit", "-m", "lock").returncode == 0


def merged(folder: Path, base: Models, ours: Models, theirs: Models) -> str | None:
    """The text after `git merge` of two branches; None on a conflict."""
    assert git(folder, "init").returncode == 0
    commit(folder, base)
    git(folder, "checkout", "-b", "theirs")
    commit(folder, theirs)
    git(folder, "checkout", "ours")
    commit(folder, ours)
    result = git(folder, "merge", "theirs", "-m", "merge")
    text = (folder / "models.lock").read_text("utf-8")
    if result.returncode:
        assert "CONFLICT" in result.stdout
        with pytest.raises(ConfigError, match="conflict markers"):
            read_lock(text, file="models.lock")
        return None
    return text


A, B, C, D = (model(name) for name in "abcd")
BASE: Models = {"a": A, "b": B, "c": C}


@pytest.mark.parametrize(
    ("ours", "theirs", "union"),
    [
        pytest.param(
            {**BASE, "a": model("a", "2")},
            {**BASE, "b": model("b", "3")},
            {**BASE, "a": model("a", "2"), "b": model("b", "3")},
            id="neighbours upgraded",
        ),
        pytest.param(
            {**BASE, "a": with_files(A, files("1", NAMES[:3]))},
            {**BASE, "b": replace(B, source=SourceRef.parse("hf:owner/b"))},
            {**BASE, "a": with_files(A, files("1", NAMES[:3])), "b": replace(B, source=SourceRef.parse("hf:owner/b"))},
            id="last line of one, first of the next",
        ),
        pytest.param(
            {**BASE, "aa": model("aa")},
            {**BASE, "b": model("b", "3")},
            {**BASE, "aa": model("aa"), "b": model("b", "3")},
            id="added before the one upgraded",
        ),
        pytest.param(
            {**BASE, "aa": model("aa", "4")},
            {**BASE, "a": model("a", "3")},
            {**BASE, "aa": model("aa", "4"), "a": model("a", "3")},
            id="added after the one upgraded",
        ),
        pytest.param(
            {**BASE, "aa": model("aa")},
            {**BASE, "bb": model("bb")},
            {**BASE, "aa": model("aa"), "bb": model("bb")},
            id="added in two places",
        ),
        pytest.param(
            {"a": A, "c": C},
            {**BASE, "d": D},
            {"a": A, "c": C, "d": D},
            id="one removed, one added elsewhere",
        ),
        pytest.param(
            {"a": A, "c": C},
            {**BASE, "c": model("c", "5")},
            {"a": A, "c": model("c", "5")},
            id="one removed, the next upgraded",
        ),
    ],
)
def test_work_on_different_models_merges_to_a_fresh_lock(
    tmp_path: Path, ours: Models, theirs: Models, union: Models
) -> None:
    """Design 3; afterwards `fetcher lock` has nothing to do."""
    assert merged(tmp_path, BASE, ours, theirs) == text_of(union)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(model("b", "2"), model("b", "3"), id="two upgrades"),
        pytest.param(
            with_files(B, (*files("2", NAMES[:1]), *files("1", NAMES[1:]))),
            with_files(B, (*files("1", NAMES[:3]), *files("3", NAMES[3:]))),
            id="different files changed",
        ),
        pytest.param(
            replace(with_files(B, files("1", NAMES[:1])), requested=Requested(revision="master", include=("*.json",))),
            model("b", "2"),
            id="patterns and commit",
        ),
        pytest.param(
            replace(B, requested=Requested(revision="v1", include=B.requested.include)),
            replace(B, requested=Requested(revision="v2", include=B.requested.include)),
            id="two revisions",
        ),
    ],
)
def test_two_changes_of_one_model_conflict(tmp_path: Path, ours: LockedModel, theirs: LockedModel) -> None:
    """A mixture of two locks is a lock that nobody made (design 3)."""
    assert merged(tmp_path, BASE, {**BASE, "b": ours}, {**BASE, "b": theirs}) is None


def test_two_models_added_in_one_place_conflict(tmp_path: Path) -> None:
    """git cannot know their order; a conflict is right, a shuffled lock would not be."""
    assert merged(tmp_path, BASE, {**BASE, "ba": model("ba", "2")}, {**BASE, "bb": model("bb", "3")}) is None


def test_the_same_change_on_both_sides_is_no_conflict(tmp_path: Path) -> None:
    """Two people who locked the same thing have the same bytes."""
    changed = {**BASE, "b": model("b", "2")}
    assert merged(tmp_path, BASE, changed, changed) == text_of(changed)


def test_a_pattern_that_took_nothing_new_conflicts_with_an_upgrade(tmp_path: Path) -> None:
    """No file changes with the pattern, so the seal is the only line that both touch."""
    assert merged(tmp_path, BASE, {**BASE, "b": with_pattern(B, "*.zip")}, {**BASE, "b": model("b", "2")}) is None


def test_a_mixture_with_the_work_of_an_older_fetcher_is_noticed(tmp_path: Path) -> None:
    """It writes no seal, so that git sees no conflict; the seal of the other side does not fit then."""
    base = unsealed(text_of(BASE))
    ours = write_lock(Lock(models=locked({**BASE, "b": model("b", "2")})), read_lock(base, file="models.lock"))
    theirs = unsealed(text_of({**BASE, "b": with_pattern(B, "*.zip")}))
    result = merge_file(tmp_path, ours, base, theirs)
    assert result.returncode == 0
    models = read_lock(result.stdout, file="models.lock").lock.models
    assert [one.is_intact() for one in models.values()] == [True, False, True]


@pytest.mark.parametrize(
    ("ours", "added"),
    [
        pytest.param({**BASE, "c": model("c", "2")}, ("d",), id="last model upgraded"),
        pytest.param({**BASE, "c": with_files(C, files("1", NAMES[:3]))}, ("d",), id="last line removed"),
        pytest.param(
            {**BASE, "c": with_files(C, (*files("1"), *files("2", ("z.txt",))))}, ("d",), id="a line added at the end"
        ),
        pytest.param({**BASE, "c": model("c", "2")}, ("d", "e"), id="two models added"),
        pytest.param({"a": A, "c": C}, ("d",), id="another model removed"),
        pytest.param({"a": model("a", "2"), "b": B, "c": C}, ("d",), id="first model upgraded"),
    ],
)
def test_a_model_added_at_the_end_merges_with_other_work(tmp_path: Path, ours: Models, added: tuple[str, ...]) -> None:
    """The last line of the file stands between the new section and the change above it."""
    new = {name: model(name) for name in added}
    assert merged(tmp_path, BASE, ours, {**BASE, **new}) == text_of({**ours, **new})


def merge_file(folder: Path, ours: str, base: str, theirs: str) -> subprocess.CompletedProcess[str]:
    """The merge of `git merge` without the repository around it."""
    for side, text in {"ours": ours, "base": base, "theirs": theirs}.items():
        (folder / side).write_text(text, encoding="utf-8", newline="\n")
    return git(folder, "merge-file", "-p", "ours", "base", "theirs")


CHANGES: tuple[Callable[[LockedModel], LockedModel | None], ...] = (
    lambda old: model(old.name, "2"),
    lambda old: model(old.name, "3"),
    lambda old: with_pattern(old, "*.zip"),
    lambda old: with_pattern(old, "*.tar"),
    lambda old: replace(old, source=SourceRef.parse(f"hf:owner/{old.name}")),
    lambda old: replace(old, fallback=(PinnedSource(source=SourceRef.parse("hf:o/m"), commit=Commit("9" * 40)),)),
    lambda old: with_files(old, old.files[:-1]),
    lambda old: with_files(old, old.files[1:]),
    lambda _: None,
)


def edited(models: Models, chosen: list[str], dice: random.Random) -> Models:
    """Some of the chosen models added, or changed in one of many ways."""
    result = dict(models)
    for name in chosen:
        old = result.pop(name, None)
        new = dice.choice(CHANGES)(old) if old else model(name, dice.choice("4567"))
        if new:
            result[name] = new
    return result


def union_of(ours: Models, base: Models, theirs: Models) -> Models | None:
    """What a merge should give, model by model; None when both sides changed one to something else."""
    result: Models = {}
    for name in sorted({*ours, *base, *theirs}):
        mine, old, yours = ours.get(name), base.get(name), theirs.get(name)
        if mine not in (old, yours) and yours != old:
            return None
        new = yours if mine == old else mine
        if new:
            result[name] = new
    return result


def mended(text: str) -> str | None:
    """What `fetcher lock` makes of a lock that is fresh; None if it refuses to read it."""
    try:
        previous = read_lock(text, file="models.lock")
    except ConfigError as error:
        if "twice" in str(error):
            return None
        raise
    assert all(one.is_intact() for one in previous.lock.models.values())
    return write_lock(previous.lock, previous)


def test_a_clean_merge_is_the_lock_of_both_sides_or_refused(tmp_path: Path) -> None:
    """Whatever was added, removed and changed, also in one model: never a mixture.

    Where both sides add a model in one place and one changes its neighbour too, git puts
    one after the other without a conflict: out of order, or one model twice.
    """
    dice, names, clean, forbidden = random.Random(7), list("abcdefgh"), 0, 0
    for _ in range(80):
        base = {name: model(name) for name in names if dice.random() < 0.6}
        ours, theirs = (edited(base, dice.sample(names, 2), dice) for _ in range(2))
        wanted = union_of(ours, base, theirs)
        result = merge_file(tmp_path, *map(text_of, (ours, base, theirs)))
        found = mended(result.stdout) if result.returncode == 0 else None
        clean += found is not None
        forbidden += wanted is None
        assert found is None or (wanted is not None and found == text_of(wanted))
    assert (clean >= 30, forbidden >= 20) == (True, True)
