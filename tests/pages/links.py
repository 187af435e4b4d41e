"""What is wrong with the links of the documents: targets, anchors, pages that no navigation shows.

Addresses of other hosts are not asked.  `make docs` checks the same of the built site, with MkDocs' own rules.
"""

import re
from collections.abc import Iterator
from pathlib import Path

_FENCE = re.compile(r"^(```|~~~).*?^\1", flags=re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`+[^`\n]*`+")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+?)\s*$", flags=re.MULTILINE)
_NAMED = re.compile(r"`((?:docs|fetcher|benchmarks|tests|schemas)/[\w./-]+\.(?:md|py|json|toml))`")


def documents(root: Path) -> list[Path]:
    """Every page that a reader may be sent to."""
    found = [*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "benchmarks").glob("*.md")]
    return sorted([*found, root / "fetcher" / "README.md"])


def wrong_links(root: Path) -> list[str]:
    """A line for each link, and each file named in passing, that leads nowhere."""
    return [line for page in documents(root) for line in _wrong(page, root)]


def pages_without_navigation(root: Path) -> list[str]:
    """A line for each page of docs/ that `.mkdocs.yml` does not name."""
    shown = set(re.findall(r": (\S+\.md)$", (root / ".mkdocs.yml").read_text(encoding="utf-8"), flags=re.MULTILINE))
    pages = {path.relative_to(root / "docs").as_posix() for path in (root / "docs").rglob("*.md")}
    return [f".mkdocs.yml: its navigation lacks docs/{page}" for page in sorted(pages - shown)]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, by GitHub's rule: small letters, `-` for spaces, other signs left out."""
    headings = _HEADING.findall(_FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _wrong(page: Path, root: Path) -> Iterator[str]:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    name = page.relative_to(root).as_posix()
    for link in _LINK.findall(_CODE.sub("", text)):
        if not link.startswith(("https://", "http://")) and (reason := _reason(link, page, root)):
            yield f"{name}: {link} {reason}"
    for path in _NAMED.findall(text):
        if not (root / path).is_file():
            yield f"{name}: `{path}` does not exist"


def _reason(link: str, page: Path, root: Path) -> str:
    """Why a link leads nowhere; empty if it leads somewhere."""
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return "does not exist"
    if page.is_relative_to(root / "docs") and not target.is_relative_to(root / "docs"):
        return "is not part of the site; name the file without a link"
    if anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
        return "has no such heading"
    return ""
