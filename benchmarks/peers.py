"""The downloaders: how each is started for a set of files, and what it is told.

Every client runs with its own defaults, except where the question is about a number of
connections: then all that can be told are told the same one.  Each gets a home folder,
caches and a target that did not exist before, and nothing of the caller's environment
but PATH and the locale, so no proxy and no token.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import hub
from benchmarks.data import DataSet

_ARIA2_MOST = 16  # connections to one server that aria2c accepts


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a client is to download, and where.

    Attributes:
        connections: Told to clients that have a number for it; None: their defaults.
        folder: Of this run alone; the files go to `folder/target`.
        project: Holds models.toml and models.lock of the set, for fetcher.
    """

    data: DataSet
    url: str
    authority: Path
    connections: int | None
    folder: Path
    project: Path

    @property
    def target(self) -> Path:
        """Where the files must be afterwards."""
        return self.folder / "target"

    def urls(self) -> list[str]:
        """Direct URLs of the files, for clients that know no hub."""
        return [f"{self.url}/files/{self.data.name}/{file.name}" for file in self.data.files]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A command with what it needs from its environment."""

    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One downloader."""

    name: str
    checks_sha256: bool
    package: str  # Debian's, or Python's
    is_there: Callable[[], bool]
    version: Callable[[], str]
    start: Callable[[Order], Start]


def environment(order: Order, caches: Path) -> dict[str, str]:
    """What all clients get; compiled Python modules are kept in `caches`."""
    home = order.folder / "home"
    home.mkdir(parents=True)
    trusted = str(order.authority)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "HOME": str(home),
        "PYTHONPYCACHEPREFIX": str(caches),
        "SSL_CERT_FILE": trusted,
        "REQUESTS_CA_BUNDLE": trusted,
        "CURL_CA_BUNDLE": trusted,
    }


def write_manifest(project: Path, data: DataSet) -> None:
    """A models.toml that wants a whole set."""
    project.mkdir(parents=True)
    wish = f'version = 1\n\n[models.files]\nsource = "modelscope:{hub.repository(data)}"\ntarget = "target"\n'
    (project / "models.toml").write_text(wish, encoding="utf-8")


def lock_command(project: Path) -> list[str]:
    """Pins the set; not part of what is measured."""
    return [sys.executable, "-m", "fetcher", "-C", str(project), "lock"]


# how each is started


def _fetcher(order: Order) -> Start:
    return _sync(order, "fetcher")


def _unhashed(order: Order) -> Start:
    start = _sync(order, "benchmarks.unhashed")
    return Start(command=start.command, environment={**start.environment, "PYTHONPATH": str(Path(__file__).parents[1])})


def _bare(order: Order) -> Start:
    return _bare_loop(order, hashes=True)


def _bare_unhashed(order: Order) -> Start:
    return _bare_loop(order, hashes=False)


def _bare_loop(order: Order, *, hashes: bool) -> Start:
    order.target.mkdir()
    command = [sys.executable, "-m", "benchmarks.bare"]
    for url, file in zip(order.urls(), order.data.files, strict=True):
        command += [url, str(order.target / file.name), file.sha256 if hashes else ""]
    return Start(command=command, environment={"PYTHONPATH": str(Path(__file__).parents[1])})


def _sync(order: Order, module: str) -> Start:
    for name in ("models.toml", "models.lock"):
        shutil.copyfile(order.project / name, order.folder / name)
    command = [sys.executable, "-m", module, "-C", str(order.folder), "sync", "--frozen"]
    if order.connections:
        for option in _fetcher_options():
            command += [option, str(order.connections)]
    return Start(
        command=command,
        environment={"MODELSCOPE_ENDPOINT": order.url, "FETCHER_STORE": str(order.folder / "store")},
    )


def _fetcher_options() -> list[str]:
    """The options for a number of connections that this version of fetcher has."""
    shown = subprocess.run(
        [sys.executable, "-m", "fetcher", "sync", "--help"], check=True, capture_output=True, text=True
    )
    return [option for option in ("--connections", "--jobs") if option in shown.stdout]


def _curl(order: Order) -> Start:
    order.target.mkdir()
    command = ["curl", "--disable", "--silent", "--show-error", "--fail", "--location"]
    if len(order.data.files) == 1:
        return Start(command=[*command, "--output", str(order.target / order.data.files[0].name), order.urls()[0]])
    wishes = order.folder / "curl.txt"
    pairs = zip(order.urls(), order.data.files, strict=True)
    wishes.write_text("".join(f'url = "{url}"\noutput = "{order.target / file.name}"\n' for url, file in pairs))
    command += ["--parallel", "--config", str(wishes)]
    if order.connections:
        command += ["--parallel-max", str(order.connections)]
    return Start(command=command)


def _aria2c(order: Order) -> Start:
    order.target.mkdir()
    command = ["aria2c", "--no-conf", "--quiet", f"--ca-certificate={order.authority}", f"--dir={order.target}"]
    command += [f"-x{_ARIA2_MOST}", f"-s{_ARIA2_MOST}"]
    if len(order.data.files) == 1:
        return Start(command=[*command, *order.urls()])
    wishes = order.folder / "aria2c.txt"
    wishes.write_text("".join(f"{url}\n" for url in order.urls()))
    return Start(command=[*command, f"-j{order.connections or _ARIA2_MOST}", f"--input-file={wishes}"])


def _wget(order: Order) -> Start:
    order.target.mkdir()
    wishes = order.folder / "wget.txt"
    wishes.write_text("".join(f"{url}\n" for url in order.urls()))
    command = ["wget", "--no-config", "--quiet", f"--ca-certificate={order.authority}"]
    return Start(command=[*command, f"--directory-prefix={order.target}", f"--input-file={wishes}"])


def _modelscope(order: Order) -> Start:
    command = [_script("modelscope"), "download", "--model", hub.repository(order.data)]
    return Start(
        command=[*command, "--local_dir", str(order.target)],
        environment={"MODELSCOPE_ENDPOINT": order.url, "MODELSCOPE_CACHE": str(order.folder / "cache")},
    )


def _hf(order: Order) -> Start:
    return Start(
        command=[_script("hf"), "download", hub.repository(order.data), "--local-dir", str(order.target)],
        environment={
            "HF_ENDPOINT": order.url,
            "HF_HOME": str(order.folder / "cache"),
            "HF_HUB_DISABLE_XET": "1",  # its own protocol and servers; here it is compared over HTTP
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",  # would ask the internet
        },
    )


# whether it is there, and which


def _script(name: str) -> str:
    """A program of the environment that this Python belongs to."""
    return str(Path(sys.executable).parent / name)


def _on_path(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _importable(name: str) -> Callable[[], bool]:
    return lambda: importlib.util.find_spec(name) is not None


def _first_number(*command: str) -> Callable[[], str]:
    """The first thing like a version in what the command prints."""

    def ask() -> str:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = re.search(r"\d+(\.\d+)+\S*", done.stdout + done.stderr)
        return found[0].rstrip(",") if found else "unknown"

    return ask


def _distribution(name: str) -> Callable[[], str]:
    return lambda: importlib.metadata.version(name)


def _program(name: str, start: Callable[[Order], Start], *, package: str) -> Peer:
    """A program of Debian's; none of them compares a sha256."""
    return Peer(
        name=name,
        checks_sha256=False,
        package=package,
        is_there=_on_path(name),
        version=_first_number(name, "--version"),
        start=start,
    )


def _in_python(name: str, start: Callable[[Order], Start], *, package: str, checks_sha256: bool) -> Peer:
    """A client that this Python has."""
    return Peer(
        name=name,
        checks_sha256=checks_sha256,
        package=package,
        is_there=_importable(package),
        version=_distribution(package),
        start=start,
    )


ALL = (
    _in_python("fetcher", _fetcher, package="fetcher", checks_sha256=True),
    _in_python("no hash", _unhashed, package="fetcher", checks_sha256=False),
    _in_python("bare loop", _bare, package="fetcher", checks_sha256=True),
    _in_python("bare loop, no hash", _bare_unhashed, package="fetcher", checks_sha256=False),
    _program("curl", _curl, package="curl"),
    _program("aria2c", _aria2c, package="aria2"),
    _program("wget", _wget, package="wget"),
    _in_python("modelscope", _modelscope, package="modelscope", checks_sha256=True),
    _in_python("hf", _hf, package="huggingface_hub", checks_sha256=False),
)
_DEBIAN = {"nginx": "nginx-light", "openssl": "openssl", "curl": "curl", "aria2c": "aria2", "wget": "wget"}


def nginx_version() -> str:
    """nginx's own."""
    return _first_number("nginx", "-v")()


def require_programs() -> None:
    """Stop with the line that installs what is missing."""
    missing = [package for program, package in _DEBIAN.items() if not shutil.which(program)]
    if missing:
        raise SystemExit(f"Missing: {', '.join(missing)}\n  fix: sudo apt-get install {' '.join(missing)}")
    wanting = [peer.package for peer in ALL if not peer.is_there()]
    if wanting:
        raise SystemExit(f"Missing in this Python: {', '.join(wanting)}\n  fix: pip install -e '.[dev,bench]'")
