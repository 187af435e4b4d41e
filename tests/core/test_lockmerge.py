"""Whose section stays: one side's, whole, or neither's."""

from dataclasses import replace

import pytest

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import LockedFile, LockedModel, seal_of, tree_of
from fetcher.core.lockmerge import merge_sides
from fetcher.core.manifest import Manifest, ModelSpec, Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath

_NAME, _HOME = ModelName("m"), SourceRef.parse("ms:o/m")
_WISHES = Requested(revision="master")


def _model(version: str = "1", *, source: SourceRef = _HOME, wishes: Requested = _WISHES) -> LockedModel:
    files = (LockedFile(path=RepoPath("a"), sha256=Sha256(version * 64), size=1),)
    made = LockedModel(
        name=_NAME, source=source, commit=Commit(version * 40), tree=tree_of(files), requested=wishes, files=files
    )
    return replace(made, seal=seal_of(made))


_MANIFEST = Manifest(models={_NAME: ModelSpec(name=_NAME, source=_HOME, requested=_WISHES, target="models/m")})
_OLD_PATTERNS = Requested(revision="master", include=("*.bin",))


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        pytest.param(
            _model("1"),
            _model("2"),
            "m: resolved anew, because both sides moved its pin (111111111111 and 222222222222)",
            id="two pins",
        ),
        pytest.param(
            _model("1"),
            _model("2", wishes=_OLD_PATTERNS),
            "m: resolved anew, because both sides moved its pin (111111111111 and 222222222222)",
            id="patterns against commit",
        ),
        pytest.param(
            _model("1", wishes=_OLD_PATTERNS),
            _model("1"),
            "m: took theirs, since both are at the same commit",
            id="one commit, their patterns",
        ),
        pytest.param(
            _model("1", source=SourceRef.parse("hf:o/m")),
            _model("2"),
            "m: took theirs, the side that models.toml asks for",
            id="another home",
        ),
        pytest.param(
            _model("1", wishes=Requested(revision="v1")),
            _model("2", wishes=Requested(revision="v2")),
            "m: resolved anew, because neither side is what models.toml asks for",
            id="neither revision",
        ),
        pytest.param(
            replace(_model("1"), seal=_model("2").seal),
            _model("2"),
            "m: resolved anew, because git mixed the two sides of its section",
            id="mixed",
        ),
        pytest.param(
            replace(_model("1"), seal=None),
            _model("2"),
            "m: resolved anew, because git mixed the two sides of its section",
            id="no seal that could prove it",
        ),
    ],
)
def test_of_two_sections_one_stays_whole_or_none(ours: LockedModel, theirs: LockedModel, verdict: str) -> None:
    """A mixture is a lock that nobody made, and taking one of two upgrades loses the other in silence."""
    assert [str(found) for found in merge_sides(_MANIFEST, {"m": ours}, {"m": theirs})] == [verdict]


def test_a_model_of_one_side_stays_while_the_manifest_has_it() -> None:
    """Removed there and upgraded here: models.toml says what was meant."""
    assert [v.taken for v in merge_sides(_MANIFEST, {}, {"m": _model()})] == ["theirs"]
    assert [v.taken for v in merge_sides(_MANIFEST, {"m": None}, {})] == ["anew"]
    assert merge_sides(Manifest(models={}), {}, {"m": _model()}) == []
