"""What the documents say is so."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import fetcher
from fetcher.core.content.words import KNOWN
from fetcher.formats.manifest_toml import read_manifest
from fetcher.serve.hub import Hub
from tests.cli.command import desk
from tests.hub.plain import served_plainly
from tests.hub.publish import Publisher, read_tree, write_tree
from tests.sources.git_server import needs_git_lfs

_ROOT = Path(__file__).parents[1]
_README = (_ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_s_manifests_are_good() -> None:
    """People paste them."""
    blocks = re.findall(r"```toml\n(.*?)```", _README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        assert read_manifest(block, file="README.md").models


def test_the_policy_page_s_rules_are_good_and_it_names_every_format() -> None:
    """People paste the rules; a format that no page names cannot be allowed."""
    page = (_ROOT / "docs" / "policy.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    corp = '[sources.corp]\nkind = "modelscope"\nendpoint = "https://hub.corp.example"\n'
    policy = read_manifest(f"version = 1\n{corp}{block}", file="policy.md").policy
    assert policy is not None
    assert policy.records == {"license", "committed", "formats"}
    assert [word for word in KNOWN if f"`{word}`" not in page] == []


def test_the_readme_s_urls_and_folders_are_locked_and_synced(tmp_path: Path) -> None:
    """The example with a server on loopback in the place of its host."""
    (block,) = (each for each in re.findall(r"```toml\n(.*?)```", _README, flags=re.DOTALL) if "file:" in each)
    write_tree(tmp_path / "shared/one", {"model.bin": b"one"})
    write_tree(
        tmp_path / "releases", {"v1/model.bin": b"one", "v1/common/config.json": b"{}", "v2/model.bin": b"foo\n"}
    )
    with served_plainly(tmp_path) as url:
        at = desk(tmp_path / "project", url)
        (at.folder / "models.toml").write_text(block.replace("https://files.example", url), encoding="utf-8")
        at.ok("lock")
        at.ok("sync")
    assert at.placed("one") == at.placed("folder") == {"model.bin": b"one"}
    assert at.placed("several") == {"config.json": b"{}", "model.bin": b"foo\n"}


@needs_git_lfs
def test_the_page_about_git_runs(tmp_path: Path) -> None:
    """Its shell blocks, one after the other, as a reader would paste them."""
    page = (_ROOT / "docs" / "git.md").read_text(encoding="utf-8")
    script = "".join(re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-eu"], input=script.encode(), cwd=tmp_path, env={**os.environ, "PATH": path})
    assert done.returncode == 0
    placed = tmp_path / "models" / "weights"
    assert (placed / "config.json").read_text(encoding="utf-8") == '{"layers": 1}\n'
    assert (placed / "model.bin").read_bytes() == b"\0" * 2_000_000
    for block in re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL):
        assert read_manifest(block, file="git.md").models


def test_the_page_about_programs_works(tmp_path: Path, hub: Hub, publisher: Publisher) -> None:
    """Its manifest, its commands and its program, with the official library in it."""
    page = (_ROOT / "docs" / "exec.md").read_text(encoding="utf-8")
    publisher.publish("BAAI/bge-small-zh-v1.5", {"config.json": b"{}", "model.safetensors": 2 << 20})
    publisher.publish("AI-ModelScope/gpt2", {"config.json": b"{}"})
    at = desk(tmp_path / "project", hub.url, more={"HF_ENDPOINT": hub.url})
    at.environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    (manifest,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    (at.folder / "models.toml").write_text(manifest, encoding="utf-8")
    at.ok("lock")
    at.ok("sync")
    (program,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (commands,) = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
    (at.folder / "app.py").write_text("import os, sys\nprint(sys.argv[1:] or os.environ['FETCHER_MODEL_GPT2'])\n")
    done = subprocess.run(["sh", "-ec", commands], cwd=at.folder, env=at.environment, capture_output=True, text=True)
    folder = at.folder / "models/gpt2"
    assert done.stdout.splitlines() == [f"['--model', '{folder}']", f"{folder}", f"{folder}"], done.stderr
    (at.folder / "app.py").write_text(program, encoding="utf-8")
    lines = at.ok("exec", "--", "python", "app.py").out.splitlines()
    assert Path(lines[0]).is_relative_to(at.folder / "models/huggingface")
    assert set(read_tree(Path(lines[0]))) == {"config.json", "model.safetensors"}
    assert lines[1] == f"{folder}"


def test_the_variables_of_the_readme_are_those_of_the_code() -> None:
    """A variable that nobody reads is a promise that nobody keeps."""
    code = "".join(path.read_text(encoding="utf-8") for path in (_ROOT / "fetcher").rglob("*.py"))
    told = set(re.findall(r"`((?:FETCHER|MODELSCOPE|HF|HUGGING_FACE)_[A-Z_]+)`", _README))
    read = set(re.findall(r'"(FETCHER_[A-Z_]+)"', code))
    assert read <= told
    assert all(name in code for name in told)


def test_the_version_of_the_changelog_s_next_release_is_open() -> None:
    """Every user-visible change has its line there until a release names it."""
    assert re.fullmatch(r"\d+\.\d+\.\d+", fetcher.__version__)
    assert "## Unreleased" in (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_make_help_lists_the_targets_of_the_readme() -> None:
    """The first screen's commands are real targets."""
    makefile = (_ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z]+)", _README):
        assert re.search(rf"^{target} *:", makefile, flags=re.MULTILINE), target


def test_the_page_about_hugging_face_works(tmp_path: Path, hub: Hub, publisher: Publisher) -> None:
    """Its manifest and its commands, one after the other, and the official client at the end."""
    page = (_ROOT / "docs" / "huggingface.md").read_text(encoding="utf-8")
    model = {"config.json": b"{}", "model.safetensors": 2 << 20, "README.md": b"# bge"}
    publisher.publish("BAAI/bge-small-zh-v1.5", model)
    publisher.publish("datasets/rajpurkar/squad", {"plain_text/train.parquet": 2 << 20, "README.md": b"# squad"})
    demo = publisher.publish("demo/babbler", {"config.json": b"{}", "weights.bin": 2 << 20})
    (manifest,) = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "models.toml").write_text(manifest, encoding="utf-8")
    commands = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
    script = "\n".join(["set -e", *commands]).replace("http://127.0.0.1:8000", hub.url)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
    }
    subprocess.run(["sh", "-c", script], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert set(read_tree(tmp_path / "models/bge")) == {"config.json", "model.safetensors"}
    assert set(read_tree(tmp_path / "data/squad")) == {"plain_text/train.parquet", "README.md"}
    got = {path: data for path, data in read_tree(tmp_path / "babbler").items() if not path.startswith(".cache/")}
    assert got == demo


def _blocks(page: str, language: str) -> str:
    return "".join(re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL))


def test_the_page_for_those_who_come_from_modelscope_s_guide_works(
    tmp_path: Path, publisher: Publisher, start_hub: Callable[..., Hub]
) -> None:
    """Its commands and its Python, one after the other; the private model needs its login."""
    page = (_ROOT / "docs" / "modelscope-guide.md").read_text(encoding="utf-8")
    token = "ms-11111111-2222-3333-4444-555555555555"
    gpt2 = publisher.publish(
        "AI-ModelScope/gpt2", {"64.tflite": 9, "config.json": b"{}", "onnx/config.json": b"[]", "onnx/a.onnx": 2 << 20}
    )
    for repository, tag, file in (
        ("damo/nlp_xlmr_named-entity-recognition_viet-ecommerce-title", "v1.0.1", "pytorch_model.bin"),
        ("AI-ModelScope/rwkv-4-world", "v1.0.0", "RWKV-4-World-CHNtuned-7B-v1-20230709-ctx4096.pth"),
    ):
        publisher.publish(repository, {"README.md": b"# moved on"})
        publisher.tag(repository, tag, {file: 300})
    own = publisher.publish("corp/own", {"config.json": b"{}"})
    (tmp_path / "token.txt").write_text(f"{token}\n", encoding="utf-8")
    before, private = page.split("## Private models")
    private, caches = private.split("## The libraries")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def run(*command: str, hub: Hub) -> str:
        endpoint = {"MODELSCOPE_ENDPOINT": hub.url}
        done = subprocess.run(
            command, cwd=tmp_path, env={**environment, **endpoint}, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    public = start_hub()
    run("sh", "-euc", _blocks(before, "sh"), hub=public)
    jsons = {path: data for path, data in gpt2.items() if path.endswith(".json")}
    for folder in ("cache_dir/AI-ModelScope/gpt2", "local_dir", "models/gpt2"):
        assert read_tree(tmp_path / folder) == jsons
    folder, file = run(sys.executable, "-c", _blocks(before, "python"), hub=public).split()
    assert set(read_tree(tmp_path / folder)) == {"pytorch_model.bin"}
    assert (tmp_path / file).stat().st_size == 300
    run("sh", "-euc", _blocks(private, "sh"), hub=start_hub(token=token))
    assert read_tree(tmp_path / "own") == own
    assert read_manifest(_blocks(caches, "toml"), file="modelscope-guide.md").models
