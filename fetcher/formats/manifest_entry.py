"""One `[models.NAME]` as text, the way a person would write it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an entry says; nothing in here is checked (`read_manifest` does it)."""

    name: str
    source: str
    revision: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    target: str | None = None
    layout: str | None = None
    fallback: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The table, with a line for each key that is not left out."""
        lines = [f"[models.{_key(self.name)}]", f"source = {_quoted(self.source)}"]
        lines += [
            f"{key} = {_quoted(value)}"
            for key, value in (("revision", self.revision), ("target", self.target), ("layout", self.layout))
            if value
        ]
        lists = (
            ("include", self.include),
            ("exclude", self.exclude),
            ("files", self.files),
            ("fallback", self.fallback),
            ("groups", self.groups),
        )
        lines += [f"{key} = {_array(values)}" for key, values in lists if values]
        return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if _BARE.match(name) else _quoted(name)


def _array(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
