"""`fetcher exec` and `fetcher env`: programs find the models, and are run as if nobody stood between."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import Publisher

PYTHON = sys.executable
SHOW = """
import json, os
print(json.dumps({name: value for name, value in os.environ.items() if name.startswith(("FETCHER_MODEL_", "HF_"))}))
"""


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """Two models, locked, not synced."""
    publisher.publish("owner/model", {"config.json": b"{}", "model.bin": 1 << 20})
    publisher.publish("owner/other", {"other.json": b"[]"})
    at = desk(tmp_path / "pro ject", hub.url)
    at.manifest(
        '[models.m]\nsource = "ms:owner/model"\n[models."big.one-2"]\nsource = "ms:owner/other"\ngroups = ["g"]\n'
    )
    at.ok("lock", "-q")
    return at


def _variables(at: Desk, *names: str) -> dict[str, str]:
    known = {"m": "FETCHER_MODEL_M", "big.one-2": "FETCHER_MODEL_BIG_ONE_2"}
    return {**{known[name]: f"{at.folder}/models/{name}" for name in names}, "HF_HUB_OFFLINE": "1"}


# --- exec --------------------------------------------------------------------------------


def test_a_program_is_synced_for_and_finds_its_models(at: Desk) -> None:
    """The first run brings the files and says so; the next one adds nothing to the program's output."""
    first = at.ok("exec", "--progress", "none", "--", PYTHON, "-c", SHOW)
    assert first.json == _variables(at, "m", "big.one-2")
    assert first.err.startswith("Synced: fetched 3 files (1.0 MiB), placed 3")
    assert at.placed() != {}
    again = at.ok("exec", "--", PYTHON, "-c", SHOW)
    assert (again.json, again.err) == (first.json, "")
    assert at.ok("exec", "m", "--", PYTHON, "-c", SHOW).json == _variables(at, "m")
    assert at.ok("exec", "--group", "g", "--", PYTHON, "-c", SHOW).json == _variables(at, "big.one-2")


def test_frozen_and_offline_ask_nobody(at: Desk, hub: Hub) -> None:
    """As a server is started: nothing is fetched, and what is missing is exit 12."""
    assert at.fetcher("exec", "--frozen", "--offline", "--", "true").code == 12
    at.ok("sync")
    at.manifest('[models.m]\nsource = "ms:owner/model"\nrevision = "v2"\n')
    hub.close()
    assert at.fetcher("exec", "m", "--", "true").code == 1, "the lock is stale"
    at.ok("exec", "--frozen", "--offline", "m", "--", "true")


def test_what_is_no_longer_wanted_stays(at: Desk) -> None:
    """Who runs a program asked for nothing to be removed."""
    at.ok("sync")
    at.model(repo="owner/model", more='include = ["*.json"]')
    at.ok("lock")
    at.ok("exec", "--", "true")
    assert set(at.placed()) == {"config.json", "model.bin"}
    assert at.placed("big.one-2") != {}


@pytest.mark.parametrize("code", [0, 1, 3, 77, 255])
def test_the_exit_code_is_the_program_s(at: Desk, code: int) -> None:
    """A test runner's failure must fail the job."""
    at.ok("sync")
    assert at.fetcher("exec", "--", "sh", "-c", f"exit {code}").code == code


def test_arguments_and_standard_streams_pass(at: Desk) -> None:
    """Options, `--`, empty words and spaces after the first `--` are the program's."""
    at.ok("sync")
    words = ["-q", "--", "", "a b", "--json", "-C", "$HOME"]
    code = "import sys; print(sys.argv[1:], sys.stdin.read()); print('err', file=sys.stderr)"
    done = subprocess.run(
        [PYTHON, "-m", "fetcher", "exec", "m", "--", PYTHON, "-c", code, *words],
        cwd=at.folder,
        env=at.environment,
        input="given",
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"{words} given\n", "err\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_reaches_the_program(at: Desk, number: signal.Signals) -> None:
    """It is the same process; nobody in between can swallow it, and none is left behind."""
    at.ok("sync")
    process = at.start("exec", "--", "sh", "-c", 'echo "$$"; exec sleep 60')
    assert process.stdout is not None
    assert int(process.stdout.readline()) == process.pid
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == -number


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("ignored", ["", "trap '' INT; "])
def test_the_program_finds_the_signals_as_they_were(at: Desk, ignored: str) -> None:
    """Python ignores SIGPIPE for itself, and fetcher takes SIGINT over; a pipeline rests on both."""
    at.ok("sync")
    look = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"
    plain = subprocess.run(["sh", "-c", f"{ignored}exec {look}"], capture_output=True, text=True, check=True)
    through = f"{ignored}exec {shlex.quote(PYTHON)} -m fetcher exec -- {look}"
    done = subprocess.run(
        ["sh", "-c", through], cwd=at.folder, env=at.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == plain.stdout


def test_dash_c_is_where_the_program_starts(at: Desk, tmp_path: Path) -> None:
    """As if started there; without it the current folder stays, deep in the project too."""
    at.ok("sync")
    deep = at.folder / "src"
    deep.mkdir()
    elsewhere = Desk(folder=tmp_path, environment=at.environment)
    assert elsewhere.ok("exec", "-C", str(deep), "--", "pwd").out == f"{deep}\n"
    inside = Desk(folder=deep, environment=at.environment)
    assert inside.ok("exec", "--", "pwd").out == f"{deep}\n"


def test_what_cannot_be_started_is_told_as_shells_do(at: Desk) -> None:
    """127 and 126, with the reason."""
    at.ok("sync")
    missing = at.fetcher("exec", "--", "no-such-program")
    assert (missing.code, missing.err) == (
        127,
        "error: There is no program no-such-program in PATH.\n  fix: check the words after `--`\n",
    )
    assert at.fetcher("exec", "--", "./none").err.startswith("error: There is no program ./none.\n")
    (at.folder / "script").write_text("#!/no/such/interpreter\n")
    (at.folder / "script").chmod(0o755)
    odd = at.fetcher("exec", "--", "./script")
    assert (odd.code, odd.err) == (
        127,
        (
            "error: ./script cannot be started: the program that its first line names does not exist.\n"
            "  fix: correct that line, or name the interpreter: `-- python script.py`\n"
        ),
    )
    refused = at.fetcher("exec", "--", "./models.toml")
    assert (refused.code, refused.err) == (
        126,
        (
            "error: ./models.toml cannot be started: Permission denied.\n"
            "  fix: check that it is a program and may be run\n"
        ),
    )


def test_without_a_command_the_error_shows_how(at: Desk) -> None:
    """The most likely mistake: no `--`."""
    for words in (["python", "app.py"], ["m", "--"], [], ["m", "python", "-m", "app"]):
        done = at.fetcher("exec", *words)
        assert (done.code, done.err) == (
            2,
            (
                "error: No command is named.\n"
                "  words before `--` are names of models and options; those after it are the command\n"
                "  fix: write the command after `--`: fetcher exec gpt2 -- python app.py\n"
            ),
        )
    assert "-- COMMAND [ARG]..." in at.ok("exec", "--help").out


def test_a_name_that_is_no_model_is_told(at: Desk) -> None:
    """Before anything is fetched or started."""
    for command in (["exec", "n", "--", "true"], ["env", "n"]):
        done = at.fetcher(*command)
        assert (done.code, done.out, done.err) == (
            2,
            "",
            "error: There is no such model.\n  unknown: n\n  fix: name one of: big.one-2, m\n",
        )
    assert not (at.folder / "models").exists()


# --- env ---------------------------------------------------------------------------------


def test_a_shell_takes_the_variables(at: Desk) -> None:
    """With a folder whose name needs quoting; what is said goes to standard error."""
    script = (
        'set -e; lines=$("$@"); eval "$lines"; cat "$FETCHER_MODEL_M/config.json"; exec sh -c \'echo $HF_HUB_OFFLINE\''
    )
    done = subprocess.run(
        ["sh", "-c", script, "sh", PYTHON, "-m", "fetcher", "env"],
        cwd=at.folder,
        env=at.environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "{}1\n"), done.stderr
    assert "Synced: " in done.stderr
    assert at.ok("env", "m").out == f"export FETCHER_MODEL_M='{at.folder}/models/m'\nexport HF_HUB_OFFLINE=1\n"


def test_json_for_programs(at: Desk) -> None:
    """The same values, without a shell's quotes."""
    assert at.ok("env", "--json").json == {"variables": _variables(at, "m", "big.one-2")}
    failed = at.fetcher("env", "n", "--json")
    assert json.loads(failed.out)["error"]["code"] == 2


@pytest.mark.parametrize(
    ("shell", "script"),
    [
        (["sh", "-c"], 'lines=$("$@") && eval "$lines" && cd "$FETCHER_MODEL_M" && ls'),
        (["bash", "-c"], 'eval "$("$@")" && cd "$FETCHER_MODEL_M" && ls'),
        (["zsh", "-f", "-c"], 'eval "$("$@")" && cd "$FETCHER_MODEL_M" && ls'),
        (["fish", "--no-config", "-c"], '$argv[2..] | source; and cd "$FETCHER_MODEL_M"; and command ls'),
    ],
    ids=["sh", "bash", "zsh", "fish"],
)
def test_a_folder_whose_name_is_no_text_reaches_each_shell(
    at: Desk, tmp_path: Path, shell: list[str], script: str
) -> None:
    """Old disks have names in other encodings, and quotes are what shells are about."""
    if shutil.which(shell[0]) is None:
        pytest.skip(f"{shell[0]} is not installed")
    odd = tmp_path / os.fsdecode(b"it's \xff $HOME")
    odd.mkdir()
    for name in ("models.toml", "models.lock"):
        (odd / name).write_bytes((at.folder / name).read_bytes())
    done = subprocess.run(
        [*shell, script, "sh", PYTHON, "-m", "fetcher", "env", "m"],
        cwd=odd,
        env={**at.environment, "LC_ALL": "C.UTF-8"},
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (0, b"config.json\nmodel.bin\n"), done.stderr
