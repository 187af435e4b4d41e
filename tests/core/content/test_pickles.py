"""Opcodes are walked as CPython would, and none is carried out."""

import pickle
import pickletools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.content import pickles
from fetcher.core.content.pickles import is_pickle
from fetcher.core.content.window import Window
from tests.core.strategies import unhurried

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5) | st.tuples(inner, inner)
    ),
    max_leaves=20,
)


def found(data: bytes) -> bool:
    return is_pickle(Window(len(data), lambda start, stop: data[start:stop]), like_text=True)


def test_every_opcode_has_an_argument_and_an_effect() -> None:
    """The tables are those of CPython's own disassembler."""
    kinds = {"stringnl_noescape_pair": 2}
    for opcode in pickletools.opcodes:
        code = ord(opcode.code)
        if opcode.arg is None:
            assert pickles._FIXED[code] == 0, opcode.name
        elif opcode.arg.n >= 0:
            assert pickles._FIXED[code] == opcode.arg.n, opcode.name
        elif opcode.arg.n == pickletools.UP_TO_NEWLINE:
            assert pickles._LINES[code] == kinds.get(opcode.arg.name, 1), opcode.name
        else:
            width = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT8U: 8}.get(opcode.arg.n, 4)
            assert pickles._COUNTED[code] == width, opcode.name
    every = {ord(opcode.code) for opcode in pickletools.opcodes}
    assert {*pickles._FIXED, *pickles._COUNTED, *pickles._LINES} == every


@pytest.mark.parametrize("opcode", pickletools.opcodes, ids=lambda each: each.name)
def test_the_stack_is_moved_as_the_disassembler_moves_it(opcode: pickletools.OpcodeInfo) -> None:
    """An opcode that takes more than there is makes no pickle; one judged wrongly would hide one."""
    mark, before, after = pickletools.markobject, opcode.stack_before, opcode.stack_after
    code = ord(opcode.code)
    if opcode.name in ("MARK", "STOP", "PUT", "BINPUT", "LONG_BINPUT"):
        return  # a mark is no value, after STOP nothing comes, and PUT needs what it does not take
    stack = pickles._Stack()
    for kind in before[: before.index(mark)] if mark in before else before:
        assert kind is not mark
        stack.takes(ord("N"))
    if mark in before:
        stack.takes(pickles._MARK)
        for _ in range(1 if opcode.name == "OBJ" else 0):
            stack.takes(ord("N"))
    assert stack.takes(code), opcode.name
    assert stack._levels == [len(after)], opcode.name


@given(values, st.integers(2, pickle.HIGHEST_PROTOCOL))
@unhurried
def test_every_pickle_with_a_protocol_is_found(value: object, protocol: int) -> None:
    """Whatever is in it."""
    assert found(pickle.dumps(value, protocol))


@given(values, st.integers(0, 1))
@unhurried
def test_a_pickle_without_one_is_found_to_its_end(value: object, protocol: int) -> None:
    """Nearly text, and old; torch still loads it."""
    assert found(pickle.dumps(value, protocol))


@given(st.text(max_size=200).filter(lambda text: not text.endswith(".")))
@unhurried
def test_a_text_is_no_pickle(text: str) -> None:
    """Most letters are opcodes."""
    assert not found(text.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"N",
        b".",
        b"N. America",
        b"(((.",
        b"Version 1\nrest",
        b"I one\n.",
        b"R.",
        b"\x80",
        b"\x80\x09N.",
        b"\x80\x02\x00",
    ],
)
def test_what_only_begins_like_one_is_none(data: bytes) -> None:
    """Each stops before it could do anything."""
    assert not found(data)


@pytest.mark.parametrize(
    "before",
    [
        b"\x80\x00",
        b"\x80\x01",
        b"N0\x80\x02",
        b"I 1\n0",
        b"I0x1_0\n0",
        b"L 12L \n0",
        b"F 1e5\n0",
        b"F-inf\n0",
        b"S'\0'\n0",
        b"V\0\n0",
        b"P\0anything\n0",
        b"Np 7\n0",
        b"S'" + b"x" * 9000 + b"'\n0",
        b"I" + b" " * 9000 + b"1\n0",
        b"(" * 500 + b"1" * 500,
        b"(" * 500,
    ],
)
def test_what_only_the_reader_knows_hides_no_pickle(before: bytes) -> None:
    """CPython's reader takes more than its writer writes; each of these is loaded, and then runs code."""
    data = before + b"cos\nsystem\n(S'true'\ntR."
    window = Window(len(data), lambda start, stop: data[start:stop])
    assert is_pickle(window, like_text=False)


def test_code_that_runs_before_nonsense_counts() -> None:
    """The unpickler fails only after it has called what it was told to call."""
    assert found(b"cos\nsystem\n(S'true'\ntR\x00\x00 no pickle any more")
