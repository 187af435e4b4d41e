"""What Hugging Face's hub says on the wire, read side: requests as questions, replies as values.  Pure.

The one module of this room that knows that hub's URLs, field names, headers and codes;
hf_answers.py finds what is asked for.

Oddities kept on purpose, each held by tests/serve/test_hf_protocol.py:
  * a small file answers by a relative redirect, a large one by a redirect to a signed link,
    whose own headers carry the commit, the size and the sha256;
  * of small files the listing tells the git blob only, of large ones that of the pointer too;
  * a missing repository and a private one look alike, and are a 401 to who shows no token.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1
from urllib.parse import parse_qs, quote, unquote, urlsplit

from fetcher.core.digest import GitBlob
from fetcher.serve.repositories import RepoKey, Revisions, StoredFile, Tree
from fetcher.serve.wire import Answer, FileSlice, Headers, Request, cdn_range

DEFAULT_REVISION = "main"
PAGE = 1000  # entries
_DATE = "2024-01-01T00:00:00.000Z"  # clients want one; a folder has none that means anything
_CURSOR = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe:
    """What a repository is at a revision, with the names of its files."""

    key: RepoKey
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTree:
    """A page of a listing; `folder` is "" for the root, `cursor` the number of entries before the page."""

    key: RepoKey
    revision: str
    folder: str
    recursive: bool
    cursor: int
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListCommits:
    """The commits that lead to a revision, the last one first."""

    key: RepoKey
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRefs:
    """Branches and tags with their commits."""

    key: RepoKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve:
    """Where the bytes of a file are."""

    key: RepoKey
    revision: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """The bytes of a small file, to which `Resolve` leads."""

    key: RepoKey
    revision: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoAmI:
    """Whose token it is."""


Question = Describe | ListTree | ListCommits | ListRefs | Resolve | Send | WhoAmI


def question_of(request: Request) -> Question | None:
    """What is asked; None for a path that Hugging Face does not have.

    Raises:
        ValueError: The target cannot be read.
    """
    if request.method == "POST":
        return None
    parts = urlsplit(request.target)
    path = [unquote(segment, errors="strict") for segment in parts.path.split("/")[1:]]
    query = {name: values[-1] for name, values in parse_qs(parts.query, errors="strict").items()}
    match path:
        case ["api", "whoami-v2"]:
            return WhoAmI()
        case ["api", ("models" | "datasets") as kind, owner, name, *rest]:
            return _about(RepoKey(owner=owner, name=name, dataset=kind == "datasets"), rest, query)
        case ["api", "resolve-cache", ("models" | "datasets") as kind, owner, name, revision, *file] if file:
            key = RepoKey(owner=owner, name=name, dataset=kind == "datasets")
            return Send(key=key, revision=revision, path="/".join(file))
        case ["datasets", owner, name, "resolve", revision, *file] if file:
            return Resolve(key=RepoKey(owner=owner, name=name, dataset=True), revision=revision, path="/".join(file))
        case [owner, name, "resolve", revision, *file] if file:
            return Resolve(key=RepoKey(owner=owner, name=name), revision=revision, path="/".join(file))
    return None


def _about(key: RepoKey, rest: Sequence[str], query: Mapping[str, str]) -> Question | None:
    match rest:
        case []:
            return Describe(key=key, revision=DEFAULT_REVISION)
        case ["revision", revision]:
            return Describe(key=key, revision=revision)
        case ["refs"]:
            return ListRefs(key=key)
        case ["commits", revision]:
            return ListCommits(key=key, revision=revision)
        case ["tree", revision, *folder]:
            return ListTree(
                key=key,
                revision=revision,
                folder="/".join(folder).strip("/"),
                recursive=query.get("recursive", "").lower() in ("true", "1"),
                cursor=_count(query, "cursor", 0),
                limit=min(_count(query, "limit", PAGE) or PAGE, PAGE),
            )
    return None


def _count(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not _CURSOR.fullmatch(text):
        raise ValueError(f"{name} is no number")
    return int(text)


# Answers


def told(document: object, headers: Headers = ()) -> Answer:
    """A 200 with JSON."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Answer(
        status=200, headers=(("Content-Type", "application/json; charset=utf-8"), *headers), body=text.encode()
    )


def refusal(status: int, code: str | None, message: str) -> Answer:
    """A refusal; clients read the headers."""
    said = json.dumps({"error": message}).encode()
    codes: Headers = (("X-Error-Code", code),) if code else ()
    shown = message.encode("ascii", "replace").decode()
    return Answer(
        status=status, headers=(("Content-Type", "application/json"), *codes, ("X-Error-Message", shown)), body=said
    )


def no_repository(*, has_token: bool) -> Answer:
    """Nothing is told of what may be private."""
    return refusal(404 if has_token else 401, "RepoNotFound", "Repository not found")


def no_revision(revision: str) -> Answer:
    """The repository is there, the revision is not."""
    return refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")


def no_entry(path: str) -> Answer:
    """The revision is there, the file is not."""
    return refusal(404, "EntryNotFound", f"Entry not found: {path}")


def description(key: RepoKey, tree: Tree, *, private: bool, license: str | None = None) -> dict[str, object]:
    """What a repository is, with the names of all of its files and what its card says of the licence."""
    number = sha1(str(key).encode(), usedforsecurity=False).hexdigest()[:24]
    return {
        "_id": number,
        "id": str(key),
        **({} if key.dataset else {"modelId": str(key)}),
        "author": key.owner,
        "sha": tree.commit,
        "private": private,
        "gated": False,
        "disabled": False,
        "tags": [f"license:{license}"] if license else [],
        **({"cardData": {"license": license}} if license else {}),
        "downloads": 0,
        "likes": 0,
        "createdAt": _DATE,
        "lastModified": _DATE,
        "siblings": [{"rfilename": path} for path in tree.files],
    }


def history(tree: Tree) -> list[dict[str, object]]:
    """The commits that lead to a tree: a folder has one."""
    made = datetime.fromtimestamp(tree.changed_s, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    author = {"user": "fetcher", "avatar": ""}
    return [{"id": tree.commit, "title": "published", "message": "", "authors": [author], "date": made}]


def page_of(tree: Tree, question: ListTree, lfs: frozenset[str]) -> tuple[list[dict[str, object]], int | None]:
    """A page of a listing, and where the next one begins; nothing for a folder that is not there.

    Args:
        lfs: Paths of the files that git keeps a pointer of only.
    """
    entries = _entries(tree, folder=question.folder, recursive=question.recursive, lfs=lfs)
    stop = question.cursor + question.limit
    return entries[question.cursor : stop], stop if stop < len(entries) else None


def _entries(tree: Tree, *, folder: str, recursive: bool, lfs: frozenset[str]) -> list[dict[str, object]]:
    prefix = f"{folder}/" if folder else ""
    found: dict[str, dict[str, object]] = {}
    for path, file in tree.files.items():
        if not path.startswith(prefix):
            continue
        parts = path[len(prefix) :].split("/")
        for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
            parent = prefix + "/".join(parts[:depth])
            oid = sha1(parent.encode(), usedforsecurity=False).hexdigest()
            found.setdefault(parent, {"type": "directory", "oid": oid, "size": 0, "path": parent})
        if recursive or len(parts) == 1:
            found[path] = _file(file, is_lfs=path in lfs)
    return [found[path] for path in sorted(found)]


def _file(file: StoredFile, *, is_lfs: bool) -> dict[str, object]:
    if not is_lfs:
        return {"type": "file", "oid": file.git_blob, "size": file.size, "path": file.path}
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{file.sha256}\nsize {file.size}\n".encode()
    oid = sha1(b"blob %d\0" % len(pointer) + pointer, usedforsecurity=False).hexdigest()
    lfs = {"oid": file.sha256, "size": file.size, "pointerSize": len(pointer)}
    return {"type": "file", "oid": oid, "size": file.size, "lfs": lfs, "path": file.path}


def next_page(base_url: str, question: ListTree, cursor: int) -> Headers:
    """The link to the next page (RFC 8288), as the hub writes it: whole, with its own host."""
    kind = "datasets" if question.key.dataset else "models"
    folder = f"/{quote(question.folder)}" if question.folder else ""
    query = f"recursive={str(question.recursive).lower()}&expand=false&limit={question.limit}&cursor={cursor}"
    path = f"/api/{kind}/{quote(str(question.key))}/tree/{quote(question.revision, safe='')}{folder}"
    return (("Link", f'<{base_url}{path}?{query}>; rel="next"'),)


def refs(revisions: Revisions, default: str) -> dict[str, object]:
    """Branches and tags; the folder's own files are `main` here."""

    def shown(trees: Mapping[str, Tree], kind: str) -> list[dict[str, str]]:
        names = {
            (DEFAULT_REVISION if name == default and kind == "heads" else name): tree for name, tree in trees.items()
        }
        return [
            {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": tree.commit}
            for name, tree in sorted(names.items())
        ]

    return {"branches": shown(revisions.branches, "heads"), "converts": [], "tags": shown(revisions.tags, "tags")}


def leads_to_small(question: Resolve, file: StoredFile, commit: str) -> Answer:
    """The relative redirect of a small file."""
    kind = "datasets" if question.key.dataset else "models"
    location = f"/api/resolve-cache/{kind}/{quote(str(question.key))}/{commit}/{quote(file.path)}"
    return Answer(status=307, headers=(("Location", location), *_about_file(commit, file.git_blob)))


def leads_to_large(file: StoredFile, commit: str, link: str) -> Answer:
    """The redirect of a large file; `link` is signed."""
    linked = (("X-Linked-Size", str(file.size)), ("X-Linked-ETag", f'"{file.sha256}"'))
    return Answer(status=302, headers=(("Location", link), *linked, *_about_file(commit, None)))


def small_file(file: StoredFile, commit: str, headers: Mapping[str, str]) -> Answer:
    """The bytes of a small file, or a part of them.

    Raises:
        UnsatisfiableRangeError: Nothing of the range exists.
    """
    part = cdn_range(headers.get("range"), file.size)
    start, stop = (part.start, part.stop) if part else (0, file.size)
    ranged: Headers = (("Content-Range", f"bytes {start}-{stop - 1}/{file.size}"),) if part else ()
    return Answer(
        status=206 if part else 200,
        headers=(
            ("Content-Type", "application/octet-stream"),
            ("Accept-Ranges", "bytes"),
            *_about_file(commit, file.git_blob),
            *ranged,
        ),
        body=FileSlice(file=file, start=start, stop=stop),
    )


def _about_file(commit: str, git_blob: GitBlob | None) -> Headers:
    return (("X-Repo-Commit", commit), *((("ETag", f'"{git_blob}"'),) if git_blob else ()))
