"""The JSON Schemas: up to date, and of one mind with the readers."""

import json
import tomllib
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from jsonschema import Draft7Validator

from fetcher.core.lock import Lock
from fetcher.formats.lock_toml import write_lock
from fetcher.formats.schemas import lock_schema, manifest_schema, schema_text
from tests.core.strategies import locks, unhurried

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MODELS = Draft7Validator(manifest_schema())
LOCK = Draft7Validator(lock_schema())

# Not TOML at all, so no schema is asked.
UNREADABLE = {
    "conflict_markers",
    "lock_by_header",
    "nested_too_deep",
    "number_too_long",
    "quotes_curly",
    "quotes_curly_header",
    "quotes_missing",
    "quotes_missing_list",
    "quotes_missing_number",
    "syntax_error",
    "syntax_key_twice",
    "syntax_unclosed",
    "table_twice",
}
# What a schema cannot know: which sources are named, and what is safe on a disk.
BEYOND_A_SCHEMA = {
    "default_group_without_model",
    "fallback_unknown",
    "files_parent",
    "folder_host",
    "folder_revision",
    "folder_tilde",
    "layout_of_url",
    "model_name_reserved",
    "policy_source",
    "source_page_dataset",
    "source_page_huggingface",
    "source_page_modelscope",
    "source_unknown_far",
    "source_unknown_named",
    "source_unknown_near",
    "source_url_without_slashes",
    "source_with_token",
    "source_without_owner",
    "target_defaults_parent",
    "target_drive",
    "target_fetcher",
    "target_git",
    "target_git_case",
    "target_parent",
    "token_env_is_hf_token",
    "url_address_name_unsafe",
    "url_address_not",
    "url_address_secret",
    "url_addresses_of_hub",
    "url_digest_of_hub",
    "url_file_with_files",
    "url_folder_alone",
    "url_http",
    "url_http_in_files",
    "url_include",
    "url_no_name",
    "url_query_secret",
    "url_revision",
    "url_twins",
    "url_two_addresses",
}
BAD = [path for path in sorted((HERE / "bad").glob("*.toml")) if path.stem not in UNREADABLE]


def as_json(path: Path) -> Any:
    """The file as an editor hands it to a schema: dates are strings there."""
    return json.loads(json.dumps(tomllib.loads(path.read_text("utf-8")), default=lambda date: {"date": str(date)}))


@pytest.mark.parametrize("which", ["models", "lock"])
def test_the_committed_schema_is_the_generated_one(which: Literal["models", "lock"]) -> None:
    """Editors read the file; `make schemas` writes it."""
    assert (ROOT / "schemas" / f"{which}.schema.json").read_text("utf-8") == schema_text(which)


@pytest.mark.parametrize("validator", [MODELS, LOCK], ids=["models", "lock"])
def test_a_schema_is_a_valid_draft_7_schema_without_outside_references(validator: Draft7Validator) -> None:
    """Editors must not need the network, and a copy must work anywhere."""
    Draft7Validator.check_schema(validator.schema)
    text = json.dumps(validator.schema)
    assert "$id" not in validator.schema
    assert text.count('"$ref"') == text.count('"$ref": "#/definitions/')


@pytest.mark.parametrize(
    "path", [*sorted((HERE / "good").glob("*.toml")), ROOT / "models.toml.example"], ids=lambda path: path.stem
)
def test_a_good_manifest_is_accepted(path: Path) -> None:
    """An editor must not underline what fetcher reads."""
    assert [error.message for error in MODELS.iter_errors(as_json(path))] == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_manifest_is_rejected_where_a_schema_can_know(path: Path) -> None:
    """The list of exceptions is exact, so a schema that learns or forgets something shows here."""
    assert MODELS.is_valid(as_json(path)) == (path.stem in BEYOND_A_SCHEMA)


def test_every_key_of_a_manifest_has_a_description() -> None:
    """That is what an editor shows."""
    for definition in manifest_schema()["definitions"].values():
        assert definition["description"]
        assert [key for key, value in definition["properties"].items() if "description" not in value] == []


@unhurried
@given(locks())
def test_a_written_lock_is_accepted(lock: Lock) -> None:
    """The lock names the schema's shape once more; both must agree."""
    assert [error.message for error in LOCK.iter_errors(tomllib.loads(write_lock(lock, None)))] == []


GOOD_LOCK = {
    "version": 1,
    "models": {
        "a": {
            "source": "modelscope:a/b",
            "commit": "0" * 40,
            "tree": f"sha256:{'0' * 64}",
            "requested": {},
            "files": {"x": f"sha256:{'0' * 64} 7"},
        }
    },
}


def changed(*path: str, value: object) -> dict[str, Any]:
    """GOOD_LOCK with one value replaced or added."""
    copy: dict[str, Any] = json.loads(json.dumps(GOOD_LOCK))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


def test_unknown_keys_of_a_lock_are_accepted() -> None:
    """A newer fetcher may have written them, and they are kept."""
    assert LOCK.is_valid(GOOD_LOCK)
    assert LOCK.is_valid(changed("models", "a", "seal", value=f"sha256:{'0' * 64}"))
    for path in (("future",), ("models", "a", "future"), ("models", "a", "requested", "future")):
        assert LOCK.is_valid(changed(*path, value="x"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 2),
        (("models", "a", "source"), "a/b"),
        (("models", "a", "commit"), "master"),
        (("models", "a", "tree"), "0" * 64),
        (("models", "a", "seal"), "0" * 64),
        (("models", "a", "seal"), None),
        (("models", "a", "fallback"), "ms:a/b"),
        (("models", "a", "requested"), None),
        (("models", "a", "files", "x"), f"sha256:{'0' * 64} 07"),
        (("models", "a", "files", "x"), f"{'0' * 64} 7"),
        (("models", "a", "files", "x"), 7),
        (("models", "a", "files", ""), f"sha256:{'0' * 64} 7"),
        (("models", "a", "license"), ""),
        (("models", "a", "committed"), "yesterday"),
        (("models", "a", "formats"), {"x": "A pickle"}),
    ],
)
def test_a_broken_lock_is_rejected(path: tuple[str, ...], value: object) -> None:
    """Whoever edits a lock by hand sees at once what cannot be."""
    assert not LOCK.is_valid(changed(*path, value=value))
