"""Source strings, addresses of web servers and names of files in folders."""

import os
from urllib.parse import urlsplit

from fetcher.core.manifest import SourceRef
from fetcher.core.paths import RepoPath
from fetcher.core.web import SecretInAddress, address_of, checked, file_name, is_folder, joined
from fetcher.errors import ConfigError
from fetcher.sources.git_lfs.remote import Remote
from tests.fuzz.oracles import require_inside, require_short

_HUB = "https://files.example/releases/"


def address(data: bytes) -> None:
    """A source string of a manifest that somebody else has committed, and the address of one file."""
    text = data.decode("utf-8", "surrogateescape")
    for each in (text, f"https:{text}", f"git+ssh://{text}", f"git+https://{text}"):
        try:
            _source(SourceRef.parse(each))
        except ValueError as error:
            require_short(str(error))
    for url in (text, f"{_HUB}{text}"):
        try:
            _web(joined(_HUB, url))
        except SecretInAddress as error:
            _require_silent(str(error), text)
        except ValueError as error:
            require_short(str(error))


def _require_silent(message: str, secret: str) -> None:
    """An address that carries a secret is not repeated."""
    assert len(secret) < 8 or secret not in message, message


def _source(ref: SourceRef) -> None:
    if not ref.scheme.startswith("git+"):
        return
    try:
        remote = Remote.of(ref)
    except ConfigError as error:
        require_short(str(error))
        return
    for part in (remote.url, remote.host, remote.user, remote.folder if remote.scheme == "file" else "/"):
        assert not part.startswith("-"), part
        assert not any(sign in part for sign in " \0\r\n"), part


def _web(url: str) -> None:
    known = checked(url)
    assert "@" not in urlsplit(known).netloc
    assert urlsplit(known).scheme in ("http", "https")
    if is_folder(known):
        there = address_of(known, "a b/é.bin")
        assert urlsplit(there).netloc == urlsplit(known).netloc
    else:
        require_inside(file_name(known))


def name(data: bytes) -> None:
    """A name in a folder, as the system gives it."""
    text = os.fsdecode(data)
    try:
        path = RepoPath(text)
    except ValueError as error:
        require_short(str(error))
        return
    require_inside(path)
    path.encode("utf-8")
