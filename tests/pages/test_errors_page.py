"""docs/reference/errors.md: every code of the code, and messages that the commands really say."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher import errors
from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.faults import OBJECT, Corrupt, FaultProxy, Rule
from tests.hub.publish import MIB, Publisher
from tests.pages.__main__ import ROOT

_PAGE = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
_SECTIONS = {
    int(code): text
    for heading, text in re.findall(r"^## (\d[^\n]*)\n(.*?)(?=^## |\Z)", _PAGE, flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"\d+", heading.partition(":")[0])
}


def _below(kind: type[errors.FetcherError]) -> list[type[errors.FetcherError]]:
    return [each for kid in kind.__subclasses__() for each in (kid, *_below(kid))]


def test_every_class_and_code_is_on_the_page() -> None:
    """Who catches one, or reads one in a log, must find it."""
    table = {
        (int(code), name)
        for code, names in re.findall(r"^\| (\d+) \| (.*?) \|", _PAGE, flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", names)
    }
    kinds = [each for each in _below(errors.FetcherError) if each.__module__ == errors.__name__]
    assert table == {(kind.exit_code, kind.__name__) for kind in kinds}
    assert _SECTIONS.keys() == {code for code, _ in table}


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    publisher.publish(
        "AI-ModelScope/gpt2", {"config.json": b"{}", "model.safetensors": 3 * MIB, "onnx/decoder.onnx": MIB}
    )
    return desk(tmp_path / "project", hub.url)


def _said(at: Desk, command: str) -> tuple[int, str]:
    """Its exit code, and the command with what it says as on the page: the public hub in the place of a local one."""
    done = at.fetcher(*command.split())
    text = re.sub(r"127\.0\.0\.1:\d+", "www.modelscope.cn", done.out + done.err)
    return done.code, f"$ fetcher {command}\n{text.replace(str(at.folder), '/home/me/project')}"


def test_the_messages_of_the_page_are_said(
    at: Desk, start_hub: Callable[..., Hub], fault_proxy: Callable[..., FaultProxy]
) -> None:
    """Whole messages, in the order in which a project may meet them."""
    told = []

    def say(command: str) -> None:
        told.append(_said(at, command))

    say("sync")
    for repo, more in (
        ("AI-ModelScope/gpt2", 'exclud = ["*.md"]'),
        ("AI-ModelScope/gpt2", 'files = ["model.safetensor"]'),
        ("AI-ModelScope/gtp2", ""),
        ("AI-ModelScope/gpt2", '[policy.sources]\nallow = ["huggingface:BAAI/*"]'),
    ):
        at.model("gpt2", repo=repo, more=more)
        say("lock")
    at.model("gpt2", repo="AI-ModelScope/gpt2")
    at.ok("lock")
    say("sync --offline")
    public = at.environment["MODELSCOPE_ENDPOINT"]
    at.environment.update(MODELSCOPE_ENDPOINT="http://127.0.0.1:9", FETCHER_RETRIES="1")
    say("lock --upgrade")
    at.environment["MODELSCOPE_ENDPOINT"] = start_hub(token="ms-secret").url
    say("lock --upgrade")
    at.environment["MODELSCOPE_ENDPOINT"] = fault_proxy(Rule(f"{OBJECT}16/ca/bd", Corrupt(offset=5))).url
    say("sync")
    at.environment["MODELSCOPE_ENDPOINT"] = public
    at.ok("sync")
    (at.folder / "models/gpt2/config.json").unlink()
    (at.folder / "models/gpt2/config.json").write_text('{"mine": 1}', encoding="utf-8")
    say("sync")
    at.model("gpt2", repo="AI-ModelScope/gpt2", more='include = ["*.json"]')
    say("lock --check")
    shown = {
        (code, block)
        for code, text in _SECTIONS.items()
        for block in re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    }
    assert shown == set(told)
