"""The official clients `modelscope` and `hf`, imported once; each command runs in a process that was forked from there.

    with Officials(environment) as officials:
        code, said = officials.run("hf download owner/name", folder=tmp_path, endpoint=hub.url)

Importing them takes seconds, a fork milliseconds.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

_PROGRAM = """
import json, os, shlex, sys
from modelscope_hub.cli.main import run_cmd as modelscope
from huggingface_hub.cli.hf import main as hf
for order in sys.stdin:
    folder, endpoint, line = json.loads(order)
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        os.environ |= {"MODELSCOPE_ENDPOINT": endpoint, "HOME": folder, "MODELSCOPE_CACHE": f"{folder}/default"}
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for out in (1, 2):
            os.dup2(os.open("said", os.O_WRONLY | os.O_CREAT | os.O_APPEND), out)
        program, *sys.argv[1:] = shlex.split(line)
        sys.argv[0] = program
        try:
            code = {"modelscope": modelscope, "hf": hf}[program]()
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            print(error)
            code = 1
        sys.stdout.flush()
        os._exit(code or 0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Ended(NamedTuple):
    """How a command ended: its exit code, and what it and those before it in this folder have said."""

    code: int
    said: str


class Officials:
    """Both clients.

    Args:
        environment: What they see; `HF_ENDPOINT` is read once, ModelScope's is an argument of `run`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**environment, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def run(self, line: str, *, folder: Path, endpoint: str) -> Ended:
        """Run one command line with `folder` as current folder and home."""
        folder.mkdir(parents=True, exist_ok=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([str(folder), endpoint, line]), file=self._process.stdin, flush=True)
        code = self._process.stdout.readline()
        assert code, "the official clients cannot be imported"
        return Ended(code=int(code), said=(folder / "said").read_text(encoding="utf-8", errors="replace"))
