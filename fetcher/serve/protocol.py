"""What is said on the wire: requests as questions, replies as values.  Pure.

The one module that knows ModelScope's URLs, field names, codes and oddities (read side
only).  It never looks at a disk, a clock or a socket; answers.py finds what is asked for.

Oddities kept on purpose, each held by tests/serve/test_protocol.py:
  * a listing of an unknown revision is a success with `Files: null`;
  * a listing of a model is cut at 3000 entries without a word;
  * a small file answers a bounded Range with status 200, `Content-Range` and a part,
    and ignores any other Range.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from urllib.parse import parse_qs, unquote, urlsplit

from fetcher.core.digest import is_commit
from fetcher.serve.repositories import DEFAULT_BRANCH, LFS_SIZE, RepoKey, Revisions, StoredFile, Tree
from fetcher.serve.wire import Answer, ByteRange, FileSlice, Headers, Request, cdn_range, gateway_range

LISTING_CUT = 3000  # entries, folders count
DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

FILE_NOT_FOUND = 10990101007
REPOSITORY_NOT_FOUND = 10010205001
BAD_TOKEN = 10010103009

_LFS_OBJECT = re.compile(r"/lfs-objects/([0-9a-f]{2})/([0-9a-f]{2})/([0-9a-f]{60})\Z")


# Questions


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFiles:
    """The listing of a model, or with `page` a page of the listing of a dataset."""

    key: RepoKey
    revision: str
    root: str
    recursive: bool
    page: int | None = None
    page_size: int = DEFAULT_PAGE_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class GetFile:
    """The bytes of one file."""

    key: RepoKey
    revision: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRevisions:
    """Branches and tags."""

    key: RepoKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCommits:
    """The commits of a revision, newest first."""

    key: RepoKey
    ref: str
    page: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvertiseRefs:
    """Git's own question for all refs."""

    key: RepoKey


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeRepository:
    """What the hub says about a repository (`/api/v1`)."""

    key: RepoKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryExists:
    """The same by `/openapi/v1`."""

    key: RepoKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A token to be exchanged for a session."""

    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoAmI:
    """Whose token it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetObject:
    """The bytes of a large file from the CDN path; `path` is what was signed.

    `commit` is said again in the answer: Hugging Face's client follows a redirect that stays
    on the host, and then looks for it there.
    """

    sha256: str
    path: str
    auth_key: str
    commit: str = ""


Question = (
    ListFiles
    | GetFile
    | ListRevisions
    | ListCommits
    | AdvertiseRefs
    | DescribeRepository
    | RepositoryExists
    | Login
    | WhoAmI
    | GetObject
)


def question_of(request: Request) -> Question | None:
    """What is asked; None for a path that this hub does not have.

    Raises:
        ValueError: The target or the body cannot be read.
    """
    parts = urlsplit(request.target)
    raw = parts.path.split("/")[1:]
    path = [unquote(segment, errors="strict") for segment in raw]
    query = {name: values[-1] for name, values in parse_qs(parts.query, errors="strict").items()}
    if path == ["api", "v1", "login"] and request.method == "POST":
        return Login(token=_token_in(request.body))
    if request.method == "POST":
        return None
    match path:
        case ["openapi", "v1", "users", "me"]:
            return WhoAmI()
        case ["openapi", "v1", ("models" | "datasets") as kind, owner, name]:
            return RepositoryExists(key=_key(kind, owner, name))
        case ["api", "v1", ("models" | "datasets") as kind, owner, name, *rest]:
            return _api_question(_key(kind, owner, name), rest, query)
        case [("models" | "datasets") as kind, owner, name, "resolve", revision, *file] if file:
            return GetFile(key=_key(kind, owner, name), revision=revision, path="/".join(file))
        case [*kinds, owner, name, "info", "refs"] if kinds in ([], ["models"], ["datasets"]):
            return _git_question(kinds, owner, name, query)
    return _object_question(parts.path, query)


def _api_question(key: RepoKey, rest: Sequence[str], query: Mapping[str, str]) -> Question | None:
    revision = query.get("Revision") or DEFAULT_BRANCH
    match list(rest):
        case []:
            return DescribeRepository(key=key)
        case ["revisions"]:
            return ListRevisions(key=key)
        case ["commits"]:
            return ListCommits(key=key, ref=query.get("Ref") or DEFAULT_BRANCH, page=_number(query, "PageNumber", 1))
        case ["repo"]:
            return GetFile(key=key, revision=revision, path=query.get("FilePath", ""))
        case ["repo", ("files" | "tree") as form] if key.dataset == (form == "tree"):
            size = min(_number(query, "PageSize", DEFAULT_PAGE_SIZE), MAX_PAGE_SIZE)
            return ListFiles(
                key=key,
                revision=revision,
                root=query.get("Root", "").strip("/"),
                recursive=query.get("Recursive", "").lower() == "true",
                page=_number(query, "PageNumber", 1) if key.dataset else None,
                page_size=size,
            )
    return None


def _git_question(kinds: Sequence[str], owner: str, name: str, query: Mapping[str, str]) -> Question | None:
    if not name.endswith(".git") or query.get("service") != "git-upload-pack":
        return None
    return AdvertiseRefs(key=_key(kinds[0] if kinds else "models", owner, name.removesuffix(".git")))


def _object_question(path: str, query: Mapping[str, str]) -> Question | None:
    found = _LFS_OBJECT.match(path)
    if not found:
        return None
    commit = query.get("commit", "")
    if commit and not is_commit(commit):
        raise ValueError("commit is none")
    return GetObject(sha256="".join(found.groups()), path=path, auth_key=query.get("auth_key", ""), commit=commit)


def _key(kind: str, owner: str, name: str) -> RepoKey:
    return RepoKey(owner=owner, name=name, dataset=kind == "datasets")


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    number = int(query.get(name, default))
    if not 1 <= number <= 10**9:
        raise ValueError(f"{name} must be 1 or more")
    return number


def _token_in(body: bytes) -> str:
    try:
        said = json.loads(body)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    token = said.get("AccessToken") if isinstance(said, dict) else None
    if not isinstance(token, str):
        raise ValueError("AccessToken must be a text")  # noqa: TRY004 - it is the request that is wrong
    return token


# Answers


def _json(status: int, document: Mapping[str, object], headers: Headers = ()) -> Answer:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Answer(status=status, headers=(("Content-Type", "application/json"), *headers), body=text.encode())


def success(data: object, *, request_id: str, headers: Headers = ()) -> Answer:
    """The envelope of `/api/v1` around `data`."""
    document = {"Code": 200, "Success": True, "Message": "success", "RequestId": request_id, "Data": data}
    return _json(200, document, headers)


def failure(status: int, code: int, message: str, *, request_id: str) -> Answer:
    """The envelope of `/api/v1` for a refusal."""
    return _json(status, {"Code": code, "Success": False, "Message": message, "RequestId": request_id, "Data": None})


def open_success(data: object, *, request_id: str) -> Answer:
    """The envelope of `/openapi/v1` around `data`."""
    return _json(200, {"success": True, "data": data, "request_id": request_id})


def open_failure(status: int, code: str, message: str, *, request_id: str) -> Answer:
    """The envelope of `/openapi/v1` for a refusal."""
    return _json(status, {"success": False, "code": code, "message": message, "request_id": request_id})


def listing(tree: Tree | None, question: ListFiles) -> dict[str, object]:
    """`Data` of a listing: cut for models, paged for datasets, null for an unknown revision."""
    if tree is None:
        return {"Files": None, "LatestCommitter": None, "TotalCount": 0}
    entries = _entries(tree, root=question.root, recursive=question.recursive)
    total = len(entries)
    if question.page is None:
        entries = entries[:LISTING_CUT]
    else:
        first = (question.page - 1) * question.page_size
        entries = entries[first : first + question.page_size]
    committer = {"Id": "", "ShortId": tree.commit[:8], "Title": "", "CommittedDate": tree.changed_s}
    return {"Files": entries, "LatestCommitter": committer, "TotalCount": total}


def _entries(tree: Tree, *, root: str, recursive: bool) -> list[dict[str, object]]:
    prefix = f"{root}/" if root else ""
    folders: set[str] = set()
    blobs = []
    for path, file in tree.files.items():
        if not path.startswith(prefix):
            continue
        parts = path[len(prefix) :].split("/")
        below = len(parts) if recursive else min(len(parts), 2)
        folders.update(prefix + "/".join(parts[:depth]) for depth in range(1, below))
        if recursive or len(parts) == 1:
            blobs.append(_blob(file))
    return [_folder(path, tree) for path in sorted(folders)] + blobs


def _blob(file: StoredFile) -> dict[str, object]:
    # The last commit that touched the file, which is not the head.
    touched = sha1(f"{file.path}\0{file.sha256}".encode(), usedforsecurity=False).hexdigest()
    changed_s = file.stamp.mtime_ns // 10**9
    return _entry("blob", file.path, touched, changed_s) | {
        "Size": file.size,
        "Sha256": str(file.sha256),
        "IsLFS": file.size >= LFS_SIZE,
        "Mode": "33188",
    }


def _folder(path: str, tree: Tree) -> dict[str, object]:
    touched = sha1(path.encode(), usedforsecurity=False).hexdigest()
    return _entry("tree", path, touched, tree.changed_s) | {"Size": 0, "Sha256": "", "IsLFS": False, "Mode": "16384"}


def _entry(kind: str, path: str, revision: str, changed_s: int) -> dict[str, object]:
    return {
        "Type": kind,
        "Path": path,
        "Name": path.rpartition("/")[2],
        "Revision": revision,
        "CommitMessage": "published",
        "CommittedDate": changed_s,
        "CommitterName": "fetcher",
        "InCheck": False,
    }


def revision_map(revisions: Revisions) -> dict[str, object]:
    """`Data` of the branches and tags; without commits, as on the hub."""

    def shown(trees: Mapping[str, Tree]) -> list[dict[str, object]]:
        return [{"Revision": name, "CreatedAt": tree.changed_s} for name, tree in trees.items()]

    return {"RevisionMap": {"Branches": shown(revisions.branches), "Tags": shown(revisions.tags)}}


def commits(tree: Tree | None, *, page: int) -> dict[str, object]:
    """`Data` of the commits of a revision: a folder has one, so later pages are empty."""
    if tree is None:
        return {"Commit": None, "TotalCount": 0}
    commit = {
        "Id": tree.commit,
        "ShortId": tree.commit[:8],
        "Title": "published",
        "Message": "published",
        "AuthorName": "fetcher",
        "CommitterName": "fetcher",
        "CommittedDate": tree.changed_s,
        "CreatedAt": tree.changed_s,
    }
    return {"Commit": [commit] if page == 1 else [], "TotalCount": 1}


def repository(key: RepoKey, *, private: bool, changed_s: int, license: str | None = None) -> dict[str, object]:
    """`Data` of a repository; Visibility 5 is public, 1 private.  The hub calls a licence that it does not know ""."""
    number = int(sha1(str(key).encode(), usedforsecurity=False).hexdigest()[:7], 16)
    return {
        "Id": number,
        "Name": key.name,
        "Path": key.owner,
        "Owner": key.owner,
        "Namespace": key.owner,
        "Visibility": 1 if private else 5,
        "Revision": DEFAULT_BRANCH,
        "LastUpdatedTime": changed_s,
        "License": license or "",
    }


def advertised_refs(revisions: Revisions) -> Answer:
    """Git's advertisement of refs (gitprotocol-http, smart); tags are annotated, so peeled too."""
    heads = {f"refs/heads/{name}": tree.commit for name, tree in sorted(revisions.branches.items())}
    head = DEFAULT_BRANCH if DEFAULT_BRANCH in revisions.branches else min(revisions.branches)
    refs = [("HEAD", str(revisions.branches[head].commit)), *heads.items()]
    for name, tree in sorted(revisions.tags.items()):
        tag = sha1(f"tag {name} {tree.commit}".encode(), usedforsecurity=False).hexdigest()
        refs += [(f"refs/tags/{name}", tag), (f"refs/tags/{name}^{{}}", tree.commit)]
    lines = [f"{commit} {name}" for name, commit in refs]
    lines[0] += f"\0symref=HEAD:refs/heads/{head} object-format=sha1 agent=fetcher"
    body = _packets(["# service=git-upload-pack\n"]) + _packets(f"{line}\n" for line in lines)
    headers = (("Content-Type", "application/x-git-upload-pack-advertisement"), ("Cache-Control", "no-cache"))
    return Answer(status=200, headers=headers, body=body)


def _packets(lines: Iterable[str]) -> bytes:
    texts = [line.encode() for line in lines]
    return b"".join(b"%04x%s" % (len(text) + 4, text) for text in texts) + b"0000"


def object_path(file: StoredFile) -> str:
    """The CDN path of a large file."""
    return f"/lfs-objects/{file.sha256[:2]}/{file.sha256[2:4]}/{file.sha256[4:]}"


def gateway_file(file: StoredFile, headers: Mapping[str, str]) -> Answer:
    """A small file as the gateway sends it: always status 200, `Content-Range` when it is a part.

    Raises:
        UnsatisfiableRangeError: Nothing of the range exists.
    """
    wanted = gateway_range(headers.get("range"), file.size)
    return _file_answer(file, wanted, status=200)


def cdn_file(file: StoredFile, headers: Mapping[str, str]) -> Answer:
    """A large file as the CDN path sends it (RFC 9110: 13.1.5 for If-Range, 15.3.7 for 206).

    Raises:
        UnsatisfiableRangeError: Nothing of the range exists.
    """
    condition = headers.get("if-range")
    applies = condition is None or condition == _etag(file)
    wanted = cdn_range(headers.get("range"), file.size) if applies else None
    return _file_answer(file, wanted, status=206 if wanted else 200)


def _file_answer(file: StoredFile, wanted: ByteRange | None, *, status: int) -> Answer:
    part = wanted or ByteRange(start=0, stop=file.size)
    headers = [
        ("Content-Type", "application/octet-stream"),
        ("Accept-Ranges", "bytes"),
        ("ETag", _etag(file)),
        ("X-Linked-ETag", _etag(file)),
    ]
    if wanted:
        headers.append(("Content-Range", f"bytes {part.start}-{part.stop - 1}/{file.size}"))
    return Answer(status=status, headers=tuple(headers), body=FileSlice(file=file, start=part.start, stop=part.stop))


def unsatisfiable(size: int) -> Answer:
    """The refusal of a range that does not exist; `size` is the file's, in bytes."""
    return Answer(status=416, headers=(("Content-Range", f"bytes */{size}"),))


def _etag(file: StoredFile) -> str:
    return f'"{file.sha256}"'
