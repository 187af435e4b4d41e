"""Ctrl-C and SIGTERM: stop soon, with the state saved.

Outside of a transfer the first signal raises where the program is: everything on disk is
safe at any line.  During a transfer it asks the workers to save and end, so that the
error can say how much is kept; a second one ends the program at once.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fetcher.errors import InterruptedRun, TerminatedRun

_KINDS: dict[int, type[InterruptedRun]] = {signal.SIGINT: InterruptedRun, signal.SIGTERM: TerminatedRun}
_WORDS: dict[int, str] = {signal.SIGINT: "Interrupted", signal.SIGTERM: "Terminated"}

_before: dict[int, signal.Handlers] = {}  # what was ignored when the program began
_soft: threading.Event | None = None
_last = signal.SIGINT


def install() -> None:
    """Take both signals over."""
    for number in _KINDS:
        if signal.signal(number, _arrived) is signal.SIG_IGN:
            _before[number] = signal.SIG_IGN


def give_back() -> None:
    """Leave both signals as the program found them, for the one that takes its place."""
    for number in _KINDS:
        signal.signal(number, _before.get(number, signal.SIG_DFL))


@contextmanager
def softly(stop: threading.Event) -> Iterator[None]:
    """Let a signal set `stop` instead of raising; what it raises then is told by its kind.

    Raises:
        InterruptedRun, TerminatedRun: As the transfer said, with the signal's exit code.
    """
    global _soft
    _soft = stop
    try:
        yield
    except InterruptedRun as error:
        raise _told(error.facts, error.fix) from None
    finally:
        _soft = None


def _arrived(number: int, frame: FrameType | None) -> None:
    global _last
    _last = signal.Signals(number)
    if _soft is not None and not _soft.is_set():
        _soft.set()
        return
    signal.signal(number, signal.SIG_DFL)  # the next one ends it at once
    raise _told((), None)


def _told(facts: tuple[str, ...], fix: str | None) -> InterruptedRun:
    text = f"{_WORDS[_last]}; what was received is kept."
    return _KINDS[_last](text, facts=facts, fix=fix or "run the same command again to go on")
