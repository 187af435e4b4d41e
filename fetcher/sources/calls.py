"""Which models a program loads by their ids: calls in the text of Python files and notebooks.  Pure.

`AutoModel.from_pretrained("OWNER/NAME")`, `snapshot_download("OWNER/NAME")` and the like; the id may be a
text, or a name that stands for one text only.  Which hub is meant is told by where the function was imported
from.  Nothing is run; what cannot be read is passed over.

Promises (tests/sources/test_calls.py, fuzzed):
  * whatever the text, nothing but calls comes out, each with a source that can be read.
"""

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fetcher.core.manifest import HUGGINGFACE, MODELSCOPE, SourceRef

_PLAIN = re.compile(r"[^\x00-\x20\x7f-\xa0\u2028\u2029\ud800-\udfff\\]+\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A place at which a program loads a model.

    Attributes:
        local: The id as a path: where such a folder exists, that is meant.
        line: Counted from 1; of a notebook over the lines of all cells.
        include, exclude: Patterns; empty is everything, nothing.
        files: Names of files, where only these are loaded.
    """

    source: SourceRef
    local: str
    line: int
    revision: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loader:
    """A function that loads by id.

    Attributes:
        keys: Keywords of the id.
        place: Which positional argument the id is, from 0.
        file_keys: Keywords of a file's name, which is the next positional argument.
        dataset: Whether the id is a dataset's.
        owners: Names that must stand before the function's, if any.
    """

    keys: tuple[str, ...]
    place: int = 0
    file_keys: tuple[str, ...] = ()
    dataset: bool = False
    owners: frozenset[str] = frozenset()


_LOADERS: Mapping[str, _Loader] = {
    "from_pretrained": _Loader(keys=("pretrained_model_name_or_path", "model_id", "model_name_or_path", "model_name")),
    "snapshot_download": _Loader(keys=("repo_id", "model_id")),
    "hf_hub_download": _Loader(keys=("repo_id",), file_keys=("filename",)),
    "model_file_download": _Loader(keys=("model_id",), file_keys=("file_path",)),
    "dataset_snapshot_download": _Loader(keys=("dataset_id",), dataset=True),
    "dataset_file_download": _Loader(keys=("dataset_id",), file_keys=("file_path",), dataset=True),
    "load_dataset": _Loader(keys=("path",), dataset=True),
    "load": _Loader(keys=("dataset_name",), dataset=True, owners=frozenset({"MsDataset"})),
    "SentenceTransformer": _Loader(keys=("model_name_or_path",)),
    "CrossEncoder": _Loader(keys=("model_name_or_path", "model_name")),
    "pipeline": _Loader(keys=("model",), place=1),
    "LLM": _Loader(keys=("model",)),
}
WORDS = (*(name.encode() for name in _LOADERS if name != "load"), b"MsDataset")  # a file without any has no call
_OF_MODELSCOPE = frozenset({"modelscope", "funasr", "swift"})
_OF_HUGGINGFACE = frozenset(
    {"datasets", "diffusers", "huggingface_hub", "peft", "sentence_transformers", "transformers", "vllm"}
)
_MAY_LACK_OWNER = frozenset({"from_pretrained", "snapshot_download", "hf_hub_download"})
_INCLUDE = ("allow_patterns", "allow_file_pattern")
_EXCLUDE = ("ignore_patterns", "ignore_file_pattern")


def calls_in(data: bytes, *, notebook: bool) -> list[Call]:
    """The calls in a Python file or a notebook, in the order of its lines."""
    if not any(word in data for word in WORDS):
        return []
    reader = _Reader()
    try:
        for text, begin in _cells(data) if notebook else [(data.decode("utf-8"), 0)]:
            reader.read(text, begin)
    except (ValueError, RecursionError):
        return []
    return sorted(reader.calls(), key=lambda call: call.line)


def _cells(data: bytes) -> Iterator[tuple[str, int]]:
    """The code cells of a notebook, each with the number of lines in front of it; `%` and `!` lines are blanked."""
    content = json.loads(data)
    cells = content.get("cells") if isinstance(content, dict) else None
    begin = 0
    for cell in cells if isinstance(cells, list) else ():
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source")
        text = "".join(map(str, source)) if isinstance(source, list) else str(source or "")
        yield re.sub(r"^[ \t]*[%!?].*$", "", text, flags=re.MULTILINE), begin
        begin += text.count("\n") + 1


@dataclass(slots=True)
class _Reader:
    """What is known of one file.

    Attributes:
        packages: Where each imported name comes from.
        functions: What each name is that was imported under another one.
        texts: What each name stands for; several texts where nobody knows which.
        found: Calls with the number of lines in front of their part of the file.
    """

    packages: dict[str, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    texts: dict[str, set[str]] = field(default_factory=dict)
    found: list[tuple[ast.Call, int]] = field(default_factory=list)

    def read(self, text: str, begin: int) -> None:
        """Take in a file, or a cell of a notebook; one that is no Python is passed over."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # such as an invalid escape, which is theirs
                tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return
        for node in ast.walk(tree):
            self._learn(node, begin)

    def calls(self) -> Iterator[Call]:
        """The calls whose id is known and is one of a hub."""
        for node, begin in self.found:
            call = self._call(node, begin)
            if call is not None:
                yield call

    def _learn(self, node: ast.AST, begin: int) -> None:
        match node:
            case ast.Import(names=names):
                self.packages.update(
                    ((each.asname or each.name).partition(".")[0], each.name.partition(".")[0]) for each in names
                )
            case ast.ImportFrom(module=str(module), names=names, level=0):
                self.packages.update((each.asname or each.name, module.partition(".")[0]) for each in names)
                self.functions.update((each.asname, each.name) for each in names if each.asname)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                self.texts.setdefault(name, set()).add(text)
            case ast.Assign(targets=[ast.Name(id=name)]):
                self.texts.setdefault(name, set()).add("")  # no id: which one it is at the call nobody knows
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text))):
                self.texts.setdefault(name, set()).add(text)
            case ast.arguments():
                self._learn_defaults(node)
            case ast.Call():
                self.found.append((node, begin))

    def _learn_defaults(self, given: ast.arguments) -> None:
        places = [*given.posonlyargs, *given.args]
        pairs = [*zip(reversed(places), reversed(given.defaults), strict=False)]
        pairs += [(name, value) for name, value in zip(given.kwonlyargs, given.kw_defaults, strict=True) if value]
        for name, value in pairs:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                self.texts.setdefault(name.arg, set()).add(value.value)

    def _call(self, node: ast.Call, begin: int) -> Call | None:
        *owners, name = _dotted(node.func) or [""]
        root = (*owners, name)[0]
        name = name if owners else self.functions.get(name, name)
        loader = _LOADERS.get(name)
        if loader is None or not (not loader.owners or loader.owners & set(owners)):
            return None
        keywords = {each.arg: each.value for each in node.keywords if each.arg}
        identity = self._text(_argument(node, keywords, loader.keys, loader.place))
        dataset = loader.dataset or self._text(keywords.get("repo_type")) == "dataset"
        source = self._source(identity, name, root, dataset=dataset) if identity else None
        if source is None or identity is None:
            return None
        file = self._text(_argument(node, keywords, loader.file_keys, loader.place + 1)) if loader.file_keys else None
        if loader.file_keys and file is None:
            return None
        return Call(
            source=source,
            local=identity,
            line=begin + node.lineno,
            revision=self._text(keywords.get("revision")),
            include=self._patterns(keywords, _INCLUDE),
            exclude=self._patterns(keywords, _EXCLUDE),
            files=(file,) if file else (),
        )

    def _source(self, identity: str, function: str, root: str, *, dataset: bool) -> SourceRef | None:
        scheme = self._hub(root)
        if "/" not in identity and (function not in _MAY_LACK_OWNER or scheme != HUGGINGFACE):
            return None
        if identity.count("/") > 1 or identity.startswith((".", "/", "datasets/", "models/")):
            return None
        try:
            return SourceRef.parse(f"{scheme}:{'datasets/' if dataset else ''}{identity}")
        except ValueError:
            return None

    def _hub(self, root: str) -> str:
        """From where the function is imported; where that is not told, what else the file imports."""
        packages = {self.packages[root]} if root in self.packages else {*self.packages.values()}
        return MODELSCOPE if packages & _OF_MODELSCOPE and not packages & _OF_HUGGINGFACE else HUGGINGFACE

    def _text(self, node: ast.expr | None) -> str | None:
        """What an expression stands for, if that is one plain text."""
        if isinstance(node, ast.Name):
            found = self.texts.get(node.id, set())
            text = next(iter(found)) if len(found) == 1 else None
        else:
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
        return text if text and _PLAIN.match(text) else None

    def _patterns(self, keywords: Mapping[str, ast.expr], names: Sequence[str]) -> tuple[str, ...]:
        for name in names:
            value = keywords.get(name)
            if value is not None:
                items = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
                texts = [self._text(item) for item in items]
                return tuple(text for text in texts if text) if all(texts) else ()
        return ()


def _dotted(node: ast.expr) -> list[str] | None:
    """`a.b.c` as its names; None for what is no plain name."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        return [node.id, *reversed(names)]
    return ["", *reversed(names)] if names else None


def _argument(node: ast.Call, keywords: Mapping[str, ast.expr], names: Sequence[str], place: int) -> ast.expr | None:
    named = next((keywords[name] for name in names if name in keywords), None)
    if named is not None:
        return named
    before = node.args[: place + 1]
    return before[place] if len(before) > place and not any(isinstance(each, ast.Starred) for each in before) else None
