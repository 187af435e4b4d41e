"""Two branches change models.lock: real git merges, `fetcher lock` ends at a fresh lock, never a silently wrong one."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from fetcher.errors import ConfigError
from fetcher.repository import set_up_driver
from fetcher.serve.hub import Hub
from tests.branches import BASE, Step, World, begin, declare, upgrade
from tests.git import git
from tests.hub.publish import Publisher


def _add_at(version: str) -> Step:
    return lambda w: (w.hub_moves("n1", version), w.declare({**BASE, "n1": ""}), w.lock())


_JSON = 'include = ["*.json"]'
_ANEW = "m: resolved anew, because both"
# ours, theirs, models.toml as a person settles it; what `fetcher lock` says after a merge by lines and by the driver
_SCENARIOS = [
    pytest.param(upgrade("2"), upgrade("3"), BASE, [_ANEW], [_ANEW], id="two upgrades"),
    pytest.param(
        declare(**BASE, n1=""),
        declare(**BASE, n2=""),
        {**BASE, "n1": "", "n2": ""},
        ["n1: took ours, the only", "n2: took theirs, the only"],
        [],
        id="two adds in one gap",
    ),
    pytest.param(declare(**BASE, n1=""), upgrade("2"), {**BASE, "n1": ""}, [], [], id="add and upgrade"),
    pytest.param(declare(a="", z=""), upgrade("2"), {"a": "", "z": ""}, [], [], id="remove and upgrade"),
    pytest.param(
        _add_at("8"),
        _add_at("9"),
        {**BASE, "n1": ""},
        ["n1: resolved anew, because both"],
        ["n1: resolved anew, because both"],
        id="same model twice",
    ),
    pytest.param(
        declare(a="", m=_JSON, z=""),
        upgrade("2"),
        {"a": "", "m": _JSON, "z": ""},
        ["m: resolved anew, because git mixed"],
        [_ANEW],
        id="patterns against commit",
    ),
]
_PAGE = (Path(__file__).parents[1] / "docs/merging.md").read_text(encoding="utf-8")


def _page_says_that_git_stops(scenario: str, *, driver: bool) -> bool:
    (row,) = (line.split("|") for line in _PAGE.splitlines() if line.startswith(f"| {scenario}"))
    return row[3 if driver else 2].strip().startswith("stops")


@pytest.fixture
def world(tmp_path, hub: Hub, publisher: Publisher) -> World:  # type: ignore[no-untyped-def]
    return begin(tmp_path / "project", hub, publisher)


@pytest.mark.parametrize("driver", [False, True], ids=["lines", "driver"])
@pytest.mark.parametrize(("ours", "theirs", "manifest", "by_lines", "by_driver"), _SCENARIOS)
def test_after_a_merge_lock_ends_where_a_fresh_one_does(
    world: World,
    ours: Step,
    theirs: Step,
    manifest: dict[str, str],
    by_lines: list[str],
    by_driver: list[str],
    driver: bool,
    request: pytest.FixtureRequest,
) -> None:
    """Without a driver, as behind the button of a website, git's markers are all that there is."""
    if driver:
        set_up_driver(world.lock_path)
        world.commit()
    world.diverge(ours, theirs)
    git(world.at.folder, "merge", "theirs", "-m", "merge")
    world.declare(manifest)
    told, is_stopped = (by_driver if driver else by_lines), "<<<<<<<" in world.text
    assert is_stopped == _page_says_that_git_stops(request.node.callspec.id.split("-")[-2], driver=driver)
    with pytest.raises(ConfigError, match="conflict markers") if is_stopped else nullcontext():
        assert world.project.staleness() == [], "a lock without markers is right as it is"
    merged = world.text
    said = world.lock()
    assert [line.startswith(start) for line, start in zip(said, told, strict=True)] == [True] * len(told)
    assert is_stopped or world.text == merged
    assert world.text == world.fresh_text()


def test_lock_says_how_it_merged_and_check_says_to_run_it(world: World) -> None:
    """What was resolved anew is not what either branch had; who merges must see it."""
    world.diverge(upgrade("2"), upgrade("3"))
    git(world.at.folder, "merge", "theirs", "-m", "merge")
    check = world.at.fetcher("lock", "--check")
    assert (check.code, check.err.splitlines()[-1]) == (2, "  fix: run `fetcher lock`, which merges it model by model")
    done = world.at.ok("lock", "--json")
    assert [(m["model"], m["taken"]) for m in done.json["merged"]] == [("a", "both"), ("m", "anew"), ("z", "both")]
    assert done.err.splitlines()[0].startswith("merged m: resolved anew, because both sides moved its pin (")


def test_what_git_merged_without_a_word_into_something_wrong_is_caught_by_its_digests(world: World) -> None:
    """`-X ours` takes one side where lines conflict, and both sides' lines elsewhere: files of two commits."""
    many = {f"{n:02}.bin": b"same" for n in range(20)}
    for version in "123":
        changed = {"1": {}, "2": {"00.bin": b"2"}, "3": {"19.bin": b"3"}}[version]
        world.publisher.commit("o/m", version, {**many, **changed})
    world.publisher.move("o/m", "master", to="1")
    world.fresh_text()
    world.commit()

    def moved(version: str) -> Step:
        return lambda w: (w.publisher.move("o/m", "master", to=version), w.fresh_text())

    world.diverge(moved("2"), moved("3"))
    assert git(world.at.folder, "merge", "-X", "ours", "theirs", "-m", "merge").returncode == 0
    assert "<<<<<<<" not in world.text
    check = world.at.fetcher("lock", "--check")
    assert check.code == 1
    assert check.err == (
        "error: models.lock is not what models.toml asks for.\n"
        "  m.tree: expected the digest of its files, models.lock has that of another file list\n"
        "  fix: run `fetcher lock`\n"
    )
    assert world.at.fetcher("sync", "--frozen").code == 2
    world.lock()
    assert world.text == world.fresh_text()
