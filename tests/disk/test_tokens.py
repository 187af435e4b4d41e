"""Where logins are kept."""

import json
import multiprocessing
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.disk.tokens import KEYRING, TokenStore
from fetcher.errors import AuthError, ConfigError
from fetcher.net.credentials import Token

SECRET, OTHER = "ms-0123-SECRET", "ms-4567-OTHER"
HUB = "https://hub.example"

# A keyring of its own kind, as the library's users may write one: all of it is one file.
BACKEND = """
import json, os, pathlib
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

PATH = pathlib.Path(os.environ["TEST_KEYRING"])

class Keyring(KeyringBackend):
    priority = 5
    def _all(self):
        if os.environ.get("TEST_KEYRING_LOCKED"):
            raise KeyringLocked("locked")
        return json.loads(PATH.read_text()) if PATH.exists() else {}
    def get_password(self, service, username):
        return self._all().get(f"{service} {username}")
    def set_password(self, service, username, password):
        PATH.write_text(json.dumps({**self._all(), f"{service} {username}": password}))
    def delete_password(self, service, username):
        known = self._all()
        if not known.pop(f"{service} {username}", None):
            raise PasswordDeleteError("not found")
        PATH.write_text(json.dumps(known))
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    return tmp_path / "config" / "logins.json"


def test_a_token_is_for_one_scheme_host_and_port(path: Path) -> None:
    """The same host by http is another server to whoever listens in between."""
    TokenStore(path).keep(f"{HUB}/some/path", SECRET)
    store = TokenStore(path)
    assert store.token_for("https://HUB.example:443/other") == Token(secret=SECRET, variable=str(path))
    for url in (
        "http://hub.example",
        "https://hub.example:8443",
        "https://cdn.hub.example",
        "https://hub.example.evil",
    ):
        assert store.token_for(url) is None, url
    assert store.origins() == [HUB]


def test_the_file_is_for_its_owner_only_whatever_the_umask_says(path: Path) -> None:
    """From the first byte on: a wider mode for a moment is enough for who waits for it."""
    script = (
        "import os, sys, pathlib; os.umask(0)\n"
        "from fetcher.disk.tokens import TokenStore\n"
        "TokenStore(pathlib.Path(sys.argv[1])).keep('https://hub.example', 'ms-0123-SECRET')"
    )
    trace = path.with_name("trace")
    path.parent.mkdir()
    traced = ["strace", "-f", "-e", "trace=openat,open,creat", "-o", str(trace)] if _has_strace() else []
    subprocess.run([*traced, sys.executable, "-c", script, str(path)], check=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if traced:
        made = [line for line in trace.read_text().splitlines() if "O_CREAT" in line and ".logins.json." in line]
        assert made
        assert all("0600" in line for line in made), made


def _has_strace() -> bool:
    return subprocess.run(["sh", "-c", "strace -o /dev/null true"], capture_output=True).returncode == 0


def test_a_file_that_others_can_read_is_refused(path: Path) -> None:
    """As ssh does with keys; the fix says what else to think of."""
    store = TokenStore(path)
    store.keep(HUB, SECRET)
    path.chmod(0o640)
    with pytest.raises(ConfigError) as caught:
        store.token_for(HUB)
    assert str(caught.value) == (
        "The file with your logins can be read by others.\n"
        f"  path: {path}\n"
        "  mode: 0640; due: 0600\n"
        f"  fix: run `chmod 600 {path}`; revoke the tokens if others may have seen them"
    )


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"version": 2, "tokens": {}}', '{"version": 1, "tokens": {"https://h": {"token": "a b"}}}',
     '{"version": 1, "tokens": {"https://h": {"token": 1}}}', '{"version": 1, "tokens": {"https://h": []}}',
     '{"version": 1, "tokens": []}', "[" * 100_000],
)  # fmt: skip
def test_a_file_that_cannot_be_understood_is_an_error(path: Path, text: str) -> None:
    """Never an empty list of logins; its text is not repeated."""
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        TokenStore(path).token_for(HUB)
    assert str(caught.value) == (
        "The file with your logins cannot be understood.\n"
        f"  path: {path}\n"
        "  fix: remove the file, then run `fetcher login SOURCE` again"
    )


def test_a_forgotten_token_is_in_no_file(path: Path) -> None:
    """Logging out twice says that there was nothing."""
    store = TokenStore(path)
    store.keep(HUB, SECRET)
    store.keep("https://other.example", OTHER)
    assert (store.forget(HUB), store.forget(HUB)) == (True, False)
    assert SECRET not in path.read_text()
    assert store.token_for("https://other.example") == Token(secret=OTHER, variable=str(path))


def _keep(path: Path, number: int) -> None:
    TokenStore(path).keep(f"https://h{number}.example", f"ms-{number:04}-SECRET")


def test_logins_at_the_same_time_are_all_kept(path: Path) -> None:
    """Two terminals."""
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_keep, args=(path, number)) for number in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(TokenStore(path).origins()) == 6


def _in_keyring(path: Path, program: str, **more: str) -> str:
    """What a program says in a process whose keyring is `BACKEND`."""
    folder = path.parent
    folder.mkdir(exist_ok=True)
    (folder / "one_file.py").write_text(BACKEND)
    setup = f"import pathlib; from fetcher.disk.tokens import TokenStore; s = TokenStore(pathlib.Path({str(path)!r}));"
    environment = {
        **os.environ,
        "PYTHON_KEYRING_BACKEND": "one_file.Keyring",
        "PYTHONPATH": str(folder),
        "TEST_KEYRING": str(folder / "keyring.json"),
        **more,
    }
    done = subprocess.run(
        [sys.executable, "-c", setup + program], env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_a_keyring_takes_the_token_and_the_file_only_says_so(path: Path) -> None:
    """And gives it, and forgets it."""
    assert _in_keyring(path, f"print(s.keep({HUB!r}, {SECRET!r}))") == f"{KEYRING}\n"
    assert json.loads(path.read_text()) == {"version": 1, "tokens": {HUB: {"in": "keyring"}}}
    assert json.loads((path.parent / "keyring.json").read_text()) == {f"fetcher {HUB}": SECRET}
    assert _in_keyring(path, f"t = s.token_for({HUB!r}); print(t.secret, t.variable)") == f"{SECRET} {KEYRING}\n"
    assert _in_keyring(path, f"print(s.forget({HUB!r}), s.origins(), s.token_for({HUB!r}))") == "True [] None\n"
    assert json.loads((path.parent / "keyring.json").read_text()) == {}


def test_a_locked_keyring_leaves_the_login_to_the_file(path: Path) -> None:
    """Better than no login."""
    assert _in_keyring(path, f"print(s.keep({HUB!r}, {SECRET!r}))", TEST_KEYRING_LOCKED="1") == f"{path}\n"
    assert TokenStore(path).token_for(HUB) == Token(secret=SECRET, variable=str(path))


def test_a_keyring_that_is_gone_or_locked_later_is_an_error(path: Path) -> None:
    """Asking as anybody would look as if the repository did not exist."""
    _in_keyring(path, f"s.keep({HUB!r}, {SECRET!r})")
    with pytest.raises(AuthError) as caught:
        TokenStore(path).token_for(HUB)
    assert str(caught.value) == (
        f"The system's keyring does not give the token for {HUB}.\n"
        "  reason: there is none now, or the package `keyring` is not installed\n"
        "  fix: unlock the keyring, or set the variable that `fetcher auth --offline` names"
    )
    assert "reason: KeyringLocked\n" in _in_keyring(path, f"s.token_for({HUB!r})", TEST_KEYRING_LOCKED="1")
    assert TokenStore(path).token_for("https://other.example") is None, "the keyring is not asked for others"
