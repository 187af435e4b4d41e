"""What the tests of several kinds of source stand on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fetcher.core.retry import RetrySchedule
from fetcher.net.credentials import Token
from fetcher.net.http import HttpClient
from tests.sources.git_server import GitServer, serving
from tests.sources.lookalike import Lookalike


@pytest.fixture
def hub_like() -> Iterator[Lookalike]:
    with Lookalike() as hub:
        yield hub


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def make_hub(hub_like: Lookalike, slept: list[float]) -> Iterator[Callable[..., Any]]:
    """`make_hub(HuggingFaceSource, token=…)`: a source that asks the look-alike, closed at the end."""
    made: list[Any] = []

    def source(
        kind: Callable[..., Any],
        *,
        endpoint: str = hub_like.url,
        token: str | None = None,
        login: str = "run `fetcher login hub` or set HUB_TOKEN",
        **more: Any,
    ) -> Any:
        made.append(
            kind(
                endpoint=endpoint,
                client=HttpClient(idle_timeout_s=5.0),
                token=Token(secret=token, variable="HUB_TOKEN") if token else None,
                login=login,
                retry=RetrySchedule(attempts=3),
                sleep=slept.append,
                dice=lambda: 0.0,
                **more,
            )
        )
        return made[-1]

    yield source
    for each in made:
        each.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    server = GitServer(root=tmp_path / "repositories", storage=tmp_path / "lfs")
    with serving(server):
        yield server
