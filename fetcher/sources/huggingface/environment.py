"""Which hub `huggingface:` is, and whose token goes there: as the official client has it.

Loads nothing heavy: every run of fetcher asks this.
"""

from collections.abc import Mapping
from pathlib import Path

from fetcher.errors import ConfigError
from fetcher.net.credentials import Token

ENDPOINT = "https://huggingface.co"
ENDPOINT_VARIABLE = "HF_ENDPOINT"
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_MOST_TOKEN = 4096  # bytes of a file that holds a token


def endpoint_text(environment: Mapping[str, str]) -> str:
    """The base URL as it was given, or the hub's own."""
    return environment.get(ENDPOINT_VARIABLE, "").strip() or ENDPOINT


def token_variable(environment: Mapping[str, str]) -> str:
    """The variable that holds the token, or should."""
    return next((name for name in TOKEN_VARIABLES if environment.get(name, "").strip()), TOKEN_VARIABLES[0])


def stored_token(environment: Mapping[str, str], home: Path) -> Token | None:
    """The token of the official tool's login, which is a text file; None without one.

    Raises:
        ConfigError: It cannot be read, or holds what no header can carry.
    """
    path = token_path(environment, home)
    try:
        with open(path, "rb") as file:
            text = file.read(_MOST_TOKEN + 1).decode("ascii", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", fix=f"set {TOKEN_VARIABLES[0]}, or make the file readable"
        ) from None
    return Token.read({str(path): text}, str(path))


def token_path(environment: Mapping[str, str], home: Path) -> Path:
    """Where `hf auth login` leaves its token."""
    named = environment.get("HF_TOKEN_PATH")
    if named:
        return _expanded(named, home)
    folder = environment.get("HF_HOME")
    if folder:
        return _expanded(folder, home) / "token"
    return _expanded(environment.get("XDG_CACHE_HOME") or "~/.cache", home) / "huggingface" / "token"


def _expanded(text: str, home: Path) -> Path:
    return home / text[2:] if text.startswith("~/") else Path(text)
