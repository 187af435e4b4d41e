"""The keys of models.toml that only a URL or a folder needs: `sha256`, addresses in `files`.

Not in here: what an address may be (core/web.py), the rest of the file (manifest_toml.py).

Promises (tests/formats/test_addresses.py; whole messages in test_bad_manifests.py):
  * each file of a URL has one address, which anybody may read, and a safe name;
  * what is not encrypted is taken only from this machine or with its sha256.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from fetcher.core.digest import Sha256
from fetcher.core.manifest import FOLDER, SourceRef
from fetcher.core.paths import RepoPath, refuse_twins
from fetcher.core.web import SecretInAddress, WebFile, address_of, checked, file_name, is_folder, is_private_way, joined
from fetcher.formats.manifest_values import secret_in_address
from fetcher.formats.problems import refusal

_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})\Z", re.IGNORECASE)


def _digest(text: str) -> str:
    found = _DIGEST.match(text)
    if not found:
        raise refusal("is not a sha256", expected="64 hex digits", fix="write what `sha256sum FILE` prints")
    return found[1].lower()


def _address(text: str) -> str:
    try:
        checked(joined("https://host.example/", text))
    except SecretInAddress:
        raise secret_in_address() from None
    except ValueError:
        raise refusal(
            "is not the address of a file",
            expected="such as `https://host.example/file.bin`, or a path below `source`",
            fix="correct the address",
        ) from None
    return text


Digest = Annotated[str, AfterValidator(_digest), Field(json_schema_extra={"pattern": r"^(?:sha256:)?[0-9a-fA-F]{64}$"})]
Address = Annotated[
    str, AfterValidator(_address), Field(json_schema_extra={"pattern": r"^[^\u0000-\u0020\u007f\\#]+$"})
]


class AddressTable(BaseModel):
    """One file of a URL source: where it is, and what it is."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    url: Address = Field(
        description="Where the file is; may be relative to `source`.", examples=["https://host.example/model.bin"]
    )
    sha256: Digest | None = Field(
        default=None,
        description="What the file must be. Left out: what it is when it is locked first.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    )


def _is_table(value: object) -> str:
    return "[table]" if isinstance(value, dict) else "[text]"


Entry = Annotated[Annotated[Address, Tag("[text]")] | Annotated[AddressTable, Tag("[table]")], Discriminator(_is_table)]
Files = Sequence[str] | Mapping[str, str | AddressTable]


def require_fitting(ref: SourceRef, files: Files | None, sha256: str | None, wishes: Mapping[str, object]) -> None:
    """Refuse keys that the kind of a model's source does not know.

    Args:
        wishes: The model's own `revision`, `include` and `exclude`.

    Raises:
        Refused: Says which key.
    """
    if not ref.is_url and isinstance(files, Mapping):
        raise refusal(
            "gives addresses, which only a URL takes",
            expected="a list of names",
            fix='write `files = ["NAME", …]`, or a `source` that begins with `https://`',
            at="files",
        )
    if sha256 is not None and (not ref.is_url or is_folder(str(ref))):
        raise refusal(
            "belongs to a URL that names one file",
            expected='for several files `files = { "NAME" = { url = "…", sha256 = "…" } }`',
            fix="remove `sha256`, or write it for each file",
            at="sha256",
        )
    unknown = ("revision", "include", "exclude") if ref.is_url else ("revision",) if ref.scheme == FOLDER else ()
    for key in unknown:
        if wishes.get(key):
            raise refusal(
                f"has no meaning for {'a URL' if ref.is_url else 'a folder'}",
                expected="`files` with the names that are wanted" if ref.is_url else "no revision",
                fix=f"remove `{key}`",
                at=key,
            )
    if ref.is_url:
        _require_files(ref, files)


def _require_files(ref: SourceRef, files: Files | None) -> None:
    if is_folder(str(ref)) and not files:
        raise refusal(
            "names a folder of a web server, which does not list what it has",
            expected='`files = ["NAME", …]` beside it, or the address of one file',
            fix="add a line `files` with the names that are wanted",
            at="source",
        )
    if not is_folder(str(ref)) and files:
        raise refusal(
            "names one file, and `files` asks for files below it",
            expected="a folder with `/` at its end beside `files`",
            fix="remove `files`, or let `source` end with `/`",
            at="source",
        )


def web_files(ref: SourceRef, files: Files | None, sha256: str | None) -> tuple[WebFile, ...]:
    """The files of a URL, sorted by path; to be called after `require_fitting`.

    Raises:
        Refused: A name or an address cannot be used.
    """
    found = tuple(sorted(_web_files(str(ref), files, sha256), key=lambda file: file.path))
    try:
        refuse_twins(file.path for file in found)
    except ValueError as error:
        raise refusal(
            "holds names that cannot stand side by side", expected=str(error), fix="rename one of them", at="files"
        ) from None
    for file in found:
        if not is_private_way(file.url) and file.sha256 is None:
            raise refusal(
                "is not encrypted, so anybody on the way could choose what is locked",
                expected="`https://…`, or the file's sha256 beside it",
                fix="write `https://`, or add `sha256`",
                at=("files", file.path) if isinstance(files, Mapping) else "source",
            )
    return found


def require_one_address(models: Mapping[str, tuple[SourceRef, Sequence[WebFile]]]) -> None:
    """Refuse two models of one source in which a name has two addresses: a lock knows name and source only.

    Raises:
        Refused: Says which model and name.
    """
    known: dict[tuple[SourceRef, RepoPath], tuple[str, str]] = {}
    for name, (ref, files) in models.items():
        for file in files:
            other, url = known.setdefault((ref, file.path), (name, file.url))
            if url != file.url:
                raise refusal(
                    f"has another address than in [models.{other}], which has the same `source`",
                    expected="one address for a name of a source",
                    fix="give one of the two models a folder of its own as `source`",
                    at=("models", name, "files", file.path),
                )


def _web_files(source: str, files: Files | None, sha256: str | None) -> Iterator[WebFile]:
    if not files:
        yield WebFile(path=_name_of(source), url=source, sha256=Sha256(sha256) if sha256 else None)
    elif isinstance(files, Mapping):
        yield from (_given(source, name, entry) for name, entry in files.items())
    else:
        yield from (WebFile(path=RepoPath(name), url=address_of(source, name)) for name in _once(files))


def _given(source: str, name: str, entry: str | AddressTable) -> WebFile:
    url, sha256 = (entry, None) if isinstance(entry, str) else (entry.url, entry.sha256)
    return WebFile(path=RepoPath(name), url=joined(source, url), sha256=Sha256(sha256) if sha256 else None)


def _once(names: Iterable[str]) -> list[str]:
    return sorted(set(names))


def _name_of(url: str) -> RepoPath:
    try:
        return file_name(url)
    except ValueError:
        raise refusal(
            "does not end in a name that is safe on every system",
            expected="an address such as `https://host.example/file.bin`",
            fix='write the folder that it is in, and `files = { "NAME" = "ADDRESS" }`',
            at="source",
        ) from None
