"""JSON with its `auto_map`, text, and the licence that a model card names.

Promises (tests/core/content/test_texts.py):
  * `auto_map` is found however it is escaped, where the whole file was read;
  * a model card is read without a YAML parser: what is not a plain line is not a licence.
"""

import codecs
import json
import re
from collections.abc import Iterator

from fetcher.core.content import words

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_AUTO_MAP = '"auto_map"'
_JSON = (".json", ".ipynb", ".webmanifest")
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_LINE = re.compile(r"(license|license_name):[ \t]*(.*)\Z")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.*)\Z")


def is_text(head: bytes) -> bool:
    """Whether bytes are UTF-8 (a letter at their end may be cut) without control characters, or UTF-16 with a mark."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not _CONTROL.search(text)


def text_format(path: str, text: str, *, is_whole: bool) -> str:
    """What a text is: JSON, Python or neither."""
    if path.lower().endswith((".py", ".pyw")):
        return words.PYTHON
    begins = text.removeprefix("\ufeff").lstrip()[:1]
    if begins not in ("{", "["):
        return words.TEXT
    if not is_whole:
        if _AUTO_MAP in text:
            return words.AUTO_MAP
        return words.JSON_PART if path.lower().endswith(_JSON) else words.TEXT
    try:
        document = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return words.AUTO_MAP if _AUTO_MAP in text else words.TEXT
    return _json_format(document)


class _Pairs(list[tuple[str, object]]):
    """An object with the keys that it has twice: which of them counts is the reader's choice."""


def _json_format(document: object) -> str:
    if not isinstance(document, _Pairs):
        return words.JSON
    maps = [value for key, value in document if key == "auto_map" and value]
    if any("--" in name for found in maps for name in _strings(found)):
        return words.AUTO_MAP_ELSEWHERE
    return words.AUTO_MAP if maps else words.JSON


def _strings(value: object) -> Iterator[str]:
    """The texts of an `auto_map`: `module.Class`, or `repository--module.Class`."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, str):
            yield found
        elif isinstance(found, _Pairs):
            waiting.extend(each for _, each in found)
        elif isinstance(found, list):
            waiting.extend(found)


def card_license(text: str) -> str | None:
    """The licence in the front matter of a model card: `license`, and with `other` its `license_name`."""
    front = _FRONT.match(text)
    if front is None:
        return None
    found: dict[str, list[str]] = {}
    key = ""
    for line in front[1].replace("\r", "").split("\n"):
        pair, item = _LINE.match(line), _ITEM.match(line)
        if pair:
            key = pair[1]
            found.setdefault(key, []).extend(_values(pair[2]))
        elif item and key:
            found[key].extend(_values(item[1]))
        elif line.strip() and not line.lstrip().startswith("#"):
            key = ""
    return joined_license(found.get("license", ()), found.get("license_name", ()))


def joined_license(licenses: object, names: object = ()) -> str | None:
    """A licence as models.lock has it, of what a hub or a card says; None where that is nothing.

    Several are joined by commas; `other` gets its name: `other:qwen-research`.
    """
    found = [_plain(text) for text in _texts(licenses)]
    own = [_plain(text) for text in _texts(names)]
    found = [f"other:{own[0]}" if text == "other" and own and own[0] else text for text in found if text]
    return ", ".join(dict.fromkeys(found))[:200] or None


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [text for text in values if isinstance(text, str)]


def _values(text: str) -> list[str]:
    """A scalar, or a list in brackets."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return [part for each in text[1:-1].split(",") for part in _values(each)]
    quoted = re.match(r"""(?:'([^']*)'|"([^"\\]*)")\s*(?:#.*)?\Z""", text)
    if quoted:
        return [quoted[1] or quoted[2] or ""]
    text = re.split(r"\s#", text, maxsplit=1)[0].strip()
    return [] if text[:1] in ("", "|", ">", "&", "*", "{", "[", "#", "~") or text == "null" else [text]


def _plain(text: str) -> str:
    """In small letters, as the hubs' own ids are, without what a line may not hold or that would turn it round."""
    text = "".join(each for each in text if each.isprintable() and each != ",").strip().lower()
    return _IDS.get(text, text)[:80]


_IDS = {  # names in full, as ModelScope shows them, to the ids that both hubs know
    "apache license 2.0": "apache-2.0",
    "apache-2": "apache-2.0",
    "apache 2.0": "apache-2.0",
    "apache2.0": "apache-2.0",
    "mit license": "mit",
    "bsd 3-clause": "bsd-3-clause",
    "gpl v3": "gpl-3.0",
    "gnu general public license v3.0": "gpl-3.0",
}
