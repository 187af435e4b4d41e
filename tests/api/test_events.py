"""What a watching function is told, and how a run that is cancelled goes on."""

import asyncio
import signal
import threading
from collections.abc import Callable

import pytest

import fetcher
from fetcher.serve.hub import Hub
from tests.api.conftest import MODEL
from tests.cli.command import Desk
from tests.hub.faults import OBJECT, FaultProxy, Rule, Slow
from tests.hub.publish import MIB

_SIZE = 2 + 4 * MIB


@pytest.fixture
def slow(at: Desk, hub: Hub, fault_proxy: Callable[..., FaultProxy], monkeypatch: pytest.MonkeyPatch) -> FaultProxy:
    """The project is locked; its hub sends 2 MiB a second until `plan` is cleared."""
    fetcher.Project.find().lock()
    proxy = fault_proxy(Rule(OBJECT, Slow(rate=2 * MIB)))
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", proxy.url)
    return proxy


def _go_on(slow: FaultProxy) -> int:
    """Sync to the end; returns the bytes that were here before."""
    slow.plan.clear()
    events: list[fetcher.Event] = []
    fetcher.Project.find(on_event=events.append).sync()
    assert fetcher.Project.find().status().is_synced()
    began = events[0]
    assert began.event == "transfer-started"
    return began.have or 0


def test_events_add_up_and_come_one_at_a_time(at: Desk) -> None:
    """A program draws its bar from them without a lock of its own."""
    inside, most, events = 0, 0, []

    def watch(event: fetcher.Event) -> None:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        events.append(event)
        inside -= 1

    project = fetcher.Project.find(on_event=watch)
    project.lock()
    project.sync()
    assert events[0] == fetcher.Event(event="transfer-started", files=2, size=_SIZE, have=0)
    assert events[-1] == fetcher.Event(event="transfer-done", size=_SIZE, have=_SIZE)
    assert events[0].facts() == {"event": "transfer-started", "files": 2, "size": _SIZE, "have": 0}
    assert sorted(e.file for e in events if e.event == "file-done" and e.file) == ["m/config.json", "m/sub/model.bin"]
    assert most == 1


class Enough(Exception):
    """A program's own reason to end."""


def test_what_the_function_raises_ends_the_run_and_the_next_goes_on(slow: FaultProxy) -> None:
    """The exception itself comes out of `sync`, nothing is told after it, and no byte is lost."""
    events: list[fetcher.Event] = []

    def watch(event: fetcher.Event) -> None:
        events.append(event)
        if event.event == "progress" and (event.have or 0) >= MIB:
            raise Enough

    project = fetcher.Project.find(on_event=watch)
    with pytest.raises(Enough):
        project.sync()
    assert (events[-1].event, (events[-1].have or 0) >= MIB) == ("progress", True)
    assert MIB <= _go_on(slow) < _SIZE
    assert project.sync().is_empty(), "the same project works again"


def test_a_keyboard_interrupt_saves_what_is_here(slow: FaultProxy) -> None:
    """Ctrl-C in a script, the stop button in a notebook: Python's own handler raises in the main thread."""

    def watch(event: fetcher.Event) -> None:
        if event.event == "progress" and (event.have or 0) >= MIB:
            signal.raise_signal(signal.SIGINT)

    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(KeyboardInterrupt):
        fetcher.Project.find(on_event=watch).sync()
    assert MIB <= _go_on(slow) < _SIZE
    assert [each.name for each in threading.enumerate() if each.name.startswith("fetcher-")] == []


def test_stop_ends_a_run_that_a_thread_of_asyncio_has_begun(slow: FaultProxy) -> None:
    """A thread cannot be cancelled; `stop` can be set from anywhere, and is free again afterwards."""

    async def program() -> fetcher.Project:
        loop, begun = asyncio.get_running_loop(), asyncio.Event()

        def watch(event: fetcher.Event) -> None:
            if event.event == "progress" and (event.have or 0) >= MIB:
                loop.call_soon_threadsafe(begun.set)

        project = fetcher.Project.find(on_event=watch)
        run = asyncio.create_task(asyncio.to_thread(project.sync))
        await begun.wait()
        project.stop.set()
        with pytest.raises(fetcher.InterruptedRun):
            await run
        return project

    project = asyncio.run(program())
    assert not project.stop.is_set()
    assert MIB <= _go_on(slow) < _SIZE


def test_a_download_is_watched_and_cancelled_in_the_same_way(slow: FaultProxy, at: Desk) -> None:
    """`snapshot_download` too."""

    def watch(event: fetcher.Event) -> None:
        if event.event == "progress" and (event.have or 0) >= MIB:
            raise Enough

    with pytest.raises(Enough):
        fetcher.snapshot_download(MODEL, local_dir="here", on_event=watch)
    assert not (at.folder / "here/sub/model.bin").exists()
    slow.plan.clear()
    events: list[fetcher.Event] = []
    fetcher.snapshot_download(MODEL, local_dir="here", on_event=events.append)
    assert MIB <= (events[0].have or 0) < _SIZE


def test_what_is_raised_while_locking_leaves_the_lock(at: Desk) -> None:
    """Nothing half is written."""
    at.model(repo=MODEL, more='exclude = ["*.nothing"]')

    def refuse(event: fetcher.Event) -> None:
        raise Enough(event.text)

    with pytest.raises(Enough, match=r'm: the pattern "\*\.nothing" matches no file'):
        fetcher.Project.find(on_event=refuse).lock()
    assert not (at.folder / "models.lock").exists()
