"""The secrets that this process knows, so that no text shows one of them.

A hub may repeat a token in a message, a path, a file name or a broken reply; whoever shows or
writes a text of a server asks here first.  The one state of core/: a secret is a secret for
the whole process, wherever it was read and wherever a text of it turns up.

Promises (tests/core/test_secrets.py):
  * a known secret leaves no text as it is, in capitals, percent-encoded, in hex or in base64,
    with whatever stands around it;
  * a text without a secret stays as it is.
"""

import base64
import re
from collections.abc import Iterator
from urllib.parse import quote

_SHORTEST = 6  # characters; a shorter secret is part of innocent words, and no token is that short
_SHOWN = "***"


class Secrets:
    """Texts that must not be shown.  Used by several threads at once."""

    def __init__(self) -> None:
        self._forms: list[str] = []  # in lower case; only ever appended to, so that no reader needs a lock

    def add(self, secret: str) -> None:
        """Conceal a secret from now on."""
        if len(secret) >= _SHORTEST:
            self._forms += [form.lower() for form in _forms(secret) if form.lower() not in self._forms]

    def are_in(self, text: str) -> bool:
        """Whether a text holds a secret in any form."""
        if not self._forms:
            return False
        lowered = text.lower()
        return any(form in lowered for form in self._forms)

    def conceal(self, text: str) -> str:
        """The text with stars in place of each secret."""
        if not self.are_in(text):
            return text
        longest_first = sorted(self._forms, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, longest_first)), _SHOWN, text, flags=re.IGNORECASE)


SECRETS = Secrets()


def _forms(secret: str) -> Iterator[str]:
    data = secret.encode()
    yield secret
    yield quote(secret, safe="")
    yield data.hex()
    for ahead in range(3):  # what stands before it in the same base64 moves its bits
        encoded = base64.b64encode(b"\0" * ahead + data).decode("ascii").rstrip("=")
        inner = encoded[-(-ahead * 8 // 6) : len(encoded) - (1 if (ahead + len(data)) % 3 else 0)]
        yield inner
        yield inner.replace("+", "-").replace("/", "_")
