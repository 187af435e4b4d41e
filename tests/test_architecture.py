"""Rules of the house that no linter knows."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert readers <= {"api.py", "project.py", "cli/common.py", "cli/demo.py", "cli/starting.py", "front.py"}


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


def test_help_loads_neither_the_road_nor_pydantic() -> None:
    """Who asks what a command does must not wait for what it needs."""
    code = "import sys, fetcher.cli.app; print(*sorted({'pydantic', 'httpx', 'fetcher.project'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "\n"
