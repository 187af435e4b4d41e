"""Addresses of files on web servers: which may stand in a committed file, and what they name.  Pure.

Promises (tests/core/test_web.py):
  * an address that is accepted carries no user, no token and no signature;
  * no message repeats an address that was refused;
  * a file's name that comes from an address is safe (core/paths.py).
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urljoin, urlsplit

from fetcher.core.digest import Sha256
from fetcher.core.kinds import URL_SCHEMES
from fetcher.core.paths import RepoPath

_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\\]")
# Names of parameters that carry a right: S3, GCS, Azure, OSS, CloudFront, nginx, and what people call a token.
_SECRET_NAME = re.compile(
    r"sig|token|auth|secret|passw|pwd|credential|policy|expire|key|hmac|md5|hash|session|jwt|x-amz|x-goog|x-oss|\Ase\Z"
    r"|\Ast\Z|\Asv\Z|\Asp\Z|\Ae\Z|\Acode\Z",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(r"[A-Za-z0-9+/=_~-]{20,}")  # 120 bits of base64; no name of a branch or a file format

_THIS_MACHINE = re.compile(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|(?:[a-z0-9.-]+\.)?localhost", re.IGNORECASE)


class SecretInAddress(ValueError):
    """An address that carries a right of its own; its text is not repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFile:
    """One file of a model that comes from web servers.

    Attributes:
        sha256: What models.toml says that it is, if it does.
    """

    path: RepoPath
    url: str
    sha256: Sha256 | None = None


def checked(url: str) -> str:
    """An address as it is, if it may stand in a committed file.

    Raises:
        SecretInAddress: It carries a user, a token or a signature.
        ValueError: It is no address of a file or folder on a web server.
    """
    parts = urlsplit(url)
    if parts.scheme not in URL_SCHEMES or not parts.hostname or _SPACE_OR_CONTROL.search(url):
        raise ValueError("expected an address such as `https://host.example/file.bin`")
    if parts.port == 0 or parts.fragment or "#" in url:
        raise ValueError("expected an address without a `#` and with a port that exists")
    if "@" in parts.netloc:
        raise SecretInAddress("expected an address without a user or a token in it")
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if _SECRET_NAME.search(name) or _SECRET_VALUE.fullmatch(value):
            raise SecretInAddress("expected an address without a token or a signature in its query")
    return url


def is_folder(url: str) -> bool:
    """Whether an address names a folder: its path ends with `/`."""
    return urlsplit(url).path.endswith("/") or not urlsplit(url).path


def file_name(url: str) -> RepoPath:
    """The name of the file that an address ends in.

    Raises:
        ValueError: It has none, or one that is not safe.
    """
    return RepoPath(unquote(urlsplit(url).path.rpartition("/")[2], errors="strict"))


def address_of(url: str, path: str) -> str:
    """The address of a file at a source: below a folder, or the source itself."""
    if not is_folder(url):
        return url
    parts = urlsplit(url)
    folder = parts.path.rstrip("/")
    return parts._replace(path=f"{folder}/{quote(path)}").geturl()


def joined(source: str, text: str) -> str:
    """An address that may be written relative to its source."""
    return urljoin(source, text)


def is_private_way(url: str) -> bool:
    """Whether nobody on the way can change what an address sends: TLS, or this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return True
    return bool(_THIS_MACHINE.fullmatch(parts.hostname or ""))


def addresses_digest(files: Iterable[WebFile]) -> Sha256:
    """Digest of who is where: the sorted lines `<path> <url>\\n`; tells that an address was changed."""
    text = "".join(sorted(f"{file.path} {file.url}\n" for file in files))
    return Sha256(hashlib.sha256(text.encode("utf-8")).hexdigest())
