"""The pages that are made from the code are what the code says, and no link leads nowhere."""

import shutil
from pathlib import Path

import pytest

from tests.pages.__main__ import MADE, ROOT, main, problems


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The documents, to be spoilt."""
    for name in ("docs", "benchmarks", "tests", "fetcher", "schemas"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "corpus"))
    for page in (*ROOT.glob("*.md"), ROOT / ".mkdocs.yml", ROOT / "models.toml.example"):
        shutil.copy(page, tmp_path)
    return tmp_path


def test_nothing_is_wrong_with_the_pages() -> None:
    """`make pages` mends what is stale; `make check` says the same."""
    assert problems() == []
    assert main(["--check"]) == 0


def test_what_is_wrong_is_told(copy: Path) -> None:
    """A checker that finds nothing anywhere would be of no use."""
    added = {
        "README.md": "[x](docs/no.md) `docs/no.md`",
        "CONTRIBUTING.md": "[x](README.md#no) [x](README.md#exit-codes) [x](https://no.example) `[x](no.md)`",
        "docs/git.md": "![x](no.png) [x](../README.md)",
        "docs/exec.md": "[x](#no)\n\n```text\n[x](no.md)\n```\n",
        "docs/lost.md": "# Lost\n",
        **dict.fromkeys(MADE, "x"),
    }
    for page, text in added.items():
        with (copy / page).open("a", encoding="utf-8") as file:
            file.write(text)
    (copy / "docs/huggingface.md").unlink()
    found = problems(copy)
    assert "docs/index.md: huggingface.md does not exist" in found
    assert {line for line in found if "huggingface.md does not exist" not in line} == {
        *(f"{page} is not what the code says; run `make pages`" for page in MADE),
        "README.md: docs/no.md does not exist",
        "README.md: `docs/no.md` does not exist",
        "CONTRIBUTING.md: README.md#no has no such heading",
        "docs/git.md: no.png does not exist",
        "docs/git.md: ../README.md is not part of the site; name the file without a link",
        "docs/exec.md: #no has no such heading",
        ".mkdocs.yml: its navigation lacks docs/lost.md",
    }
