"""Fixtures shared by all tests: an isolated environment and a hub on loopback.

The hub is the product's own (fetcher/serve), accepted by the official client in
tests/serve; faults come from the proxy in tests/hub/faults.py, never from the hub.
"""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.hub.faults import FaultProxy, Rule
from tests.hub.plain import served_plainly
from tests.hub.publish import Publisher

_MEMORY = Path("/dev/shm")  # a tmpfs on every Linux
_FOREIGN = ("MODELSCOPE_", "HF_", "HUGGING_FACE_", "HUGGINGFACE_", "FETCHER_", "XDG_")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def pytest_configure() -> None:
    """Ctrl-C is Ctrl-C, also where whoever started the tests in the background has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for every test; no variable of the person who runs them is seen."""
    for name in list(os.environ):
        if name.startswith(_FOREIGN) or name.lower() in _PROXIES:
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name, folder in {
        "XDG_CACHE_HOME": ".cache",
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
        "XDG_STATE_HOME": ".local/state",
    }.items():
        monkeypatch.setenv(name, str(home / folder))
    monkeypatch.setenv("FETCHER_STORE", str(home / "store"))
    return home


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    """Writes repositories into the folder that `hub` serves."""
    folder = tmp_path / "published"
    folder.mkdir()
    return Publisher(folder)


@pytest.fixture
def start_hub(publisher: Publisher) -> Iterator[Callable[..., Hub]]:
    """Starts hubs on the publisher's folder with options of one's own; all are closed at the end."""
    started: list[Hub] = []

    def start(**options: object) -> Hub:
        hub = Hub(publisher.root, **options)
        started.append(hub)
        return hub.start()

    yield start
    for hub in started:
        hub.close()


@pytest.fixture
def hub(start_hub: Callable[..., Hub]) -> Hub:
    """A public hub on the publisher's folder, empty at first."""
    return start_hub()


@pytest.fixture
def fault_proxy(hub: Hub) -> Iterator[Callable[..., FaultProxy]]:
    """`fault_proxy(rule, ...)` starts a proxy in front of `hub`; all are closed at the end."""
    with contextlib.ExitStack() as stack:

        def start(*plan: Rule, host: str = "127.0.0.1", upstream_url: str = hub.url) -> FaultProxy:
            return stack.enter_context(FaultProxy(upstream_url, plan, host=host))

        yield start


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have counted."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, value in report.user_properties:
                terminalreporter.write_line(f"{report.nodeid}: {name}: {value}")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which a plain web server serves it."""
    folder = tmp_path / "web"
    folder.mkdir()
    with served_plainly(folder) as url:
        yield folder, url


@pytest.fixture
def abroad(tmp_path: Path) -> Iterator[Path]:
    """An empty folder on another file system than `tmp_path`."""
    if not _MEMORY.is_dir() or _MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    folder = Path(tempfile.mkdtemp(prefix="fetcher-test-", dir=_MEMORY))
    yield folder
    shutil.rmtree(folder)
