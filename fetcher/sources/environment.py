"""What the environment says of endpoints: where the built-in hubs are, by which mirrors, and whose login is not read.

Loads nothing heavy: every run of fetcher asks this.  The environment is handed in.

Promise (tests/sources/test_catalog.py): no message repeats what a variable holds, which may be a secret.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from fetcher.core.manifest import HUGGINGFACE, MODELSCOPE
from fetcher.errors import ConfigError
from fetcher.net.redact import origin_of
from fetcher.sources.huggingface import environment as huggingface

MODELSCOPE_ENDPOINT = "https://modelscope.cn"
TOKEN_VARIABLE = "MODELSCOPE_API_TOKEN"  # noqa: S105  the name of a variable

# Mirrors of the built-in hubs; those of a [sources.NAME] are in FETCHER_<NAME>_MIRRORS.
MIRRORS_VARIABLES = {MODELSCOPE: "FETCHER_MODELSCOPE_MIRRORS", HUGGINGFACE: "FETCHER_HUGGINGFACE_MIRRORS"}

_SAID_OF = {  # of each hub: the variables of its endpoint and of its token
    MODELSCOPE: ("MODELSCOPE_ENDPOINT", TOKEN_VARIABLE),
    HUGGINGFACE: (huggingface.ENDPOINT_VARIABLE, huggingface.TOKEN_VARIABLES[0]),
}
ENDPOINT_VARIABLES = ("MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN", huggingface.ENDPOINT_VARIABLE)


def environment_for(
    environment: Mapping[str, str], scheme: str, *, endpoint: str | None, token: str | None
) -> Mapping[str, str]:
    """The environment in which a built-in hub has this endpoint, without other mirrors, and this token.

    Raises:
        ConfigError: No built-in hub has that scheme.
    """
    if scheme not in _SAID_OF:
        raise ConfigError(
            f"--endpoint and --token are for modelscope: and huggingface:, not for {scheme}:.",
            fix="run `fetcher login` for a token, and write an endpoint into [sources] of models.toml",
        )
    at, secret = _SAID_OF[scheme]
    said = {at: endpoint, MIRRORS_VARIABLES[scheme]: ""} if endpoint else {}
    return {**environment, **said, **({secret: token} if token else {})}


def built_in_endpoint(kind: str, environment: Mapping[str, str]) -> str:
    """Base URL of `modelscope:` or `huggingface:`.

    Raises:
        ConfigError: The variable does not hold a URL or a host.
    """
    if kind == MODELSCOPE:
        return _modelscope_endpoint(environment)
    return _base_url(huggingface.ENDPOINT_VARIABLE, huggingface.endpoint_text(environment))


def _modelscope_endpoint(environment: Mapping[str, str]) -> str:
    """Base URL of `modelscope:`; a host alone means https.

    Raises:
        ConfigError: The variable does not hold a URL or a host.
    """
    for name in ("MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN"):
        text = environment.get(name, "").strip()
        if text:
            return _base_url(name, text if "://" in text else f"https://{text}")
    return MODELSCOPE_ENDPOINT


def mirrors_of(environment: Mapping[str, str], scheme: str) -> list[str]:
    """Base URLs of the mirrors that the environment names, with spaces or commas between them."""
    name = MIRRORS_VARIABLES.get(scheme) or f"FETCHER_{re.sub('[.-]', '_', scheme).upper()}_MIRRORS"
    return [_base_url(name, url) for url in environment.get(name, "").replace(",", " ").split()]


def login_note(environment: Mapping[str, str], home: Path) -> str | None:
    """That the official tool's login is there and not read, if so.

    Its token stands only in a pickle, which could run any code (`credentials/session` is no
    token but the number of the installation).
    """
    folder = Path(environment.get("MODELSCOPE_HOME") or home / ".modelscope")
    if not (folder / "credentials" / "cookies").is_file():
        return None
    return "login: the one stored by the official tool is a pickle, which fetcher does not read"


def _base_url(name: str, url: str) -> str:
    try:
        origin_of(url)
        usable = not any(sign in url for sign in "@?#\\ ")
    except ValueError:
        usable = False
    if usable:
        return url.rstrip("/")
    raise ConfigError(
        f"{name} does not hold the address of a hub.",
        facts=["expected: such as https://modelscope.cn, without a user, a token or a query"],
        fix=f"correct {name} or unset it",
    )
