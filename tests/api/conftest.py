"""A project that programs work in, in this process."""

from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher

MODEL = "owner/model"
TREE: dict[str, bytes | int] = {"config.json": b"{}", "sub/model.bin": 4 * MIB}


@pytest.fixture
def published(publisher: Publisher) -> dict[str, bytes]:
    return publisher.publish(MODEL, TREE)


@pytest.fixture
def at(tmp_path: Path, hub: Hub, published: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A project of one model, `m`; its hub is that of this process too."""
    at = desk(tmp_path / "project", hub.url)
    at.model(repo=MODEL)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(at.folder)
    return at
