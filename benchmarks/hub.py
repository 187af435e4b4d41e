"""A hub that nginx serves by itself: prepared answers and the places where they stand.

Each data set is the repository `bench/NAME`, in the words of ModelScope and of Hugging
Face, as far as their official clients, and fetcher, ask when they download.  Like on the
real hubs, files of 1 MiB and more are redirected to another host (a second address of
loopback: hf follows redirects within a host by itself), small ones come at once
(ModelScope) or after a relative redirect (Hugging Face), and listings of Hugging Face
have 1000 entries a page.  No program answers requests, so no client waits for one.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.data import DataFile, DataSet

OWNER = "bench"
HUB, CDN = "127.0.0.1", "127.0.0.2"  # both served alike, on the same ports
BRANCHES = ("master", "main")  # what the two official clients ask for when told nothing
_DATE = "2026-01-01T00:00:00.000Z"
_EPOCH = 1767225600  # the same in seconds
_HF_PAGE = 1000  # entries

Json = dict[str, Any] | list[Any]


def repository(data: DataSet) -> str:
    """OWNER/NAME."""
    return f"{OWNER}/{data.name}"


def commit_of(data: DataSet) -> str:
    """The one commit of a set's repository; made from its content."""
    text = "".join(f"{file.sha256} {file.name}\n" for file in data.files)
    return hashlib.sha1(text.encode()).hexdigest()


def write_answers(data: DataSet, folder: Path) -> None:
    """Write a set's JSON answers into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, answer in _answers(data):
        (folder / f"{name}.json").write_text(json.dumps(answer, separators=(",", ":")), encoding="utf-8")


def http_settings(sets: Sequence[DataSet]) -> str:
    """What nginx needs in `http`: names in queries and what headers say about files."""
    facts = [(f"{data.name}/{file.name}", data, file) for data in sets for file in data.files]
    sizes = "\n".join(f'    "{key}" {file.size};' for key, _, file in facts)
    etags = "\n".join(f'    "{key}" \'"{_etag(data, file)}"\';' for key, data, file in facts)
    return f"""
map_hash_max_size 16384;
map_hash_bucket_size 256;
map $arg_FilePath $asked {{ "~^(?<flat>[a-z0-9.-]+)$" $flat; default ""; }}
map $arg_cursor $page {{ "~^(?<digits>[0-9]+)$" $digits; default 1; }}
map $http_host $cdn {{ "~:(?<port>[0-9]+)$" {CDN}:$port; default {CDN}; }}
map "$set/$file" $file_size {{
{sizes}
}}
map "$set/$file" $file_etag {{
{etags}
}}
{"".join(_next_page(data) for data in sets)}"""


def locations(sets: Sequence[DataSet], *, answers: Path, files: Path) -> str:
    """What nginx needs in each `server`."""
    shared = f"""
location /files/ {{ alias {files}/; }}
location /lfs/ {{ alias {files}/; }}
"""
    return shared + "".join(_modelscope(data, answers, files) + _hugging_face(data, answers, files) for data in sets)


# ModelScope


def _modelscope(data: DataSet, answers: Path, files: Path) -> str:
    api = f"/api/v1/models/{repository(data)}"
    if data.is_lfs:
        send = f"return 302 $scheme://$cdn/lfs/{data.name}/$asked?auth_key=0;"
    else:
        send = f"root {files}; try_files /{data.name}/$asked =404;"
    here = answers / data.name
    return f"""
location = {api} {{ default_type application/json; alias {here}/ms-repo.json; }}
location = {api}/revisions {{ default_type application/json; alias {here}/ms-revisions.json; }}
location = {api}/commits {{ default_type application/json; alias {here}/ms-commits.json; }}
location = {api}/repo/files {{ default_type application/json; alias {here}/ms-files.json; }}
location = {api}/repo {{ {send} }}
"""


def _envelope(content: Json) -> Json:
    return {"Code": 200, "Success": True, "Message": "success", "RequestId": "0", "Data": content}


def _entry(data: DataSet, file: DataFile) -> Json:
    return {
        "Type": "blob",
        "Path": file.name,
        "Name": file.name,
        "Size": file.size,
        "Sha256": file.sha256,
        "Revision": commit_of(data),
        "IsLFS": data.is_lfs,
        "Mode": "33188",
        "CommitMessage": "files",
        "CommittedDate": _EPOCH,
        "CommitterName": OWNER,
        "InCheck": False,
    }


# Hugging Face


def _hugging_face(data: DataSet, answers: Path, files: Path) -> str:
    api, commit, here = f"/api/models/{repository(data)}", commit_of(data), answers / data.name
    name = "(?<file>[a-z0-9.-]+)"
    resolve = f"~ ^/{repository(data)}/resolve/[^/]+/{name}$"
    known = f"set $set {data.name}; add_header X-Repo-Commit {commit};"
    linked = "add_header X-Linked-Etag $file_etag; add_header X-Linked-Size $file_size;"
    cached = f"/api/resolve-cache/models/{repository(data)}/{commit}"
    if data.is_lfs:
        send = f"location {resolve} {{ {known} {linked} return 302 $scheme://$cdn/lfs/{data.name}/$file?sig=0; }}"
    else:
        send = f"""
location {resolve} {{ {known} return 307 {cached}/$file; }}
location ~ ^{cached}/{name}$ {{ {known} etag off; add_header ETag $file_etag; alias {files}/{data.name}/$file; }}"""
    return f"""
location = {api} {{ default_type application/json; alias {here}/hf-revision.json; }}
location ~ ^{api}/revision/[^/]+$ {{ default_type application/json; alias {here}/hf-revision.json; }}
location ~ ^{api}/tree/[^/]+$ {{
    default_type application/json; add_header Link $next_{data.name}; alias {here}/hf-tree-$page.json;
}}
{send}
"""


def _next_page(data: DataSet) -> str:
    """Which page has a `Link` to which; an empty header is not sent."""
    pages = -(-len(data.files) // _HF_PAGE)
    url = f"$scheme://$http_host/api/models/{repository(data)}/tree/{commit_of(data)}?recursive=true&cursor"
    links = "".join(f"    {page} '<{url}={page + 1}>; rel=\"next\"';\n" for page in range(1, pages))
    return f'map $page $next_{data.name} {{\n    default "";\n{links}}}\n'


def _etag(data: DataSet, file: DataFile) -> str:
    """A file's sha256 where the hub keeps it outside git; else 40 digits in the place of its git id."""
    return file.sha256 if data.is_lfs else _git_id(data, file)


def _git_id(data: DataSet, file: DataFile) -> str:
    content = (data.folder / file.name).read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _leaf(data: DataSet, file: DataFile) -> Json:
    if not data.is_lfs:
        return {"type": "file", "oid": _git_id(data, file), "size": file.size, "path": file.name}
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{file.sha256}\nsize {file.size}\n".encode()
    return {
        "type": "file",
        "oid": hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest(),
        "size": file.size,
        "path": file.name,
        "lfs": {"oid": file.sha256, "size": file.size, "pointerSize": len(pointer)},
    }


# all answers


def _answers(data: DataSet) -> Iterator[tuple[str, Json]]:
    commit = commit_of(data)
    names = [{"Revision": branch, "CreatedAt": _EPOCH} for branch in BRANCHES]
    files = [_entry(data, file) for file in data.files]
    yield "ms-repo", _envelope({"Id": 1, "Name": data.name, "Path": OWNER, "Visibility": 5})
    yield "ms-revisions", _envelope({"RevisionMap": {"Branches": names, "Tags": []}})
    yield "ms-commits", _envelope({"Commit": [{"Id": commit}], "TotalCount": 1})
    yield "ms-files", _envelope({"Files": files, "LatestCommitter": {"Id": "", "ShortId": commit[:8]}})
    yield "hf-revision", _hf_repository(data, commit)
    leaves = [_leaf(data, file) for file in data.files]
    for page, start in enumerate(range(0, len(leaves), _HF_PAGE), start=1):
        yield f"hf-tree-{page}", leaves[start : start + _HF_PAGE]


def _hf_repository(data: DataSet, commit: str) -> Json:
    return {
        "_id": "0" * 24,
        "id": repository(data),
        "modelId": repository(data),
        "author": OWNER,
        "sha": commit,
        "lastModified": _DATE,
        "createdAt": _DATE,
        "private": False,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [{"rfilename": file.name} for file in data.files],
    }
