"""Design 6: one test that each exit code is reachable, from the command line."""

import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from fetcher import errors
from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.faults import OBJECT, Corrupt, FaultProxy, Rule, Slow
from tests.hub.publish import MIB, Publisher

_README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    publisher.publish("owner/model", {"config.json": b"{}", "model.bin": 4 * MIB})
    at = desk(tmp_path / "project", hub.url)
    at.model()
    at.ok("lock")
    return at


def test_0_done_and_nothing_to_do(at: Desk) -> None:
    """The same code for both, so that scripts need not care."""
    assert at.fetcher("sync").code == 0
    assert at.fetcher("sync").code == 0


def test_1_a_check_found_a_difference(at: Desk) -> None:
    """Stale lock, and a disk that differs."""
    assert at.fetcher("sync", "--check").code == 1
    at.model(more='revision = "other"')
    assert at.fetcher("lock", "--check").code == 1


def test_2_usage_and_configuration(at: Desk) -> None:
    """A flag that does not exist, a manifest that cannot be read, no manifest at all."""
    assert at.fetcher("sync", "--frobnicate").code == 2
    at.manifest("[models.m]\nsorce = 1\n")
    assert at.fetcher("sync").code == 2
    assert at.fetcher("sync", "-C", "/").code == 2


def test_3_some_models_failed(at: Desk, publisher: Publisher) -> None:
    """`--keep-going`."""
    publisher.publish("owner/other", {"a.bin": b"a"})
    at.manifest('[models.m]\nsource = "ms:owner/model"\n[models.o]\nsource = "ms:owner/other"\n')
    at.ok("lock")
    (at.folder / "models/m").mkdir(parents=True)
    (at.folder / "models/m/config.json").write_bytes(b"mine")
    assert at.fetcher("sync", "--keep-going").code == 3
    assert at.placed("o") == {"a.bin": b"a"}


def test_4_integrity(at: Desk, fault_proxy: Callable[..., FaultProxy]) -> None:
    """A flipped byte."""
    at.environment["MODELSCOPE_ENDPOINT"] = fault_proxy(Rule(OBJECT, Corrupt(offset=5))).url
    assert at.fetcher("sync").code == 4


def test_5_unreachable(at: Desk) -> None:
    """Nobody listens there."""
    at.environment.update(MODELSCOPE_ENDPOINT="http://127.0.0.1:9", FETCHER_RETRIES="1")
    done = at.fetcher("sync")
    assert done.code == 5
    assert "127.0.0.1:9" in done.err


def test_6_not_authorised(at: Desk, start_hub: Callable[..., Hub]) -> None:
    """A private hub, no token."""
    at.environment["MODELSCOPE_ENDPOINT"] = start_hub(token="ms-secret").url
    assert at.fetcher("lock", "--upgrade").code == 6
    assert at.fetcher("sync").code == 6


def test_7_not_found(at: Desk) -> None:
    """No such repository."""
    at.model(repo="owner/nothing")
    assert at.fetcher("lock").code == 7


def test_8_policy_refuses(at: Desk) -> None:
    """A lock that was fine until somebody wrote down what is allowed."""
    at.model(more='[policy.size]\ntotal = "1k"')
    assert at.fetcher("sync").code == 8
    assert at.fetcher("lock", "--check").code == 8


def test_9_would_touch_the_user_s_file(at: Desk) -> None:
    """Something is in the way."""
    (at.folder / "models/m/model.bin").mkdir(parents=True)
    assert at.fetcher("sync").code == 9


def test_10_busy(at: Desk) -> None:
    """Another fetcher holds the project's claim for longer than the wait."""
    (at.folder / ".fetcher").mkdir()
    with FileLock(at.folder / ".fetcher" / "claim"):
        done = at.fetcher("sync", "--wait", "0.3")
    assert done.code == 10
    assert done.err.startswith("error: Another fetcher is at work on the project project.\n")
    at.ok("sync")


@pytest.mark.skipif(sys.platform != "linux", reason="makes a small file system of its own")
def test_11_no_room(at: Desk, hub: Hub) -> None:
    """Said with both figures before the first byte is asked for."""
    small = at.folder.parent / "small"
    small.mkdir()
    hub.forget_requests()
    script = f'mount -t tmpfs -o size=1m tmpfs "{small}" && cp models.* "{small}" && cd "{small}" && exec "$@"'
    done = at.fetcher("sync", prefix=("unshare", "--map-root-user", "-m", "sh", "-c", script, "sh"))
    assert done.code == 11, done.err
    assert "needed: 4" in done.err
    assert hub.requests == []


def test_12_offline(at: Desk) -> None:
    """Something is missing and the network is not to be used."""
    assert at.fetcher("sync", "--offline").code == 12


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_130_and_143_interrupted(
    at: Desk, fault_proxy: Callable[..., FaultProxy], number: signal.Signals, code: int
) -> None:
    """One line that says how to go on, no traceback, and the next run goes on."""
    proxy = fault_proxy(Rule(OBJECT, Slow(rate=MIB // 4)))
    at.environment["MODELSCOPE_ENDPOINT"] = proxy.url
    store = Path(at.environment["FETCHER_STORE"])
    process = at.start("sync")
    end = time.monotonic() + 20
    while not list(store.glob("partial/*/data*")) and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(number)
    began = time.monotonic()
    _, err = process.communicate(timeout=20)
    assert process.returncode == code, err
    assert time.monotonic() - began < 3, "a stop is soon"
    assert "Traceback" not in err
    assert "fix: run the same command again to go on\n" in err or "fix: run the command again to go on\n" in err
    proxy.plan.clear()
    at.ok("sync")


def test_every_code_of_the_readme_has_its_class() -> None:
    """The table that people read and the classes that decide must not drift apart."""
    table = {
        int(cell)
        for line in _README.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| [0-9, ]+ \|", line)
        for cell in line.split("|")[1].replace(",", " ").split()
    }
    classes = [errors.FetcherError, *_below(errors.FetcherError)]
    assert table == {0, *(each.exit_code for each in classes)}


def _below(kind: type[errors.FetcherError]) -> list[type[errors.FetcherError]]:
    found = []
    for each in kind.__subclasses__():
        found.extend([each, *_below(each)])
    return found
