"""What is wrong in a TOML file, said so that it can be corrected without a manual.

Turns problems into one ConfigError with the file, the line, the key path, what was expected
and the closest valid key.  Values of keys that may hold a secret are never shown.  What
pydantic found becomes problems in validation.py.

Promises (tests/formats/test_bad_manifests.py compares each whole message):
  * every problem of a file is told at once, in the order of the lines.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fetcher.errors import ConfigError
from fetcher.formats.toml_text import line_of, show_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: Key path; a number is an index into a list.
        says: What is wrong with it, to be read after the key: `is not a known key`.
        facts: Lines such as `expected: a string`.
        fix: What to change; starts with a verb.
    """

    path: tuple[str | int, ...]
    says: str
    facts: tuple[str, ...] = ()
    fix: str


class Refused(ValueError):
    """A value that cannot be taken.

    Attributes:
        says, facts, fix: As in Problem.
        at: Key path below what was checked, when that was a whole table.
    """

    def __init__(self, says: str, *, facts: tuple[str, ...], fix: str, at: tuple[str, ...] = ()) -> None:
        super().__init__(says)
        self.says = says
        self.facts = facts
        self.fix = fix
        self.at = at


def refusal(says: str, *, expected: str, fix: str, meant: str | None = None, at: str | tuple[str, ...] = ()) -> Refused:
    """An error for the check of a value to raise; becomes a Problem with these words.

    Args:
        meant: What the value probably should be, if that can be guessed.
        at: The key that it is about, when the check is that of a whole table.
    """
    facts = [f"expected: {expected}", *([f"did you mean `{meant}`?"] if meant else [])]
    return Refused(says, facts=tuple(facts), fix=fix, at=(at,) if isinstance(at, str) and at else tuple(at))


def newer_version(version: int, text: str, *, file: str, known: int) -> ConfigError:
    """The error for a file of a later fetcher; the package index knows another project by this name."""
    return ConfigError(
        f"{file}, line {line_of(text, ['version'])}: `version` is {version}, which is newer than this fetcher.",
        facts=[f"expected: version = {known}"],
        fix="upgrade fetcher: `git pull` in its clone, then `python3 -m pip install .`",
    )


def error_of(problems: Iterable[Problem], text: str, *, file: str) -> ConfigError:
    """One error for all problems of a file, in the order of its lines.

    Args:
        problems: At least one.
        text: The file's text, in which the lines are looked up.
        file: The file's name, for the message.
    """
    placed = sorted(((line_of(text, problem.path), problem) for problem in problems), key=lambda pair: pair[0])
    if len(placed) == 1:
        line, only = placed[0]
        return ConfigError(
            f"{file}, line {line}: `{show_path(only.path)}` {only.says}.", facts=only.facts, fix=only.fix
        )
    return ConfigError(
        f"{file} has {len(placed)} problems.",
        facts=[
            "; ".join((f"line {line}: `{show_path(one.path)}` {one.says}", *one.facts, one.fix)) for line, one in placed
        ],
        fix=f"correct these lines of {file}",
    )
