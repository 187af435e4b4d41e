"""Secrets, each bound to the one host that may see it.

Reads no environment and no file: it is given both by sources/catalog.py.  Logins are kept by
disk/tokens.py.

Promises (tests/net/test_credentials.py):
  * a credential gives its headers to its own scheme, host and port, and to nobody else;
  * neither its text nor its repr shows the token;
  * a token that was made is concealed in every text from then on (core/secrets.py).
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from fetcher.core.secrets import SECRETS
from fetcher.errors import ConfigError
from fetcher.net.redact import origin_of

_USABLE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]+")  # a cookie's octets, RFC 6265, 4.1.1
TOKEN_EXPECTED = "expected: letters, digits and signs, without spaces, commas, quotes and semicolons"  # noqa: S105


def is_usable(secret: str) -> bool:
    """Whether a header can carry it."""
    return _USABLE.fullmatch(secret) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A secret and where it came from: the name of a variable, or a place in words."""

    secret: str
    variable: str

    def __post_init__(self) -> None:
        SECRETS.add(self.secret)

    @classmethod
    def read(cls, environment: Mapping[str, str], variable: str) -> Self | None:
        """The token in a variable; None if it is unset or empty.

        Raises:
            ConfigError: It holds what no header can carry.
        """
        secret = environment.get(variable, "").strip()
        if not secret:
            return None
        if not is_usable(secret):
            raise ConfigError(
                f"{variable} does not hold a token.",
                facts=[TOKEN_EXPECTED],
                fix=f"set {variable} to the token alone",
            )
        return cls(secret=secret, variable=variable)

    def __repr__(self) -> str:
        return f"Token({self.variable})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """Headers that only one scheme, host and port may see."""

    origin: tuple[str, str, int]
    headers: Mapping[str, str]

    @classmethod
    def bound(cls, url: str, headers: Mapping[str, str]) -> Self:
        """Bind headers to the host of a URL."""
        return cls(origin=origin_of(url), headers=dict(headers))

    def header_for(self, url: str) -> Mapping[str, str]:
        """The headers for a URL of the own host, else none."""
        try:
            return self.headers if origin_of(url) == self.origin else {}
        except ValueError:
            return {}

    def __repr__(self) -> str:
        scheme, host, port = self.origin
        return f"Credential({scheme}://{host}:{port})"

    __str__ = __repr__


class StoredTokens(Protocol):
    """Knows the tokens that logins have left: `disk.tokens.TokenStore`."""

    def token_for(self, url: str) -> Token | None:
        """The token kept for the scheme, host and port of a URL."""
        ...


class NoStoredTokens:
    """Nobody has logged in."""

    def token_for(self, url: str) -> Token | None:
        """As StoredTokens.token_for."""
        return None


def basic(user: str, token: Token) -> str:
    """The value of an Authorization header that git hosts take (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{user}:{token.secret}".encode()).decode("ascii")
