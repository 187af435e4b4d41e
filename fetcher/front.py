"""The front room: answers `sync`, `sync --check`, `lock --check`, `status` and `--version` when nothing is to do.

A start-up script runs `fetcher sync` each time and nearly always nothing has changed.  Then
the answer is known before the command line's frame, pydantic or SQLite are imported: it is
written in `.fetcher/ready`, and holds if the manifest and the lock have the digests that it
was made for and every placed file the size, time and inode that it had.  Anything that is out
of the ordinary (an unknown flag, a variable with a meaning, any difference) goes the normal
way, which gives the same answers.  Nothing here changes anything on disk.

`verify` is never answered here; it begins to hash while it is being loaded (disk/ahead.py).

Imports nothing but `os`, `sys`, a hash and disk/ready.py, not even dataclasses: each costs as
much as a thousand files.

Promises (tests/test_front.py):
  * output and exit code are those of the normal way, in every case;
  * a file changed within the clock's grain of the last look is not trusted;
  * no socket is opened, and neither typer, pydantic, rich, httpx nor SQLite is imported.
"""

import os
import sys

from fetcher import __version__
from fetcher.disk.ready import (
    KIND,
    REGULAR,
    TRASH,
    Ready,
    about,
    digest_of,
    index_name,
    index_stamp,
    ready_name,
    trash_stamp,
)

_IDLE_FLAGS = {"--check", "--dry-run", "--force", "--frozen", "--keep-going", "--no-prune", "--offline"}
_VERIFY_FLAGS = {"--json", "--repair"}
_COUNTS = {"FETCHER_JOBS", "FETCHER_CONNECTIONS", "FETCHER_RETRIES"}
_MOST = 1 << 28  # bytes of a manifest, a lock or a `ready`; more than that is out of the ordinary


class _Asked:
    """What the command line asks for.

    Attributes:
        command: `sync`, `status`, `lock`, `version` or `verify`.
        directory: The value of -C; empty where it was not given.
    """

    __slots__ = ("command", "directory", "manifest", "quiet")

    def __init__(self, command: str, directory: str, manifest: str, *, quiet: bool) -> None:
        self.command = command
        self.directory = directory
        self.manifest = manifest
        self.quiet = quiet


def answer(arguments: "list[str]") -> bool:
    """Answer if there is nothing to do; False if the normal way has to be gone."""
    asked = _asked(arguments)
    if asked is None or not _is_plain_environment():
        return False
    if asked.command == "version":
        return _say((f"fetcher {__version__}",), "", quiet=True)
    if asked.command == "verify":
        _hash_ahead(asked)
        return False
    ready = _ready(asked)
    if ready is None:
        return False
    if asked.command == "lock":
        return _say((), ready.fresh, quiet=asked.quiet)
    if asked.command == "status":
        return _say(ready.status, ready.in_place, quiet=asked.quiet)
    return _say((), ready.synced, quiet=asked.quiet)


def _asked(arguments: "list[str]") -> "_Asked | None":
    """Read the arguments; None where they are more than what is answered here."""
    words: list[str] = []
    values: dict[str, str] = {}
    quiet = False
    rest = iter(arguments)
    for word in rest:
        name, equals, value = word.partition("=")
        if word in ("-q", "--quiet"):
            quiet = True
        elif name in ("-C", "--directory", "--manifest") and not (name == "-C" and equals):
            name = "directory" if name != "--manifest" else "manifest"
            value = value if equals else next(rest, "")
            if name in values or not value or value.startswith("-"):
                return None
            values[name] = value
        else:
            words.append(word)
    command = _command(words)
    if not command:
        return None
    return _Asked(command, values.get("directory", ""), values.get("manifest", "models.toml"), quiet=quiet)


def _command(words: "list[str]") -> str:
    match words:
        case ["--version"] | ["-V"]:
            return "version"
        case ["lock", "--check"]:
            return "lock"
        case ["status"]:
            return "status"
        case ["sync", *flags] if _IDLE_FLAGS.issuperset(flags):
            return "sync"
        case ["verify", *flags] if _VERIFY_FLAGS.issuperset(flags):
            return "verify"
    return ""


def _is_plain_environment() -> bool:
    """Whether no variable could make the normal way say something else."""
    if os.name != "posix" or sys.getfilesystemencoding() != "utf-8" or not os.environ.get("HOME"):
        return False
    for name, value in os.environ.items():
        if name.startswith("_FETCHER") or (name.startswith("FETCHER_") and not _is_plain(name, value)):
            return False
    return True


def _is_plain(name: str, value: str) -> bool:
    if name == "FETCHER_STORE":
        return not value or value.startswith("/")
    return not value or (name in _COUNTS and value.isascii() and value.isdigit() and int(value) > 0)


def _hash_ahead(asked: _Asked) -> None:
    """Begin to hash what a `verify` of everything will ask for, while it is being loaded."""
    root = _root(asked)
    if root:
        from fetcher.disk import ahead  # with what it needs, which `verify` needs in any case

        ahead.begin(root, f"{root}/.fetcher/{ready_name(asked.manifest)}")


def _ready(asked: _Asked) -> "Ready | None":
    """The answers, if they hold for what is there now."""
    try:
        back = os.open(".", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return _found(asked)
    except (OSError, ValueError):
        return None
    finally:
        os.fchdir(back)
        os.close(back)


def _found(asked: _Asked) -> "Ready | None":
    root = _root(asked)
    if not root:
        return None
    os.chdir(root)
    ready = Ready.of(_bytes_of(f".fetcher/{ready_name(asked.manifest)}"))
    names = (asked.manifest, f"{asked.manifest.removesuffix('.toml')}.lock")
    digests = [digest_of(_bytes_of(name)) for name in names]
    if ready is None or ready.about != about(__version__, root, *digests):
        return None
    if asked.command == "lock":
        return ready
    if not ready.synced or ready.index != index_stamp(f".fetcher/{index_name(asked.manifest)}"):
        return None
    if asked.command == "status" and (not ready.trash or ready.trash != trash_stamp(TRASH) or not ready.is_alone()):
        return None
    return ready if ready.is_as_it_was() else None


def _root(asked: _Asked) -> str:
    """The folder of the manifest, as `Project.find` finds it; empty where that is not plain to see."""
    manifest = asked.manifest
    whole = os.path.join(os.getcwd(), asked.directory)
    parts = [part for part in whole.split("/") if part not in ("", ".")]
    folder = "/" + "/".join(parts)
    if "/" in manifest or not manifest.endswith(".toml") or ".." in parts or whole.startswith("//"):
        return ""
    if os.path.isdir(f"{folder}/{manifest}") or not os.path.isdir(folder):
        return ""
    while folder and not os.path.isfile(f"{folder}/{manifest}"):
        folder = folder.rpartition("/")[0]
    return folder


def _bytes_of(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # nobody waits for a pipe
    with open(descriptor, "rb", buffering=0) as file:
        found = os.fstat(descriptor)
        if found.st_mode & KIND != REGULAR or found.st_size > _MOST:
            raise ValueError(path)
        return file.readall() or b""


def _say(lines: "tuple[str, ...]", text: str, *, quiet: bool) -> bool:
    """Write data and people's text as cli/render.py does; False if it cannot be written."""
    try:
        if lines:
            sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
            sys.stdout.write("\n".join((*lines, "")))
            sys.stdout.flush()
        if not quiet:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
    except (OSError, AttributeError):
        return False
    return True
