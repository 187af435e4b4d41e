"""A models.toml without mistakes, read without pydantic, which takes longer to load than it takes to read.

Whatever is out of the ordinary (a mistake, a URL, which has keys of its own) is None here, and
is read, or refused with its line, by manifest_tables.py.  Each value goes through the same
check of manifest_values.py as there.

Promise (tests/formats/test_manifest_plain.py):
  * for any tables: None, or exactly what the pydantic tables make of them.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fetcher.core.manifest import FOLDER, GIT, HUB_KINDS, Endpoint, Manifest, ModelSpec, SourceRef
from fetcher.core.paths import ModelName
from fetcher.formats import manifest_values as values
from fetcher.formats.manifest_spec import DEFAULT_GROUPS, Keys, default_groups_of, is_of_hub, spec_of
from fetcher.formats.plain_keys import Check, Checks, UnusualError, table

VERSION = 1

_FILE_KEYS = {"version", "default-groups", "defaults", "models", "sources", "policy"}


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
    except ValueError:  # UnusualError, or a check's, which knows no line
        return None


def _manifest(data: Mapping[str, Any]) -> Manifest:
    sources = {name: _endpoint(name, each) for name, each in sorted(table(data.get("sources", {})).items())}
    source = partial(values.source, named=sources)
    lists: dict[str, Check] = {
        "include": values.pattern,
        "exclude": values.pattern,
        "files": values.file_name,
        "fallback": source,
        "groups": values.group,
    }
    texts: dict[str, Check] = {"revision": values.revision, "layout": _layout}
    of_defaults = Checks(texts={**texts, "target": values.default_target}, lists=lists)
    of_model = Checks(texts={**texts, "source": source, "target": values.checked_target}, lists=lists)
    defaults = Keys(**of_defaults.checked(data.get("defaults", {})))
    if defaults.target and not defaults.layout:
        values.require_name_in(defaults.target)
    kinds = {name: each.kind for name, each in sources.items()}
    models = sorted(table(data.get("models", {})).items())
    found = {ModelName(name): _spec(name, of_model.checked(each), defaults, kinds) for name, each in models}
    manifest = Manifest(models=found, sources=sources, default_groups=_default_groups(data, found))
    if "policy" not in data:
        return manifest
    from fetcher.formats.policy_plain import plain_policy  # for those who have one

    return manifest.with_policy(plain_policy(data["policy"], sources))


def _default_groups(data: Mapping[str, Any], models: Mapping[ModelName, ModelSpec]) -> tuple[str, ...] | None:
    keys = _TOP.checked({key: data[key] for key in _TOP.lists if key in data})
    if DEFAULT_GROUPS not in keys:
        return None
    if not {*keys[DEFAULT_GROUPS]} <= {group for spec in models.values() for group in spec.groups}:
        raise UnusualError
    return default_groups_of(keys[DEFAULT_GROUPS])


def _spec(name: str, keys: dict[str, Any], defaults: Keys, kinds: Mapping[str, str]) -> ModelSpec:
    source = SourceRef.parse(keys.pop("source", ""))
    of_hub = is_of_hub(source, kinds)
    if source.is_url or (source.scheme == FOLDER and "revision" in keys) or ("layout" in keys and not of_hub):
        raise UnusualError
    return spec_of(name, source, Keys(**keys), defaults, of_hub=of_hub)


def _endpoint(name: str, found: object) -> Endpoint:
    keys = _ENDPOINT.checked(found)
    if not keys.keys() >= {"kind", "endpoint"}:
        raise UnusualError
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
        raise UnusualError
    return text


def _kind(text: str) -> str:
    if text not in (*HUB_KINDS, GIT):
        raise UnusualError
    return text


_TOP = Checks(texts={}, lists={DEFAULT_GROUPS: values.group})
_ENDPOINT = Checks(
    texts={
        "kind": _kind,
        "endpoint": values.endpoint,
        "token-env": values.token_variable,
        "ca-file": values.ca_file,
    },
    lists={"mirrors": values.endpoint},
)
