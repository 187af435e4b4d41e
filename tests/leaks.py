"""Where a token goes, and where it must never be seen: what the tests of all kinds of source look at."""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from tests.cli.command import Desk, Done
from tests.hub.publish import read_tree

SECRET = "ms-0123abcd-SECRET-of-mine"
OTHER_SECRET = "ms-4567efgh-SECRET-of-others"
CARRIERS = ("authorization", "cookie", "proxy-authorization", "referer")
# A home in which no keyring is asked, tries are few, and this machine's other names are reached without a proxy.
QUIET = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", "FETCHER_RETRIES": "2", "NO_PROXY": "*"}


class _Asked(Protocol):
    """A request that a server saw; header names in lower case."""

    @property
    def headers(self) -> dict[str, str]: ...


def log_in(at: Desk, hub_url: str, secret: str = SECRET) -> None:
    """Keep a token as `fetcher login` does."""
    kept = Path(at.environment["HOME"]) / ".config/fetcher/logins.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    document = json.loads(kept.read_text()) if kept.exists() else {"version": 1, "tokens": {}}
    document["tokens"][hub_url] = {"token": secret}
    kept.write_text(json.dumps(document))
    kept.chmod(0o600)


def forms(secret: str) -> list[str]:
    """What a person could turn back into the token, in lower case."""
    whole = secret.encode()
    return [
        secret.lower(),
        whole.hex(),
        base64.b64encode(whole).decode().lower().rstrip("=")[:-1],
        base64.b64encode(f"oauth2:{secret}".encode()).decode().lower()[10:-4],
    ]


def holds(text: str, secret: str = SECRET) -> bool:
    return any(form in text.lower() for form in forms(secret))


def assert_unseen(at: Desk, *runs: Done) -> None:
    """No output and no file but that of the login holds the token."""
    for run in runs:
        assert not holds(run.out + run.err), run
    home = Path(at.environment["HOME"])
    for root in (at.folder, home):
        for name, data in read_tree(root).items():
            if name != ".config/fetcher/logins.json":
                assert not holds(f"{name} {data.decode('latin-1')}"), name


def carried(requests: Iterable[_Asked]) -> list[str]:
    """Whatever in some requests could carry a token."""
    return [seen.headers[name] for seen in requests for name in CARRIERS if name in seen.headers]


class ProcessList:
    """The arguments of all processes, at the moments at which `look` was called."""

    def __init__(self) -> None:
        self.lines: set[str] = set()

    def look(self) -> None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.lines.add(process.read_bytes().decode("latin-1"))
            except OSError:
                continue
