"""The rules of one download, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.download import Download, Piece, Span
from fetcher.core.interfaces import Head
from fetcher.errors import FetcherError, IntegrityError, SourceError

SIZE = 1000


def download(start: int = 0, stop: int = SIZE, *, label: str = "gpt2/model.bin") -> Download:
    return Download(label=label, size=SIZE, span=Span(start=start, stop=stop))


def ranged(first: int, length: int | None, *, status: int = 206, total: int | None = SIZE) -> Head:
    return Head(status=status, first=first, total=total, length=length, host="cdn.example")


def test_a_range_is_taken_where_it_was_asked() -> None:
    """RFC 9110, 15.3.7: the plain road."""
    part = download(100, 300)
    assert part.wanted == Span(start=100, stop=300)
    assert part.answer(ranged(100, 200)) == 100
    assert part.receive(150) == Piece(drop=0, keep=150, offset=100)
    assert not part.is_done()
    assert part.receive(50) == Piece(drop=0, keep=50, offset=250)
    assert part.is_done()
    assert part.wanted.size == 0
    part.end()


def test_status_200_with_content_range_is_a_range() -> None:
    """ModelScope's gateway answers a bounded range of a small file so; taken for the whole, it would corrupt."""
    part = download(100, 300)
    assert part.answer(ranged(100, 200, status=200)) == 100
    assert part.receive(200) == Piece(drop=0, keep=200, offset=100)


def test_a_whole_file_to_a_range_request_is_skipped_up_to_the_span() -> None:
    """Status 200 without Content-Range: the server ignored the range; what is here is not written again."""
    part = download(400, 600)
    assert part.answer(Head(status=200, length=SIZE)) == 0
    assert part.receive(300) == Piece(drop=300, keep=0, offset=400)
    assert part.receive(200) == Piece(drop=100, keep=100, offset=400)
    assert part.receive(200) == Piece(drop=0, keep=100, offset=500)
    assert part.is_done()


def test_a_shorter_range_than_asked_is_continued() -> None:
    """A server may cap its replies; that is no cut."""
    part = download()
    part.answer(ranged(0, 600))
    part.receive(600)
    part.end()
    assert part.wanted == Span(start=600, stop=SIZE)
    assert part.answer(ranged(600, 400)) == 600


def test_a_range_of_a_few_bytes_is_a_failure_that_may_pass() -> None:
    """Else a server that gives one byte a request is asked for each of them, at once."""
    part = download()
    part.answer(ranged(0, 511))
    part.receive(511)
    with pytest.raises(SourceError) as caught:
        part.end()
    assert caught.value.transient
    assert str(caught.value) == (
        "cdn.example sends too little at once.\n"
        "  file: gpt2/model.bin\n"
        "  asked: bytes 0 to 999\n"
        "  sent: 511 bytes\n"
        "  fix: run the command again, or use another source"
    )
    assert part.wanted == Span(start=511, stop=SIZE)


def test_the_last_bytes_of_a_span_may_be_few() -> None:
    """They are all that was asked for."""
    part = download(0, 3)
    part.answer(ranged(0, 3))
    part.receive(3)
    part.end()
    assert part.is_done()


def test_after_a_cut_only_the_rest_is_wanted() -> None:
    """The whole message: it is what `retrying` shows."""
    part = download()
    part.answer(ranged(0, SIZE))
    part.receive(123)
    with pytest.raises(SourceError) as caught:
        part.end()
    assert caught.value.transient
    assert str(caught.value) == (
        "cdn.example closed the connection before gpt2/model.bin was complete.\n"
        "  received: up to byte 123\n"
        "  announced: up to byte 1000\n"
        "  fix: run the command again; what was received is kept"
    )
    assert part.wanted == Span(start=123, stop=SIZE)


@pytest.mark.parametrize("head", [ranged(0, 0), Head(status=200), Head(status=200, length=SIZE)])
def test_a_reply_without_a_byte_is_a_cut(head: Head) -> None:
    """Asked again at once, it would be a busy loop."""
    part = download()
    part.answer(head)
    with pytest.raises(SourceError, match=r"before gpt2/model.bin was complete"):
        part.end()


@pytest.mark.parametrize(
    "head",
    [ranged(100, 200, total=1029), Head(status=200, length=1029), Head(status=416, total=1029)],
    ids=["content-range", "content-length", "416"],
)
def test_another_size_than_the_locks_is_a_changed_file(head: Head) -> None:
    """Known from the head alone; the message is the one of the style guide."""
    with pytest.raises(IntegrityError) as caught:
        download(100, 300).answer(head)
    assert str(caught.value) == (
        "gpt2/model.bin has changed on the server.\n"
        "  locked: 1000 bytes\n"
        "  offered: 1029 bytes\n"
        f"  host: {head.host or 'The server'}\n"
        "  fix: run `fetcher lock --upgrade gpt2` to accept the new file, or pin a revision"
    )


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (
            ranged(90, 200),
            (
                "cdn.example sent a range that was not asked for.\n  file: gpt2/model.bin\n"
                "  asked: bytes 100 to 299\n  sent: bytes 90 to 289\n"
            ),
        ),
        (
            ranged(100, 950),
            (
                "cdn.example sent a range that was not asked for.\n  file: gpt2/model.bin\n"
                "  asked: bytes 100 to 299\n  sent: bytes 100 to 1049\n"
            ),
        ),
        (
            ranged(110, None),
            (
                "cdn.example sent a range that was not asked for.\n  file: gpt2/model.bin\n"
                "  asked: bytes 100 to 299\n  sent: bytes 110 to ?\n"
            ),
        ),
        (
            Head(status=206, length=200),
            "The server did not say which bytes it sends.\n  file: gpt2/model.bin\n  status: 206\n",
        ),
        (
            Head(status=200, length=200),
            "The server did not say which bytes it sends.\n  file: gpt2/model.bin\n  length: 200\n",
        ),
        (Head(status=204), "The server answered with status 204.\n  file: gpt2/model.bin\n"),
        (
            Head(status=416),
            "The server has no such range.\n  file: gpt2/model.bin\n  asked: bytes 100 to 299\n",
        ),
        (
            Head(status=416, total=SIZE),
            "The server did not say which bytes it sends.\n  file: gpt2/model.bin\n  status: 416\n",
        ),
        (
            Head(status=200, length=77, content_type="application/json; charset=utf-8"),
            (
                "The server sent an error page instead of the file.\n  file: gpt2/model.bin\n"
                "  content type: application/json; charset=utf-8\n"
            ),
        ),
    ],
)
def test_replies_that_cannot_be_used_are_refused_with_what_was_asked_and_sent(head: Head, message: str) -> None:
    """Another try or another source may do better, so they are transient; none is an integrity alarm."""
    with pytest.raises(SourceError) as caught:
        download(100, 300).answer(head)
    assert caught.value.transient
    assert str(caught.value) == message + "  fix: run the command again, or use another source"


def test_json_of_a_wrong_length_is_no_error_page_when_the_file_is_json() -> None:
    """A config.json that was changed upstream is a changed file, and is called so."""
    with pytest.raises(IntegrityError, match="has changed"):
        download(label="gpt2/config.json").answer(Head(status=200, length=77, content_type="application/json"))


def test_more_bytes_than_announced_are_refused() -> None:
    """Written on, they would land in the next part."""
    part = download(100, 300)
    part.answer(ranged(100, 150))
    part.receive(150)
    with pytest.raises(IntegrityError) as caught:
        part.receive(1)
    assert str(caught.value) == (
        "cdn.example sent more of gpt2/model.bin than it announced.\n"
        "  locked: 1000 bytes\n"
        "  announced: up to byte 250\n"
        "  fix: run the command again, or use another source"
    )


def test_a_span_outside_of_the_file_is_a_bug() -> None:
    """It would ask for bytes that cannot be."""
    with pytest.raises(ValueError, match="does not lie in a file of 1000 bytes"):
        download(900, 1001)


HEADS = st.builds(
    Head,
    status=st.sampled_from([200, 206, 206, 416, 204]),
    first=st.none() | st.integers(0, 70),
    total=st.none() | st.just(60) | st.integers(0, 70),
    length=st.none() | st.integers(0, 70),
)


@given(
    span=st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted),
    replies=st.lists(st.tuples(HEADS, st.lists(st.integers(0, 70), max_size=5)), max_size=8),
)
def test_accepted_bytes_are_exactly_the_span_in_order(span: list[int], replies: list[tuple[Head, list[int]]]) -> None:
    """Whatever heads and counts come: no byte twice, none out of order, none outside, each at its own offset."""
    machine = Download(label="m/f", size=60, span=Span(start=span[0], stop=span[1]))
    accepted: list[int] = []
    for head, counts in replies:
        try:
            at = machine.answer(head)
            for count in counts:
                piece = machine.receive(count)
                # what the server sends at file offset x must be written at x
                assert piece.keep == 0 or at + piece.drop == piece.offset
                assert piece.drop + piece.keep <= count
                accepted.extend(range(piece.offset, piece.offset + piece.keep))
                at += count
            machine.end()
        except FetcherError:
            continue
    assert accepted == list(range(span[0], span[0] + len(accepted)))
    assert machine.is_done() == (len(accepted) == span[1] - span[0])
