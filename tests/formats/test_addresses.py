"""URLs and folders in models.toml, and what the lock says of them."""

import hashlib
from dataclasses import replace

import pytest

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import Lock, LockedFile, LockedModel, seal_of, staleness, tree_of
from fetcher.core.manifest import Manifest, ModelSpec, Requested
from fetcher.core.paths import ModelName, RepoPath
from fetcher.core.web import WebFile
from fetcher.errors import ConfigError
from fetcher.formats.lock_toml import read_lock, write_lock
from fetcher.formats.manifest_toml import read_manifest

HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
MAP = """
[models.m]
source = "https://host.example/d/"
[models.m.files]
"model.bin" = { url = "https://other.example/x?download=true", sha256 = "%s" }
"config.json" = "v2/config.json"
"""


def read(text: str) -> Manifest:
    return read_manifest(f"version = 1\n{text}", file="models.toml")


def model(text: str) -> ModelSpec:
    return read(text).models[ModelName("m")]


def locked(spec: ModelSpec, sha256: str = HEX) -> Lock:
    files = tuple(LockedFile(path=file.path, sha256=Sha256(sha256), size=3) for file in spec.web)
    section = LockedModel(
        name=spec.name,
        source=spec.source,
        commit=Commit(tree_of(files)),
        tree=tree_of(files),
        requested=spec.requested,
        files=files,
    )
    return Lock(models={spec.name: section})


def test_a_url_is_one_file_called_as_it_ends() -> None:
    """Whatever the defaults leave out: what is named is wanted."""
    spec = model(
        f'[defaults]\nexclude = ["*"]\nrevision = "v1"\n[models.m]\nsource = "https://h.example/a%20b.bin"\n'
        f'sha256 = "sha256:{HEX.upper()}"'
    )
    assert spec.web == (WebFile(path=RepoPath("a b.bin"), url="https://h.example/a%20b.bin", sha256=Sha256(HEX)),)
    assert spec.requested == Requested(files=("a b.bin",))


def test_a_folder_of_a_web_server_has_the_files_that_are_named() -> None:
    """It cannot be listed; names may lie deeper."""
    spec = model('[models.m]\nsource = "https://h.example/d/"\nfiles = ["onnx/m.onnx", "c.json", "c.json"]')
    assert [(file.path, file.url) for file in spec.web] == [
        ("c.json", "https://h.example/d/c.json"),
        ("onnx/m.onnx", "https://h.example/d/onnx/m.onnx"),
    ]
    assert spec.requested == Requested(files=("c.json", "onnx/m.onnx"))


def test_a_table_gives_each_name_its_own_address() -> None:
    """Absolute or below the source, with a sha256 or without."""
    spec = model(MAP % HEX)
    assert spec.web == (
        WebFile(path=RepoPath("config.json"), url="https://host.example/d/v2/config.json"),
        WebFile(path=RepoPath("model.bin"), url="https://other.example/x?download=true", sha256=Sha256(HEX)),
    )
    lines = "config.json https://host.example/d/v2/config.json\nmodel.bin https://other.example/x?download=true\n"
    assert spec.requested.addresses == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]"])
def test_this_machine_needs_no_encryption(host: str) -> None:
    """Nobody is on the way."""
    assert len(model(f'[models.m]\nsource = "http://{host}/a.bin"').web) == 1


def test_what_is_not_encrypted_is_taken_with_its_sha256() -> None:
    """Then nobody on the way can choose what is locked."""
    assert len(model(f'[models.m]\nsource = "http://host.example/a.bin"\nsha256 = "{HEX}"').web) == 1


def test_a_folder_has_one_spelling_and_no_revision() -> None:
    """The default revision is for hubs."""
    spec = model('[defaults]\nrevision = "v1"\n[models.m]\nsource = "file:./../my models/"\ninclude = ["*.bin"]')
    assert str(spec.source) == "file:../my models"
    assert spec.requested == Requested(include=("*.bin",))


def test_the_lock_has_the_names_and_a_digest_of_the_addresses_and_no_url_but_the_source() -> None:
    """Design 3: where bytes come from is a local matter, but a changed address must be seen."""
    lock = locked(model(MAP % HEX))
    text = write_lock(lock, None)
    assert "other.example" not in text
    assert "v2/" not in text
    assert 'source = "https://host.example/d/"\n' in text
    again = read_lock(text, file="models.lock")
    assert again.lock == lock
    assert again.lock.models[ModelName("m")].seal_is_right()
    assert write_lock(again.lock, again) == text


def test_a_changed_address_or_digest_makes_the_lock_stale() -> None:
    """Said with field and values, without a network."""
    spec = model(MAP % HEX)
    lock = locked(spec)
    assert staleness(read(MAP % HEX), lock) == []
    moved = read((MAP % HEX).replace("v2/", "v3/"))
    before, after = spec.requested.addresses, moved.models[ModelName("m")].requested.addresses
    assert [str(item) for item in staleness(moved, lock)] == [
        f'm.addresses: models.toml has "{after}", models.lock has "{before}"'
    ]
    other = "0" * 64
    assert [str(item) for item in staleness(read(MAP % other), lock)] == [
        f'm.sha256: models.toml has ["model.bin {other}"], models.lock has ["model.bin {HEX}"]'
    ]


def test_the_seal_covers_the_addresses() -> None:
    """A merge of two changed tables must not pass for what was written."""
    section = locked(model(MAP % HEX)).models[ModelName("m")]
    other = replace(section, requested=replace(section.requested, addresses=Sha256("0" * 64)))
    assert seal_of(other) != seal_of(section)


def test_a_lock_whose_addresses_are_no_digest_is_refused() -> None:
    """It was edited."""
    text = write_lock(locked(model(MAP % HEX)), None).replace('addresses = "sha256:', 'addresses = "sha1:')
    with pytest.raises(ConfigError, match=r"`models\.m\.requested` is not as `fetcher lock` writes it"):
        read_lock(text, file="models.lock")
