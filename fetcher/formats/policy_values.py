"""The values of single keys of [policy]: each is as it must be, or refused with the fix.

A rule that matches nothing because of a slip would allow everything, so what can be known is
checked: kinds of source, formats, sizes and ages.
"""

import re
from collections.abc import Callable, Collection

from fetcher.core.content.words import KNOWN, MEANINGS, REMOTE_CODE
from fetcher.core.hints import closest
from fetcher.core.manifest import BUILT_IN_SCHEMES, SHORT_FORMS
from fetcher.core.policy import LEVELS, RULES
from fetcher.core.units import parse_age, parse_size
from fetcher.formats.manifest_values import pattern
from fetcher.formats.problems import refusal

_HOST = re.compile(r"[a-z0-9.*?_-]+(?::(?:[0-9]+|\*))?\Z|\[[0-9a-f:]+\](?::(?:[0-9]+|\*))?\Z")


def source_pattern(text: str, named: Collection[str]) -> str:
    """A pattern of source strings, without short forms; a kind alone means all of it.

    Args:
        named: The names of [sources].
    """
    scheme, colon, rest = pattern(text).partition(":")
    scheme = SHORT_FORMS.get(scheme, scheme)
    if not any(sign in scheme for sign in "*?[") and scheme not in BUILT_IN_SCHEMES and scheme not in named:
        near = closest(scheme, [*BUILT_IN_SCHEMES, *SHORT_FORMS, *named], most=1)
        raise refusal(
            f"is about the unknown source `{scheme}`",
            expected="a pattern such as `modelscope`, `huggingface:OWNER/*` or `NAME` of a [sources.NAME]",
            fix=f"change `{scheme}` to `{near[0]}`" if near else f"add a table [sources.{scheme}]",
        )
    return f"{scheme}:{rest}" if colon else f"{scheme}:*"


def host_pattern(text: str) -> str:
    """A pattern of hosts, in small letters."""
    host = text.lower()
    if not _HOST.match(host):
        raise refusal(
            "is not a host",
            expected="a host such as `hub.corp.example`, `*.corp.example` or `localhost:8080`",
            fix="write the host alone, without `https://` and without a path",
        )
    return host


def license_pattern(text: str) -> str:
    """A pattern of licences, in small letters."""
    return pattern(text).lower()


def format_word(text: str) -> str:
    """A format, `pickle` for all pickles, or `remote-code`."""
    if text not in KNOWN:
        near = closest(text, KNOWN, most=1)
        raise refusal(
            "is not a known format",
            expected=f"`pickle`, `{REMOTE_CODE}`, or one of {', '.join(MEANINGS)}",
            fix=f"change `{text}` to `{near[0]}`" if near else "choose one of them",
        )
    return text


def level(text: str) -> str:
    """What a rule does."""
    return _one_of(text, LEVELS)


def rule(text: str) -> str:
    """What a waiver is about."""
    return _one_of(text, RULES)


def _one_of(text: str, words: Collection[str]) -> str:
    if text not in words:
        listed = [f"`{word}`" for word in words]
        expected = f"{', '.join(listed[:-1])} or {listed[-1]}"
        raise refusal("has another value than those allowed", expected=expected, fix=f"write {expected}")
    return text


def size(text: str) -> str:
    """A size; `units.parse_size` reads it."""
    return _parsed(text, parse_size, what="a size", such_as="`500M` or `20G`")


def age(text: str) -> str:
    """An age; `units.parse_age` reads it."""
    return _parsed(text, parse_age, what="an age", such_as="`7d` or `12h`")


def _parsed(text: str, parse: Callable[[str], object], *, what: str, such_as: str) -> str:
    try:
        parse(text)
    except ValueError:
        noun = what.rpartition(" ")[2]
        raise refusal(f"is not {what}", expected=f"{what} such as {such_as}", fix=f"correct the {noun}") from None
    return text


def reason(text: str) -> str:
    """Why something is taken."""
    if not text.strip():
        raise refusal("is empty", expected="a sentence for who reads this file", fix="say why it is taken")
    return text
