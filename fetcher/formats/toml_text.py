"""TOML text: parse it with errors that say where, and find the line of a key.

Knows neither models.toml nor models.lock; what their keys mean is manifest_toml.py and
lock_toml.py.  tomllib tells no positions of keys, so a small reader of key lines does.

Promises (tests/formats/test_toml_text.py):
  * a syntax error and conflict markers are a ConfigError with the line;
  * text without quotes, or in curly ones, is an error that says which quotes it needs;
  * the line found for a key is the line on which the key stands, or that of its table.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from fetcher.errors import ConfigError

_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7}|\|{7})(?: |$)", re.MULTILINE)
_POSITION = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")
_KEY = r"(?:[A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')"
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"[ \t]*\[\[?[ \t]*({_DOTTED})[ \t]*\]\]?[ \t]*(?:#.*)?\Z")
_PAIR = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_BARE_HEADER = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_BARE_TEXT = re.compile(
    rf"(?:[ \t]*{_DOTTED}[ \t]*=)?[ \t\[,]*(?=[^#]*[A-Za-z*])[^\s\"'=\[\]{{}}#][^\"'=\[{{}}#]*(?:#.*)?\Z"
)
_BARE_REASONS = ("Invalid value", "Expected newline or end of document after a statement")
_CURLY = re.compile("[\u2018-\u201f\u00ab\u00bb\uff02\uff07]")  # curly, angled and full-width quotes
_LONGEST_LINE = 500  # characters; longer ones are not written by hand, and matching them takes quadratic time
_QUOTES_HINT = 'text goes into straight quotes, such as source = "modelscope:acme/sp"'
_NOT_BREAK = re.compile(r"[^\n]")
_STRINGS = re.compile(
    r"\"\"\"(?:[^\\]|\\.)*?\"\"\"|'''.*?'''|#[^\n]*|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'",
    re.DOTALL,
)


def parse_toml(text: str, *, file: str, conflict_fix: str, twice_fix: str) -> dict[str, Any]:
    """Parse TOML text.

    Args:
        file: Name of the file, for errors.
        conflict_fix: What to do when git left conflict markers in it.
        twice_fix: What to do when a table stands in it twice.

    Raises:
        ConfigError: A syntax error or conflict markers; says the line.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise ConfigError(f"{file}: tables or lists are nested too deep.", fix=f"correct {file}") from None
    except tomllib.TOMLDecodeError as error:
        conflict = _CONFLICT.search(text)
        if conflict:
            line = text.count("\n", 0, conflict.start()) + 1
            raise ConfigError(
                f"{file}, line {line}: the file holds conflict markers of a git merge.", fix=conflict_fix
            ) from None
        raise _syntax_error(str(error), text, file=file, twice_fix=twice_fix) from None
    except ValueError:  # int() reads at most 4300 digits (sys.int_info)
        raise ConfigError(f"{file}: a number has too many digits.", fix=f"correct {file}") from None


def _syntax_error(message: str, text: str, *, file: str, twice_fix: str) -> ConfigError:
    position = _POSITION.search(message)
    reason = message[: position.start()] if position else message
    line = int(position[1]) if position and position[1] else text.rstrip().count("\n") + 1
    column = f", column {position[2]}" if position and position[2] else ""
    offending = text.split("\n")[line - 1]
    table = header_path(offending.rstrip("\r")) if reason.endswith(" twice") else None
    if table:
        return ConfigError(
            f"{file}, line {line}: `{show_path(table)}` stands twice (merged by git?).",
            facts=[f"first: line {line_of(text, table)}"],
            fix=twice_fix,
        )
    return ConfigError(
        f"{file}, line {line}{column}: this is not TOML.",
        facts=[f"reason: {reason}", *([_QUOTES_HINT] if _lacks_quotes(offending, reason) else [])],
        fix=f"correct line {line} of {file}",
    )


def _lacks_quotes(line: str, reason: str) -> bool:
    """Whether a line fails since its text stands in no quotes or in curly ones."""
    if len(line) > _LONGEST_LINE:
        return False
    if _CURLY.search(_STRINGS.sub("", line)):
        return True
    return reason in _BARE_REASONS and bool(_BARE_TEXT.match(line))


def show_path(path: Sequence[str | int]) -> str:
    """A key path as one would write it in TOML: `models."a b".include[1]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        word = part if _BARE.match(part) else json.dumps(part[:120], ensure_ascii=not part.isprintable())
        text += f".{word}" if text else word
    return text


def outline(text: str) -> str:
    """The text with multi-line strings blanked, every position as before: no line in them looks like a key."""
    if '"""' not in text and "'''" not in text:
        return text
    return _STRINGS.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    text = match[0]
    return _NOT_BREAK.sub(" ", text) if text.startswith(('"""', "'''")) else text


def header_path(line: str) -> tuple[str, ...] | None:
    """The key path of a `[table]` or `[[table]]` line; None for any other line."""
    match = _HEADER.match(line)
    return _key_path(match[1]) if match else None


def _key_path(dotted: str) -> tuple[str, ...] | None:
    if _BARE_HEADER.match(dotted):
        return tuple(dotted.split("."))
    try:
        inner: Any = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return None
    path = []
    while isinstance(inner, dict):
        ((key, inner),) = inner.items()
        path.append(key)
    return tuple(path)


def line_of(text: str, path: Sequence[str | int]) -> int:
    """The line of a key path, counted from 1; that of the nearest table above it where it has none."""
    wanted = tuple(part for part in path if isinstance(part, str))
    best, best_depth = 1, 0
    for line, found in _key_lines(text):
        depth = _common(found, wanted)
        if depth > best_depth:
            best, best_depth = line, depth
    return best


def _common(found: Sequence[str], wanted: Sequence[str]) -> int:
    count = 0
    for one, other in zip(found, wanted, strict=False):
        if one != other:
            break
        count += 1
    return count


def _key_lines(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    table: tuple[str, ...] = ()
    for number, line in enumerate(outline(text).split("\n"), 1):
        path = header_path(line)
        if path is not None:
            table = path
            yield number, table
            continue
        pair = _PAIR.match(line)
        key = _key_path(pair[1]) if pair else None
        if key is not None:
            yield number, table + key
