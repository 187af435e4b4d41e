"""Git remotes from models.toml to files, by the command line, against real servers on loopback.

`git http-backend` and giftless under waitress; nginx with fcgiwrap, where ranges work; a fake
ssh that runs what it is asked to on this machine; repositories on this machine's disk.
"""

import hashlib
import json
import os
import shutil
import signal
import tomllib
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.publish import Publisher
from tests.sources.git_server import GitServer, Repository, basic, needs_git_lfs, serving
from tests.sources.nginx import needs_nginx, nginx

pytestmark = needs_git_lfs

SECRET = "git-0123-SECRET"
LARGE = os.urandom(300_000)
TREE = {"config.json": b'{"a": 1}', "weights/model.bin": LARGE, "vocab.txt": b"word\n" * 2000, "README.md": b"# m\n"}


@pytest.fixture
def repository(server: GitServer) -> Repository:
    repository = server.repository("owner/model")
    repository.publish(TREE, large=["*.bin"])
    server.asked.clear()
    return repository


@pytest.fixture
def at(tmp_path: Path) -> Desk:
    return desk(tmp_path / "project", "http://127.0.0.1:9", more={"FETCHER_RETRIES": "1"})


def _model(at: Desk, source: str, more: str = "") -> None:
    at.manifest(f'[models.m]\nsource = "{source}"\nexclude = [".gitattributes"]\n{more}\n')


def test_a_model_in_git_and_lfs_is_locked_and_synced(at: Desk, server: GitServer, repository: Repository) -> None:
    """The lock asks for the refs, the commit and the ordinary files; the sync for the large file only."""
    _model(at, repository.source)
    at.ok("lock")
    git_only = ["/owner/model.git/info/refs", "/owner/model.git/git-upload-pack"] * 3
    assert server.paths() == git_only
    server.asked.clear()
    at.ok("sync")
    oid = hashlib.sha256(LARGE).hexdigest()
    large = ["/owner/model.git/info/lfs/objects/batch", f"/owner/model.git/info/lfs/objects/storage/{oid}"]
    assert server.paths() == [*git_only[:2], *large]
    assert at.placed() == TREE
    server.asked.clear()
    at.ok("sync")
    assert server.asked == []


def test_a_clone_without_the_store_gets_the_same_bytes(at: Desk, server: GitServer, repository: Repository) -> None:
    """Another machine has only the lock: ordinary files come from git again, at the locked commit."""
    _model(at, repository.source)
    at.ok("lock")
    shutil.rmtree(at.environment["FETCHER_STORE"])
    repository.publish({"config.json": b"other"})
    at.ok("sync", "--frozen")
    assert at.placed() == TREE


def test_the_scratch_repository_is_gone_after_each_command(at: Desk, repository: Repository) -> None:
    """The store holds objects, not git repositories."""
    _model(at, repository.source)
    at.ok("lock")
    at.ok("sync")
    assert list((Path(at.environment["FETCHER_STORE"]) / "scratch").iterdir()) == []


# --- cuts and ranges ---------------------------------------------------------------------


def _killed_in_the_middle(at: Desk, *, after: int) -> None:
    """Start a sync and kill it when `after` bytes have come."""
    running = at.start("sync", "--limit-rate", "20M", "--progress", "json")
    assert running.stderr
    have = 0
    for line in running.stderr:
        have = max(have, json.loads(line).get("have", 0)) if line.startswith("{") else have
        if have > after:
            break
    running.kill()
    running.communicate()
    assert running.returncode == -signal.SIGKILL, "it was to be killed in the middle"


@needs_nginx
def test_what_a_killed_sync_has_is_not_asked_for_again_where_ranges_work(
    at: Desk, server: GitServer, tmp_path: Path
) -> None:
    """nginx answers a range; the rest of the file comes, and no more."""
    content = os.urandom(24 << 20)
    repository = server.repository("owner/model")
    repository.publish({"weights.bin": content, "config.json": b"{}"}, large=["*.bin"])
    with nginx(server, tmp_path / "nginx", rate="30m") as front:
        _model(at, f"git+{front.url}/owner/model.git")
        at.ok("lock")
        _killed_in_the_middle(at, after=16 << 20)
        at.ok("sync")
        parts = [line.split() for line in front.requests() if "/storage/" in line]
    assert at.placed() == {"weights.bin": content, "config.json": b"{}"}
    assert parts[0][2] == "200"
    first = int(parts[-1][3].removeprefix("bytes=").partition("-")[0])
    assert (parts[-1][2], first > 4 << 20) == ("206", True)


def test_where_ranges_do_not_work_the_file_comes_again_from_its_start(at: Desk, server: GitServer) -> None:
    """giftless sends the whole file whatever is asked; what is here already is skipped."""
    content = os.urandom(48 << 20)
    repository = server.repository("owner/model")
    repository.publish({"weights.bin": content}, large=["*.bin"])
    _model(at, repository.source)
    at.ok("lock")
    _killed_in_the_middle(at, after=16 << 20)
    server.asked.clear()
    at.ok("sync")
    assert at.placed() == {"weights.bin": content}
    (asked,) = (each for each in server.asked if "/storage/" in each.path)
    assert asked.headers["range"].startswith("bytes=")


# --- secrets -----------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["corp:owner/model", "git+{url}/owner/model"])
def test_the_token_of_a_named_server_opens_its_repositories(
    at: Desk, server: GitServer, repository: Repository, source: str
) -> None:
    """For git and for large files; nobody sees it but the server."""
    server.token = SECRET
    table = f'[sources.corp]\nkind = "git"\nendpoint = "{server.url}"\ntoken-env = "CORP_TOKEN"\n'
    _model(at, source.format(url=server.url), table)
    at.environment["CORP_TOKEN"] = SECRET
    told = [at.ok("-vv", "lock"), at.ok("-vv", "sync")]
    assert at.placed() == TREE
    asked = [each for each in server.asked if "/storage/" not in each.path]
    assert {each.headers.get("authorization") for each in asked} == {basic(SECRET)}
    seen = "".join(done.out + done.err for done in told)
    written = [path.read_bytes() for path in at.folder.rglob("*") if path.is_file()]
    for secret in (SECRET, basic(SECRET).removeprefix("Basic ")):
        assert secret not in seen
        assert not any(secret.encode() in content for content in written)


def test_a_refused_token_is_exit_6_with_the_fix(at: Desk, server: GitServer, repository: Repository) -> None:
    """The fix names the source and its variable."""
    server.token = SECRET
    table = f'[sources.corp]\nkind = "git"\nendpoint = "{server.url}"\ntoken-env = "CORP_TOKEN"\n'
    _model(at, "corp:owner/model", table)
    at.environment["CORP_TOKEN"] = "wrong-0123"
    done = at.fetcher("lock")
    host = server.url.removeprefix("http://")
    assert done.code == 6
    assert done.err.endswith(
        f"m: {host} asks for a token, or refuses the one it was given.\n"
        f"  git: could not read Username for '{server.url}': terminal prompts disabled\n"
        f"  fix: run `fetcher login corp` or set CORP_TOKEN, or give git a credential for {host}\n"
    )


def test_git_s_own_helpers_open_a_repository(
    at: Desk, server: GitServer, repository: Repository, isolated_environment: Path
) -> None:
    """What `git clone` can do, fetcher can, without a word about it in models.toml."""
    server.token = SECRET
    (isolated_environment / ".gitconfig").write_text(
        f'[credential]\n\thelper = "!f() {{ test $1 = get && echo username=reader && echo password={SECRET}; }}; f"\n',
        encoding="utf-8",
    )
    _model(at, repository.source)
    at.ok("lock")
    at.ok("sync")
    assert at.placed() == TREE


def test_a_token_does_not_follow_a_redirect_of_git(
    at: Desk, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    """Another port is another server; git itself would take the header along. Without a token it may go there."""
    first = GitServer(root=tmp_path / "none", storage=tmp_path / "none-lfs")
    first.before = lambda asked: ("302 There", [("Location", f"{server.url}{asked.path}?{asked.query}")], b"")
    with serving(first):
        table = f'[sources.corp]\nkind = "git"\nendpoint = "{first.url}"\ntoken-env = "CORP_TOKEN"\n'
        _model(at, "corp:owner/model.git", table)
        at.environment["CORP_TOKEN"] = SECRET
        done = at.fetcher("lock")
        assert first.asked[0].headers["authorization"] == basic(SECRET)
        assert server.asked == []
        host = first.url.removeprefix("http://")
        assert done.code == 5
        assert done.err == (
            f"error: m: {host} sends git elsewhere, and a token does not go along.\n"
            f"  git: unable to access '{first.url}/owner/model.git/': The requested URL returned error: 302\n"
            "  fix: correct `source` in models.toml to where the repository is now\n"
        )
        del at.environment["CORP_TOKEN"]
        at.ok("lock")


def test_the_environment_routes_a_git_server_through_a_mirror_without_its_token(
    at: Desk, server: GitServer, repository: Repository
) -> None:
    """The home need not be reachable; refs, files and large files come from the mirror, and the lock stays the same."""
    table = '[sources.corp]\nkind = "git"\nendpoint = "{url}"\ntoken-env = "CORP_TOKEN"\n'
    _model(at, "corp:owner/model", table.format(url=server.url))
    at.ok("lock")
    lock = (at.folder / "models.lock").read_bytes()
    (at.folder / "models.lock").unlink()
    server.asked.clear()
    _model(at, "corp:owner/model", table.format(url="http://127.0.0.1:9"))
    at.environment.update(FETCHER_CORP_MIRRORS=server.url, CORP_TOKEN=SECRET)
    at.ok("lock")
    at.ok("sync")
    assert at.placed() == TREE
    assert (at.folder / "models.lock").read_bytes() == lock
    assert not any(basic(SECRET) in asked.headers.values() for asked in server.asked)


# --- ssh and this machine's disk -------------------------------------------------------------


def test_ssh_gives_the_repository_and_says_where_large_files_are(
    at: Desk, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    """`git-lfs-authenticate` names the server and the headers that it wants."""
    answer = {"href": f"{repository.url}/info/lfs", "header": {"Authorization": basic(SECRET)}, "expires_in": 60}
    fake = tmp_path / "ssh"
    fake.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> {tmp_path}/log\nfor last; do :; done\n"
        f'case "$last" in git-lfs-authenticate*) echo \'{json.dumps(answer)}\';; *) exec sh -c "$last";; esac\n',
        encoding="utf-8",
    )
    fake.chmod(0o755)
    at.environment |= {"GIT_SSH_COMMAND": str(fake), "GIT_SSH_VARIANT": "ssh"}
    _model(at, f"git+ssh://git@127.0.0.1:2222{repository.bare}")
    at.ok("lock")
    server.token = SECRET
    at.ok("sync")
    assert at.placed() == TREE
    calls = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert calls[-1] == f"-p 2222 git@127.0.0.1 git-lfs-authenticate {repository.bare} download"
    assert {each.path.rpartition("/")[2] for each in server.asked} == {"batch", hashlib.sha256(LARGE).hexdigest()}


def test_the_same_model_has_the_same_tree_from_every_source(
    at: Desk, hub: Hub, publisher: Publisher, repository: Repository, tmp_path: Path
) -> None:
    """A lock pins bytes; where they come from is another matter, and each may stand in for another."""
    publisher.publish("owner/model", TREE)
    at.environment |= {"MODELSCOPE_ENDPOINT": hub.url, "HF_ENDPOINT": hub.url}
    for name, content in TREE.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    sources = {
        "git": repository.source,
        "disk": f"git+file://{repository.work}",
        "ms": "ms:owner/model",
        "hf": "hf:owner/model",
        "folder": "file:../folder",
    }
    tables = [
        f'[models.{name}]\nsource = "{source}"\nexclude = [".gitattributes"]\n' for name, source in sources.items()
    ]
    at.manifest("".join([*tables, f'[models.other]\nsource = "ms:owner/model"\nfallback = ["{repository.source}"]\n']))
    at.ok("lock")
    locked = tomllib.loads((at.folder / "models.lock").read_text(encoding="utf-8"))["models"]
    assert len({each["tree"] for each in locked.values()}) == 1
    at.ok("sync")
    assert all(at.placed(name) == TREE for name in [*sources, "other"])


def test_links_and_modules_are_refused_by_name(at: Desk, repository: Repository) -> None:
    """Until they are excluded."""
    os.symlink("config.json", repository.work / "latest.json")
    repository.publish({})
    _model(at, repository.source)
    done = at.fetcher("lock")
    assert done.code == 4
    assert done.err.endswith(
        "m: 1 of the chosen names cannot be taken.\n"
        "  latest.json: a symbolic link\n"
        "  fix: add them to `exclude` of [models.m] in models.toml\n"
    )
    _model(at, repository.source, 'files = ["config.json"]')
    at.ok("lock")
