"""Real git and git-lfs servers on loopback: `git http-backend` and giftless, in one process.

Nothing here knows the code under test.  Repositories are made and pushed by the real git and
git-lfs programs.
"""

import base64
import gzip
import os
import shutil
import subprocess
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from waitress.server import create_server

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

needs_git_lfs = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed (`make debian`)")

_IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}


def git(*words: str, folder: Path | None = None, said: bytes = b"", **variables: str) -> str:
    """Run the real git; returns what it says."""
    done = subprocess.run(
        ["git", *words],
        cwd=folder,
        input=said,
        capture_output=True,
        env={**os.environ, **_IDENTITY, **variables},
    )
    if done.returncode != 0:
        raise AssertionError(f"git {words}: {done.stderr.decode()}")
    return done.stdout.decode().strip()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request that a server saw."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(kw_only=True)
class GitServer:
    """Serves the repositories below a folder, each with its large files.

    Attributes:
        root: Bare repositories, `OWNER/NAME.git`.
        storage: Large files, `OWNER/NAME/<sha256>`.
        token: If set, the password that every request must have.
        asked: All requests, in order.
        before: Answers instead of the servers, if it returns something.
    """

    root: Path
    storage: Path
    url: str = ""
    token: str = ""
    asked: list[Asked] = field(default_factory=list)
    before: Callable[[Asked], tuple[str, list[tuple[str, str]], bytes] | None] = lambda asked: None

    def repository(self, name: str, **settings: str) -> "Repository":
        """A new bare repository with a working copy beside it."""
        bare = self.root / f"{name}.git"
        git("init", "-q", "--bare", "-b", "main", str(bare))
        for key, value in {
            "uploadpack.allowFilter": "true",
            "uploadpack.allowAnySHA1InWant": "true",
            "http.receivepack": "true",
            **{key.replace("_", "."): value for key, value in settings.items()},
        }.items():
            git("config", key, value, folder=bare)
        work = self.root.parent / "work" / name
        git("init", "-q", "-b", "main", str(work))
        git("remote", "add", "origin", f"{self.url}/{name}.git", folder=work)
        return Repository(work=work, bare=bare, url=f"{self.url}/{name}.git")

    def paths(self, method: str = "") -> list[str]:
        """What was asked for, queries left out."""
        return [each.path for each in self.asked if not method or each.method == method]


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository on a server, and the working copy from which it is pushed."""

    work: Path
    bare: Path
    url: str

    @property
    def source(self) -> str:
        """Its source string."""
        return f"git+{self.url}"

    def write(self, files: Mapping[str, bytes], *, large: Sequence[str] = ()) -> None:
        """Write files into the working copy; those that match `large` belong to git-lfs."""
        if large:
            git("lfs", "install", "--local", "--skip-smudge", folder=self.work)
            git("lfs", "track", *large, folder=self.work)
        for name, content in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def commit(self, message: str = "one") -> str:
        """Commit everything that is in the working copy; returns the commit."""
        git("add", "-A", folder=self.work)
        git("commit", "-q", "--allow-empty", "-m", message, folder=self.work)
        return git("rev-parse", "HEAD", folder=self.work)

    def push(self, *refs: str) -> None:
        """Push by the real programs, large files included."""
        git("push", "-q", "origin", *(refs or ("main",)), folder=self.work)

    def publish(self, files: Mapping[str, bytes], *, large: Sequence[str] = ()) -> str:
        """Write, commit and push; returns the commit."""
        self.write(files, large=large)
        commit = self.commit()
        self.push()
        return commit


@contextmanager
def serving(server: GitServer) -> Iterator[GitServer]:
    """Start a server; it is stopped at the end."""
    app = _recorded(server, _either(_git_backend(server.root), giftless(server.storage)))
    listener = create_server(app, host="127.0.0.1", port=0, threads=4)
    server.url = f"http://127.0.0.1:{listener.effective_port}"

    def run() -> None:
        with suppress(OSError):  # its sockets are closed below
            listener.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.close()
        listener.task_dispatcher.shutdown()
        listener.trigger.close()
        thread.join(5)


def giftless(storage: Path) -> Wsgi:
    """The LFS server of giftless, which anybody may read and write."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from giftless.app import init_app
    adapters = {
        "basic": {
            "factory": "giftless.transfer.basic_streaming:factory",
            "options": {
                "storage_class": "giftless.storage.local_storage:LocalStorage",
                "storage_options": {"path": str(storage)},
                "action_lifetime": 900,
            },
        }
    }
    config = {
        "LEGACY_ENDPOINTS": False,
        "AUTH_PROVIDERS": ["giftless.auth.allow_anon:read_write"],
        "TRANSFER_ADAPTERS": adapters,
    }
    app: Wsgi = init_app(additional_config=config)
    return app


def in_git(folder: Path) -> str:
    """The source string of a repository on this machine's disk."""
    return f"git+file://{folder}"


def basic(password: str, user: str = "oauth2") -> str:
    """The header of a user and a password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _either(backend: Wsgi, large: Wsgi) -> Wsgi:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return (large if "/info/lfs/" in environ["PATH_INFO"] else backend)(environ, start_response)

    return app


def _recorded(server: GitServer, inner: Wsgi) -> Wsgi:
    """Remember each request; refuse those without the token."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        is_question = environ["PATH_INFO"].endswith("/objects/batch")
        body = environ["wsgi.input"].read() if is_question else b""
        if is_question:
            environ["wsgi.input"] = _Stream(body)
        asked = Asked(
            method=environ["REQUEST_METHOD"],
            path=environ["PATH_INFO"],
            query=environ.get("QUERY_STRING", ""),
            headers=headers,
            body=body,
        )
        server.asked.append(asked)
        answer = server.before(asked)
        needs_token = server.token and "/storage/" not in asked.path  # giftless signs its links
        if answer is None and needs_token and headers.get("authorization") not in _accepted(server.token):
            answer = ("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="git"')], b"")
        if answer is not None:
            status, answer_headers, content = answer
            start_response(status, [*answer_headers, ("Content-Length", str(len(content)))])
            return [content]
        if headers.get("authorization", "").startswith("Basic "):
            del environ["HTTP_AUTHORIZATION"]  # giftless has no users here, only what it signed itself
        return inner(environ, start_response)

    return app


def _accepted(token: str) -> set[str]:
    return {basic(token), basic(token, "reader")}


class _Stream:
    """A body that was read already."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int = -1) -> bytes:
        taken = self._content if size < 0 else self._content[:size]
        self._content = self._content[len(taken) :]
        return taken


def _git_backend(root: Path) -> Wsgi:
    """`git http-backend` by CGI (RFC 3875)."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        if environ.get("HTTP_CONTENT_ENCODING") == "gzip":
            body = gzip.decompress(body)
        variables = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": environ.get("HTTP_GIT_PROTOCOL", ""),
            "PATH_INFO": environ["PATH_INFO"],
            "QUERY_STRING": environ.get("QUERY_STRING", ""),
            "REQUEST_METHOD": environ["REQUEST_METHOD"],
            "CONTENT_TYPE": environ.get("CONTENT_TYPE", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "somebody",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=variables)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode("latin-1").split("\r\n") if ": " in line]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        start_response(status, [(name, value) for name, value in headers if name != "Status"])
        return [content]

    return app
