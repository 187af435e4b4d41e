"""Runs the steps of a composite action as GitHub's runner does: bash, files for outputs, `::` commands, expressions.

Knows the expressions that action.yml uses, and raises on any other.  Steps with `uses` are not run; what they
are given is recorded, and what they answer is up to the test.
"""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_NAME = re.compile(r"(?:inputs|runner|steps)(?:\.[A-Za-z_-]+)+\Z")


@dataclass(kw_only=True)
class Job:
    """One job that uses an action.

    Attributes:
        workspace: The folder of the checkout.
        answers: Outputs of the steps with `uses`, by their id.
        printed: What a log shows of each step.
        commands: `::` commands that were obeyed: name and text.
        used: What the steps with `uses` were given, by their id.
    """

    action: Path
    workspace: Path
    temp: Path
    environment: Mapping[str, str]
    answers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    skipped: frozenset[str] = frozenset()
    printed: dict[str, str] = field(default_factory=dict)
    commands: list[tuple[str, str]] = field(default_factory=list)
    used: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, **inputs: str) -> tuple[bool, dict[str, str]]:
        """Whether all steps ended with 0, and the outputs of the action."""
        text: dict[str, Any] = yaml.safe_load(self.action.read_text(encoding="utf-8"))
        unknown = inputs.keys() - text["inputs"].keys()
        assert not unknown, unknown
        given = {name: inputs.get(name, declared.get("default", "")) for name, declared in text["inputs"].items()}
        known = {f"inputs.{name}": value for name, value in given.items()}
        known |= {"runner.os": "Linux", "runner.temp": str(self.temp)}
        is_well = all(self._step(step, known) for step in text["runs"]["steps"])
        return is_well, {name: _filled(told["value"], known) for name, told in text["outputs"].items()}

    def _step(self, step: dict[str, Any], known: dict[str, str]) -> bool:
        name = step.get("id", "")
        if name in self.skipped or not _holds(step.get("if", ""), known):
            return True
        if "uses" in step:
            self.used[name] = {key: _filled(value, known) for key, value in step.get("with", {}).items()}
            known |= {f"steps.{name}.outputs.{key}": value for key, value in self.answers.get(name, {}).items()}
            return True
        assert "${{" not in step["run"], "an input becomes a part of a script"
        environment = {key: _filled(value, known) for key, value in step.get("env", {}).items()}
        code, outputs = self._bash(name, step["run"], environment)
        known |= {f"steps.{name}.outputs.{key}": value for key, value in outputs.items()}
        return code == 0

    def _bash(self, name: str, script: str, environment: Mapping[str, str]) -> tuple[int, dict[str, str]]:
        """A step with `shell: bash` (docs.github.com, workflow syntax: `bash --noprofile --norc -eo pipefail {0}`)."""
        file, outputs = self.temp / "step.sh", self.temp / "outputs"
        file.write_text(script, encoding="utf-8")
        outputs.write_text("", encoding="utf-8")
        own = {
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_ACTION_PATH": str(self.action.parent),
            "GITHUB_OUTPUT": str(outputs),
            "GITHUB_WORKSPACE": str(self.workspace),
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(file)],
            cwd=self.workspace,
            env={**self.environment, **own, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        self.printed[name] = done.stdout
        self._obey(done.stdout)
        lines = outputs.read_text(encoding="utf-8").splitlines()
        return done.returncode, dict(line.split("=", 1) for line in lines)

    def _obey(self, log: str) -> None:
        token = None
        for line in map(str.strip, log.splitlines()):
            if token is not None:
                token = None if line == f"::{token}::" else token
            elif match := re.match(r"::([a-z-]+)[^:]*::(.*)", line):
                self.commands.append((match[1], match[2]))
                token = match[2] if match[1] == "stop-commands" else None


def _filled(text: str, known: Mapping[str, str]) -> str:
    return _EXPRESSION.sub(lambda found: _value(found[1], known), str(text))


def _value(text: str, known: Mapping[str, str]) -> str:
    if text[:1] == text[-1:] == "'":
        return text[1:-1]
    assert _NAME.match(text), f"an expression that this runner does not know: {text}"
    return known.get(text, "")


def _holds(condition: str, known: Mapping[str, str]) -> bool:
    """A condition of comparisons with `==` and `!=`, joined by `&&`."""
    for part in filter(None, condition.split(" && ")):
        left, sign, right = part.split(" ")
        if (_value(left, known) == _value(right, known)) != {"==": True, "!=": False}[sign]:
            return False
    return True
