"""Every command of ModelScope's download guide, and its relatives of `hf`: the official client beside fetcher.

Both run in folders of their own against the same hub.  What differs is in the table, with the reason.
The guide's Python is compared in tests/api/test_official.py, its clones are in tests/sources/test_git_remote.py.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.hub.publish import MIB, Publisher
from tests.official import Officials

TOKEN = "ms-11111111-2222-3333-4444-555555555555"
TREE: dict[str, bytes | int] = {
    "README.md": b"# gpt2\n",
    "64.tflite": 2 * MIB + 1,
    "config.json": b"{}",
    "onnx/config.json": 700,
    "onnx/decoder_model.onnx": 3 * MIB,
}
CACHED = "default/models/AI-ModelScope--gpt2/snapshots/master"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row.

    Attributes:
        official: Command lines of the official client, one after the other.
        ours: Those of fetcher; left out: the same behind another first word.
        where: The folder in which both put the files.
        ours_where: fetcher's, if it is another one.
        files: What is there afterwards.
        codes: The last exit code of each.
        reason: Why the rows differ.
        login: Text for the standard input of fetcher's first command.
    """

    official: tuple[str, ...]
    ours: tuple[str, ...] = ()
    where: str
    ours_where: str = ""
    files: frozenset[str] = frozenset()
    codes: tuple[int, int] = (0, 0)
    reason: str = ""
    login: str = ""


def _like(text: str, **more: object) -> Example:
    return Example(official=(f"modelscope {text}",), ours=(f"fetcher {text}",), **more)  # type: ignore[arg-type]


JSON = frozenset({"config.json", "onnx/config.json"})
ALL = frozenset(TREE)
ONNX_AND_TFLITE = frozenset({"64.tflite", "onnx/config.json", "onnx/decoder_model.onnx"})
GPT2 = "download --model 'AI-ModelScope/gpt2'"
NOTHING = "their success with nothing is our exit 7"

EXAMPLES = {
    "one file": _like(f"{GPT2} 64.tflite", where=CACHED, files=frozenset({"64.tflite"})),
    "several files": _like(
        f"{GPT2} 64.tflite config.json", where=CACHED, files=frozenset({"64.tflite", "config.json"})
    ),
    "include": _like(f"{GPT2} --include 'onnx/*' '*.tflite'", where=CACHED, files=ONNX_AND_TFLITE),
    "include, repeated": _like(f"{GPT2} --include 'onnx/*' --include '*.tflite'", where=CACHED, files=ONNX_AND_TFLITE),
    "exclude": _like(
        f"{GPT2} --exclude 'onnx/*' '*.tflite'", where=CACHED, files=frozenset({"README.md", "config.json"})
    ),
    "include and exclude": _like(
        f"{GPT2} --include '*.json' --exclude 'onnx/*' --local-dir here", where="here", files=frozenset({"config.json"})
    ),
    "cache_dir": _like(
        f"{GPT2} --include '*.json' --cache_dir './cache_dir'",
        where="cache_dir/models/AI-ModelScope--gpt2/snapshots/master",
        ours_where="cache_dir/AI-ModelScope/gpt2",
        files=JSON,
        reason="the guide's folder, in which the client of today puts nothing any more",
    ),
    "cache_dir as the client of today has it": Example(
        official=(f"modelscope {GPT2} --include '*.json' --cache-dir cache_dir",),
        ours=(f"fetcher {GPT2} --include '*.json' --cache-dir cache_dir --layout modelscope",),
        where="cache_dir/models/AI-ModelScope--gpt2/snapshots/master",
        files=JSON,
    ),
    "local_dir": _like(f"{GPT2} --include '*.json' --local_dir './local_dir'", where="local_dir", files=JSON),
    "local_dir wins": _like(
        f"{GPT2} config.json --cache_dir cache_dir --local_dir local_dir",
        where="local_dir",
        files=frozenset({"config.json"}),
    ),
    "revision": _like(f"{GPT2} --revision v1 --local_dir here", where="here", files=frozenset({"config.json"})),
    "whole model": _like("download AI-ModelScope/gpt2", where=CACHED, files=ALL),
    "workers": _like("download AI-ModelScope/gpt2 --max-workers 2 --local_dir here", where="here", files=ALL),
    "dataset": _like(
        "download --dataset owner/words",
        where="default/datasets/owner--words/snapshots/master",
        files=frozenset({"train.csv", "README.md"}),
    ),
    "dataset by its type": _like(
        "download owner/words --repo-type dataset --include '*.csv' --local-dir here",
        where="here",
        files=frozenset({"train.csv"}),
    ),
    "private, after a login": Example(
        official=(f"modelscope login --token {TOKEN}", "modelscope download --model corp/own --local_dir here"),
        ours=("fetcher login modelscope --token-stdin", "fetcher download --model corp/own --local_dir here"),
        where="here",
        files=frozenset({"config.json"}),
        login=TOKEN,
        reason="a token is no argument: others on the machine would see it",
    ),
    "private, without a login": _like(
        "download --model corp/own --local_dir here", where="here", codes=(1, 6), reason="6 says that a token is due"
    ),
    "unknown revision": _like(f"{GPT2} --revision v9 --local_dir here", where="here", codes=(0, 7), reason=NOTHING),
    "pattern without a file": _like(
        f"{GPT2} --include '*.bin' --local_dir here", where="here", codes=(0, 7), reason=NOTHING
    ),
    "missing file": _like(f"{GPT2} no.json --local_dir here", where="here", codes=(1, 7), reason="one code a cause"),
    "hf: files": Example(
        official=("hf download acme/tiny config.json onnx/config.json --local-dir here",),
        ours=("fetcher download hf:acme/tiny config.json onnx/config.json --local-dir here",),
        where="here",
        files=JSON,
    ),
    "hf: patterns": Example(
        official=("hf download acme/tiny --include '*.json' --include '*.md' --exclude 'onnx/*' --local-dir here",),
        ours=("fetcher download hf:acme/tiny --include '*.json' '*.md' --exclude 'onnx/*' --local-dir here",),
        where="here",
        files=frozenset({"config.json", "README.md"}),
    ),
    "hf: cache": Example(
        official=("hf download acme/tiny --revision v1 --cache-dir cache",),
        ours=("fetcher download hf:acme/tiny --revision v1 --cache-dir cache --layout huggingface",),
        where="cache/models--acme--tiny",
        files=frozenset({"refs/v1", "snapshots/COMMIT/config.json"}),
        reason="they have a link in the snapshot, the bytes in blobs/ and a listing in trees/, which no reader needs",
    ),
    "hf: dataset": Example(
        official=("hf download --repo-type dataset acme/words --local-dir here",),
        ours=("fetcher download --dataset hf:acme/words --local-dir here",),
        where="here",
        files=frozenset({"train.csv"}),
    ),
    "hf: pattern without a file": Example(
        official=("hf download acme/tiny --include '*.bin' --local-dir here",),
        ours=("fetcher download hf:acme/tiny --include '*.bin' --local-dir here",),
        where="here",
        codes=(0, 7),
        reason=NOTHING,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Two hubs, and what the official clients have done in a folder for each example."""

    folder: Path
    public: str
    private: str
    codes: Mapping[str, int]

    def endpoint(self, example: Example) -> str:
        return self.private if "corp/own" in example.official[-1] else self.public


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("guide")
    publisher = Publisher(folder / "published")
    for repository in ("AI-ModelScope/gpt2", "acme/tiny"):
        publisher.publish(repository, TREE)
        publisher.tag(repository, "v1", {"config.json": b"[1]"})
    publisher.publish("corp/own", {"config.json": b"{}"})
    publisher.publish("datasets/owner/words", {"train.csv": b"a,b\n", "README.md": b"# words\n"})
    publisher.publish("datasets/acme/words", {"train.csv": b"a,b\n"})
    with Hub(publisher.root) as public, Hub(publisher.root, token=TOKEN) as private:
        found = World(folder=folder, public=public.url, private=private.url, codes={})
        codes = {}
        with Officials(_environment(folder, found.public)) as officials:
            for name, example in EXAMPLES.items():
                for line in example.official:
                    ended = officials.run(line, folder=folder / "theirs" / name, endpoint=found.endpoint(example))
                codes[name] = ended.code
        yield World(folder=folder, public=public.url, private=private.url, codes=codes)


def _environment(home: Path, endpoint: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "MODELSCOPE_ENDPOINT": endpoint,
        "HF_ENDPOINT": endpoint,
        "MODELSCOPE_CACHE": f"{home}/default",
        "FETCHER_STORE": f"{home}/.store",
    }


def _tree(folder: Path) -> dict[str, bytes]:
    """What a user of a folder sees: links followed, the client's own records left out, commits by that word."""
    found = {}
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in ("blobs", "trees")]
        for name in names:
            path = Path(parent, name)
            if not name.startswith(".") and name != "said":
                found[re.sub("[0-9a-f]{40}", "COMMIT", str(path.relative_to(folder)))] = path.read_bytes()
    return found


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_same_files_in_the_same_places_or_the_reason_why_not(world: World, name: str) -> None:
    """For whoever brings a command from there."""
    example = EXAMPLES[name]
    theirs, ours = world.folder / "theirs" / name, world.folder / "ours" / name
    ours.mkdir(parents=True)
    code = -1
    for number, line in enumerate(example.ours):
        words = shlex.split(line)
        assert words.pop(0) == "fetcher"
        done = subprocess.run(
            [sys.executable, "-m", "fetcher", *words],
            cwd=ours,
            env=_environment(ours, world.endpoint(example)),
            input=example.login if number == 0 else "",
            capture_output=True,
            text=True,
            timeout=120,
        )
        code = done.returncode
    said = (theirs / "said").read_text(errors="replace")[-2000:]
    assert (world.codes[name], code) == example.codes, said + done.stderr
    expected = _tree(theirs / example.where)
    assert set(expected) == example.files, said
    assert _tree(ours / (example.ours_where or example.where)) == expected
    is_like = (example.codes in ((0, 0), (1, 1))) and not example.ours_where
    assert is_like or example.reason
