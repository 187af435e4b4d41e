"""models.toml: text to `Manifest`, or one error that names every mistake (design 2).

A manifest without mistakes is usually read by manifest_plain.py, any other by the pydantic
tables of manifest_tables.py, which take longer to load than such a manifest takes to read.
Nothing here touches the disk, and whether a source answers is found out at lock time.

What a single value may be is manifest_values.py.

Promises (tests/formats/test_manifest_toml.py, test_bad_manifests.py):
  * what is returned needs no further check: names, targets and sources are safe.
"""

from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Any

from fetcher.core.manifest import URL_SCHEMES, Layout, Manifest
from fetcher.errors import ConfigError
from fetcher.formats.lock_lines import HEADER
from fetcher.formats.manifest_plain import VERSION, plain_manifest
from fetcher.formats.manifest_spec import DEFAULT_GROUPS
from fetcher.formats.mistakes import looks_like_lock
from fetcher.formats.problems import newer_version
from fetcher.formats.toml_text import parse_toml


def read_manifest(text: str, *, file: str) -> Manifest:
    """Read models.toml.

    Args:
        file: The file's name, for errors.

    Raises:
        ConfigError: Anything that is not as design 2 says; all problems at once.
    """
    data = _tables_of(text, file=file)
    return plain_manifest(data) or _read_any(data, text, file=file, sources=_sources_of(data))


def read_layout(text: str, *, file: str) -> Layout:
    """Read the targets, groups, sources, addresses and the policy of a models.toml that has mistakes elsewhere.

    Raises:
        ConfigError: It is no TOML, or these have mistakes too.
    """
    data = _tables_of(text, file=file)
    wanted = ("version", DEFAULT_GROUPS, "models", "sources", "policy")
    kept: dict[str, Any] = {key: data[key] for key in wanted if key in data}
    kept["defaults"] = _only_layout(data.get("defaults", {}))
    needs_source = "layout" in kept["defaults"] if isinstance(kept["defaults"], dict) else False
    if isinstance(kept.get("models"), dict):
        kept["models"] = {
            name: _only_layout(table, needs_source=needs_source, source="file:.")
            for name, table in kept["models"].items()
        }
    return Layout.of(_read_any(kept, text, file=file, sources=_sources_of(data)))


def _read_any(data: Mapping[str, Any], text: str, *, file: str, sources: Collection[str]) -> Manifest:
    """The manifest, whatever it holds."""
    from fetcher.formats.manifest_tables import read_tables  # pydantic: the usual manifest is read without it

    return read_tables(data, text, file=file, sources=sources)


def _only_layout(table: object, *, needs_source: bool = False, **needed: str) -> object:
    if not isinstance(table, dict):
        return table
    source = table.get("source")
    is_url = isinstance(source, str) and source.startswith(tuple(f"{scheme}:" for scheme in URL_SCHEMES))
    needs_source = needs_source or "layout" in table
    of_source = ("source", "files", "sha256") if is_url else ("source",) if needs_source else ()
    keys = ("target", "layout", "groups", *of_source)
    return {**needed, **{key: table[key] for key in keys if key in table}}


def _sources_of(data: Mapping[str, object]) -> tuple[str, ...]:
    """The names of [sources], which `source` may use."""
    sources = data.get("sources")
    return tuple(sources) if isinstance(sources, dict) else ()


def _tables_of(text: str, *, file: str) -> dict[str, Any]:
    """The tables of models.toml, not looked at yet.

    Raises:
        ConfigError: It is no TOML, no manifest, or one of a newer fetcher.
    """
    if text.removeprefix("\ufeff").startswith(HEADER.partition("\n")[0]):
        raise _is_a_lock(file)
    data = parse_toml(
        text,
        file=file,
        conflict_fix=f"edit {file} so that one side is left, then run `fetcher lock`",
        twice_fix="take one of the two sections away, or give one another name",
    )
    if looks_like_lock(data):
        raise _is_a_lock(file)
    version = data.get("version")
    if type(version) is int and version > VERSION:
        raise newer_version(version, text, file=file, known=VERSION)
    return data


def _is_a_lock(file: str) -> ConfigError:
    manifest = str(PurePath(file).with_suffix(".toml"))
    fix = f"name the manifest: {manifest}"
    if manifest == file:
        fix = f"restore {file} from git; the lock belongs into {PurePath(file).with_suffix('.lock')}"
    return ConfigError(f"{file} is a lock, not a manifest.", fix=fix)
