"""[policy] from models.toml to the lock and the disk, by the command line, with real hubs and files."""

import os
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.dangerous import AUTO_MAP, DANGEROUS, REMOTE, SAFE, config, onnx_file, safetensors_file, torch_file
from tests.git import git
from tests.hub.publish import MIB, Publisher

FORMATS = '[policy.formats]\ndeny = ["pickle", "remote-code"]\n'
CARD = b"---\nlicense: apache-2.0\ntags:\n- x\n---\n# A model\n"


@pytest.fixture
def at(tmp_path: Path, hub: Hub) -> Desk:
    return desk(tmp_path / "project", hub.url, more={"HF_ENDPOINT": hub.url})


def locked(at: Desk, name: str = "m") -> dict[str, object]:
    """A section of models.lock."""
    found: dict[str, object] = tomllib.loads((at.folder / "models.lock").read_text("utf-8"))["models"][name]
    return found


def offline(at: Desk) -> Desk:
    """The same project where every connection fails."""
    nowhere = dict.fromkeys(("MODELSCOPE_ENDPOINT", "HF_ENDPOINT"), "http://127.0.0.1:9")
    return Desk(folder=at.folder, environment={**at.environment, **nowhere})


def kinds(hub: Hub) -> Counter[str]:
    """How often each kind of address was asked for."""
    return Counter(re.sub(r"\?.*|/[0-9a-f]{40}.*|/lfs-objects/.*", "", entry.path) for entry in hub.requests)


def bytes_of_files(hub: Hub) -> Counter[str]:
    """Bytes sent of each file, by its address."""
    sent: Counter[str] = Counter()
    for entry in hub.requests:
        if "FilePath" in entry.path or "/lfs-objects/" in entry.path:
            sent[re.sub(r"[?&](?:auth_key|commit)=[^&]*", "", entry.path)] += entry.sent
    return sent


@pytest.mark.parametrize("scheme", ["ms", "hf"])
def test_every_format_is_recorded_and_few_bytes_are_read(at: Desk, publisher: Publisher, hub: Hub, scheme: str) -> None:
    """At most 64 KiB a file, counted at the hub, and nothing of the lock is asked for twice."""
    made = {
        f"{kind}/{path}": each
        for kind, files in (("a", SAFE), ("b", DANGEROUS), ("c", REMOTE))
        for path, each in files.items()
    }
    large = {"large.gguf": (b"GGUF\x03\0\0\0" + bytes(3 * MIB), "gguf"), "large.onnx": (onnx_file(3 * MIB), "onnx")}
    tree = {path: data for path, (data, _) in {**made, **large}.items()}
    publisher.publish("owner/model", tree)
    at.manifest(f'[models.m]\nsource = "{scheme}:owner/model"\n[policy.formats]\n')
    at.ok("lock")
    assert locked(at)["formats"] == {path: word for path, (_, word) in {**made, **large}.items()}
    if scheme == "ms":  # of Hugging Face the small files come whole, to be hashed
        assert max(bytes_of_files(hub).values()) <= 64 << 10
        assert sum(bytes_of_files(hub).values()) < len(tree) * (10 << 10)
    hub.forget_requests()
    before = (at.folder / "models.lock").read_bytes()
    at.ok("lock")
    assert not hub.requests
    at.manifest(f'[models.m]\nsource = "{scheme}:owner/model"\nexclude = ["*.md"]\n[policy.formats]\n')
    at.ok("lock")
    assert not [entry for entry in hub.requests if "resolve" in entry.path or "FilePath" in entry.path]
    at.manifest(f'[models.m]\nsource = "{scheme}:owner/model"\n[policy.formats]\n')
    at.ok("lock")
    assert (at.folder / "models.lock").read_bytes() == before


def test_without_a_policy_no_request_more_is_sent_and_nothing_is_recorded(
    at: Desk, publisher: Publisher, hub: Hub
) -> None:
    """Who has no policy pays nothing for it."""
    publisher.publish("owner/model", {"README.md": CARD, "pytorch_model.bin": torch_file()})
    at.model()
    at.ok("lock")
    plain = kinds(hub)
    assert plain == {"/api/v1/models/owner/model/commits": 1, "/api/v1/models/owner/model/repo/files": 1}
    text = (at.folder / "models.lock").read_bytes()
    assert not {"license", "committed", "formats"} & locked(at).keys()
    hub.forget_requests()
    at.model(more='[policy.size]\ntotal = "1G"\n[policy.sources]\nallow = ["modelscope"]\n')
    at.ok("lock")
    at.ok("lock", "--check")
    assert not hub.requests
    assert (at.folder / "models.lock").read_bytes() == text


def test_a_lock_that_breaks_a_rule_is_not_written(at: Desk, publisher: Publisher) -> None:
    """The whole message: model, file, rule, what was found, and the fix."""
    publisher.publish("owner/model", {"config.json": config(), "pytorch_model.bin": torch_file()})
    at.model(more=FORMATS)
    for arguments in (("lock",), ("lock", "--dry-run")):
        done = at.fetcher(*arguments)
        assert (done.code, done.out) == (8, "")
        assert done.err == (
            "error: models.lock breaks the policy of models.toml.\n"
            "  m/pytorch_model.bin: formats: a pickle in a zip archive, which runs code when it is loaded "
            "(zip-pickle), is not allowed\n"
            '  fix: add "pytorch_model.bin" to `exclude` of [models.m], or take it with a reason by '
            "[[policy.waivers]]\n"
        )
        assert not (at.folder / "models.lock").exists()
    at.model(more=f'exclude = ["*.bin"]\n{FORMATS}')
    at.ok("lock")


def test_remote_code_is_an_auto_map_with_its_code(at: Desk, publisher: Publisher) -> None:
    """The code alone is text, the map alone leads nowhere."""
    publisher.publish(
        "owner/model", {"config.json": config(auto_map=AUTO_MAP), "modeling_own.py": b"class OwnModel: ..."}
    )
    at.model(more=FORMATS)
    done = at.fetcher("lock")
    assert done.code == 8
    assert "m/config.json: formats: remote-code: JSON whose `auto_map` names Python code (json-auto-map)" in done.err
    at.model(more=f'exclude = ["*.py"]\n{FORMATS}')
    at.ok("lock")
    assert locked(at)["formats"] == {"config.json": "json-auto-map"}
    at.model(more=f'exclude = ["config.json"]\n{FORMATS}')
    at.ok("lock")


def test_a_policy_made_stricter_is_seen_by_every_command_offline(at: Desk, publisher: Publisher) -> None:
    """Also where nothing is to do and the answer is written down, and with --frozen."""
    publisher.publish("owner/model", {"pytorch_model.bin": torch_file()})
    at.model(more="[policy.formats]\n")
    at.ok("lock")
    at.ok("sync")
    at.ok("sync")  # from .fetcher/ready
    at.ok("lock", "--check")
    alone = offline(at)
    alone.ok("sync")
    alone.model(more=FORMATS)
    for arguments in (
        ("lock", "--check"),
        ("sync",),
        ("sync", "--frozen"),
        ("sync", "--check"),
        ("sync", "--dry-run", "--frozen"),
        ("sync", "--offline", "--force"),
    ):
        done = alone.fetcher(*arguments)
        assert done.code == 8, (arguments, done.err)
        assert "m/pytorch_model.bin: formats: " in done.err
    found = alone.fetcher("lock", "--check", "--json")
    assert (found.code, found.json["fresh"]) == (8, True)
    assert [(each["rule"], each["file"], each["level"]) for each in found.json["policy"]] == [
        ("formats", "pytorch_model.bin", "deny")
    ]
    alone.model(more="[policy.formats]\n")
    alone.ok("sync")


def test_a_policy_that_the_lock_knows_nothing_for_is_stale_and_frozen_does_not_pass(
    at: Desk, publisher: Publisher
) -> None:
    """What was not looked at is not allowed by guessing."""
    publisher.publish("owner/model", {"pytorch_model.bin": torch_file()})
    at.model()
    at.ok("lock")
    at.ok("sync")
    at.model(more=FORMATS)
    done = at.fetcher("sync")
    assert done.code == 1
    assert "m.formats: models.toml has a policy about it, models.lock has nothing recorded" in done.err
    assert at.fetcher("lock", "--check").code == 1
    frozen = at.fetcher("sync", "--frozen")
    assert (frozen.code, "not every file's format is recorded" in frozen.err) == (8, True)
    at.manifest(f'surprise = 1\n[models.m]\nsource = "modelscope:owner/model"\n{FORMATS}')
    broken = at.fetcher("sync", "--frozen")
    assert broken.code == 8, "a mistake elsewhere in models.toml is no way round its policy"


def test_a_warning_lets_pass_and_is_repeated(at: Desk, publisher: Publisher) -> None:
    """An answer that is written down would say it once and never again."""
    publisher.publish("owner/model", {"pytorch_model.bin": torch_file()})
    at.model(more='[policy.formats]\nwarn = ["pickle"]\n')
    said = "note: policy: m/pytorch_model.bin: formats: a pickle in a zip archive"
    assert said in at.ok("lock").err
    for _ in range(3):
        assert said in at.ok("sync").err
        assert said in at.ok("lock", "--check").err


def test_a_waiver_with_a_reason_takes_what_a_rule_is_against(at: Desk, publisher: Publisher) -> None:
    """Per model and per pattern of files; another model's is not taken."""
    publisher.publish("owner/model", {"pytorch_model.bin": torch_file(), "training_args.bin": torch_file()})
    waiver = '[[policy.waivers]]\nrule = "formats"\nmodels = ["m*"]\nfiles = ["pytorch_*"]\nreason = "weights_only"\n'
    at.model(more=FORMATS + waiver)
    done = at.fetcher("lock")
    assert done.code == 8
    assert "training_args.bin" in done.err
    assert "pytorch_model.bin" not in done.err
    at.model(more=f'exclude = ["training*"]\n{FORMATS}{waiver}')
    at.ok("lock")
    at.model("n", more=f'exclude = ["training*"]\n{FORMATS}{waiver}')
    assert at.fetcher("lock").code == 8


@pytest.mark.parametrize("scheme", ["ms", "hf"])
def test_a_licence_is_recorded_from_the_hub_and_checked(at: Desk, publisher: Publisher, hub: Hub, scheme: str) -> None:
    """Locked with one request more; a model without a licence is `unknown`, not allowed by silence."""
    publisher.publish("owner/model", {"README.md": CARD, "a.bin": b"x"})
    publisher.publish("owner/none", {"a.bin": b"x"})
    rule = '[policy.licenses]\nallow = ["apache-2.0", "mit"]\n'
    at.manifest(f'[models.m]\nsource = "{scheme}:owner/model"\nexclude = ["README.md"]\n{rule}')
    at.ok("lock")
    assert locked(at)["license"] == "apache-2.0"
    assert "formats" not in locked(at)
    at.ok("lock", "--check")
    at.manifest(f'[models.m]\nsource = "{scheme}:owner/none"\n{rule}')
    done = at.fetcher("lock")
    assert done.code == 8
    assert "m: licenses: the source tells no licence, and `unknown` is not allowed" in done.err
    at.manifest(f'[models.m]\nsource = "{scheme}:owner/none"\n[policy.licenses]\nwarn = ["unknown"]\n')
    assert "note: policy: m: licenses: " in at.ok("lock").err
    assert locked(at)["license"] == "unknown"


@pytest.mark.parametrize("scheme", ["ms", "hf"])
def test_a_commit_must_be_old_enough(at: Desk, publisher: Publisher, scheme: str) -> None:
    """A poisoned upload is mostly found within days."""
    publisher.publish("owner/model", {"a.bin": b"x"})
    at.manifest(f'[models.m]\nsource = "{scheme}:owner/model"\n[policy.age]\nminimum = "7d"\n')
    done = at.fetcher("lock")
    assert done.code == 8
    assert re.search(r"m: age: the commit is of 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ, less than 7 days ago", done.err)
    os.utime(publisher.folder("owner/model") / "a.bin", (1.6e9, 1.6e9))
    at.ok("lock")
    assert locked(at)["committed"] == "2020-09-13T12:26:40Z"
    at.ok("sync", "--frozen")


def test_of_a_git_remote_the_card_tells_the_licence_and_the_commit_its_time(tmp_path: Path, at: Desk) -> None:
    """git has no metadata of its own."""
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    (repository / "README.md").write_bytes(b"---\nlicense: other\nlicense_name: Own-1\n---\n")
    (repository / "model.bin").write_bytes(DANGEROUS["protocol4.bin"][0])
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "one", "--date", "2021-01-01T00:00:00Z")
    at.manifest(
        f'[models.m]\nsource = "git+file://{repository}"\n'
        '[policy.licenses]\n[policy.age]\nminimum = "0d"\n[policy.formats]\n'
    )
    at.ok("lock")
    section = locked(at)
    assert section["license"] == "other:own-1"
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(section["committed"]))
    assert section["formats"] == {"README.md": "text", "model.bin": "pickle"}


def test_a_folder_and_a_url_are_looked_at_where_they_are(tmp_path: Path, at: Desk, web: tuple[Path, str]) -> None:
    """A web server that sends no parts is no obstacle: its files are in the store by then."""
    served, url = web
    (served / "model.bin").write_bytes(torch_file(size=200 << 10))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "model.bin").write_bytes(safetensors_file())
    at.manifest(
        f'[models.u]\nsource = "{url}/model.bin"\n[models.f]\nsource = "file:../own"\n'
        '[policy.formats]\n[policy.age]\nminimum = "0d"\nlevel = "warn"\n[policy.licenses]\n'
    )
    done = at.ok("lock")
    assert "note: policy: u: age: the source tells no time of its commit" in done.err
    assert locked(at, "u")["formats"] == {"model.bin": "zip-pickle"}
    assert locked(at, "f")["formats"] == {"model.bin": "safetensors"}
    assert (locked(at, "f")["committed"], locked(at, "f")["license"]) == ("unknown", "unknown")


def test_sources_and_hosts_are_refused_before_they_are_asked(
    at: Desk, publisher: Publisher, hub: Hub, start_hub: Callable[..., Hub]
) -> None:
    """A name that is asked for tells whoever listens what a company uses."""
    publisher.publish("owner/model", {"a.bin": b"x"})
    for rule, said in (
        ('[policy.sources]\nallow = ["hf"]\n', "m: sources: modelscope:owner/model is not allowed"),
        ('[policy.sources]\ndeny = ["ms:owner/*"]\n', "m: sources: modelscope:owner/model is not allowed"),
        ('[policy.hosts]\nallow = ["*.corp.example"]\n', "m: hosts: modelscope.cn is not allowed"),
        ('[policy.hosts]\nallow = ["modelscope.cn"]\n', "all: hosts: 127.0.0.1"),
    ):
        at.model(more=rule)
        done = at.fetcher("lock")
        assert done.code == 8, rule
        assert said in done.err
        assert not hub.requests
    at.model(more='[policy.hosts]\nallow = ["modelscope.cn", "127.0.0.1"]\n')
    at.ok("lock")
    other = start_hub()
    at.manifest(
        '[models.m]\nsource = "corp:owner/model"\n'
        f'[sources.corp]\nkind = "modelscope"\nendpoint = "{hub.url}"\nmirrors = ["{other.url}"]\n'
        f'[policy.hosts]\nallow = ["{hub.url.removeprefix("http://")}"]\n'
    )
    done = at.fetcher("lock")
    assert done.code == 8
    assert f"m: hosts: {other.url.removeprefix('http://')} is not allowed" in done.err
    assert not other.requests


def test_a_sync_asks_no_host_of_the_environment_that_is_denied(at: Desk, publisher: Publisher, hub: Hub) -> None:
    """The lock was made elsewhere; where this machine gets the bytes is judged here."""
    publisher.publish("owner/model", {"a.bin": b"x" * 100})
    at.model(more='[policy.hosts]\nallow = ["modelscope.cn", "127.0.0.1"]\n')
    at.ok("lock")
    at.model(more='[policy.hosts]\nallow = ["modelscope.cn"]\n')
    at.ok("lock", "--check")
    hub.forget_requests()
    done = at.fetcher("sync")
    assert (done.code, "all: hosts: 127.0.0.1" in done.err) == (8, True)
    assert not hub.requests


def test_sizes_are_of_each_model_and_of_all_contents_together(at: Desk, publisher: Publisher) -> None:
    """What two models share is there once."""
    publisher.publish("owner/model", {"a.bin": 600 << 10})
    models = ""
    for name in ("m", "n"):
        models += f'[models.{name}]\nsource = "modelscope:owner/model"\n'
    at.manifest(f'{models}[policy.size]\ntotal = "1M"\nmodel = "600k"\n')
    at.ok("lock")
    at.manifest(f'{models}[policy.size]\ntotal = "500k"\nmodel = "100k"\n')
    done = at.fetcher("sync")
    assert done.code == 8
    assert "m: size: 600.0 KiB, more than 100.0 KiB" in done.err
    assert "all: size: 600.0 KiB, more than 500.0 KiB" in done.err
    at.manifest(f'{models}[policy.size]\ntotal = "500k"\nlevel = "warn"\n')
    assert "note: policy: all: size" in at.ok("sync").err
