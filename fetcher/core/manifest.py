"""What is wanted: models.toml as values.

Reading the text is formats/manifest_toml.py; which kinds of source exist in this
version is sources/catalog.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from fetcher.core.paths import ModelName

MODELSCOPE = "modelscope"
HUGGINGFACE = "huggingface"
HUB_KINDS = (MODELSCOPE, HUGGINGFACE)
SHORT_FORMS = {"ms": MODELSCOPE, "hf": HUGGINGFACE}
GIT_SCHEMES = ("git+https", "git+ssh", "git+file", "git+http")
URL_SCHEMES = ("https", "http")
BUILT_IN_SCHEMES = (*HUB_KINDS, *GIT_SCHEMES, *URL_SCHEMES, "file")

_OWNER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*\Z")
_SCHEME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    """A parsed source string.

    Attributes:
        scheme: `modelscope`, `huggingface`, `git+https`, `https`, `file`, or the
            NAME of a `[sources.NAME]`; short forms are already expanded.
        repo: `OWNER/NAME` for hubs, else what follows the scheme.
        dataset: Whether it names a dataset of a hub.
    """

    scheme: str
    repo: str
    dataset: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a source string (design 2), such as `modelscope:datasets/OWNER/NAME`.

        Raises:
            ValueError: Says which forms exist; never repeats what may be a secret.
        """
        scheme, colon, rest = text.partition(":")
        if not colon or not rest or not _SCHEME.match(scheme) or _CONTROL.search(text):
            raise ValueError(
                f"expected a source such as `modelscope:OWNER/NAME`, `huggingface:OWNER/NAME`, "
                f"`git+https://…`, `https://…` or `file:DIR`, got {_shown(text)}"
            )
        scheme = SHORT_FORMS.get(scheme, scheme)
        if scheme in GIT_SCHEMES or scheme in URL_SCHEMES:
            if not rest.startswith("//") or len(rest) < 3:
                raise ValueError(f"expected `{scheme}://…`, got {_shown(text)}")
            user, at, _ = rest.split("/")[2].rpartition("@")
            if at and (scheme != "git+ssh" or ":" in user):
                raise ValueError(
                    "expected a source without a user or a token in it; put the token into an environment variable"
                )
            return cls(scheme=scheme, repo=rest)
        if scheme == "file":
            return cls(scheme=scheme, repo=rest)
        kind, _, inner = rest.partition("/")
        prefixed = kind in ("datasets", "models") and "/" in inner  # `models/NAME` alone has an owner called `models`
        repo, dataset = (inner, kind == "datasets") if prefixed else (rest, False)
        if not _OWNER_NAME.match(repo):
            raise ValueError(f"expected `{scheme}:OWNER/NAME` or `{scheme}:datasets/OWNER/NAME`, got {_shown(text)}")
        return cls(scheme=scheme, repo=repo, dataset=dataset)

    def __str__(self) -> str:
        return f"{self.scheme}:{'datasets/' if self.dataset else ''}{self.repo}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requested:
    """The wishes that decide which commit and which files are locked.

    Attributes:
        revision: Branch, tag or commit; None is the source's default.
        include: Patterns, sorted; empty is everything.
        exclude: Patterns, sorted; beats include.
        files: Exact names that must exist, sorted; beats exclude.
    """

    revision: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One `[models.NAME]` with the defaults applied.

    Attributes:
        target: Folder of its files: relative to the manifest with `/`, or absolute.
    """

    name: ModelName
    source: SourceRef
    requested: Requested = field(default_factory=Requested)
    fallback: tuple[SourceRef, ...] = ()
    groups: tuple[str, ...] = ()
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One `[sources.NAME]`: a named endpoint of a known kind.

    Attributes:
        endpoint: Base URL without a trailing slash.
        mirrors: Base URLs that serve the same bytes.
        token_env: Name of the variable that holds the token.
    """

    name: str
    kind: str
    endpoint: str
    mirrors: tuple[str, ...] = ()
    token_env: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """models.toml, parsed."""

    models: Mapping[ModelName, ModelSpec]
    sources: Mapping[str, Endpoint] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Of models.toml, what a lock does not say: where models go, in which groups they are, named endpoints.

    Attributes:
        targets: NAME to folder: relative to the manifest with `/`, or absolute.
    """

    targets: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]]
    sources: Mapping[str, Endpoint]

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """That of a manifest without mistakes."""
        return cls(
            targets={name: spec.target for name, spec in manifest.models.items()},
            groups={name: spec.groups for name, spec in manifest.models.items()},
            sources=manifest.sources,
        )


def _shown(text: str) -> str:
    """A source that cannot be read, for a message; what precedes an `@` may be a token."""
    return "a text with an `@` in it" if "@" in text else repr(text[:120])
