"""One git remote as a source: revisions, listings, bytes."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from fetcher.core.digest import Commit, GitBlob, Sha256
from fetcher.core.interfaces import RemoteAddress, RemoteFile, Snapshot
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import RepoPath
from fetcher.core.retry import RetrySchedule
from fetcher.errors import FetcherError, IntegrityError, NotFoundError, SourceError
from fetcher.net.http import HttpClient
from fetcher.sources.git_lfs.scratch import sweep
from fetcher.sources.git_lfs.source import GitLfsSource
from tests.sources.git_server import GitServer, Repository, git, in_git, needs_git_lfs

LARGE = bytes(range(256)) * 1000
MakeSource = Callable[[str], GitLfsSource]


@pytest.fixture
def repository(server: GitServer) -> Repository:
    return server.repository("owner/model")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[MakeSource]:
    made: list[GitLfsSource] = []

    def make(address: str) -> GitLfsSource:
        made.append(
            GitLfsSource(
                address,
                client=HttpClient(idle_timeout_s=10.0),
                token_for=lambda url: None,
                login_for=lambda url: "run `fetcher login X`",
                scratch=tmp_path / "scratch",
                environment=os.environ,
                home=tmp_path / "home",
                retry=RetrySchedule(attempts=1),
                idle_timeout_s=20.0,
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


def _listed(source: GitLfsSource, revision: str | None = None) -> Snapshot:
    return source.snapshot(SourceRef.parse("git+https://git.example/a"), revision)


def _files(snapshot: Snapshot) -> dict[str, RemoteFile]:
    return {file.path: file for file in snapshot.files}


def _read(source: GitLfsSource, snapshot: Snapshot, path: str, start: int = 0, stop: int | None = None) -> bytes:
    """The bytes that a reply brings, from wherever it begins."""
    file = _files(snapshot)[path]
    address = RemoteAddress(
        ref=snapshot.ref, commit=snapshot.commit, path=file.path, size=file.size, sha256=file.sha256
    )
    content = bytearray()
    buffer = memoryview(bytearray(64 << 10))
    with source.open(address, start, file.size if stop is None else stop) as body:
        while count := body.readinto(buffer):
            content += buffer[:count]
    return bytes(content)


def _failing(source: GitLfsSource, revision: str | None = None) -> FetcherError:
    with pytest.raises(FetcherError) as caught:
        _listed(source, revision)
    return caught.value


# --- revisions ---------------------------------------------------------------------------


def test_a_revision_is_a_branch_a_tag_a_ref_or_a_commit(repository: Repository, source: MakeSource) -> None:
    """A tag with a message means the commit that it points at; a branch comes before a tag."""
    first = repository.publish({"a": b"1"})
    git("tag", "-a", "v1", "-m", "x", folder=repository.work)
    git("tag", "both", folder=repository.work)
    second = repository.publish({"a": b"2"})
    git("branch", "both", folder=repository.work)
    git("update-ref", "refs/pr/1", first, folder=repository.work)
    repository.push("refs/tags/v1", "refs/tags/both", "refs/heads/both", "refs/pr/1")
    asked = source(repository.source)
    for revision, commit in {
        None: second,
        "main": second,
        "v1": first,
        "both": second,
        "refs/pr/1": first,
        "refs/tags/v1": first,
        first: first,
    }.items():
        assert _listed(asked, revision).commit == commit, revision


def test_the_default_is_the_remote_s_own(repository: Repository, source: MakeSource) -> None:
    """It is seldom called as ours would be."""
    repository.publish({"a": b"1"})
    git("branch", "-m", "trunk", folder=repository.work)
    wanted = repository.commit("two")
    repository.push("trunk")
    git("symbolic-ref", "HEAD", "refs/heads/trunk", folder=repository.bare)
    assert _listed(source(repository.source)).commit == wanted


def test_a_commit_that_no_ref_names_is_given(repository: Repository, source: MakeSource) -> None:
    """A lock outlives the branch that it was made from."""
    repository.write({"a": b"1"})
    lost = repository.commit()
    repository.push()
    repository.write({"a": b"2"})
    git("commit", "-q", "--amend", "-a", "-m", "other", folder=repository.work)
    git("push", "-qf", "origin", "main", folder=repository.work)
    asked = source(repository.source)
    assert _read(asked, _listed(asked, lost), "a") == b"1"


def test_a_revision_that_does_not_exist_is_answered_with_those_that_do(
    repository: Repository, source: MakeSource, server: GitServer
) -> None:
    """Most often it is `master` for `main`."""
    repository.publish({"a": b"1"})
    git("tag", "v1", folder=repository.work)
    repository.push("v1")
    host = server.url.removeprefix("http://")
    for revision in ("master", "--upload-pack=x", "*", "a b", "deadbeef"):
        error = _failing(source(repository.source), revision)
        assert isinstance(error, NotFoundError)
        names = ("branches: main", "tags: v1") if revision in ("master", "deadbeef") else ()
        assert (error.what, error.facts) == (f"{host} has no revision {revision} of this repository.", names)
        assert error.fix == "set `revision` in models.toml to a branch, a tag or a full commit that exists"


def test_a_commit_that_does_not_exist_is_not_found(repository: Repository, source: MakeSource) -> None:
    """Nor is a blob's name that of a commit."""
    repository.publish({"a": b"1"})
    error = _failing(source(repository.source), "0" * 40)
    assert isinstance(error, NotFoundError)
    assert error.what.endswith(" does not give the commit that was asked for.")
    blob = git("rev-parse", "main:a", folder=repository.work)
    error = _failing(source(repository.source), blob)
    assert isinstance(error, SourceError)
    assert error.what.endswith(" has something else under the name of a commit.")
    assert error.facts == (f"name: {blob}", "kind: blob")


def test_an_empty_repository_has_no_default_branch(repository: Repository, source: MakeSource) -> None:
    """Nor a commit without files anything to lock."""
    error = _failing(source(repository.source))
    assert error.what.endswith(" has no default branch of this repository.")
    repository.commit()
    repository.push()
    error = _failing(source(repository.source))
    assert error.what.endswith(" has no file at the revision of its default branch.")


def test_object_names_by_sha256_are_refused(tmp_path: Path, source: MakeSource) -> None:
    """Their ids would be taken for something else."""
    git("init", "-q", "--object-format=sha256", "-b", "main", str(tmp_path / "r"))
    git("commit", "-q", "--allow-empty", "-m", "x", folder=tmp_path / "r")
    error = _failing(source(in_git(tmp_path / "r")))
    assert error.what == f"{tmp_path / 'r'} has a repository with SHA-256 object names, which fetcher does not read."


# --- listings ----------------------------------------------------------------------------


@needs_git_lfs
def test_a_listing_tells_what_pointers_and_blobs_tell(repository: Repository, source: MakeSource) -> None:
    """The sha256 of large files, the blob id of the others; executable ones are files."""
    repository.write({"big.bin": LARGE, "run.sh": b"#!/bin/sh\n", "sub/mid.txt": b"x" * 5000}, large=["*.bin"])
    (repository.work / "run.sh").chmod(0o755)
    repository.commit()
    repository.push()
    found = _files(_listed(source(repository.source)))
    attributes = b"*.bin filter=lfs diff=lfs merge=lfs -text\n"
    assert found == {
        ".gitattributes": _blob(".gitattributes", attributes),
        "big.bin": RemoteFile(
            path=RepoPath("big.bin"), size=len(LARGE), sha256=Sha256(hashlib.sha256(LARGE).hexdigest())
        ),
        "run.sh": _blob("run.sh", b"#!/bin/sh\n"),
        "sub/mid.txt": _blob("sub/mid.txt", b"x" * 5000),
    }


def _blob(path: str, content: bytes) -> RemoteFile:
    oid = hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()
    return RemoteFile(path=RepoPath(path), size=len(content), sha256=None, git_blob=GitBlob(oid))


def test_what_is_no_file_is_listed_with_the_reason(repository: Repository, source: MakeSource) -> None:
    """Whoever chooses it is told; whoever does not, is not."""
    repository.write({"a": b"1", "broken": b"version https://git-lfs.github.com/spec/v1\noid md5:0\n"})
    os.symlink("/etc/passwd", repository.work / "link")
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module", folder=repository.work)
    git("add", "a", "broken", "link", folder=repository.work)
    git("commit", "-q", "-m", "x", folder=repository.work)
    repository.push()
    found = _files(_listed(source(repository.source)))
    assert {path: file.obstacle for path, file in found.items()} == {
        "a": None,
        "broken": "a git-lfs pointer that cannot be read",
        "link": "a symbolic link",
        "module": "a submodule",
    }
    asked = source(repository.source)
    with pytest.raises(NotFoundError):
        _read(asked, _listed(asked), "link")


def test_a_server_that_cannot_filter_serves_the_same(server: GitServer, source: MakeSource) -> None:
    """It sends all blobs with the commit."""
    files = {"small": b"1", "mid": b"x" * 5000}
    plain = server.repository("owner/plain", uploadpack_allowFilter="false")
    plain.publish(files)
    asked = source(plain.source)
    snapshot = _listed(asked)
    assert {path: _read(asked, snapshot, path) for path in _files(snapshot)} == files
    assert [path for path in server.paths("POST") if "receive" not in path].count(
        "/owner/plain.git/git-upload-pack"
    ) >= 2


def test_many_blobs_are_one_request(server: GitServer, repository: Repository, source: MakeSource) -> None:
    """git itself would ask for each of a partial clone's blobs alone."""
    repository.publish({f"{number}.txt": f"{number}".encode() * 1000 for number in range(60)})
    server.asked.clear()
    asked = source(repository.source)
    snapshot = _listed(asked)
    assert _read(asked, snapshot, "59.txt") == b"59" * 1000
    assert server.paths("POST") == ["/owner/model.git/git-upload-pack"] * 3


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([b".."], "unsafe path '..': it has '..' as a part"),
        ([b".git"], "unsafe path '.git': '.git' is a folder of git or of fetcher"),
        ([b"a\\b"], "unsafe path 'a\\\\b': it holds a backslash or a control character"),
        ([b"a\xff"], "its name is not UTF-8"),
        ([b"A", b"a"], "'A' and 'a' would be the same file on some systems"),
    ],
)
def test_a_tree_with_hostile_names_is_refused(
    repository: Repository, source: MakeSource, names: list[bytes], reason: str, server: GitServer
) -> None:
    """git itself writes such trees when it is asked to."""
    blob = git("hash-object", "-w", "--stdin", folder=repository.bare, said=b"x")
    tree = b"".join(b"100644 %s\0%s" % (name, bytes.fromhex(blob)) for name in names)
    words = ["hash-object", "-w", "-t", "tree", "--literally", "--stdin"]
    commit = git("commit-tree", "-m", "x", git(*words, folder=repository.bare, said=tree), folder=repository.bare)
    git("update-ref", "refs/heads/main", commit, folder=repository.bare)
    error = _failing(source(repository.source))
    assert isinstance(error, IntegrityError)
    host = server.url.removeprefix("http://")
    assert (error.what, error.facts) == (f"{host} lists a file that cannot be taken.", (f"reason: {reason}",))
    assert error.fix == "tell the owner of the repository, or leave the model out of models.toml"


# --- bytes -------------------------------------------------------------------------------


@needs_git_lfs
def test_bytes_are_those_of_the_commit(repository: Repository, source: MakeSource) -> None:
    """Small blobs and parts of them, blobs that are streamed, large files."""
    files = {"small": b"0123456789", "streamed": os.urandom(3 << 20), "big.bin": LARGE, "empty": b""}
    repository.publish(files, large=["*.bin"])
    asked = source(repository.source)
    snapshot = _listed(asked)
    assert {name: _read(asked, snapshot, name) for name in files} == files
    assert _read(asked, snapshot, "small", 3, 7) == b"3456"


def test_a_file_that_the_commit_does_not_have_is_not_found(
    repository: Repository, source: MakeSource, server: GitServer
) -> None:
    """A lock that was merged wrongly, or a remote that was replaced."""
    commit = repository.publish({"a": b"1"})
    address = RemoteAddress(
        ref=SourceRef.parse("git+https://git.example/a"),
        commit=Commit(commit),
        path=RepoPath("b"),
        size=1,
        sha256=Sha256("0" * 64),
    )
    with pytest.raises(NotFoundError) as caught:
        source(repository.source).open(address, 0, 1)
    assert str(caught.value) == (
        f"{server.url.removeprefix('http://')} does not have b at the locked commit.\n"
        f"  commit: {commit}\n"
        "  fix: run `fetcher lock --upgrade` to pin what is there now"
    )


@needs_git_lfs
@pytest.mark.parametrize("kind", ["with a working copy", "bare"])
def test_a_repository_on_this_machine_gives_its_large_files(tmp_path: Path, source: MakeSource, kind: str) -> None:
    """From where git-lfs keeps them; no server is needed."""
    work = tmp_path / "work"
    git("init", "-q", "-b", "main", str(work))
    repository = Repository(work=work, bare=work, url="")
    repository.write({"big.bin": LARGE, "a": b"1"}, large=["*.bin"])
    repository.commit()
    folder, objects = work, work / ".git" / "lfs" / "objects"
    if kind == "bare":
        folder = tmp_path / "bare"
        git("clone", "-q", "--bare", str(work), str(folder), GIT_LFS_SKIP_SMUDGE="1")
        objects = objects.rename(folder / "lfs-objects")
        (folder / "lfs").mkdir()
        objects.rename(folder / "lfs" / "objects")
    asked = source(in_git(folder))
    snapshot = _listed(asked)
    assert _read(asked, snapshot, "big.bin") == LARGE
    assert _read(asked, snapshot, "big.bin", 256, 260) == b"\0\1\2\3"


@needs_git_lfs
def test_a_repository_that_lacks_its_large_files_says_how_to_get_them(tmp_path: Path, source: MakeSource) -> None:
    """A clone without smudge holds pointers only."""
    work, clone = tmp_path / "work", tmp_path / "clone"
    git("init", "-q", "-b", "main", str(work))
    repository = Repository(work=work, bare=work, url="")
    repository.write({"big.bin": LARGE}, large=["*.bin"])
    repository.commit()
    git("clone", "-q", str(work), str(clone), GIT_LFS_SKIP_SMUDGE="1")
    asked = source(in_git(clone))
    snapshot = _listed(asked)
    with pytest.raises(NotFoundError) as caught:
        _read(asked, snapshot, "big.bin")
    assert str(caught.value) == (
        f"{clone} does not hold a large file that it points at.\n"
        f"  object: sha256 {hashlib.sha256(LARGE).hexdigest()}, {len(LARGE)} bytes\n"
        "  fix: run `git lfs fetch --all` in that repository"
    )


# --- the scratch repository --------------------------------------------------------------


def test_what_a_killed_run_left_is_swept_away(tmp_path: Path) -> None:
    """And what another run holds is not, however old."""
    for name in ("git-held", "git-left", "git-unmarked", "git-new", "other"):
        (tmp_path / name / "objects").mkdir(parents=True)
    for name in ("git-held", "git-left"):
        (tmp_path / f"{name}.lock").touch()
    old = (tmp_path / "git-new").stat().st_mtime - 25 * 3600
    for name in ("git-held", "git-unmarked", "other"):
        os.utime(tmp_path / name, (old, old))
    with FileLock(tmp_path / "git-held.lock"):
        sweep(tmp_path, now_s=old + 25 * 3600)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["git-held", "git-held.lock", "git-new", "other"]


def test_a_closed_source_leaves_nothing_behind(tmp_path: Path, repository: Repository, source: MakeSource) -> None:
    """The folder is there while it is needed."""
    repository.publish({"a": b"1"})
    asked = source(repository.source)
    _listed(asked)
    assert len(list((tmp_path / "scratch").iterdir())) == 2
    asked.close()
    assert list((tmp_path / "scratch").iterdir()) == []
