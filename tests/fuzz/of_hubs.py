"""Answers of hubs: listings, pages, refusals."""

from fetcher.core.manifest import SourceRef
from fetcher.core.retry import RetrySchedule
from fetcher.errors import FetcherError
from fetcher.net.heads import next_link
from fetcher.sources.huggingface.source import HuggingFaceSource
from fetcher.sources.modelscope import ModelScopeSource
from tests.fuzz.oracles import COMMIT, OneAnswer, require_inside, require_short

Hub = HuggingFaceSource | ModelScopeSource
_MOST_PAGES = 3  # a link that is always the same leads in a circle after two


def listing(data: bytes) -> None:
    """An answer of a hub to each of the questions of a lock."""
    _snapshots(_hub(ModelScopeSource, OneAnswer(data)), "ms", "master")


def huggingface(data: bytes) -> None:
    """The same of Hugging Face: a first line with status, code and link, then the content."""
    status, code, link_text, content = ([*data.split(b"\n", 3), b"", b"", b"", b""])[:4]
    headers = {"x-error-code": code.decode("latin-1"), "link": link_text.decode("latin-1")}
    headers["x-error-message"] = headers["x-error-code"]
    number = int(status) if status in (b"401", b"403", b"404", b"429") else 200
    client = OneAnswer(content, status=number, headers=headers)
    _snapshots(_hub(HuggingFaceSource, client), "hf", "main")
    assert all(url.startswith("https://hub.example/api/") for url in client.asked), client.asked
    assert len(client.asked) <= 4 * (_MOST_PAGES + 2), "pages that lead in a circle"


def link(data: bytes) -> None:
    """A Link header."""
    found = next_link(data.decode("latin-1"))
    assert found is None or not any(sign in found for sign in "<>"), found


def _hub(kind: type[Hub], client: OneAnswer) -> Hub:
    return kind(
        endpoint="https://hub.example",
        client=client,  # type: ignore[arg-type]
        token=None,
        login="log in",
        retry=RetrySchedule(attempts=1),
        sleep=lambda _: None,
    )


def _snapshots(source: Hub, scheme: str, branch: str) -> None:
    for text in (f"{scheme}:owner/name", f"{scheme}:datasets/owner/name"):
        for revision in (COMMIT, branch):
            try:
                snapshot = source.snapshot(SourceRef.parse(text), revision)
            except FetcherError as error:
                require_short(str(error))
                continue
            assert snapshot.files
            assert len({file.path.lower() for file in snapshot.files}) == len(snapshot.files)
            for file in snapshot.files:
                require_inside(file.path)
