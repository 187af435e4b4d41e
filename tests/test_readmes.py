"""README.zh-CN.md says what README.md says: the same commands in the same order."""

import re
from collections.abc import Iterable
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_ENGLISH, _CHINESE = ((_ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))


def _blocks(page: str) -> list[list[str]]:
    """The lines of each block of code, in fences or indented, without comments."""
    found = re.findall(r"^```\w+\n.*?^```$|(?:^    [^\n]*\n)+", page, flags=re.DOTALL | re.MULTILINE)
    return [[re.sub(r"\s*(^| )#.*", "", line).strip() for line in block.splitlines()] for block in found]


def _commands(page: str) -> list[str]:
    """Every `fetcher …` in running text and tables, in order."""
    return re.findall(r"`([^`\n]*\bfetcher [^`\n]*)`", page)


def _is_in_order(some: Iterable[str], among: Iterable[str]) -> bool:
    rest = iter(among)
    return all(each in rest for each in some)


def test_the_blocks_are_the_same() -> None:
    """Commands, manifests and programs, to the letter; only comments are translated."""
    assert _blocks(_CHINESE) == _blocks(_ENGLISH)
    assert ["make demo", "make test"] in _blocks(_ENGLISH)


def test_the_tables_have_the_same_commands_in_the_same_order() -> None:
    """The Chinese page may leave rows out; it has none of its own, but for the guide's."""
    guide = _CHINESE[_CHINESE.index("## 从 ModelScope") : _CHINESE.index("## 在 Python 里")]
    shown = _commands(_CHINESE.replace(guide, ""))
    assert len(shown) > 25
    assert _is_in_order(shown, _commands(_ENGLISH))
    told = (_ROOT / "docs/modelscope-guide.md").read_text(encoding="utf-8")
    assert _is_in_order(_commands(guide), _commands(told))


def test_the_codes_and_variables_are_those_of_the_english_page() -> None:
    """A code that is missing would be looked for in vain."""
    codes, variables = r"^\| ([\d, ]+) \|", r"`([A-Z]+_[A-Z_]+)`"
    assert re.findall(codes, _CHINESE, flags=re.MULTILINE) == re.findall(codes, _ENGLISH, flags=re.MULTILINE)
    assert set(re.findall(variables, _CHINESE)) <= set(re.findall(variables, _ENGLISH))


def test_each_page_leads_to_the_other_before_its_first_sentence() -> None:
    """Who reads the wrong one sees it at once."""
    assert "](README.zh-CN.md)" in _ENGLISH.split("\n\n")[1]
    assert "](README.md)" in _CHINESE.split("\n\n")[1]
