"""Who may read what: logs in and out, and says where each token comes from.  The door for programs.

Not in here: where tokens are kept (disk/tokens.py), which hub they are for (sources/catalog.py).

Promises (tests/test_logins.py):
  * a token that the hub refuses is not kept; one that nobody can judge now is;
  * nothing that is returned or raised holds a token.
"""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

from fetcher.core.manifest import HUB_KINDS, SHORT_FORMS, URL_SCHEMES, Endpoint
from fetcher.disk.tokens import TokenStore
from fetcher.errors import AuthError, ConfigError, FetcherError
from fetcher.net.credentials import TOKEN_EXPECTED, Token, is_usable
from fetcher.net.redact import origin_text
from fetcher.road import catalog_of
from fetcher.settings import Settings
from fetcher.sources.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A login that was made.

    Attributes:
        server: `scheme://host:port` that gets the token, and nobody else.
        kept_in: Where it is, in words.
        user: Whose token it is; None where nobody could tell.
        unchecked: Why the hub could not tell.
        shadowed_by: A variable that is set and comes first.
    """

    server: str
    kept_in: str
    user: str | None = None
    unchecked: str | None = None
    shadowed_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a source is asked with.

    Attributes:
        name: NAME of the source, or the server again where none of the manifest's is there.
        token_from: A variable or a place in words; None without a token.
        token_env: The variable that may hold one.
        user: Whose token it is, if the hub was asked and told.
        problem: Why it did not tell.
    """

    name: str
    server: str
    token_from: str | None = None
    token_env: str | None = None
    user: str | None = None
    problem: FetcherError | None = None


class Logins:
    """The logins of one user.

    Args:
        endpoints: `[sources]` of the manifest, if there is one.
    """

    def __init__(self, settings: Settings, endpoints: Mapping[str, Endpoint]) -> None:
        self._settings = settings
        self._endpoints = endpoints
        self._store = TokenStore(settings.logins)

    def server_of(self, source: str) -> str:
        """`scheme://host:port` that a token for a source would go to.

        Raises:
            ConfigError: No such source.
        """
        with closing(self._catalog()) as catalog:
            return origin_text(self._endpoint(catalog, source).endpoint)

    def log_in(self, source: str, secret: str) -> Login:
        """Keep a token for the server of a source.

        Args:
            source: `modelscope`, a NAME of `[sources]`, or the address of a server.

        Raises:
            AuthError: The hub refuses the token; nothing is kept.
            ConfigError: No such source, or no token.
        """
        if not is_usable(secret):
            raise ConfigError(
                "What was given is not a token.",
                facts=[TOKEN_EXPECTED],
                fix="copy the token alone from the settings of the hub's website",
            )
        token = Token(secret=secret, variable="login")
        with closing(self._catalog()) as catalog:
            endpoint = self._endpoint(catalog, source)
            user, unchecked = _asked(catalog, endpoint, token)
            variable = catalog.variable(endpoint) if endpoint.kind else None
        kept_in = self._store.keep(endpoint.endpoint, secret)
        return Login(
            server=origin_text(endpoint.endpoint),
            kept_in=kept_in,
            user=user,
            unchecked=unchecked,
            shadowed_by=variable if variable and self._settings.environment.get(variable) else None,
        )

    def log_out(self, source: str) -> tuple[str, bool]:
        """Forget the token for the server of a source; returns the server, and whether there was one."""
        server = self.server_of(source)
        return server, self._store.forget(server)

    def accesses(self, *, ask: bool) -> list[Access]:
        """Every source that is known, and every server with a login.

        Args:
            ask: Ask the hubs whose tokens they are.
        """
        with closing(self._catalog()) as catalog:
            endpoints = [*catalog.built_in(), *self._endpoints.values()]
            found = [_access(catalog, endpoint, ask=ask) for endpoint in endpoints]
        named = {access.server for access in found}
        rest = (Endpoint(name=origin, kind="", endpoint=origin) for origin in self._store.origins())
        return found + [_access(catalog, each, ask=False) for each in rest if each.name not in named]

    def _catalog(self) -> Catalog:
        return catalog_of(self._settings, self._endpoints)

    def _endpoint(self, catalog: Catalog, source: str) -> Endpoint:
        scheme, _, rest = source.partition(":")
        if scheme in URL_SCHEMES and rest:
            return Endpoint(name=source, kind="", endpoint=_server(source))
        return catalog.endpoint(SHORT_FORMS.get(scheme, scheme))


def _server(url: str) -> str:
    """The address of a server, without a user or a path."""
    try:
        if "@" not in url:
            return origin_text(url)
    except ValueError:
        pass
    raise ConfigError(
        "This is not the address of a server.",
        facts=["expected: such as https://hub.example, without a user or a token"],
        fix="correct the address",
    )


def _asked(catalog: Catalog, endpoint: Endpoint, token: Token) -> tuple[str | None, str | None]:
    """Whose token it is, else why nobody tells.

    Raises:
        AuthError: The hub refuses it.
    """
    if endpoint.kind not in HUB_KINDS:
        return None, None
    try:
        return catalog.user(endpoint, token), None
    except AuthError:
        raise
    except FetcherError as error:
        return None, error.what


def _access(catalog: Catalog, endpoint: Endpoint, *, ask: bool) -> Access:
    name, server = endpoint.name, origin_text(endpoint.endpoint)
    variable = catalog.variable(endpoint) if endpoint.kind else None
    try:
        token = catalog.token(endpoint)
        user = catalog.user(endpoint, token) if ask and token and endpoint.kind else None
    except FetcherError as error:
        return Access(name=name, server=server, token_env=variable, problem=error)
    return Access(name=name, server=server, token_env=variable, token_from=token.variable if token else None, user=user)
