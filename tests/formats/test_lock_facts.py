"""What a lock says of its models beside the files: licence, age of the commit, formats."""

import hashlib
from dataclasses import replace

import pytest

from fetcher.core.lock import seal_of, stale_fields
from fetcher.core.manifest import ModelSpec
from fetcher.core.paths import ModelName, RepoPath
from fetcher.errors import ConfigError
from fetcher.formats.lock_lines import read_lines
from fetcher.formats.lock_toml import read_lock, write_lock

PLAIN = f"""\
# Written by `fetcher lock`. Commit this file; do not edit it.
version = 1

[models.a]
source = "modelscope:a/b"
commit = "{"0" * 40}"
tree = "sha256:fef2576ef3e0bd20e2acd5aebe39bf2e1b6b1d89e8a2a2b05ee6d8d5f6fcdf5e"

[models.a.requested]

[models.a.files]
"config.json" = "sha256:{"1" * 64} 7"
"model.bin" = "sha256:{"2" * 64} 8"

# End of the lock.
"""
RECORDED = PLAIN.replace(
    "\n\n[models.a.requested]", '\nlicense = "apache-2.0"\ncommitted = "2024-05-31T12:00:00Z"\n\n[models.a.requested]'
).replace(
    "\n\n# End", '\n\n[models.a.formats]\n"config.json" = "json"\n"model.bin" = "zip-pickle"\n\n# End'
)  # fmt: skip


def test_what_is_recorded_is_read_and_written_as_it_stands() -> None:
    """The form is part of the format: two machines must write the same bytes."""
    model = read_lock(RECORDED, file="models.lock").lock.models[ModelName("a")]
    assert (model.license, model.committed) == ("apache-2.0", "2024-05-31T12:00:00Z")
    assert model.formats == {"config.json": "json", "model.bin": "zip-pickle"}
    assert read_lines(RECORDED) is not None
    lock = read_lock(RECORDED, file="models.lock").lock
    sealed = RECORDED.replace('\nlicense = "', f'\nseal = "{seal_of(model).prefixed}"\nlicense = "', 1)
    assert write_lock(lock, None) == sealed


def test_a_lock_that_records_nothing_keeps_its_bytes() -> None:
    """Locks of projects without a policy are as they were."""
    known = read_lock(PLAIN, file="models.lock")
    model = known.lock.models[ModelName("a")]
    assert (model.license, model.committed, model.formats) == (None, None, {})
    assert write_lock(known.lock, known) == PLAIN
    pinned = (
        f'{{"commit":"{"0" * 40}","fallback":[],"requested":{{"exclude":[],"files":[],"include":[],"revision":null}},'
        f'"source":"modelscope:a/b","tree":"{model.tree.prefixed}"}}'
    )
    assert seal_of(model) == hashlib.sha256(pinned.encode()).hexdigest()


def test_a_change_of_what_is_recorded_breaks_the_seal() -> None:
    """Else a merge could bring one side's licence into the other side's commit without a word."""
    model = read_lock(RECORDED, file="models.lock").lock.models[ModelName("a")]
    spec = ModelSpec(name=model.name, source=model.source, target="models/a")
    sealed = replace(model, seal=seal_of(model))
    for other in (
        replace(sealed, license="mit"),
        replace(sealed, license=None),
        replace(sealed, committed="unknown"),
        replace(sealed, formats={RepoPath("config.json"): "json", RepoPath("model.bin"): "safetensors"}),
        replace(sealed, formats={}),
    ):
        assert [each.field for each in stale_fields(spec, other) if each.field == "seal"] == ["seal"]
        assert other.tree == model.tree


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"apache-2.0"', '""', "expected a licence of 1 to 200 characters on one line"),
        ("2024-05-31T12:00:00Z", "2024-13-31T12:00:00Z", "expected a time such as 2024-05-31T12:00:00Z"),
        ('"zip-pickle"', '"A pickle"', "'A pickle' is not a format (model.bin)"),
        ('"model.bin" = "zip', '"other.bin" = "zip', "'other.bin' is not one of the files"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(old: str, new: str, says: str) -> None:
    """A policy that is checked against nonsense would pass anything."""
    with pytest.raises(ConfigError, match="is not as `fetcher lock` writes it") as caught:
        read_lock(RECORDED.replace(old, new), file="models.lock")
    assert caught.value.facts == (f"reason: {says}",)
