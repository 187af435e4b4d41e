"""The values of single keys of models.toml: each is as it must be, or refused with the fix.

Not in here: the tables and what keys mean together (manifest_tables.py), addresses (addresses.py).
Each check returns the text as it is used, or raises Refused.

Promise (tests/formats/test_bad_manifests.py compares each whole message):
  * a secret in the wrong place is refused and its text is not repeated.
"""

import re
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from fetcher.core.hints import closest
from fetcher.core.manifest import BUILT_IN_SCHEMES, SHORT_FORMS, SourceRef
from fetcher.core.paths import ModelName, RepoPath, is_own_folder
from fetcher.core.web import SecretInAddress
from fetcher.formats.mistakes import meant_source
from fetcher.formats.problems import Refused, refusal

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]")
_DRIVE = re.compile(r"[A-Za-z]:")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TOKEN = re.compile(r"ms-|hf_[A-Za-z0-9]{16,}\Z|[0-9a-fA-F-]{32,}\Z")
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


def secret_in_address() -> Refused:
    """The refusal of an address that carries a right of its own."""
    return refusal(
        "carries a token or a signature",
        expected="an address that stays valid and that everybody who reads this file may see",
        fix="remove the user and the query; for private files use a hub, a git remote or a folder",
    )


def model_name(text: str) -> str:
    """The NAME of [models.NAME]."""
    try:
        return ModelName(text)
    except ValueError:
        raise refusal(
            "is not a safe name",
            expected="letters, digits, `.`, `_` and `-`, beginning with a letter or digit; no name reserved on Windows",
            fix="rename the model",
        ) from None


def pattern(text: str) -> str:
    """A shell pattern."""
    if not text or _CONTROL.search(text):
        raise refusal(
            "is empty or holds a control character",
            expected="a shell pattern such as `*.json` or `onnx/*`",
            fix="remove or correct the pattern",
        )
    if "\\" in text:
        raise refusal(
            "holds a backslash, which matches no file",
            expected="`/` between folders",
            fix=f"write `{text.replace(chr(92), '/')}`",
        )
    return text


def file_name(text: str) -> str:
    """A name in `files`."""
    if "*" in text:
        raise refusal(
            "is a pattern, and `files` takes exact names",
            expected="the name of a file, from the repository's root",
            fix="move it to `include`",
        )
    try:
        return RepoPath(text)
    except ValueError as error:
        raise refusal(
            "is not a safe name of a file",
            expected="a path from the repository's root, with `/`",
            fix=f"correct the name ({str(error).rpartition(': ')[2]})",
        ) from None


def revision(text: str) -> str:
    """A branch, a tag or a commit."""
    if not text or _SPACE_OR_CONTROL.search(text):
        raise refusal(
            "is empty or holds a space or a control character",
            expected="a branch, a tag or a commit",
            fix="correct the revision, or remove the key for the source's default",
        )
    return text


def source(text: str, named: Collection[str]) -> str:
    """A source string without short forms; `named` are the names of [sources]."""
    meant = meant_source(text)
    try:
        ref = SourceRef.parse(text)
    except SecretInAddress:
        raise (_page(meant) if meant else secret_in_address()) from None
    except ValueError as error:
        if "@" in text:
            raise refusal(
                "carries a user or a token",
                expected="a source without them; `git+ssh://git@…` may carry a user",
                fix="remove everything before the `@`, and put the token into an environment variable",
            ) from None
        expected = str(error).partition(", got ")[0].removeprefix("expected ")
        fix = f"write `{meant}`" if meant else "correct the source"
        raise refusal("is not a source", expected=expected, fix=fix, meant=meant) from None
    if meant:
        raise _page(meant)
    if ref.scheme not in BUILT_IN_SCHEMES and ref.scheme not in named:
        near = closest(ref.scheme, [*BUILT_IN_SCHEMES, *SHORT_FORMS, *named], most=1)
        raise refusal(
            f"names the unknown source `{ref.scheme}`",
            expected=", ".join(f"`{scheme}:`" for scheme in (*BUILT_IN_SCHEMES, *sorted(named))),
            fix=f"change `{ref.scheme}:` to `{near[0]}:`" if near else f"add a table [sources.{ref.scheme}]",
        )
    return str(ref)


def _page(meant: str) -> Refused:
    return refusal(
        "is the address of a page, not of a file",
        expected="a repository such as `modelscope:OWNER/NAME`, or the address of one file",
        fix=f"write `{meant}`",
        meant=meant,
    )


def checked_target(text: str) -> str:
    """A folder for a model's files, without a slash at its end.

    Raises:
        Refused: Says what is wrong with it.
    """
    if text.startswith("~"):
        raise refusal(
            "begins with `~`, which is not expanded",
            expected="a folder relative to models.toml, or an absolute path",
            fix="write the absolute path",
        )
    if any(map(is_own_folder, text.split("/"))):
        raise refusal(
            "lies in a folder of git or of fetcher",
            expected="a folder of the project other than `.git` and `.fetcher`",
            fix="choose another folder, such as `models/NAME`",
        )
    if text.startswith("/") and not _CONTROL.search(text):
        return text.rstrip("/") or "/"
    return _relative_target(text)


def _relative_target(text: str) -> str:
    inner = text.removeprefix("./").rstrip("/")
    if inner in (".", "") and text:
        return "."
    if ".." in inner.split("/"):
        raise refusal(
            "leaves the project",
            expected="a folder inside the project, relative to models.toml",
            fix="remove the `..`, or write an absolute path if the folder is meant to be outside",
        )
    try:
        return RepoPath(inner)
    except ValueError as error:
        reason = "it is empty" if not text else str(error).rpartition(": ")[2]
        raise refusal(
            "is not a safe folder",
            expected="a folder relative to models.toml with `/` between its parts, or an absolute path",
            fix=f"correct the target ({reason})",
        ) from None


def default_target(text: str) -> str:
    """The `target` of [defaults]."""
    checked_target(text.replace("{name}", "name"))
    return text


def require_name_in(target: str) -> None:
    """Refuse a folder for all models that lacks `{name}`.

    Raises:
        Refused: It does.
    """
    if "{name}" not in target:
        raise refusal(
            "would put every model into one folder",
            expected="a folder with `{name}` in it, which becomes the model's name",
            fix=f'write `target = "{target.rstrip("/")}/{{name}}"`',
            at="target",
        )


def group(text: str) -> str:
    """The name of a group."""
    if not _SOURCE_NAME.match(text):
        raise refusal(
            "is not a name of a group",
            expected="letters, digits, `.`, `_` and `-`, beginning with a letter or digit",
            fix="rename the group",
        )
    return text


def require_models_in(groups: Sequence[str], known: Collection[str]) -> None:
    """Refuse `default-groups` that name a group in which no model is.

    Raises:
        Refused: They do.
    """
    for group in groups:
        if group not in known:
            near = closest(group, sorted(known), most=1)
            raise refusal(
                f"names the group `{group}`, in which no model is",
                expected=", ".join(f"`{name}`" for name in sorted(known)) or "groups that `groups` of a model names",
                fix=f"write `{near[0]}`" if near else "take the name away, or add it to `groups` of a model",
                at="default-groups",
            )


def source_name(text: str) -> str:
    """The NAME of [sources.NAME]."""
    if text in BUILT_IN_SCHEMES or text in SHORT_FORMS:
        raise refusal(
            "has the name of a built-in source",
            expected="a name of your own",
            fix=f"rename it, such as [sources.my-{text}], and use `my-{text}:` in `source`",
        )
    if not _SOURCE_NAME.match(text):
        raise refusal(
            "is not a safe name",
            expected="letters, digits, `.`, `_` and `-`, beginning with a letter or digit",
            fix="rename the source",
        )
    return text


def endpoint(text: str) -> str:
    """The address of a hub, without a slash at its end."""
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        usable, url = None, urlsplit("")
    if "@" in text:
        raise refusal(
            "carries a user or a token",
            expected="a URL such as `https://hub.corp.example`",
            fix="remove everything before the `@`, and name the token's variable in `token-env`",
        )
    if not usable or url.query or url.fragment or _SPACE_OR_CONTROL.search(text):
        raise refusal(
            "is not the address of a hub",
            expected="an http or https URL without a query, such as `https://hub.corp.example`",
            fix="correct the URL",
        )
    return text.rstrip("/")


def ca_file(text: str) -> str:
    """The path of a file of certificates."""
    if not text or text.startswith("~") or _CONTROL.search(text):
        raise refusal(
            "is not the path of a file",
            expected="a file of certificates in PEM form, relative to models.toml or with an absolute path",
            fix="correct the path",
        )
    return text


def token_variable(text: str) -> str:
    """The name of the variable that holds a token."""
    if not _VARIABLE.match(text) or _TOKEN.match(text):
        looks = "looks like a token" if _TOKEN.match(text) else "is not the name of a variable"
        raise refusal(
            looks,
            expected="the NAME of an environment variable, such as `CORP_HUB_TOKEN`",
            fix="put the token into a variable and write the variable's name; revoke the token if it was committed"
            if looks == "looks like a token"
            else "write the variable's name",
        )
    return text
