"""Makes the second half of docs/compared.md: seconds of the same work by each program, as benchmarks/ has them."""

import re
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
PAGE = _ROOT / "docs" / "compared.md"
MARK = "## How long it takes\n"
_PROGRAMS = ("fetcher", "modelscope", "hf")
_HEAD = """\
Medians of whole processes, taken from `benchmarks/RESULTS.md` ({results}) and `benchmarks/NOOP.md` ({noop}), which tell
the machine, the versions and the spread. Server and client share the machine's cores, so the figures say how much work
a program makes of a download, not how fast your network is. Written by `make pages`; do not edit this part.

| work | fetcher | modelscope | hf | dvc |
|---|---:|---:|---:|---:|
"""


def compared_page() -> str:
    """The page with its figures written anew."""
    results = (_ROOT / "benchmarks/RESULTS.md").read_text(encoding="utf-8")
    noop = (_ROOT / "benchmarks/NOOP.md").read_text(encoding="utf-8")
    head = _HEAD.format(results=_date(results), noop=_date(noop))
    rows = [*_downloads(results), _second_run(noop)]
    return f"{PAGE.read_text(encoding='utf-8').partition(MARK)[0]}{MARK}\n{head}" + "".join(f"{row}\n" for row in rows)


def _date(text: str) -> str:
    return re.findall(r"^- Date: (\S+)", text, flags=re.MULTILINE)[0]


def _downloads(results: str) -> Iterator[str]:
    """A row for each scenario in which all three took part; dvc took part in none."""
    for title, body in re.findall(r"^### ([^\n]*)\n(.*?)(?=^### |\Z)", results, flags=re.DOTALL | re.MULTILINE):
        walls = dict(re.findall(r"^\| ([a-z]+) \| (?:yes|no) \| ([\d.]+) \|", body, flags=re.MULTILINE))
        if walls.keys() >= set(_PROGRAMS):
            yield f"| {title} | {' | '.join(f'{walls[each]} s' for each in _PROGRAMS)} | not tried |"


def _second_run(noop: str) -> str:
    """Nothing is to do, 1 model of 1,000 files; dvc only looks (`dvc status`)."""
    title, body = noop[noop.index("### second run") :].removeprefix("### ").split("\n", 1)
    medians = dict(re.findall(r"^\| ([a-z]+) [a-z]+ \| ([\d.]+) \|", body, flags=re.MULTILINE))
    cells = " | ".join(f"{float(medians[each]) / 1000:.2f} s" for each in (*_PROGRAMS, "dvc"))
    return f"| {title}, nothing to do | {cells} |"
