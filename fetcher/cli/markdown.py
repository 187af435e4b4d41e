"""A comparison of two locks as Markdown, for a pull request; GitHub, GitLab and Gitea show it alike.

Names of files and licences come from foreign repositories: what they say is shown, never obeyed.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fetcher.core.lockdiff import field_changes, summary
from fetcher.core.units import count_text, size_text

if TYPE_CHECKING:
    from fetcher.core.lock import LockedModel
    from fetcher.core.lockdiff import FileChange, LockDiff, ModelChange

_LISTED = 200  # files of one model; a comment may hold 65536 characters
_PLAIN = re.compile(r"[^`|<>&]+")
_HEAD = ("| model | commit | files | size | to fetch | licence |", "| --- | --- | --- | ---: | ---: | --- |")


def markdown_of(found: "LockDiff", *, lock: str) -> str:
    """A headline, a table with a row a model, and each model's files to be unfolded."""
    lines = [f"### {_code(lock)}: {summary(found)}", ""]
    if found.changes:
        lines += [*_HEAD, *map(_row, found.changes)]
    for change in found.changes:
        if details := [*_fields(change), *_files(change)]:
            told = _told(change)
            lines += [
                "",
                f"<details><summary>{_code_in_html(change.name)}: {told}</summary>",
                "",
                *details,
                "</details>",
            ]
    return "\n".join(lines).rstrip("\n")


def _row(change: "ModelChange") -> str:
    before, after = change.before, change.after
    cells = (
        f"{_code(change.name)} {change.kind}",
        _step(_code(before.commit[:12]) if before else "", _code(after.commit[:12]) if after else ""),
        _step(str(len(before.files)) if before else "", str(len(after.files)) if after else ""),
        _step(size_text(before.size) if before else "", size_text(after.size) if after else ""),
        size_text(change.fetch_size),
        _step(_license(before), _license(after)),
    )
    return f"| {' | '.join(cells)} |"


def _step(before: str, after: str) -> str:
    """`old → new`; one of them where they are the same or there is only one."""
    return " → ".join(dict.fromkeys(filter(None, (before, after))))


def _license(model: "LockedModel | None") -> str:
    return _code(model.license or "not recorded") if model else ""


def _told(change: "ModelChange") -> str:
    counts = [(kind, sum(file.kind == kind for file in change.files)) for kind in ("added", "changed", "removed")]
    told = ", ".join(f"{count_text(number, 'file')} {kind}" for kind, number in counts if number)
    return told or "same files"


def _fields(change: "ModelChange") -> Iterator[str]:
    changes = field_changes(change)
    for each in changes:
        yield f"- {each.field}: {_code(each.before)} → {_code(each.after)}"
    if changes:
        yield ""


def _files(change: "ModelChange") -> Iterator[str]:
    if not change.files:
        return
    yield from ("| file | change | size |", "| --- | --- | ---: |")
    for file in change.files[:_LISTED]:
        yield f"| {_code(file.path)} | {file.kind} | {_sizes(file)} |"
    if len(change.files) > _LISTED:
        yield f"| and {len(change.files) - _LISTED} more | | |"
    yield ""


def _sizes(file: "FileChange") -> str:
    before, after = (size_text(each.size) if each else "" for each in (file.before, file.after))
    return _step(before, after)


def _code(text: str) -> str:
    """Text as code: nothing in it is Markdown, HTML, a mention or the end of a cell."""
    return f"`{text}`" if _PLAIN.fullmatch(text) and text == text.strip() else _code_in_html(text)


def _code_in_html(text: str) -> str:
    """The same where HTML has begun, and for text that a code span cannot hold: each odd character by its number."""
    safe = re.sub(r"[^\w ./-]|_", lambda found: f"&#{ord(found[0])};", text)
    return f"<code>{safe}</code>"
