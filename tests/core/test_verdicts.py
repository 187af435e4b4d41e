"""What in a lock breaks a policy."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import Lock, LockedFile, LockedModel, tree_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.core.policy import AgeRule, Choices, Policy, SizeRule, Waiver
from fetcher.core.verdicts import Finding, Place, judge, judge_environment, judge_place, level_of, require_allowed
from fetcher.errors import PolicyError
from tests.core.strategies import locks, models, unhurried

NOW_S = 1_717_156_800.0  # 2024-05-31T12:00:00Z
DAY_S = 86_400.0
EVERYTHING = Policy(licenses=Choices(), age=AgeRule(minimum_s=0), formats=Choices())


def found(policy: Policy, lock: Lock, places: dict[str, Place] | None = None) -> list[str]:
    """Findings, each in a few words."""
    return [f"{each.level} {each}" for each in judge(policy, lock, places or {}, now_s=NOW_S)]


def a_model(data: st.DataObject, **changes: object) -> Lock:
    """A lock of one model."""
    made = replace(data.draw(models("m").filter(lambda model: bool(model.files))), **changes)  # type: ignore[arg-type]
    return Lock(models={made.name: made})


def with_formats(**words: str) -> Lock:
    """A lock of a model whose files have these formats; `_` stands for a dot."""
    paths = {RepoPath(path.replace("_", ".")): word for path, word in words.items()}
    files = tuple(LockedFile(path=path, sha256=Sha256("0" * 64), size=1) for path in sorted(paths))
    model = LockedModel(
        name=ModelName("m"),
        source=SourceRef.parse("ms:a/b"),
        commit=Commit("0" * 40),
        tree=tree_of(files),
        requested=Requested(),
        files=files,
        formats=paths,
    )
    return Lock(models={model.name: model})


@given(locks())
@unhurried
def test_no_rule_finds_nothing_and_needs_nothing(lock: Lock) -> None:
    """Whatever a lock says."""
    assert found(Policy(), lock) == []
    assert Policy().records == frozenset()
    assert Policy(sources=Choices(deny=("*",)), size=SizeRule(total=0)).records == frozenset()
    assert EVERYTHING.records == {"license", "committed", "formats"}


@given(st.data())
@unhurried
def test_what_is_not_recorded_breaks_every_rule_that_needs_it(data: st.DataObject) -> None:
    """Also one that only warns: nobody knows what it would be."""
    lock = a_model(data, license=None, committed=None, formats={})
    policy = replace(EVERYTHING, age=AgeRule(minimum_s=0, level="warn"), formats=Choices(other="warn"))
    assert [line.split(": ")[1] for line in found(policy, lock)] == ["licenses", "age", "formats"]
    assert all(line.startswith("deny") for line in found(policy, lock))


@pytest.mark.parametrize(
    ("rule", "level"),
    [
        (Choices(), "allow"),
        (Choices(other="warn"), "warn"),
        (Choices(allow=("b",)), "deny"),
        (Choices(allow=("b",), other="warn"), "warn"),
        (Choices(allow=("a*",)), "allow"),
        (Choices(allow=("*",), warn=("a",)), "warn"),
        (Choices(allow=("*",), warn=("*",), deny=("?",)), "deny"),
        (Choices(deny=("A",)), "allow"),
        (Choices(deny=("z",)), "deny"),
    ],
)
def test_deny_beats_warn_beats_allow(rule: Choices, level: str) -> None:
    """Of everything that something is called the strictest word counts."""
    assert level_of(rule, ("a", "z") if rule.deny == ("z",) else ("a",)) == level


@pytest.mark.parametrize(
    ("license_", "lines"),
    [
        ("mit", []),
        ("MIT", []),
        ("mit, apache-2.0", []),
        ("mit, gpl-3.0", ["deny m: licenses: gpl-3.0 is not allowed"]),
        ("other:qwen", ["warn m: licenses: other:qwen is allowed with a warning"]),
        ("unknown", ["deny m: licenses: the source tells no licence, and `unknown` is not allowed"]),
    ],
)
@given(st.data())
@unhurried
def test_each_licence_is_judged(license_: str, lines: list[str], data: st.DataObject) -> None:
    """Of several licences nobody knows which file has which."""
    rule = Choices(allow=("mit", "apache-*"), warn=("other:*",))
    assert found(Policy(licenses=rule), a_model(data, license=license_)) == lines


@pytest.mark.parametrize(
    ("committed", "days", "breaks"),
    [
        ("2024-05-24T12:00:00Z", 7, False),
        ("2024-05-24T12:00:01Z", 7, True),
        ("2024-06-01T12:00:00Z", 0, True),
        ("2024-05-31T12:00:00Z", 0, False),
        ("unknown", 0, True),
    ],
)
@given(st.data())
@unhurried
def test_an_age_is_counted_from_the_commit(committed: str, days: int, breaks: bool, data: st.DataObject) -> None:
    """To the second; a commit of tomorrow is too young."""
    rule = AgeRule(minimum_s=days * DAY_S)
    assert bool(found(Policy(age=rule), a_model(data, committed=committed))) == breaks


def test_formats_are_judged_by_their_families() -> None:
    """`pickle` is every pickle; an archive that is called .zip is not loaded as weights."""
    lock = with_formats(a_bin="zip-pickle", b_pkl="pickle", c_pt="zip-unread", d_zip="zip-unread", e_npy="npy")
    denied = [line.split(":")[0] for line in found(Policy(formats=Choices(deny=("pickle",))), lock)]
    assert denied == ["deny m/a.bin", "deny m/b.pkl", "deny m/c.pt"]
    assert len(found(Policy(formats=Choices(allow=("npy",))), lock)) == 4
    assert found(Policy(formats=Choices(deny=("zip-pickle",))), lock)[0].startswith("deny m/a.bin")


@pytest.mark.parametrize(
    ("formats", "is_code"),
    [
        ({"config_json": "json-auto-map", "own_py": "python"}, True),
        ({"config_json": "json-auto-map", "own_py": "unknown"}, True),
        ({"config_json": "json-auto-map"}, False),
        ({"config_json": "json-auto-map-elsewhere"}, True),
        ({"config_json": "json", "own_py": "python"}, False),
        ({"config_json": "json-part", "own_py": "python"}, True),
        ({"config_json": "json-part"}, False),
        ({"tokenizer_json": "json-part", "own_py": "python"}, False),
    ],
)
def test_remote_code_takes_a_map_and_its_code(formats: dict[str, str], is_code: bool) -> None:
    """A verdict on the whole of what is locked."""
    lines = found(Policy(formats=Choices(deny=("remote-code",))), with_formats(**formats))
    assert bool(lines) == is_code


@given(st.data())
@unhurried
def test_a_waiver_takes_what_it_is_about_and_nothing_else(data: st.DataObject) -> None:
    """Rule, model and file must fit."""
    lock = with_formats(a_bin="pickle", b_bin="pickle")
    policy = Policy(formats=Choices(deny=("pickle",)), size=SizeRule(total=0, model=0))
    waivers = {
        Waiver(rule="formats", reason="x"): 2,
        Waiver(rule="formats", files=("a*",), reason="x"): 3,
        Waiver(rule="formats", models=("n",), reason="x"): 4,
        Waiver(rule="size", reason="x"): 2,
        Waiver(rule="size", models=("m",), reason="x"): 3,
        Waiver(rule="size", files=("*",), reason="x"): 4,
        Waiver(rule="age", reason="x"): 4,
    }
    waiver = data.draw(st.sampled_from(list(waivers)))
    assert len(found(replace(policy, waivers=(waiver,)), lock)) == waivers[waiver]


def test_places_are_judged_by_source_and_host() -> None:
    """A pattern without a port is about all ports."""
    place = Place(sources=("modelscope:a/b", "corp:a/b"), hosts=("hub.example:8080",))
    policy = Policy(sources=Choices(allow=("modelscope:*",)), hosts=Choices(allow=("hub.example",)))
    assert [str(each) for each in judge_place(policy, "m", place)] == ["m: sources: corp:a/b is not allowed"]
    exact = Policy(hosts=Choices(allow=("hub.example:80",)))
    assert [str(each) for each in judge_place(exact, "m", place)] == ["m: hosts: hub.example:8080 is not allowed"]
    assert len(judge_environment(exact, place.hosts)) == 1
    waived = replace(exact, waivers=(Waiver(rule="hosts", reason="x"),))
    assert judge_place(waived, "m", place) == []
    assert len(judge_environment(waived, place.hosts)) == 1


def test_one_error_names_everything_that_is_denied_and_the_fix_of_each() -> None:
    """Warnings come back to be told."""
    made = [Finding(rule="age", level=level, model="m", found="x", fix=f"do {level}") for level in ("deny", "warn")]
    other = Finding(rule="size", level="deny", model=None, found="y", fix="do less")
    with pytest.raises(PolicyError) as caught:
        require_allowed([*made, other], what="models.lock")
    assert str(caught.value) == (
        "models.lock breaks the policy of models.toml.\n"
        "  m: age: x; do deny\n"
        "  all: size: y; do less\n"
        "  fix: do so for each, or take one with a reason by [[policy.waivers]]"
    )
    assert require_allowed(made[1:], what="models.lock") == ["policy: m: age: x"]
    with pytest.raises(PolicyError, match="and 10 more"):
        require_allowed([made[0]] * 60, what="models.lock")
