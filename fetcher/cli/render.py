"""Everything that is printed.  Data goes to stdout, people's text to stderr.

Decides nothing; takes values and shows them.
"""

import io
import os
import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fetcher import __version__
from fetcher.core.secrets import SECRETS
from fetcher.core.units import count_text, size_text
from fetcher.errors import FetcherError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from fetcher.cli.documents import PlanDocument
    from fetcher.core.lock import Staleness
    from fetcher.core.lockdiff import ModelChange
    from fetcher.core.plan import Plan
    from fetcher.core.tree import Branch

_LISTED = 20  # lines of one list, before "and N more"

_COMMAND = re.compile(
    r"`fetcher(?= (?:lock|sync|status|verify|path|tree|why|exec|env|init|add|remove|update|undo|diff|outdated"
    r"|download|login|logout|auth|setup)\b)"
)

_quiet = False
_options = ""  # with a space in front
_document_due = False


def set_quiet(quiet: bool) -> None:
    """Whether people's text is left out; errors and data never are."""
    global _quiet
    _quiet = quiet


def out(text: str) -> None:
    """A line of data."""
    print(text)


def say(text: str) -> None:
    """A line for people."""
    if not _quiet:
        print(SECRETS.conceal(text), file=sys.stderr)


def event(line: str) -> None:
    """A line of progress for programs; never left out, and whole, whichever thread says it."""
    sys.stderr.write(f"{SECRETS.conceal(line)}\n")  # `print` writes the line and its end one after the other
    sys.stderr.flush()


def prepare() -> None:
    """Make the streams take any text: what they cannot encode is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def out_path(path: Path) -> None:
    """A path as the file system has it, whatever the terminal's encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(path) + os.linesep.encode())
    sys.stdout.buffer.flush()


def out_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns with a head on a terminal; else a line a row, with tabs between its values."""
    if not sys.stdout.isatty():
        for row in rows:
            out("\t".join(row))
        return
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        out("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def out_tree(branches: Iterable["Branch"]) -> None:
    """Folders and files with lines that lead to them, as tree(1) draws them."""
    is_plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    past, here, end = ("|   ", "|-- ", "`-- ") if is_plain else ("│   ", "├── ", "└── ")
    for branch in branches:
        *above, is_last = branch.last
        lines = "".join("    " if last else past for last in above) + (end if is_last else here)
        size = f"  {size_text(branch.file.size)}" if branch.file else "/"
        twins = f"  = {', '.join(branch.same_as)}" if branch.same_as else ""
        out(f"{lines}{branch.name}{size}{twins}")


def out_export(name: str, value: str) -> None:
    """A line by which a shell sets and exports a variable, with a path in it as the file system has it."""
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(f"export {name}={shlex.quote(value)}\n"))
    sys.stdout.buffer.flush()


def repeat_in_fixes(options: str) -> None:
    """Options of this run that the commands of its errors must repeat, such as `-C DIR`."""
    global _options
    _options = options


def expect_document() -> None:
    """`--json` was given: an error is printed as the one document, if nothing was before."""
    global _document_due
    _document_due = True


def error(problem: FetcherError) -> None:
    """An error with its facts and its fix."""
    what, facts = SECRETS.conceal(problem.what), [SECRETS.conceal(fact) for fact in problem.facts]
    fix = _COMMAND.sub(lambda found: f"{found[0]}{_options}", SECRETS.conceal(problem.fix)) if problem.fix else None
    lines = [f"error: {what}", *(f"  {fact}" for fact in facts)]
    if fix:
        lines.append(f"  fix: {fix}")
    print("\n".join(lines), file=sys.stderr)
    if _document_due:
        document({"error": {"code": problem.exit_code, "what": what, "facts": facts, "fix": fix}})


def document(content: "Mapping[str, object] | DataclassInstance") -> None:
    """The one JSON document of `--json`, as documents.py says it; of dataclasses in it, their fields."""
    global _document_due
    _document_due = False
    import json  # most commands print none
    from dataclasses import asdict

    print(json.dumps(content, indent=2, ensure_ascii=False, default=asdict))


def version() -> None:
    """`fetcher 0.1.0`."""
    print(f"fetcher {__version__}")


def moved_aside(kept: Mapping[str, Path], folder: Path) -> None:
    """Where each obstacle is now; within a project's folder relative to it, as spots are."""
    for spot, path in kept.items():
        say(f"moved aside: {spot} -> {_relative(path, folder)}")


def _relative(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def out_listed(lines: Iterable[str], *, indent: str = "  ") -> None:
    """A list of data, cut when long."""
    items = list(lines)
    for line in items[:_LISTED]:
        out(line)
    if len(items) > _LISTED:
        out(f"{indent}and {len(items) - _LISTED} more")


def listed(lines: Iterable[str], *, indent: str = "  ") -> None:
    """A list for people, cut when long."""
    items = list(lines)
    for line in items[:_LISTED]:
        say(f"{indent}{line}")
    if len(items) > _LISTED:
        say(f"{indent}and {len(items) - _LISTED} more")


def staleness(found: Iterable["Staleness"]) -> None:
    """The fields in which the lock is stale."""
    listed((str(item) for item in found), indent="")


def lock_changes(changes: Iterable["ModelChange"]) -> None:
    """What a new lock changes, a line a model."""
    for change in changes:
        mark = {"added": "+", "removed": "-", "changed": "~"}[change.kind]
        say(f"{mark} {change.name}  {change_text(change)}")


def plan(found: "Plan") -> None:
    """What a sync would do, a line a file."""
    fetched = {wanted.sha256 for wanted in found.fetch}
    listed((f"fetch   {w.spot}  {size_text(w.size)}" for w in found.fetch), indent="")
    listed((f"move    {m.origin}  to {m.wanted.spot}" for m in found.move), indent="")
    listed((f"place   {w.spot}  {size_text(w.size)}" for w in found.place if w.sha256 not in fetched), indent="")
    listed((f"remove  {item.spot}" for item in found.remove), indent="")
    listed((f"aside   {spot}  (into .fetcher/trash/)" for spot in found.aside), indent="")
    listed((f"blocked {b.obstacle}  {b.reason}" for b in found.blocked), indent="")
    say(
        f"{count_text(len(found.fetch), 'file')} to fetch ({size_text(found.fetch_size)}), "
        f"{len(found.move)} to move, {len(found.place)} to place, {len(found.remove)} to remove, "
        f"{len(found.blocked)} blocked, {len(found.keep)} right already"
    )


def plan_document(found: "Plan") -> "PlanDocument":
    """The plan as JSON values."""
    return {
        "keep": len(found.keep),
        "fetch": [{"path": w.spot, "sha256": w.sha256, "size": w.size} for w in found.fetch],
        "fetch_size": found.fetch_size,
        "place": [{"path": w.spot, "sha256": w.sha256, "size": w.size} for w in found.place],
        "move": [{"path": m.wanted.spot, "origin": m.origin} for m in found.move],
        "remove": [item.spot for item in found.remove],
        "aside": list(found.aside),
        "blocked": [{"path": b.wanted.spot, "obstacle": b.obstacle, "reason": b.reason} for b in found.blocked],
        "left": [item.spot for item in found.left],
    }


def change_text(change: "ModelChange") -> str:
    """From which commit to which, and what it costs."""
    before, after = change.before, change.after
    if after is None:
        return "is no longer in the manifest"
    files = f"{count_text(len(after.files), 'file')}, {size_text(after.size)}"
    if before is None:
        return f"{after.commit[:12]}  {files}"
    if not change.files:
        return f"{before.commit[:12]} -> {after.commit[:12]}  same files"
    kinds = [f"{sum(f.kind == kind for f in change.files)} {kind}" for kind in ("added", "changed", "removed")]
    told = ", ".join(kind for kind in kinds if not kind.startswith("0 "))
    move = before.commit[:12] if before.commit == after.commit else f"{before.commit[:12]} -> {after.commit[:12]}"
    return f"{move}  {files} ({told}; {size_text(change.fetch_size)} new)"
