"""What people paste where a source is due: addresses of pages and of repositories.

Pure: a text in, what it means out.  Nothing here asks a hub.

Promises (tests/formats/test_pages.py):
  * a source that is found can be read, and holds no query, user or token of the text;
  * the address of a file to download is never taken for the page of a repository.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from fetcher.core.manifest import HUGGINGFACE, MODELSCOPE, SourceRef

_REPO = r"(?P<repo>(?:datasets/)?[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*)"
_REST = r"(?P<rest>(?:[/?#].*)?)\Z"
_BARE = re.compile(rf"(?:models/)?{_REPO}/?\Z")
_PAGES = {
    MODELSCOPE: re.compile(rf"(?:https?://)?(?i:(?:www\.)?modelscope\.cn)/(?:models/|(?=datasets/)){_REPO}{_REST}"),
    HUGGINGFACE: re.compile(rf"(?:https?://)?(?i:(?:www\.)?huggingface\.co|hf\.co)/{_REPO}{_REST}"),
}
_CLONED = re.compile(rf"https?://(?i:(?:www\.)?modelscope\.cn)/{_REPO}\.git/?\Z")  # what the hub's page says to clone
_FILE = re.compile(r"/(?:resolve|raw)/")  # what both hubs put between a repository and a file to download
_TREE = re.compile(r"/tree/(?P<revision>[^/?#]+)")
_VIEW = re.compile(r"/(?:blob|file/view)/(?P<revision>[^/?#]+)/(?P<file>[^?#]+)")
_NO_OWNERS = frozenset({"api", "blog", "collections", "datasets", "docs", "learn", "models", "papers", "spaces"})
_GIT = re.compile(r"https://[^@?#\s]+\.git/?\Z")
_SCP = re.compile(r"(?P<user>[A-Za-z0-9._-]+)@(?P<host>[A-Za-z0-9.-]+):(?P<path>[^/\s][^\s]*)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page is of.

    Attributes:
        source: A source string.
        revision: The branch, tag or commit that it shows; None is the default.
        file: The file that it shows.
    """

    source: str
    revision: str | None = None
    file: str | None = None


def page_of(text: str) -> Page | None:
    """What the address of a hub's page means, with or without `https://`; None for all else."""
    for scheme, pattern in _PAGES.items():
        page = pattern.match(text)
        if page and not _FILE.match(page["rest"]):
            return _page(scheme, page["repo"], page["rest"])
    return None


def bare_repository(text: str) -> str | None:
    """The source meant by `OWNER/NAME`."""
    bare = _BARE.match(text)
    return _readable(MODELSCOPE, bare["repo"]) if bare else None


def cloned_repository(text: str) -> str | None:
    """The source meant by what one would give to `git clone`; None for all else."""
    cloned = _CLONED.match(text)
    if cloned:
        return _readable(MODELSCOPE, cloned["repo"])
    if _GIT.match(text):
        return f"git+{text.rstrip('/')}"
    scp = _SCP.match(text)
    return f"git+ssh://{scp['user']}@{scp['host']}/{scp['path']}" if scp else None


def _page(scheme: str, repo: str, rest: str) -> Page | None:
    source = _readable(scheme, repo)
    if source is None:
        return None
    view, tree = _VIEW.match(rest), _TREE.match(rest)
    if view:
        return Page(source=source, revision=unquote(view["revision"]), file=unquote(view["file"]))
    return Page(source=source, revision=unquote(tree["revision"]) if tree else None)


def _readable(scheme: str, repo: str) -> str | None:
    owner = repo.split("/")[-2]
    if owner in _NO_OWNERS:
        return None
    try:
        return str(SourceRef.parse(f"{scheme}:{repo.removesuffix('.git')}"))
    except ValueError:
        return None
