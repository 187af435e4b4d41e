"""One git remote as a source (core.interfaces.Source).

A snapshot takes three conversations with git: the refs, the commit with its trees and small
blobs, and all other ordinary blobs at once.  Their sha256 is not told: what is chosen of them is
asked for by `open`, proven by its blob id, and hashed.  Files in git-lfs are told by their pointers.
"""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fetcher.core.digest import Commit, GitBlob, is_commit
from fetcher.core.interfaces import Body, Description, RemoteAddress, RemoteFile, Snapshot
from fetcher.core.manifest import SourceRef
from fetcher.core.paths import RepoPath, refuse_twins
from fetcher.core.pointer import MAX_POINTER, Pointer, parse_pointer
from fetcher.core.retry import RetrySchedule
from fetcher.core.tags import Tag
from fetcher.errors import FetcherError, IntegrityError, NotFoundError, SourceError
from fetcher.net import git_refs
from fetcher.net.credentials import Token, basic
from fetcher.net.http import HttpClient
from fetcher.net.patience import Patience
from fetcher.net.redact import printable
from fetcher.sources.git_lfs.access import Access, user_and_token
from fetcher.sources.git_lfs.batch import Batch
from fetcher.sources.git_lfs.bodies import bytes_body, file_body, program_body
from fetcher.sources.git_lfs.complaints import explained, scrubbed
from fetcher.sources.git_lfs.program import Config, Git
from fetcher.sources.git_lfs.remote import Remote, is_safe_revision
from fetcher.sources.git_lfs.scratch import Entry, Refs, Scratch
from fetcher.sources.hub_words import named_refs

_TAGS, _PEELED = "refs/tags/", "^{}"
_IN_MEMORY = 1 << 20  # bytes; a larger blob is streamed
# What git may use instead of a remote's own protocol, by `url.….insteadOf` of the user.
_ALLOWED = {"https": ("https", "ssh"), "ssh": ("ssh", "https"), "http": ("http", "https"), "file": ("file",)}


@dataclass(slots=True, kw_only=True)
class _Tree:
    """What one commit holds.

    Attributes:
        files: By path; symbolic links and submodules are among them.
        pointers: What the small blobs among them point at, by blob id.
        wrong: Why a blob that is a pointer cannot be used, by blob id.
        sizes: Bytes of the blobs that are here.
    """

    files: Mapping[RepoPath, Entry]
    pointers: dict[str, Pointer] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """Blobs of files that are not here yet."""
        return sorted({entry.oid for entry in self.files.values() if entry.is_file} - self.sizes.keys())


class GitLfsSource:
    """One git remote.  Used by several threads at once.

    Args:
        address: The source string.
        client: Connections for large files; closed with the source.
        token_for: Tells the token for the scheme, host and port of a URL.
        login_for: Tells how to give one, for the fix of an error.
        ca_file: Certificates that git is to trust for this remote.
        scratch: A folder for what is needed during the run.
        environment: Of the person who runs fetcher.
        home: Their home folder.
    """

    def __init__(
        self,
        address: str,
        *,
        client: HttpClient,
        token_for: Callable[[str], Token | None],
        login_for: Callable[[str], str],
        ca_file: str | None = None,
        scratch: Path,
        environment: Mapping[str, str],
        home: Path,
        retry: RetrySchedule,
        idle_timeout_s: float = 60.0,
    ) -> None:
        remote = self._remote = Remote.of(SourceRef.parse(address))
        is_local = remote.scheme == "file"
        token = None if is_local else token_for(remote.web_url)
        token_fix = self._token_fix = _token_fix(remote, login_for)
        self._client = client
        self._secrets = _secrets(token)
        self._patience = Patience(retry)
        self._git = Git(
            environment=environment,
            allowed=_ALLOWED[remote.scheme],
            host=remote.label,
            idle_timeout_s=idle_timeout_s,
        )
        self._scratch = Scratch(
            self._git,
            url=remote.url,
            host=remote.label,
            root=scratch,
            config=_config(remote, token, ca_file),
            explain=self._explained,
        )
        self._batch = Batch(
            remote,
            client=client,
            access=Access(remote, git=self._git, token=token, home=home, environment=environment),
            token_fix=token_fix,
            scrub=lambda text: scrubbed(text, self._secrets),
        )
        self._lock = threading.Lock()  # one conversation with git at a time
        self._trees: dict[Commit, _Tree] = {}

    @property
    def label(self) -> str:
        """The host, or the folder of a git+file remote."""
        return printable(self._remote.label)

    def snapshot(self, ref: SourceRef, revision: str | None) -> Snapshot:
        """Resolve a revision and list all files at its commit (core.interfaces.Source)."""
        with self._lock:
            commit = self._commit(revision)
            tree = self._tree(commit)
            self._complete(tree)
        files = tuple(self._file(path, entry, tree) for path, entry in sorted(tree.files.items()))
        if not files:
            raise NotFoundError(
                f"{self.label} has no file at the revision {printable(revision or 'of its default branch')}.",
                facts=[f"commit: {commit}"],
                fix="set `revision` in models.toml to a branch, a tag or a full commit that has files",
            )
        return Snapshot(ref=ref, commit=commit, files=files)

    def open(self, address: RemoteAddress, start: int, stop: int) -> Body:
        """Ask for bytes of a file (core.interfaces.Source)."""
        with self._lock:
            tree = self._tree(address.commit)
            entry = tree.files.get(address.path)
            if entry is None or not entry.is_file:
                raise self._no_file(address)
            pointer = tree.pointers.get(entry.oid)
            if pointer is None:
                self._complete(tree)
        if pointer is None:
            return self._ordinary(entry, tree.sizes[entry.oid], start, stop)
        if self._remote.scheme == "file":
            return self._local(pointer, start, stop)
        return self._batch.open(pointer, lambda: _after(pointer, tree), start, stop)

    def describe(self, ref: SourceRef, commit: Commit, wanted: frozenset[str]) -> Description:
        """When a commit was made, as it says itself (core.interfaces.Describing); git knows no licence."""
        if "committed" not in wanted:
            return Description()
        with self._lock:
            self._tree(commit)
            return Description(committed_s=self._scratch.committed_s(commit))

    def tags(self, ref: SourceRef) -> tuple[Tag, ...]:
        """The tags with the commits that they name at last (core.interfaces.Tagging)."""
        refs = self._patience(lambda: self._scratch.refs(())).found
        names = (name for name in refs if name.startswith(_TAGS) and not name.endswith(_PEELED))
        return tuple(_tag(name.removeprefix(_TAGS), refs.get(f"{name}{_PEELED}") or refs[name]) for name in names)

    def close(self) -> None:
        """End every git, remove the scratch repository, release all connections."""
        self._git.close()
        self._scratch.close()
        self._client.close()

    # from a revision to a commit

    def _commit(self, revision: str | None) -> Commit:
        """The commit of a branch, tag, ref or commit; None is the default branch."""
        if revision is not None and is_commit(revision):
            return Commit(revision)
        if revision is not None and not is_safe_revision(revision):
            raise self._no_revision(revision, [])
        refs = self._patience(lambda: self._scratch.refs(_patterns(revision)))
        if revision is None:
            found = refs.default
        elif revision.startswith("refs/"):
            found = refs.found.get(f"{revision}^{{}}") or refs.found.get(revision)
        else:
            found = git_refs.commit_of(dict(refs.found), revision)
        if found is None:
            raise self._no_revision(revision, _names(self._patience(lambda: self._scratch.refs(()))))
        if len(found) != 40:
            raise self._explained("fatal: mismatched algorithms")
        return Commit(found)

    # trees

    def _tree(self, commit: Commit) -> _Tree:
        """What a commit holds; of its blobs the small ones at least are here."""
        if commit not in self._trees:
            self._patience(lambda: self._scratch.fetch_commit(commit))
            files = self._named(self._scratch.tree(commit))
            tree = _Tree(files=files, sizes=self._scratch.sizes())
            small = [oid for oid in _oids(files) if tree.sizes.get(oid, MAX_POINTER + 1) <= MAX_POINTER]
            for oid, content in self._scratch.small_blobs(small).items():
                try:
                    if pointer := parse_pointer(content):
                        tree.pointers[oid] = pointer
                except ValueError as error:
                    tree.wrong[oid] = str(error)
            self._trees[commit] = tree
        return self._trees[commit]

    def _complete(self, tree: _Tree) -> None:
        """Fetch the ordinary blobs that are not here yet, all at once."""
        missing = tree.missing()
        if not missing:
            return
        self._patience(lambda: self._scratch.fetch_blobs(missing))
        tree.sizes = self._scratch.sizes()
        if still := tree.missing():
            raise SourceError(
                f"{self.label} does not give all files of a commit.",
                facts=[f"missing: {len(still)} of {len(missing)} git blobs"],
                fix="run the command again, or use another source",
                transient=True,
            )

    def _named(self, entries: Sequence[Entry]) -> dict[RepoPath, Entry]:
        """The entries by their paths, if those are safe."""
        found: dict[RepoPath, Entry] = {}
        for entry in entries:
            try:
                found[RepoPath(entry.name.decode("utf-8"))] = entry
            except ValueError as error:
                reason = "its name is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
                raise self._hostile(reason) from None
        try:
            refuse_twins(found)
        except ValueError as error:
            raise self._hostile(str(error)) from None
        return found

    def _file(self, path: RepoPath, entry: Entry, tree: _Tree) -> RemoteFile:
        """An entry as a file of the snapshot."""
        if not entry.is_file:
            kind = "a submodule" if entry.mode == "160000" else "a symbolic link"
            return RemoteFile(path=path, size=0, sha256=None, obstacle=kind)
        if reason := tree.wrong.get(entry.oid):
            return RemoteFile(path=path, size=tree.sizes[entry.oid], sha256=None, obstacle=reason)
        if pointer := tree.pointers.get(entry.oid):
            return RemoteFile(path=path, size=pointer.size, sha256=pointer.sha256)
        return RemoteFile(path=path, size=tree.sizes[entry.oid], sha256=None, git_blob=GitBlob(entry.oid))

    # bytes

    def _ordinary(self, entry: Entry, size: int, start: int, stop: int) -> Body:
        if size <= _IN_MEMORY:
            return bytes_body(self._scratch.blob(entry.oid), start=start, stop=stop, host=self.label)
        process = self._scratch.stream(entry.oid)
        return program_body(process, size=size, host=self.label, end=self._git.end)

    def _local(self, pointer: Pointer, start: int, stop: int) -> Body:
        """Bytes of a large file that a repository on this machine holds."""
        for folder in (".git/lfs/objects", "lfs/objects"):
            name = os.path.join(self._remote.folder, folder, pointer.sha256[:2], pointer.sha256[2:4], pointer.sha256)
            try:
                return file_body(name, start=start, stop=stop, host=self.label)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise SourceError(
                    f"A large file of {self.label} cannot be read: {error.strerror}.",
                    facts=[f"file: {name}"],
                    fix="check the permissions of the file",
                ) from None
        raise NotFoundError(
            f"{self.label} does not hold a large file that it points at.",
            facts=[f"object: sha256 {pointer.sha256}, {pointer.size} bytes"],
            fix="run `git lfs fetch --all` in that repository",
        )

    # errors

    def _explained(self, complaint: str) -> FetcherError:
        return explained(complaint, host=self.label, secrets=self._secrets, token_fix=self._token_fix)

    def _no_revision(self, revision: str | None, facts: Sequence[str]) -> NotFoundError:
        what = f"no revision {printable(revision)}" if revision else "no default branch"
        return NotFoundError(
            f"{self.label} has {what} of this repository.",
            facts=facts,
            fix="set `revision` in models.toml to a branch, a tag or a full commit that exists",
        )

    def _no_file(self, address: RemoteAddress) -> NotFoundError:
        return NotFoundError(
            f"{self.label} does not have {address.path} at the locked commit.",
            facts=[f"commit: {address.commit}"],
            fix="run `fetcher lock --upgrade` to pin what is there now",
        )

    def _hostile(self, reason: str) -> IntegrityError:
        return IntegrityError(
            f"{self.label} lists a file that cannot be taken.",
            facts=[f"reason: {printable(reason)}"],
            fix="tell the owner of the repository, or leave the model out of models.toml",
        )


def _oids(files: Mapping[RepoPath, Entry]) -> list[str]:
    return sorted({entry.oid for entry in files.values() if entry.is_file})


def _after(pointer: Pointer, tree: _Tree) -> list[Pointer]:
    """The large files of a tree, from one of them on, round to the one before it."""
    oids = [entry.oid for _, entry in sorted(tree.files.items()) if entry.oid in tree.pointers]
    pointers = list(dict.fromkeys(tree.pointers[oid] for oid in oids))
    here = pointers.index(pointer)
    return [*pointers[here + 1 :], *pointers[:here]]


def _patterns(revision: str | None) -> list[str]:
    """The refs that a revision may name."""
    if revision is None:
        return ["HEAD"]
    if revision.startswith("refs/"):
        return [revision, f"{revision}^{{}}"]
    return [f"refs/heads/{revision}", f"refs/tags/{revision}", f"refs/tags/{revision}^{{}}"]


def _tag(name: str, commit: str) -> Tag:
    return Tag(name=printable(name), commit=Commit(commit) if is_commit(commit) else None)


def _names(refs: Refs) -> list[str]:
    """The branches and tags that exist, as facts of an error."""

    def below(prefix: str) -> list[str]:
        names = (name for name in refs.found if name.startswith(prefix) and not name.endswith("^{}"))
        return sorted(name.removeprefix(prefix) for name in names)

    return named_refs(below("refs/heads/"), below("refs/tags/"))


def _config(remote: Remote, token: Token | None, ca_file: str | None) -> Config:
    """Configuration of git for one server.

    An empty header takes away those of the user.  git would take a header along to where it is
    redirected, so with a token it follows none.
    """
    if remote.scheme not in ("http", "https"):
        return ()
    server = f"http.{remote.scheme}://{remote.label}/"
    header = (f"{server}.extraHeader", "")
    told = (
        (header, (header[0], f"Authorization: {basic(*user_and_token(token))}"), (f"{server}.followRedirects", "false"))
        if token
        else ()
    )
    return (*told, *(((f"{server}.sslCAInfo", ca_file),) if ca_file else ()))


def _token_fix(remote: Remote, login_for: Callable[[str], str]) -> str:
    """What to do when a token is missing or refused."""
    if remote.scheme == "file":
        return "check the folder's permissions"
    if remote.scheme == "ssh":
        return "load an ssh key that may read it"
    return f"{login_for(remote.web_url)}, or give git a credential for {remote.label}"


def _secrets(token: Token | None) -> tuple[str, ...]:
    """What no message may show."""
    if token is None:
        return ()
    header = basic(*user_and_token(token))
    return (token.secret, user_and_token(token)[1].secret, header, header.partition(" ")[2])
