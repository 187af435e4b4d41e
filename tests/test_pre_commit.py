"""`.pre-commit-hooks.yaml` under the real pre-commit, which real git starts."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.git import git
from tests.hub.publish import MIB, Publisher, read_tree

_ROOT = Path(__file__).parents[1]
_HOOKS: list[dict[str, Any]] = yaml.safe_load((_ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
_STAGES = ("pre-commit", "pre-merge-commit", "post-checkout", "post-merge")
_SOURCE = 'source = "ms:owner/model"'


@dataclass
class Repository:
    """A repository with models.toml whose hooks pre-commit runs."""

    at: Desk

    def git(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
        return subprocess.run(
            command, cwd=self.at.folder, env=self.at.environment, capture_output=True, text=True, timeout=300
        )

    def commit(self, *words: str) -> tuple[int, dict[str, str]]:
        """Add all and commit; its exit code, and what became of each hook."""
        self.git("add", ".")
        done = self.git("commit", "-m", "work", *words)
        return done.returncode, told(done)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What pre-commit says of each hook, by its id."""
    lines = done.stderr.splitlines() + done.stdout.splitlines()
    names = {hook["name"]: hook["id"] for hook in _HOOKS}
    found = {line.split("..")[0]: line.rsplit(".", 1)[-1] for line in lines if ".." in line}
    return {names[name]: end.split(")")[-1] for name, end in found.items() if name in names}


def _install(at: Desk, config: Mapping[str, object]) -> None:
    (at.folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    types = [word for stage in _STAGES for word in ("--hook-type", stage)]
    command = [sys.executable, "-m", "pre_commit", "install", *types]
    subprocess.run(command, cwd=at.folder, env=at.environment, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, hub: Hub, publisher: Publisher) -> Repository:
    """Locked and synced, nothing committed yet; pre-commit has a home of its own."""
    publisher.publish("owner/model", {"config.json": b"{}", "model.bin": 2 * MIB})
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    more = {"PATH": path, "PRE_COMMIT_HOME": str(tmp_path / "pre-commit"), "GIT_CONFIG_NOSYSTEM": "1"}
    at = desk(tmp_path / "project", hub.url, more=more)
    at.model()
    git(at.folder, "init")
    (at.folder / ".gitignore").write_text("/.fetcher/\n/models/\n", encoding="utf-8")
    return Repository(at)


def _life(repository: Repository, publisher: Publisher) -> None:
    """A repository's life with all hooks: each one fails when it should, and only then."""
    at = repository.at
    at.ok("lock")
    assert repository.commit("--no-verify")[0] == 0
    at.model(more='exclude = ["*.md"]')
    assert repository.commit() == (
        1,
        {
            "fetcher-lock-check": "Failed",
            "fetcher-lock": "Failed",
            "fetcher-sync-check": "Failed",
            "fetcher-no-weights": "Passed",
        },
    )
    at.ok("lock", "--check")  # which fetcher-lock has written
    at.ok("sync")
    code, hooks = repository.commit()
    assert (code, set(hooks.values()), len(hooks)) == (0, {"Passed"}, 4)

    (at.folder / "own.txt").write_text("mine", encoding="utf-8")
    (at.folder / "copy.bin").write_bytes((at.folder / "models/m/model.bin").read_bytes())
    repository.git("add", "-f", "models/m/config.json")
    code, hooks = repository.commit()
    assert (code, hooks["fetcher-no-weights"]) == (1, "Failed")
    assert (hooks["fetcher-lock-check"], hooks["fetcher-lock"]) == ("Skipped", "Skipped")
    repository.git("rm", "--cached", "-q", "models/m/config.json", "copy.bin")
    (at.folder / "copy.bin").unlink()

    _move_between_branches(repository, publisher)
    _merge_what_does_not_fit(repository)


def _move_between_branches(repository: Repository, publisher: Publisher) -> None:
    """post-checkout and post-merge bring what the store has, and ask no network for the rest."""
    at = repository.at
    before = at.placed()
    repository.git("branch", "old")
    publisher.publish("owner/model", {"config.json": b"[]", "model.bin": 2 * MIB})
    at.ok("lock", "--upgrade")
    at.ok("sync")
    assert repository.commit("--no-verify")[0] == 0
    after = at.placed()
    assert before != after
    checkout = repository.git("checkout", "old")
    assert (checkout.returncode, told(checkout), at.placed()) == (0, {"fetcher-sync": "Passed"}, before)
    merge = repository.git("merge", "-")
    assert (merge.returncode, told(merge), at.placed()) == (0, {"fetcher-sync": "Passed"}, after)

    at.manifest(f'[models.m]\n{_SOURCE}\n[models.n]\nsource = "ms:owner/new"\n')
    publisher.publish("owner/new", {"weights.bin": 2 * MIB + 1})
    at.ok("lock")
    assert repository.commit("--no-verify")[0] == 0
    repository.git("checkout", "HEAD^")
    back = repository.git("checkout", "-")
    assert (back.returncode, told(back)) == (1, {"fetcher-sync": "Failed"})
    assert "fix: run `fetcher sync`" in back.stderr + back.stdout
    assert at.placed() == after
    assert not (at.folder / "models/n").exists()


def _merge_what_does_not_fit(repository: Repository) -> None:
    """git merges the two changes without a conflict; the merge is not committed."""
    at = repository.at
    lock = at.folder / "models.lock"
    repository.git("checkout", "-q", "-b", "edited", "HEAD^")
    lock.write_text(re.sub(r" (\d+)\"$", r' 1"', lock.read_text("utf-8"), count=1, flags=re.MULTILINE), "utf-8")
    assert repository.commit("--no-verify")[0] == 0
    tip = repository.git("rev-parse", "edited").stdout
    repository.git("checkout", "-q", "-b", "other", "HEAD^")
    (at.folder / "other.txt").write_text("mine", encoding="utf-8")
    assert repository.commit("--no-verify")[0] == 0
    merge = repository.git("merge", "edited")
    assert (merge.returncode, told(merge)) == (1, {"fetcher-lock-check": "Failed"})
    assert "m.tree: expected the digest of its files" in merge.stdout + merge.stderr
    assert tip not in repository.git("log", "--format=%H").stdout


def test_each_hook_fails_when_it_should_and_only_then(repository: Repository, publisher: Publisher) -> None:
    """Its hooks as they are, but for the environment that pre-commit would build of this repository."""
    hooks = [{**hook, "language": "system"} for hook in _HOOKS]
    for hook in hooks:
        hook.pop("minimum_pre_commit_version")
    _install(repository.at, {"repos": [{"repo": "local", "hooks": hooks}]})
    _life(repository, publisher)


@pytest.mark.slow
def test_pre_commit_installs_this_repository_and_runs_it(
    repository: Repository, publisher: Publisher, tmp_path: Path
) -> None:
    """All of it as a user has it: pre-commit clones, builds an environment by pip, and runs the hooks from there."""
    clone = tmp_path / "fetcher"
    assert git(tmp_path, "clone", "-q", str(_ROOT), str(clone)).returncode == 0
    commit = git(clone, "rev-parse", "HEAD").stdout.strip()
    own = {"repo": str(clone), "rev": commit, "hooks": [{"id": hook["id"]} for hook in _HOOKS]}
    _install(repository.at, {"repos": [own]})
    programs = repository.at.environment["PATH"].split(os.pathsep)[1:]
    repository.at.environment["PATH"] = os.pathsep.join(programs)  # no fetcher but the installed one
    _life(repository, publisher)
    installed = [path for path in read_tree(tmp_path / "pre-commit") if path.endswith("/bin/fetcher")]
    assert len(installed) == 1
