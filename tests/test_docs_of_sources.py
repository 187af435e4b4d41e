"""docs/sources.md: the manifest and commands of each section run as a reader would paste them, on loopback."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import trustme

from fetcher.serve.hub import Hub
from tests.hub.faults import FaultProxy
from tests.hub.plain import served_plainly
from tests.hub.publish import MIB, Publisher, read_tree, write_tree
from tests.net.proxy import Proxy
from tests.net.tls import hub_of_one_file, signed
from tests.net.wire import Wire

_PAGE = (Path(__file__).parents[1] / "docs/sources.md").read_text(encoding="utf-8")
_TOKEN = "corp-0123-SECRET"


def _run(section: str, folder: Path, hosts: Mapping[str, str], **variables: str) -> str:
    """Run a section's commands with its manifest; what the page calls hosts are those of the test."""
    text = _PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    for shown, here in hosts.items():
        assert shown in text
        text = text.replace(shown, here)
    (manifest,) = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    (script,) = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
    (folder / "models.toml").write_text(manifest, encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        **variables,
    }
    done = subprocess.run(["sh", "-eu", "-c", script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_web_servers_and_folders(tmp_path: Path) -> None:
    """What is named is there; what is excluded is not."""
    write_tree(
        tmp_path / "web/releases", {"adapter.bin": MIB, "v1/tokenizer.json": b"{}", "v1/vocab.txt": b"a\nb\nc\n"}
    )
    write_tree(tmp_path / "shared/rules", {"rules.json": b"[]", "README.md": b"# rules"})
    with served_plainly(tmp_path / "web") as url:
        _run("Web servers and folders", tmp_path, {"https://files.example": url})
    assert set(read_tree(tmp_path / "models/adapter")) == {"adapter.bin"}
    assert read_tree(tmp_path / "models/tokens") == {"tokenizer.json": b"{}", "vocab.txt": b"a\nb\nc\n"}
    assert read_tree(tmp_path / "models/rules") == {"rules.json": b"[]"}


def test_several_homes(tmp_path: Path, hub: Hub, publisher: Publisher, fault_proxy: Callable[..., FaultProxy]) -> None:
    """The lock asks all of them, the sync the one that this machine is told."""
    tree = publisher.publish("team/small", {"config.json": b"{}", "model.bin": MIB})
    write_tree(tmp_path / "shared/small", tree)
    near = fault_proxy()
    hosts = {
        "https://hub.corp.example": hub.url,
        "https://mirror.corp.example": "http://127.0.0.1:9",
        "https://near.corp.example": near.url,
    }
    _run("Several homes of the same bytes", tmp_path, hosts, HF_ENDPOINT=hub.url)
    assert read_tree(tmp_path / "models/small") == tree
    assert near.requests


def test_tokens(tmp_path: Path, start_hub: Callable[..., Hub], publisher: Publisher) -> None:
    """From a variable and from a login; neither is shown."""
    tree = publisher.publish("team/private", {"model.bin": MIB})
    hub = start_hub(token=_TOKEN)
    said = _run("Tokens", tmp_path, {"https://hub.corp.example": hub.url}, TOKEN=_TOKEN)
    assert read_tree(tmp_path / "models/private") == tree
    assert "token from " in said
    assert _TOKEN not in said


def test_proxies_and_certificates(tmp_path: Path) -> None:
    """A hub that only the company's CA knows, behind the company's proxy."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "corp-ca.pem"))
    with Wire(hub_of_one_file("team/small"), tls=True) as hub, Proxy(hub.host) as proxy:
        hub.tls = signed(authority, "hub.corp.example")
        _run("Proxies and certificates", tmp_path, {"http://proxy.example:3128": f"http://{proxy.host}"})
        assert proxy.heads
    assert read_tree(tmp_path / "models/small") == {"a.bin": b"bytes"}


def test_every_section_of_the_page_has_a_test() -> None:
    """A section without one would not be tried."""
    tried = re.findall(r'_run\(\s*"([^"]+)"', Path(__file__).read_text(encoding="utf-8"))
    assert re.findall(r"^## (.*)$", _PAGE, flags=re.MULTILINE) == tried
