"""Which models a program loads by their ids."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.manifest import SourceRef
from fetcher.sources.calls import WORDS, Call, calls_in


def _sources(text: str) -> list[str]:
    return [str(call.source) for call in calls_in(text.encode(), notebook=False)]


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ('from transformers import AutoModel\nAutoModel.from_pretrained("a/b")', ["huggingface:a/b"]),
        ('from modelscope import AutoModel\nAutoModel.from_pretrained("a/b")', ["modelscope:a/b"]),
        ('from modelscope.hub.snapshot_download import snapshot_download as f\nf("a/b")', ["modelscope:a/b"]),
        ('import modelscope as ms\nms.snapshot_download(model_id="a/b")', ["modelscope:a/b"]),
        ('from huggingface_hub import snapshot_download\nsnapshot_download(repo_id="gpt2")', ["huggingface:gpt2"]),
        ('snapshot_download("a/b", repo_type="dataset")', ["huggingface:datasets/a/b"]),
        ('import modelscope\nself.kind.from_pretrained("a/b")', ["modelscope:a/b"]),
        ('import modelscope, transformers\nself.kind.from_pretrained("a/b")', ["huggingface:a/b"]),
        ('ID = "a/b"\nM.from_pretrained(ID)', ["huggingface:a/b"]),
        ('ID = "a/b"\nID = "a/c"\nM.from_pretrained(ID)', []),
        ('ID = "a/b"\nID = choose()\nM.from_pretrained(ID)', []),
        ('def f(name: str = "a/b"): return M.from_pretrained(name)', ["huggingface:a/b"]),
        ('def f(*, name="a/b", other): return M.from_pretrained(name)', ["huggingface:a/b"]),
        ('from sentence_transformers import SentenceTransformer\nSentenceTransformer("a/b")', ["huggingface:a/b"]),
        ('pipeline("x", model="a/b"); pipeline("e/f")', ["huggingface:a/b"]),
        ('pipeline("x", "a/b")', ["huggingface:a/b"]),
        ('load_dataset("csv"); load_dataset("a/b")', ["huggingface:datasets/a/b"]),
        ('from modelscope import MsDataset\nMsDataset.load("a/b"); json.load("c/d")', ["modelscope:datasets/a/b"]),
        ('LLM(model="a/b"); load_from_pretrained("c/d")', ["huggingface:a/b"]),
        ('M.from_pretrained("./a/b"); M.from_pretrained("/a/b"); M.from_pretrained("a/b/c")', []),
        ('M.from_pretrained(f"a/{b}"); M.from_pretrained(*names); M.from_pretrained()', []),
        ('M.from_pretrained("a/b\\nc"); M.from_pretrained("a b")', []),
        ('# M.from_pretrained("a/b")\n"M.from_pretrained(\'a/b\')"', []),
        ('M.from_pretrained("a/b"', []),
        ('"\\d"; M.from_pretrained("a/b")', ["huggingface:a/b"]),
    ],
)  # fmt: skip
def test_calls_are_found_with_their_hub(text: str, sources: list[str]) -> None:
    """By what the function was imported from; an id that nobody knows before the program runs is none."""
    assert _sources(text) == sources


def test_what_a_call_asks_for_is_told() -> None:
    """Revision, patterns and names of files become those of models.toml."""
    text = (
        'from modelscope import model_file_download\nsnapshot_download("a/b", revision="v1", allow_patterns=["*.json", '
        '"x y"],\n ignore_patterns="*.md")\n'
        'model_file_download("c/d", "onnx/a.onnx")\nhf_hub_download("e/f", filename=x)'
    )
    first, second = calls_in(text.encode(), notebook=False)
    assert first == Call(
        source=SourceRef.parse("ms:a/b"), local="a/b", line=2, revision="v1", include=(), exclude=("*.md",)
    )
    assert (str(second.source), second.files, second.line) == ("modelscope:c/d", ("onnx/a.onnx",), 4)


def test_notebooks_are_read_cell_by_cell() -> None:
    """A cell that is no Python, or commands of the notebook, hide no other one."""
    cells = [
        {"cell_type": "markdown", "source": 'M.from_pretrained("no/no")'},
        {"cell_type": "code", "source": ["%pip install x\n", "from modelscope import M\n"]},
        {"cell_type": "code", "source": "this is no python"},
        {"cell_type": "code", "source": ["x = 1\n", '!ls\nM.from_pretrained("a/b")']},
    ]
    (call,) = calls_in(json.dumps({"cells": cells}).encode(), notebook=True)
    assert (str(call.source), call.line) == ("modelscope:a/b", 7)
    for odd in (b"[]", b'{"cells": 1}', b'{"cells": [1, {"cell_type": "code"}]}', b"\xff", b"[" * 100_000):
        assert calls_in(odd + b"                from_pretrained", notebook=True) == []


_PIECES = st.sampled_from(
    ["from_pretrained", "snapshot_download", "(", ")", '"a/b"', "\n", " ", "x", "=", ",", ".", "[", "]", "def f", ":",
     "import modelscope", "from x import y", "\\", "'", "\0", "é", "lambda", "*", "{", "}", "model_id=", "revision="]
)  # fmt: skip


@given(st.lists(_PIECES | st.text(max_size=3), max_size=30).map("".join), st.booleans())
def test_whatever_the_text_only_calls_come_out(text: str, notebook: bool) -> None:
    """Programs of strangers are read, too."""
    data = f"{text}\n# {WORDS[0].decode()}".encode("utf-8", "surrogatepass")
    if notebook:
        data = json.dumps({"cells": [{"cell_type": "code", "source": data.decode("utf-8", "replace")}]}).encode()
    for call in calls_in(data, notebook=notebook):
        assert SourceRef.parse(str(call.source)) == call.source
        assert call.line >= 1


def test_code_that_is_nested_without_end_is_passed_over() -> None:
    """The parser of Python has its bounds."""
    for deep in ("(" * 5000, "-" * 100_000 + "x", "x." * 50_000 + "from_pretrained('a/b')"):
        assert _sources(f"from_pretrained\n{deep}") in ([], ["huggingface:a/b"])
