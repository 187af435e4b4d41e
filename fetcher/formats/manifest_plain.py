"""A models.toml without mistakes, read without pydantic, which takes longer to load than it takes to read.

Whatever is out of the ordinary (a mistake, a URL, which has keys of its own) is None here, and
is read, or refused with its line, by manifest_tables.py.  Each value goes through the same
check of manifest_values.py as there.

Promise (tests/formats/test_manifest_plain.py):
  * for any tables: None, or exactly what the pydantic tables make of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fetcher.core.manifest import FOLDER, GIT, HUB_KINDS, Endpoint, Manifest, ModelSpec, SourceRef
from fetcher.core.paths import ModelName
from fetcher.formats import manifest_values as values
from fetcher.formats.manifest_spec import DEFAULT_GROUPS, Keys, default_groups_of, is_of_hub, spec_of

VERSION = 1

Check = Callable[[str], str]
_FILE_KEYS = {"version", "default-groups", "defaults", "models", "sources"}


class _Unusual(ValueError):
    """Something that is not read here."""


def plain_manifest(data: Mapping[str, Any]) -> Manifest | None:
    """The manifest; None where it is not as plain as this reader needs it.

    Args:
        data: What TOML makes of the file.
    """
    version = data.get("version")
    if type(version) is not int or version != VERSION or not data.keys() <= _FILE_KEYS:
        return None
    try:
        return _manifest(data)
    except ValueError:  # _Unusual, or a check's, which knows no line
        return None


def _manifest(data: Mapping[str, Any]) -> Manifest:
    sources = {name: _endpoint(name, table) for name, table in sorted(_table(data.get("sources", {})).items())}
    source = partial(values.source, named=sources)
    lists: dict[str, Check] = {
        "include": values.pattern,
        "exclude": values.pattern,
        "files": values.file_name,
        "fallback": source,
        "groups": values.group,
    }
    texts: dict[str, Check] = {"revision": values.revision, "layout": _layout}
    of_defaults = _Checks(texts={**texts, "target": values.default_target}, lists=lists)
    of_model = _Checks(texts={**texts, "source": source, "target": values.checked_target}, lists=lists)
    defaults = Keys(**of_defaults.checked(data.get("defaults", {})))
    if defaults.target and not defaults.layout:
        values.require_name_in(defaults.target)
    kinds = {name: each.kind for name, each in sources.items()}
    models = sorted(_table(data.get("models", {})).items())
    found = {ModelName(name): _spec(name, of_model.checked(table), defaults, kinds) for name, table in models}
    return Manifest(models=found, sources=sources, default_groups=_default_groups(data, found))


def _default_groups(data: Mapping[str, Any], models: Mapping[ModelName, ModelSpec]) -> tuple[str, ...] | None:
    keys = _TOP.checked({key: data[key] for key in _TOP.lists if key in data})
    if DEFAULT_GROUPS not in keys:
        return None
    if not {*keys[DEFAULT_GROUPS]} <= {group for spec in models.values() for group in spec.groups}:
        raise _Unusual
    return default_groups_of(keys[DEFAULT_GROUPS])


def _spec(name: str, keys: dict[str, Any], defaults: Keys, kinds: Mapping[str, str]) -> ModelSpec:
    source = SourceRef.parse(keys.pop("source", ""))
    of_hub = is_of_hub(source, kinds)
    if source.is_url or (source.scheme == FOLDER and "revision" in keys) or ("layout" in keys and not of_hub):
        raise _Unusual
    return spec_of(name, source, Keys(**keys), defaults, of_hub=of_hub)


def _endpoint(name: str, table: object) -> Endpoint:
    keys = _ENDPOINT.checked(table)
    if not keys.keys() >= {"kind", "endpoint"}:
        raise _Unusual
    return Endpoint(
        name=values.source_name(name),
        kind=keys["kind"],
        endpoint=keys["endpoint"],
        mirrors=tuple(keys.get("mirrors", ())),
        token_env=keys.get("token-env"),
        ca_file=keys.get("ca-file"),
    )


def _layout(text: str) -> str:
    if text not in HUB_KINDS:
        raise _Unusual
    return text


def _kind(text: str) -> str:
    if text not in (*HUB_KINDS, GIT):
        raise _Unusual
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checks:
    """The keys that a table may have.

    Attributes:
        texts: Keys with a text, and its check.
        lists: Keys with a list of texts, and the check of each.
    """

    texts: Mapping[str, Check]
    lists: Mapping[str, Check]

    def checked(self, table: object) -> dict[str, Any]:
        """The keys of a table with their values as they are used."""
        return {key: self._value(key, value) for key, value in _table(table).items()}

    def _value(self, key: str, value: object) -> str | list[str]:
        if key in self.texts and isinstance(value, str):
            return self.texts[key](value)
        if key in self.lists and isinstance(value, list) and all(isinstance(item, str) for item in value):
            return [self.lists[key](item) for item in value]
        raise _Unusual


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _Unusual
    return value


_TOP = _Checks(texts={}, lists={DEFAULT_GROUPS: values.group})
_ENDPOINT = _Checks(
    texts={
        "kind": _kind,
        "endpoint": values.endpoint,
        "token-env": values.token_variable,
        "ca-file": values.ca_file,
    },
    lists={"mirrors": values.endpoint},
)
