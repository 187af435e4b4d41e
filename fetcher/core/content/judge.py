"""What a file is: one of the formats of words.py.

Content decides, the name only where content means nothing by itself (a text is Python by its
name).  A file that is two things at once is the more dangerous one.

Promises (tests/core/content/test_judge.py):
  * never more than 64 KiB of a file are read (window.py);
  * for any bytes: a word of words.py, and no error.
"""

from fetcher.core.content import words
from fetcher.core.content.archives import compressed_format, is_zip, tar_format, zip_format
from fetcher.core.content.pickles import is_pickle
from fetcher.core.content.texts import is_text, text_format
from fetcher.core.content.weights import weights_format
from fetcher.core.content.window import MOST, Read, SpentError, Window

_HEAD = 4 << 10  # bytes
_CONFIG_HEAD = 48 << 10  # bytes of a configuration that is too large to be read whole
_CONFIG_TAIL = 15 << 10  # bytes of its end
_TEXTS = (".txt", ".md", ".py", ".json", ".yaml", ".yml", ".csv", ".tsv", ".jsonl", ".html", ".xml", ".rst", ".ini")


def format_of(path: str, size: int, read: Read) -> str:
    """Judge one file.

    Args:
        path: From the repository's root.
        size: Bytes.
        read: Gives some of its bytes.
    """
    if size == 0:
        return words.EMPTY
    window = Window(size, read)
    name = path.lower()
    try:
        head = window.take(0, size if name.endswith(".json") and size <= MOST else _HEAD)
        return _format(path, window, head)
    except SpentError:
        return words.UNKNOWN


def _format(path: str, window: Window, head: bytes) -> str:
    if is_zip(head):
        return zip_format(window)
    if is_pickle(window, like_text=path.lower().endswith(_TEXTS)):
        return words.PICKLE
    found = weights_format(window, head) or tar_format(window) or compressed_format(head)
    if found:
        return found
    if not is_text(head):
        return words.UNKNOWN
    return _text_format(path, window, head)


def _text_format(path: str, window: Window, head: bytes) -> str:
    is_whole = len(head) == window.size
    if not is_whole and may_be_configuration(path):
        head = window.upto(0, min(window.size, _CONFIG_HEAD))
        head += window.upto(max(len(head), window.size - _CONFIG_TAIL), window.size)
        is_whole = len(head) == window.size
    return text_format(path, head.decode("utf-8", "replace"), is_whole=is_whole)


def may_be_configuration(path: str) -> bool:
    """Whether a library may look for `auto_map` in it."""
    name = path.rpartition("/")[2].lower()
    return name.endswith(".json") and "config" in name
