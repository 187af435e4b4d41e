"""The examples of docs/ci.md: read as the programs read them that they are for, and their commands run."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import MIB, Publisher, read_tree

_ROOT = Path(__file__).parents[1]
_PAGE = (_ROOT / "docs/ci.md").read_text(encoding="utf-8")


def _blocks(heading: str) -> list[str]:
    """The examples below a heading."""
    (section,) = (part for part in _PAGE.split("\n## ") if part.startswith(f"{heading}\n"))
    return re.findall(r"```\w+\n(.*?)```", section, flags=re.DOTALL)


def _block(heading: str) -> str:
    (block,) = _blocks(heading)
    return block


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """A locked project, with fetcher on PATH."""
    publisher.publish("owner/model", {"config.json": b"{}", "model.bin": 2 * MIB})
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    at = desk(tmp_path / "project", hub.url, more={"PATH": path})
    at.model()
    at.ok("lock")
    return at


def _sh(at: Desk, script: str, folder: Path, **more: str) -> None:
    done = subprocess.run(
        ["sh", "-ec", script], cwd=folder, env={**at.environment, **more}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_hooks_and_the_table_name_those_of_this_repository() -> None:
    """A hook that does not exist is an error at each commit."""
    hooks = {hook["id"]: hook for hook in yaml.safe_load((_ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))}
    example = yaml.safe_load(_block("pre-commit"))
    assert {hook["id"] for repo in example["repos"] for hook in repo["hooks"]} <= hooks.keys()
    stages = {stage for hook in hooks.values() for stage in hook["stages"]}
    assert set(example["default_install_hook_types"]) <= stages
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| `([^`]+)` \|", _PAGE, flags=re.MULTILINE))
    assert {name: entry.removesuffix(" FILE…") for name, entry in rows.items()} == {
        name: hook["entry"] for name, hook in hooks.items()
    }


@pytest.mark.parametrize("text", _blocks("GitHub"))
def test_the_workflows_give_the_action_what_it_takes_and_take_what_it_gives(text: str) -> None:
    """GitHub only warns of other inputs, and an output that does not exist is empty."""
    action = yaml.safe_load((_ROOT / "action.yml").read_text("utf-8"))
    (job,) = yaml.safe_load(text)["jobs"].values()
    (step,) = (step for step in job["steps"] if "fetcher@" in step.get("uses", ""))
    assert step["with"].keys() <= action["inputs"].keys()
    assert set(re.findall(rf"steps\.{step['id']}\.outputs\.(\w+)", text)) <= action["outputs"].keys()


def test_the_job_of_gitlab_syncs(at: Desk) -> None:
    """Its lines in their order, but for those of the network and of the project itself."""
    text = yaml.safe_load(_block("GitLab"))
    lines = [line for line in text["models"]["script"] if line.startswith("fetcher ")]
    assert [line.split()[1] for line in lines] == ["lock", "sync"]
    store = text["variables"]["FETCHER_STORE"].replace("$CI_PROJECT_DIR", str(at.folder))
    _sh(at, "\n".join(lines), at.folder, FETCHER_STORE=store)
    assert set(at.placed()) == {"config.json", "model.bin"}
    assert [str(at.folder / path) for path in text["models"]["cache"]["paths"]] == [store]
    assert text["models"]["cache"]["key"]["files"] == ["models.lock"]


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_stage_of_the_models_needs_the_manifest_and_the_lock_and_nothing_else(at: Desk, tmp_path: Path) -> None:
    """Or its layer would change with the project; what the image copies from it is what a sync has placed."""
    steps = _instructions(_block("Docker"))
    end = next(at for at, step in enumerate(steps) if at and step[0] == "FROM")
    stage, image = steps[:end], steps[end:]
    copied = [rest.split() for word, rest in stage if word == "COPY"]
    assert copied == [["models.toml", "models.lock", "./"]]
    build = tmp_path / "build"
    build.mkdir()
    for name in copied[0][:-1]:
        (build / name).write_bytes((at.folder / name).read_bytes())
    (command,) = (rest for word, rest in stage if word == "RUN" and "fetcher sync" in rest)
    words = [word for word in shlex.split(command) if not word.startswith("--mount=")]
    mount = re.search(r"target=(\S+)", command)
    assert mount
    assert words[0] == f"FETCHER_STORE={mount[1]}"
    _sh(at, shlex.join(words[1:]), build, FETCHER_STORE=str(tmp_path / "mounted"))
    (origin, _) = next(rest.split()[1:] for word, rest in image if word == "COPY" and "--from=models" in rest)
    assert dict(stage)["WORKDIR"] == "/srv"
    placed = build / Path(origin).relative_to("/srv")
    assert set(read_tree(placed)) == {"m/config.json", "m/model.bin"}


def test_the_init_container_fills_its_volume_from_a_configmap(at: Desk, tmp_path: Path) -> None:
    """Whose files are links into a folder that cannot be written to; the second pod has nothing to do."""
    pod: dict[str, Any] = yaml.safe_load(_block("Kubernetes"))
    (init,) = pod["spec"]["initContainers"]
    data, volume = tmp_path / "lock/..data", tmp_path / "volume"
    for folder in (data, volume):
        folder.mkdir(parents=True)
    for name in ("models.toml", "models.lock"):
        (data / name).write_bytes((at.folder / name).read_bytes())
        (tmp_path / "lock" / name).symlink_to(f"..data/{name}")
    mounts = {mount["mountPath"]: mount["name"] for mount in init["volumeMounts"]}
    assert mounts == {"/lock": "lock", "/models": "models"}
    assert {each["name"] for each in pod["spec"]["volumes"]} == set(mounts.values())
    assert (init["command"], len(init["args"])) == (["sh", "-ec"], 1)

    def inside(text: str) -> str:
        return re.sub(
            r"(?<![\w.])/(lock|models)\b", lambda at: str(tmp_path / {"models": "volume"}.get(at[1], at[1])), text
        )

    store = inside(next(each["value"] for each in init["env"] if each["name"] == "FETCHER_STORE"))
    for _ in range(2):
        _sh(at, inside(init["args"][0]), tmp_path, FETCHER_STORE=store)
    assert set(read_tree(volume / "models/m")) == {"config.json", "model.bin"}
    document = subprocess.run(
        ["fetcher", "sync", "-C", str(volume), "--json"],
        env={**at.environment, "FETCHER_STORE": store},
        capture_output=True,
        check=True,
    )
    assert json.loads(document.stdout)["up_to_date"] is True
    assert (volume / "models/m/model.bin").stat().st_nlink > 1, "the bytes are there twice"
