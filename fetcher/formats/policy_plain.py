"""[policy] without mistakes, read without pydantic (manifest_plain.py says why).

Promise (tests/formats/test_manifest_plain.py):
  * for any table: an UnusualError or Refused, or exactly what the pydantic tables make of it.
"""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from fetcher.core.policy import LEVELS, AgeRule, Choices, Policy, SizeRule, Waiver
from fetcher.core.units import parse_age, parse_size
from fetcher.formats import manifest_values, policy_values
from fetcher.formats.plain_keys import Check, Checks, UnusualError, table

_OTHER: Mapping[str, Check] = {"other": policy_values.level}
_TABLES = {
    "size": Checks(
        texts={"total": policy_values.size, "model": policy_values.size, "level": policy_values.level}, lists={}
    ),
    "age": Checks(texts={"minimum": policy_values.age, "level": policy_values.level}, lists={}),
}
_WAIVER = Checks(
    texts={"rule": policy_values.rule, "reason": policy_values.reason},
    lists={"models": manifest_values.pattern, "files": manifest_values.pattern},
)


def plain_policy(data: object, named: Collection[str]) -> Policy:
    """The policy.

    Args:
        data: What TOML makes of [policy].
        named: The names of [sources].

    Raises:
        ValueError: It is not as plain as this reader needs it.
    """
    choices: dict[str, Check] = {
        "sources": partial(policy_values.source_pattern, named=named),
        "hosts": policy_values.host_pattern,
        "licenses": policy_values.license_pattern,
        "formats": policy_values.format_word,
    }
    tables = {key: Checks(texts=_OTHER, lists=dict.fromkeys(LEVELS, check)) for key, check in choices.items()}
    return policy_of({key: _checked(key, value, {**tables, **_TABLES}) for key, value in table(data).items()})


def _checked(key: str, value: object, tables: Mapping[str, Checks]) -> Any:
    if key == "waivers" and isinstance(value, list):
        waivers = [_WAIVER.checked(each) for each in value]
        if all(each.keys() >= {"rule", "reason"} for each in waivers):
            return waivers
    elif key in tables:
        keys = tables[key].checked(value)
        if key != "age" or "minimum" in keys:
            return keys
    raise UnusualError


def policy_of(rules: Mapping[str, Any]) -> Policy:
    """The policy of tables whose values were checked; a rule that is not there was left out."""
    size, age = rules.get("size"), rules.get("age")
    return Policy(
        **{key: Choices(**_tuples(rules[key])) for key in ("sources", "hosts", "licenses", "formats") if key in rules},
        size=size if size is None else SizeRule(**{**size, **_read(size, ("total", "model"), parse_size)}),
        age=age if age is None else AgeRule(minimum_s=parse_age(age["minimum"]), level=age.get("level", "deny")),
        waivers=tuple(Waiver(**_tuples(each)) for each in rules.get("waivers", ())),
    )


def _read(keys: Mapping[str, str], names: tuple[str, ...], parse: Callable[[str], int]) -> dict[str, int]:
    return {name: parse(keys[name]) for name in names if name in keys}


def _tuples(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()}
