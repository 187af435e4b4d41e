"""What in a lock breaks a project's policy.  Pure.

A rule is about one thing that a lock says of a model.  It denies, warns or allows; a waiver with
a reason takes what it is against.  What a lock does not record is not allowed by guessing.

Promises (tests/core/test_verdicts.py):
  * without a rule nothing is found, and nothing needs to be recorded;
  * a lock that lacks what a rule needs breaks that rule.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from fetcher.core.content.words import (
    AUTO_MAP,
    AUTO_MAP_ELSEWHERE,
    FAMILIES,
    JSON_PART,
    MEANINGS,
    PYTHON,
    REMOTE_CODE,
    ZIP_UNREAD,
)
from fetcher.core.lock import UNKNOWN, Lock, LockedModel
from fetcher.core.policy import AgeRule, Choices, Level, Policy, Rule, Waiver
from fetcher.core.units import size_text
from fetcher.errors import PolicyError

_SHOWN = 50  # findings in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a rule is against.

    Attributes:
        model: NAME; None for all together.
        file: Where it is about one.
        found: What there is, in words.
        fix: What to do about it; starts with a verb.
    """

    rule: Rule
    level: Level
    model: str | None
    file: str | None = None
    found: str
    fix: str

    def __str__(self) -> str:
        place = "/".join(part for part in (self.model or "all", self.file) if part)
        return f"{place}: {self.rule}: {self.found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a model comes from, as far as models.toml says: its sources, and the hosts that are asked for them."""

    sources: tuple[str, ...]
    hosts: tuple[str, ...] = ()


def judge(policy: Policy, lock: Lock, places: Mapping[str, Place], *, now_s: float) -> list[Finding]:
    """Everything in a lock that a rule denies or warns of, model by model.

    Args:
        places: Of the lock's models, by NAME.
        now_s: Seconds since 1970, for ages.
    """
    found: list[Finding] = []
    for name, model in sorted(lock.models.items()):
        if name in places:
            found += judge_place(policy, name, places[name])
        found += _judge_model(policy, model, now_s)
    found += _judge_total(policy, lock)
    return [each for each in found if each.level != "allow" and not _is_waived(policy, each)]


def judge_place(policy: Policy, name: str, place: Place) -> list[Finding]:
    """What is against a model before anybody was asked."""
    found = []
    for source in place.sources:
        level = level_of(policy.sources, (source,)) if policy.sources else "allow"
        if level != "allow":
            fix = f"take [models.{name}] from another source, or allow it in [policy.sources]"
            found.append(Finding(rule="sources", level=level, model=name, found=f"{source} is {_not(level)}", fix=fix))
    for host in place.hosts:
        level = level_of_host(policy, host)
        if level != "allow":
            fix = f"take [models.{name}] from another source, or allow the host in [policy.hosts]"
            found.append(Finding(rule="hosts", level=level, model=name, found=f"{host} is {_not(level)}", fix=fix))
    return [each for each in found if not _is_waived(policy, each)]


def judge_environment(policy: Policy, hosts: Iterable[str]) -> list[Finding]:
    """What is against hosts that variables name; a waiver for a model is not one for these."""
    levels = {host: level_of_host(policy, host) for host in hosts}
    fix = "unset the variable that names it, or allow the host in [policy.hosts]"
    return [
        Finding(rule="hosts", level=level, model=None, found=f"{host} is {_not(level)}", fix=fix)
        for host, level in levels.items()
        if level != "allow"
    ]


def level_of(rule: Choices, names: Iterable[str]) -> Level:
    """What holds for something that has these names."""
    known = tuple(names)
    listed: dict[Level, tuple[str, ...]] = {"deny": rule.deny, "warn": rule.warn, "allow": rule.allow}
    for level, patterns in listed.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns for name in known):
            return level
    return rule.other or ("deny" if rule.allow else "allow")


def level_of_host(policy: Policy, host: str) -> Level:
    """What holds for a `host` or `host:port`; a pattern without a port is about all ports."""
    return level_of(policy.hosts, (host, host.rpartition(":")[0] or host)) if policy.hosts else "allow"


def require_allowed(findings: Iterable[Finding], *, what: str) -> list[str]:
    """Refuse what is denied; returns what is only warned of, to be told.

    Args:
        what: Who breaks the policy: `models.lock`.

    Raises:
        PolicyError: Something is denied.
    """
    found = list(findings)
    denied = [each for each in found if each.level == "deny"]
    if denied:
        raise refusal(denied, what=what)
    return [f"policy: {each}" for each in found]


def refusal(denied: list[Finding], *, what: str) -> PolicyError:
    """The error for what is denied: each with what was found; the fix of each where they differ."""
    fixes = list(dict.fromkeys(each.fix for each in denied))
    facts = [str(each) if len(fixes) == 1 else f"{each}; {each.fix}" for each in denied[:_SHOWN]]
    if len(denied) > _SHOWN:
        facts.append(f"and {len(denied) - _SHOWN} more")
    return PolicyError(
        f"{what} breaks the policy of models.toml.",
        facts=facts,
        fix=fixes[0] if len(fixes) == 1 else "do so for each, or take one with a reason by [[policy.waivers]]",
    )


def _judge_model(policy: Policy, model: LockedModel, now_s: float) -> Iterator[Finding]:
    if policy.licenses is not None:
        yield from _judge_license(policy.licenses, model)
    if policy.age is not None:
        yield from _judge_age(policy.age, model, now_s)
    if policy.size is not None and policy.size.model is not None and model.size > policy.size.model:
        found = f"{size_text(model.size)}, more than {size_text(policy.size.model)}"
        fix = f"leave files out by `exclude` of [models.{model.name}], or raise `model` of [policy.size]"
        yield Finding(rule="size", level=policy.size.level, model=model.name, found=found, fix=fix)
    if policy.formats is not None:
        yield from _judge_formats(policy.formats, model)


def _judge_total(policy: Policy, lock: Lock) -> Iterator[Finding]:
    if policy.size is None or policy.size.total is None:
        return
    sizes = {file.sha256: file.size for model in lock.models.values() for file in model.files}
    total = sum(sizes.values())
    if total > policy.size.total:
        found = f"{size_text(total)}, more than {size_text(policy.size.total)}"
        fix = "leave models or files out, or raise `total` of [policy.size]"
        yield Finding(rule="size", level=policy.size.level, model=None, found=found, fix=fix)


def _judge_license(rule: Choices, model: LockedModel) -> Iterator[Finding]:
    if model.license is None:
        yield _unrecorded("licenses", model.name, "no licence is recorded")
        return
    for each in model.license.split(", "):
        level = level_of(rule, (each.lower(),))
        if level != "allow":
            found = f"{each if each != UNKNOWN else 'the source tells no licence, and `unknown`'} is {_not(level)}"
            fix = f'allow "{each}" in [policy.licenses], or take another model than {model.name}'
            yield Finding(rule="licenses", level=level, model=model.name, found=found, fix=fix)


def _judge_age(rule: AgeRule, model: LockedModel, now_s: float) -> Iterator[Finding]:
    if model.committed is None:
        yield _unrecorded("age", model.name, "no time of the commit is recorded")
        return
    if model.committed == UNKNOWN:
        fix = f'take it with a reason: [[policy.waivers]] with rule = "age" and models = ["{model.name}"]'
        found = "the source tells no time of its commit"
        yield Finding(rule="age", level=rule.level, model=model.name, found=found, fix=fix)
        return
    made_s = datetime.strptime(model.committed, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    if now_s - made_s < rule.minimum_s:
        found = f"the commit is of {model.committed}, less than {_span(rule.minimum_s)} ago"
        fix = f"set `revision` of [models.{model.name}] to an older commit, or wait"
        yield Finding(rule="age", level=rule.level, model=model.name, found=found, fix=fix)


def _judge_formats(rule: Choices, model: LockedModel) -> Iterator[Finding]:
    if model.formats.keys() != {file.path for file in model.files}:
        yield _unrecorded("formats", model.name, "not every file's format is recorded")
        return
    code = _remote_code(model)
    for path, word in model.formats.items():
        names = {word, *_families(path, word), *([REMOTE_CODE] if path in code else [])}
        level = level_of(rule, names)
        if level == "allow":
            continue
        said = code.get(path) or MEANINGS.get(word, "of a kind that a newer fetcher knows")
        found = f"{said} ({word}), is {_not(level)}"
        fix = f'add "{path}" to `exclude` of [models.{model.name}], or take it with a reason by [[policy.waivers]]'
        yield Finding(rule="formats", level=level, model=model.name, file=path, found=found, fix=fix)


def _families(path: str, word: str) -> Iterator[str]:
    """What a format is a kind of; a zip archive that is called one is not loaded as weights."""
    if word != ZIP_UNREAD or not path.lower().endswith(".zip"):
        yield from (family for family, members in FAMILIES.items() if word in members)


def _remote_code(model: LockedModel) -> dict[str, str]:
    """The files of a model that make a library run code of a repository, with what is said of each."""
    has_python = any(word == PYTHON or path.lower().endswith(".py") for path, word in model.formats.items())
    found: dict[str, str] = {}
    for path, word in model.formats.items():
        if word == AUTO_MAP_ELSEWHERE or (word == AUTO_MAP and has_python):
            found[path] = f"{REMOTE_CODE}: {MEANINGS[word]}"
        elif word == JSON_PART and has_python and "config" in path.rpartition("/")[2].lower():
            found[path] = f"{REMOTE_CODE}: {MEANINGS[word]}, beside Python code"
    return found


def _unrecorded(rule: Rule, model: str, found: str) -> Finding:
    return Finding(rule=rule, level="deny", model=model, found=found, fix="run `fetcher lock`")


def _is_waived(policy: Policy, finding: Finding) -> bool:
    return any(_takes(each, finding) for each in policy.waivers)


def _takes(waiver: Waiver, finding: Finding) -> bool:
    if waiver.rule != finding.rule or (waiver.models and not _matches(finding.model, waiver.models)):
        return False
    return not waiver.files or _matches(finding.file, waiver.files)


def _matches(name: str | None, patterns: Iterable[str]) -> bool:
    return name is not None and any(fnmatchcase(name, pattern) for pattern in patterns)


def _not(level: Level) -> str:
    return "not allowed" if level == "deny" else "allowed with a warning"


def _span(seconds: float) -> str:
    return f"{seconds / 86400:g} days" if seconds >= 86400 else f"{seconds / 3600:g} hours"
