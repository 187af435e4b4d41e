"""What `--json` prints is what the schemas say, for every command, also when it fails."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer.main
from click import Group
from jsonschema import Draft7Validator

from fetcher.cli.app import app
from fetcher.cli.documents import DOCUMENTS, output_names, shapes_of, title_of
from fetcher.formats.schemas import output_schema_text
from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.documents import wrong_with
from tests.hub.publish import MIB, Publisher

_SCHEMAS = Path(__file__).parents[2] / "schemas" / "output"
_TOKEN = "ms-0123-SECRET"
_OUTPUTS = output_names()


def _with_json(group: Group, *above: str) -> Iterator[str]:
    """Names of all commands that have `--json`, subcommands too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _with_json(command, *above, name)
        elif any("--json" in option.opts for option in command.params):
            yield "-".join((*above, name))


def test_every_command_with_json_has_its_types() -> None:
    """Programs must be able to rely on what they read."""
    assert sorted(_with_json(typer.main.get_command(app))) == sorted(DOCUMENTS)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", _OUTPUTS)
def test_the_committed_schema_is_the_generated_one(name: str) -> None:
    """`make schemas` writes it; it is a draft 7 schema with a word about each shape."""
    text = output_schema_text(shapes_of(name), title=title_of(name))
    assert (_SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8") == text
    schema = json.loads(text)
    Draft7Validator.check_schema(schema)
    assert all(each["description"] for each in schema["definitions"].values())


def test_there_is_a_schema_of_each_output_and_of_nothing_else(tmp_path: Path) -> None:
    """`fetcher schema output` lists them, prints them, and says what there is instead of an unknown one."""
    at = desk(tmp_path / "anywhere", "http://127.0.0.1:9")
    assert at.ok("schema", "output").out.split() == _OUTPUTS
    assert sorted(path.name for path in _SCHEMAS.iterdir()) == [f"{name}.schema.json" for name in _OUTPUTS]
    shown = at.ok("schema", "output", "store-gc").out
    assert shown == (_SCHEMAS / "store-gc.schema.json").read_text(encoding="utf-8")
    done = at.fetcher("schema", "output", "synk")
    assert (done.code, done.err) == (
        2,
        (
            "error: There is no output of the name synk.\n"
            f"  outputs: {', '.join(_OUTPUTS)}\n"
            "  fix: run `fetcher schema output` to list them\n"
        ),
    )
    assert at.fetcher("schema", "models", "sync").err == (
        "error: NAME goes with output.\n  fix: run `fetcher schema output sync`\n"
    )


class _World:
    """A project that is used from its beginning to its end; what is printed is held to the schemas."""

    def __init__(self, at: Desk) -> None:
        self._at = at
        self.seen: set[str] = set()

    def run(self, *arguments: str, code: int = 0, stdin: str | None = None) -> None:
        name = arguments[0] if arguments[0] in DOCUMENTS else "-".join(arguments[:2])
        done = self._at.fetcher(*arguments, "--json", stdin=stdin)
        assert done.code == code, f"{arguments} -> {done.code}\n{done.out}\n{done.err}"
        assert wrong_with(name, done.json) == [], arguments
        assert "error" not in done.json, arguments
        self.seen.add(name)


def test_every_document_of_a_command_that_works_is_as_its_schema_says(
    tmp_path: Path, publisher: Publisher, start_hub: Callable[..., Hub]
) -> None:
    """One project from `init` to `logout`; a command with --json that is not run here has not been looked at."""
    publisher.publish("owner/model", {"config.json": b"{}", "copy.json": b"{}", "model.bin": 2 * MIB, "a.md": b"#"})
    at = desk(tmp_path / "project", start_hub(token=_TOKEN).url)
    world = _World(at)
    world.run("init", "-C", str(tmp_path))
    at.model(more='exclude = ["*.md"]')
    world.run("login", "modelscope", "--token-stdin", stdin=_TOKEN)
    world.run("auth")
    world.run("lock", "--check", code=1)
    world.run("lock", "--progress", "json")
    world.run("lock", "--check")
    world.run("list")
    world.run("tree")
    world.run("why", "config.json")
    world.run("why", "a.md", code=1)
    world.run("sync", "--dry-run")
    world.run("sync", "--progress", "json")
    world.run("path", "m", "config.json")
    world.run("env")
    world.run("outdated")
    world.run("verify", "--progress", "json")
    world.run("undo")
    world.run("sync", "--offline")
    _damage(at.folder / "models/m/model.bin")
    world.run("status")
    world.run("verify", code=4)
    publisher.publish("owner/model", {"config.json": b"{ }", "model.bin": 3 * MIB})
    world.run("outdated", "--exit-code", code=1)
    shutil.copy(at.folder / "models.lock", at.folder / "before.lock")
    world.run("update", "--dry-run")
    world.run("update", "--no-sync")
    world.run("add", "owner/model", "--name", "n", "--exclude", "*.md", "--dry-run")
    world.run("add", "owner/model", "--name", "n", "--progress", "json")
    world.run("remove", "n", "--no-sync")
    world.run("lock", "--upgrade")
    world.run("diff", "before.lock", "--exit-code", code=1)
    world.run("download", "owner/model", "--local-dir", "here")
    world.run("store", "size")
    world.run("store", "gc", "--dry-run")
    world.run("store", "verify")
    world.run("logout", "modelscope")
    assert world.seen == DOCUMENTS.keys()


def _damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.unlink()
    path.write_bytes(data)


_ARGUMENTS = {
    "why": ["a.md"],
    "path": ["m"],
    "login": ["modelscope"],
    "logout": ["modelscope"],
    "download": ["a/b"],
    "add": ["a/b"],
    "remove": ["m"],
}
_SEVERAL = """
import json, sys
from fetcher.cli.app import run

for words in json.loads(sys.argv[1]):
    sys.argv = ["fetcher", *words]
    try:
        run()
    except SystemExit as end:
        print(chr(0), end.code, chr(0))
"""


def test_every_command_that_fails_says_so_in_its_document(tmp_path: Path) -> None:
    """A program that asked for JSON gets the code, the facts and the fix as JSON, from any command."""
    at = desk(tmp_path / "project", "http://127.0.0.1:9", more={"FETCHER_JOBS": "many"})
    runs = [[*name.split("-"), *_ARGUMENTS.get(name, []), "-C", "nowhere", "--json"] for name in DOCUMENTS]
    command = [sys.executable, "-c", _SEVERAL, json.dumps(runs)]  # in one process, which is faster
    done = subprocess.run(command, cwd=at.folder, env=at.environment, capture_output=True, text=True, check=True)
    ended = done.stdout.split("\0")[:-1]
    for name, text, code in zip(DOCUMENTS, ended[::2], ended[1::2], strict=True):
        document = json.loads(text)
        assert (int(code), document["error"]["code"], wrong_with(name, document)) == (2, 2, []), name


def test_a_document_with_a_key_of_no_type_is_noticed() -> None:
    """Or these tests would hold nothing."""
    assert wrong_with("path", {"path": "/a"}) == []
    assert wrong_with("path", {"path": "/a", "size": 1}) != []
    assert wrong_with("path", {}) != []
    assert wrong_with("progress", {"event": "note", "text": "a", "file": "b"}) != []
