"""Rules of the house that no linter knows."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.cli.commands import MODULES

_PACKAGE = Path(__file__).parents[1] / "fetcher"
_MODULES = sorted(_PACKAGE.rglob("*.py"))
_LONGEST = 60  # lines of a function, signature and docstring included; the cleanest anchors stay below 77


@pytest.mark.parametrize("module", _MODULES, ids=lambda path: str(path.relative_to(_PACKAGE)))
def test_a_module_says_what_it_is_for(module: Path) -> None:
    """A stranger opens a file and must know in one line whether it is the right one."""
    assert ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))


@pytest.mark.parametrize("module", _MODULES, ids=lambda path: str(path.relative_to(_PACKAGE)))
def test_functions_are_short(module: Path) -> None:
    """A function does one thing; what users call, whose parameters are its documentation, counts from its body."""
    long = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            is_for_users = module.parent.name == "cli" or module.name == "api.py"
            first = node.body[0].lineno if is_for_users else node.lineno
            if node.end_lineno - first + 1 > _LONGEST:
                long.append(node.name)
    assert long == []


def test_the_environment_is_read_in_few_places() -> None:
    """Settings are built once; a variable that acts at a distance cannot be found."""
    readers = {str(path.relative_to(_PACKAGE)) for path in _MODULES if "os.environ" in path.read_text(encoding="utf-8")}
    assert readers <= {"api.py", "pins.py", "project.py", "cli/common.py", "cli/demo.py", "cli/starting.py", "front.py"}


def test_only_render_prints() -> None:
    """Data to stdout, people's text to stderr: one module knows."""
    printers = set()
    for path in _MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                printers.add(str(path.relative_to(_PACKAGE)))
    assert printers == {"cli/render.py"}


def test_every_test_that_a_header_names_exists() -> None:
    """A promise that rests on a missing file is held by nobody."""
    root = _PACKAGE.parent
    named = {
        (path, name)
        for path in _MODULES
        for name in re.findall(r"tests/[a-z_/]+\.py", ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "")
    }
    assert named
    assert [f"{path.name}: {name}" for path, name in sorted(named) if not (root / name).exists()] == []


def test_the_map_names_every_module() -> None:
    """A stranger finds each file by one sentence."""
    table = (_PACKAGE / "README.md").read_text(encoding="utf-8")
    whole_rooms = {"transfer", "formats", "net", "sources", "serve", "cli"}
    missing = [
        str(path.relative_to(_PACKAGE))
        for path in _MODULES
        if path.name not in ("__init__.py", "__main__.py")
        and path.relative_to(_PACKAGE).parts[0] not in whole_rooms
        and f"{path.name}`" not in table
    ]
    assert missing == []


_PROJECT = {
    "models.toml": 'version = 1\n\n[models.m]\nsource = "file:from"\n',
    "from/config.json": "{}",
    "from/onnx/model.bin": "weights",
}


def _loaded(code: str, *argv: str, folder: Path) -> set[str]:
    """The modules that are loaded after `code`, in a process of its own; `code` may end in SystemExit."""
    script = f"import sys, atexit; atexit.register(lambda: print(*sys.modules)); {code}"
    command = [sys.executable, "-c", script, *argv]
    env = {**os.environ, "FETCHER_STORE": str(folder / "store")}
    done = subprocess.run(command, cwd=folder, env=env, check=True, stdout=subprocess.PIPE, text=True, timeout=60)
    return set(done.stdout.split("\n")[-2].split())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose models are in place."""
    root = tmp_path_factory.mktemp("project")
    for name, text in _PROJECT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    for command in ("lock", "sync"):
        _loaded(_NORMAL_WAY, command, folder=root)
    return root


_NORMAL_WAY = "from fetcher.cli.app import run; run()"
_HTTP_STACK = {"httpx", "httpcore", "h11", "ssl", "certifi"}
_OWN_LISTS = {"click", "rich", "pygments"}  # what httpx's command line brings


def test_help_loads_neither_the_road_nor_pydantic(tmp_path: Path) -> None:
    """Who asks what a command does must not wait for what it needs."""
    heavy = {"pydantic", "httpx", "hashlib", "fetcher.project", "fetcher.pins", "fetcher.core.manifest"}
    loaded = _loaded(_NORMAL_WAY, "--help", folder=tmp_path)
    assert "fetcher.cli.storing" in loaded
    assert not heavy & loaded


def test_a_look_at_the_lock_loads_neither_the_road_nor_pydantic(project: Path) -> None:
    """`lock --check` runs at each commit; it reads two files."""
    loaded = _loaded(_NORMAL_WAY, "lock", "--check", folder=project)
    heavy = {
        "pydantic",
        "sqlite3",
        "socket",
        "fetcher.project",
        "fetcher.sync",
        "fetcher.transfer",
        "fetcher.disk.index",
        "tomlkit",
    }
    assert "fetcher.pins" in loaded
    assert not (heavy | _HTTP_STACK | _OWN_LISTS) & loaded


@pytest.mark.parametrize(("command", "module"), [("sync", "syncing"), ("verify", "verifying")])
def test_a_command_loads_no_other_command(project: Path, command: str, module: str) -> None:
    """Their options would have to be read, too: a fifth of the time in which a short command is loaded."""
    loaded = _loaded(_NORMAL_WAY, command, folder=project)
    assert {f"fetcher.cli.{each}" for each in MODULES.values()} & loaded == {f"fetcher.cli.{module}"}


@pytest.mark.parametrize("command", ["sync", "status"])
def test_nothing_to_do_loads_neither_pydantic_nor_what_asks_a_hub(project: Path, command: str) -> None:
    """A start-up script must not wait for what is needed only when something is missing."""
    loaded = _loaded(_NORMAL_WAY, command, folder=project)
    assert "fetcher.project" in loaded
    assert not (_HTTP_STACK | _OWN_LISTS | {"pydantic", "tomlkit", "fetcher.sources.modelscope"}) & loaded


@pytest.mark.parametrize("command", ["status", "verify"])
def test_a_look_at_the_disk_loads_nothing_that_changes_it(project: Path, command: str) -> None:
    """Engine, sources and file locks are a quarter of what there is to load."""
    loaded = _loaded(_NORMAL_WAY, command, folder=project)
    assert "fetcher.road" in loaded
    engine = {"fetcher.transfer", "fetcher.sources.catalog", "filelock"}
    others = {"fetcher.pinner", "fetcher.resolve", "fetcher.undo"}
    assert not (engine | others) & loaded


def test_what_hashes_ahead_is_not_loaded_itself_for_long(tmp_path: Path) -> None:
    """Each module before it begins is a chunk that nobody hashes."""
    loaded = _loaded("import fetcher.front, fetcher.disk.ahead", folder=tmp_path)
    assert "blake3" in loaded
    assert not {"pathlib", "re", "dataclasses", "inspect", "typing", "hashlib", "threading", "enum"} & loaded


def test_what_fetches_bytes_loads_no_command_line_but_ours(tmp_path: Path) -> None:
    """httpx would bring its own, which takes as long as itself; and whoever wants that one still gets it."""
    loaded = _loaded("import fetcher.net.http", folder=tmp_path)
    assert "httpx" in loaded
    assert not _OWN_LISTS & loaded
    assert "httpx._main" in _loaded("import fetcher.net.http, httpx._main", folder=tmp_path)


@pytest.mark.parametrize("source", ["modelscope", "huggingface.source", "folder", "url"])
def test_a_source_that_sends_bytes_loads_no_pydantic(source: str, tmp_path: Path) -> None:
    """A sync asks for no listing: the lock has it."""
    assert "pydantic" not in _loaded(f"import fetcher.sources.{source}", folder=tmp_path)
