"""Whether bytes are a pickle: its opcodes are walked, none is carried out.

A pickle may stop, or run code, before bytes that are none: it counts from then on.  Without
the PROTO opcode (protocols 0 and 1, which are nearly text) more must fit than with it.

The opcodes are those of CPython's Modules/_pickle.c; what they do to the stack is pickletools'.

Promises (tests/core/content/test_pickles.py):
  * every protocol is recognised, wherever its first large argument ends;
  * a text is none because it begins like one.
"""

import re
from collections.abc import Callable

from fetcher.core.content.window import SpentError, Window

_PROTO = 0x80
_STOP = ord(".")
_MARK = ord("(")
_PROTOCOLS = range(6)  # the reader takes 0 and 1 too, which no writer writes
_SURE_WITH_PROTO = 4  # opcodes, PROTO counted
_SURE_WITHOUT = 64
_LONGEST_LINE = 8 << 10  # bytes

# Arguments: how many bytes, or how many bytes of a length that precedes them, or how many lines.
_FIXED = {
    **dict.fromkeys(b"(.012NQRabd}eloust])\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94\x97\x98", 0),
    **dict.fromkeys(b"Khq\x80\x82", 1),
    **dict.fromkeys(b"M\x83", 2),
    **dict.fromkeys(b"Jjr\x84", 4),
    **dict.fromkeys(b"G\x95", 8),
}
_COUNTED = {**dict.fromkeys(b"UC\x8a\x8c", 1), **dict.fromkeys(b"TXB\x8b", 4), **dict.fromkeys(b"\x8d\x8e\x96", 8)}
_LINES = {**dict.fromkeys(b"FILPSVgp", 1), **dict.fromkeys(b"ci", 2)}

# The stack: what an opcode needs above the last mark, and how many are there more after it.
_NEEDS = {
    **dict.fromkeys(b".Q2pqr\x94\x85\x98", (1, 0)),
    ord("2"): (1, 1),
    **dict.fromkeys(b"ab R\x86\x81\x93".replace(b" ", b""), (2, -1)),
    **dict.fromkeys(b"s\x87\x92", (3, -2)),
    **dict.fromkeys(b"\x80\x95", (0, 0)),
}
_TO_MARK = {**dict.fromkeys(b"dltio\x91", 1), **dict.fromkeys(b"eu\x901", 0)}  # opcode -> what it leaves of them
_BELOW_MARK = frozenset(b"eu\x90")  # they add to what is below the mark
_RUNS_CODE = frozenset(b"Rio\x81\x92")

# What a line must be, no stricter than CPython's own reader, which takes spaces, underscores and other bases.
_NAME = re.compile(rb"\S+\Z")  # of a module or of what is in it: none has a space
_WHOLE = re.compile(rb"\s*[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*)L?\s*\Z")
_FITS: dict[int, Callable[[bytes], object]] = {
    ord("F"): re.compile(
        rb"\s*[-+]?(?:[0-9_]+\.?[0-9_]*|\.[0-9][0-9_]*|inf|infinity|nan)(?:e[-+]?[0-9_]+)?\s*\Z", re.IGNORECASE
    ).match,
    ord("I"): _WHOLE.match,
    ord("L"): _WHOLE.match,
    ord("S"): re.compile(rb"['\"](?:.*['\"])?\Z", re.DOTALL).match,
    ord("g"): _WHOLE.match,
    ord("p"): _WHOLE.match,
    ord("c"): _NAME.match,
    ord("i"): _NAME.match,
}
_BEGINS: dict[int, Callable[[bytes], object]] = {  # what a line that is longer than is read must begin with
    **dict.fromkeys(b"FILgp", re.compile(rb"[\s0-9a-fA-FxXoO_+-.]*\Z").match),
    ord("S"): re.compile(rb"['\"]").match,
    **dict.fromkeys(b"ci", lambda _: False),  # no module has such a name
}


class _Stack:
    """How many values lie above each mark."""

    def __init__(self) -> None:
        self._levels = [0]

    def takes(self, opcode: int) -> bool:
        """Carry out what the opcode does to the stack; False if it cannot."""
        if opcode == _MARK:
            self._levels.append(0)
            return True
        if opcode in _TO_MARK:
            return self._to_mark(opcode)
        if opcode == ord("0"):
            return self._pop()
        needed, more = _NEEDS.get(opcode, (0, 1))
        if self._levels[-1] < needed:
            return False
        self._levels[-1] += more
        return True

    def _to_mark(self, opcode: int) -> bool:
        if len(self._levels) < 2:
            return False
        above = self._levels.pop()
        if (opcode == ord("o") and above < 1) or (opcode in _BELOW_MARK and self._levels[-1] < 1):
            return False
        self._levels[-1] += _TO_MARK[opcode]
        return True

    def _pop(self) -> bool:
        if self._levels[-1]:
            self._levels[-1] -= 1
            return True
        if len(self._levels) == 1:
            return False
        self._levels.pop()
        return True


def is_pickle(window: Window, *, like_text: bool, is_part: bool = False) -> bool:
    """Whether a file begins with a pickle.

    Args:
        like_text: Whether its name is that of a text, which may have one long line.
        is_part: The window ends before the bytes do; what begins well and is cut counts.
    """
    return _Walk(window, like_text=like_text, is_part=is_part).is_pickle()


class _Walk:
    """From opcode to opcode."""

    def __init__(self, window: Window, *, like_text: bool, is_part: bool) -> None:
        self._window = window
        self._like_text = like_text
        self._is_part = is_part
        self._stack = _Stack()
        self._at = 0
        self._kinds: set[int] = set()
        self._has_proto = False

    def is_pickle(self) -> bool:
        """Walk until it is sure."""
        walked = 0
        while True:
            if self._has_proto and walked >= _SURE_WITH_PROTO:
                return True
            if walked >= _SURE_WITHOUT and len(self._kinds) > 2:
                return True
            opcode = self._next()
            if opcode is None:
                return self._is_pickle_so_far()
            try:
                if not self._stack.takes(opcode) or not self._skip_argument(opcode):
                    return False
            except SpentError:
                return self._has_proto or not self._like_text
            walked += 1
            self._kinds.add(opcode)
            if opcode in _RUNS_CODE:
                return True
            if opcode == _STOP:
                return self._has_proto or self._at == self._window.size

    def _is_pickle_so_far(self) -> bool:
        """Whether what ended without a STOP counts: it goes on where nobody may look."""
        if self._at < self._window.size:
            return self._has_proto or not self._like_text
        return self._has_proto and self._is_part

    def _next(self) -> int | None:
        """The opcode, its byte left behind."""
        byte = self._window.upto(self._at, self._at + 1)
        self._at += len(byte)
        return byte[0] if byte else None

    def _skip_argument(self, opcode: int) -> bool:
        """Go behind the argument; False if it is none.

        Raises:
            SpentError: Its end is farther than may be read.
        """
        if opcode == _PROTO:
            return self._skip_proto()
        if opcode in _FIXED:
            return self._skip(_FIXED[opcode])
        if opcode in _COUNTED:
            width = _COUNTED[opcode]
            count = int.from_bytes(self._window.take(self._at, self._at + width), "little")
            return self._skip(width + count)
        return all(self._skip_line(opcode) for _ in range(_LINES.get(opcode, 0))) and opcode in _LINES

    def _skip_proto(self) -> bool:
        """It may stand anywhere; the reader only looks whether it knows the number."""
        version = self._window.take(self._at, self._at + 1)
        if not version or version[0] not in _PROTOCOLS:
            return False
        self._has_proto = True
        return self._skip(1)

    def _skip(self, count: int) -> bool:
        self._at += count
        if self._is_part and self._at > self._window.size:
            raise SpentError
        return self._at <= self._window.size

    def _skip_line(self, opcode: int) -> bool:
        wanted = 128
        while True:
            line, newline, _ = self._window.take(self._at, self._at + wanted).partition(b"\n")
            if newline:
                break
            begins = _BEGINS.get(opcode)
            if len(line) < wanted or (begins and not begins(line)):
                return False  # the file ends without one, or it is none
            if wanted >= _LONGEST_LINE:
                raise SpentError
            wanted *= 8
        fits = _FITS.get(opcode)
        if fits and not fits(line.rstrip(b"\r")):
            return False
        return self._skip(len(line) + 1)
