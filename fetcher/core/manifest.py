"""What is wanted: models.toml as values.

Reading the text is formats/manifest_toml.py; which kinds of source exist in this
version is sources/catalog.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from fetcher.core.digest import Sha256
from fetcher.core.kinds import (
    BUILT_IN_SCHEMES as BUILT_IN_SCHEMES,
)
from fetcher.core.kinds import (
    FOLDER as FOLDER,
)
from fetcher.core.kinds import (
    GIT as GIT,
)
from fetcher.core.kinds import (
    GIT_SCHEMES as GIT_SCHEMES,
)
from fetcher.core.kinds import (
    HUB_KINDS as HUB_KINDS,
)
from fetcher.core.kinds import (
    HUGGINGFACE as HUGGINGFACE,
)
from fetcher.core.kinds import (
    MODELSCOPE as MODELSCOPE,
)
from fetcher.core.kinds import (
    SHORT_FORMS as SHORT_FORMS,
)
from fetcher.core.kinds import (
    URL_SCHEMES as URL_SCHEMES,
)
from fetcher.core.kinds import (
    CacheLayout as CacheLayout,
)
from fetcher.core.paths import ModelName, RepoPath
from fetcher.core.web import WebFile, checked

if TYPE_CHECKING:
    from fetcher.core.policy import Policy  # loaded by those projects that have one

_OWNER_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*\Z")
_NAME_ALONE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\Z")
_SCHEME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
# Also what is not seen, or turns text around: a source is shown in messages and compared by eye.
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff"
_CONTROL = re.compile(f"[{_UNSEEN}]")
_CONTROL_OR_SPACE = re.compile(f"[ {_UNSEEN}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRef:
    """A parsed source string.

    Attributes:
        scheme: `modelscope`, `huggingface`, `git+https`, `https`, `file`, or the
            NAME of a `[sources.NAME]`; short forms are already expanded.
        repo: `OWNER/NAME` for hubs (the oldest of Hugging Face have no owner), else what
            follows the scheme; a folder as `../DIR`, without `./` in front and `/` behind.
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
        odd = _CONTROL_OR_SPACE if scheme != FOLDER else _CONTROL
        if not colon or not rest or not _SCHEME.match(scheme) or odd.search(text):
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
            if scheme in URL_SCHEMES:
                checked(f"{scheme}:{rest}")
            return cls(scheme=scheme, repo=rest)
        if scheme == FOLDER:
            return cls(scheme=scheme, repo=_folder(rest))
        kind, _, inner = rest.partition("/")
        may_lack_owner = scheme == HUGGINGFACE
        # `models/NAME` alone has an owner called `models`, but where a name may stand alone.
        prefixed = kind in ("datasets", "models") and ("/" in inner or (may_lack_owner and bool(inner)))
        repo, dataset = (inner, kind == "datasets") if prefixed else (rest, False)
        if not _OWNER_NAME.match(repo) and not (may_lack_owner and _NAME_ALONE.match(repo)):
            raise ValueError(f"expected `{scheme}:OWNER/NAME` or `{scheme}:datasets/OWNER/NAME`, got {_shown(text)}")
        return cls(scheme=scheme, repo=repo, dataset=dataset)

    @property
    def is_url(self) -> bool:
        """Whether it is the address of a file or folder on a web server."""
        return self.scheme in URL_SCHEMES

    @property
    def has_commits(self) -> bool:
        """Whether it names its states itself; a URL and a folder are what they are now."""
        return not self.is_url and self.scheme != FOLDER

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
        addresses: Digest of the addresses that `files` gives to its names, if it does.
    """

    revision: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    addresses: Sha256 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One `[models.NAME]` with the defaults applied.

    Attributes:
        target: Folder of its files: relative to the manifest with `/`, or absolute; with a
            `layout` that of the cache, and None for the library's own.
        layout: Whose cache its files are laid out as.
        web: Its files with their addresses, if its source is a URL.
        records: The keys of the lock's section that the policy needs: `license`, `committed`, `formats`.
    """

    name: ModelName
    source: SourceRef
    requested: Requested = field(default_factory=Requested)
    fallback: tuple[SourceRef, ...] = ()
    groups: tuple[str, ...] = ()
    target: str | None
    layout: CacheLayout | None = None
    web: tuple[WebFile, ...] = ()
    records: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One `[sources.NAME]`: a named endpoint of a known kind.

    Attributes:
        endpoint: Base URL without a trailing slash.
        mirrors: Base URLs that serve the same bytes.
        token_env: Name of the variable that holds the token.
        ca_file: Certificates that this source trusts besides; relative to the manifest.
    """

    name: str
    kind: str
    endpoint: str
    mirrors: tuple[str, ...] = ()
    token_env: str | None = None
    ca_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """models.toml, parsed.

    Attributes:
        default_groups: Of models in groups, those that commands are about which name none; None is all.
    """

    models: Mapping[ModelName, ModelSpec]
    sources: Mapping[str, Endpoint] = field(default_factory=dict)
    default_groups: tuple[str, ...] | None = None
    policy: "Policy | None" = None

    def with_policy(self, policy: "Policy") -> Self:
        """With a policy, and each model told what the lock must record for it."""
        models = {name: replace(spec, records=policy.records) for name, spec in self.models.items()}
        return replace(self, models=models, policy=policy)

    @property
    def addresses(self) -> Mapping[SourceRef, Mapping[RepoPath, str]]:
        """Where the files of URLs are, by source; no name of a source has two addresses."""
        found: dict[SourceRef, dict[RepoPath, str]] = {}
        for spec in self.models.values():
            if spec.source.is_url:
                found.setdefault(spec.source, {}).update((file.path, file.url) for file in spec.web)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Of models.toml, what a lock does not say: where models go, their groups, named endpoints, what is allowed.

    Attributes:
        targets: NAME to folder: relative to the manifest with `/`, or absolute; of a model in
            `caches` that of the cache.
        addresses: Where the files of URLs are, by source.
        caches: NAME to whose cache its files are laid out as, where they are.
        default_groups: As the manifest's.
    """

    targets: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]]
    sources: Mapping[str, Endpoint]
    addresses: Mapping[SourceRef, Mapping[RepoPath, str]]
    caches: Mapping[str, CacheLayout] = field(default_factory=dict)
    default_groups: tuple[str, ...] | None = None
    policy: "Policy | None" = None

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """That of a manifest without mistakes."""
        return cls(
            targets={name: spec.target for name, spec in manifest.models.items() if spec.target is not None},
            groups={name: spec.groups for name, spec in manifest.models.items()},
            sources=manifest.sources,
            addresses=manifest.addresses,
            caches={name: spec.layout for name, spec in manifest.models.items() if spec.layout is not None},
            default_groups=manifest.default_groups,
            policy=manifest.policy,
        )

    def takes_by_default(self, name: str) -> bool:
        """Whether a command that names no model and no group is about this one."""
        groups = self.groups.get(name, ())
        return self.default_groups is None or not groups or bool({*groups} & {*self.default_groups})

    def with_own_caches(self, folders: Mapping[CacheLayout, str]) -> Self:
        """With the libraries' own caches as targets of the models that have a layout and no target."""
        own = {name: folders[layout] for name, layout in self.caches.items() if name not in self.targets}
        return replace(self, targets={**self.targets, **own})


def _folder(text: str) -> str:
    """A folder as the lock writes it: one spelling for each.

    Raises:
        ValueError: `file://HOST/…`, `~`, or nothing.
    """
    if text.startswith("//"):
        host, slash, path = text[2:].partition("/")
        if host or not slash:
            raise ValueError("expected `file:DIR` with a folder of this machine")
        text = f"/{path}"
    if text.startswith("~") or "\\" in text:
        raise ValueError("expected `file:DIR` with `/` between its parts; `~` is not expanded")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    root = "/" if text.startswith("/") else ""
    return root + "/".join(parts) or "."


def _shown(text: str) -> str:
    """A source that cannot be read, for a message; what precedes an `@` may be a token."""
    return "a text with an `@` in it" if "@" in text else repr(text[:120])
