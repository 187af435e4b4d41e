"""Which source string leads to which sources; which endpoint, mirrors and token they have.

Not in here: what a hub says (one module a kind).  The environment is handed in.

Promises (tests/sources/test_catalog.py):
  * neither an HTTP library nor a kind is loaded before the first source is made;
  * a token goes to its own scheme, host and port only: a mirror elsewhere asks with the token
    of its own login, or without one;
  * the environment comes before a login;
  * a source string leads to the same sources as long as the catalog lives;
  * a mirror that the environment names is a route, never the home, and asks without the home's token.
"""

import importlib
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fetcher.core.interfaces import Source
from fetcher.core.manifest import FOLDER, GIT, GIT_SCHEMES, HUGGINGFACE, MODELSCOPE, Endpoint, SourceRef
from fetcher.core.paths import RepoPath
from fetcher.core.retry import RetrySchedule
from fetcher.errors import ConfigError
from fetcher.net.credentials import NoStoredTokens, StoredTokens, Token
from fetcher.net.redact import origin_of, origin_text
from fetcher.sources.environment import TOKEN_VARIABLE, built_in_endpoint, login_note, mirrors_of
from fetcher.sources.huggingface import environment as huggingface

if TYPE_CHECKING:
    import ssl

    from fetcher.net.http import HttpClient

_KINDS = {  # kind -> module and class; loaded when first asked for
    MODELSCOPE: ("fetcher.sources.modelscope", "ModelScopeSource"),
    HUGGINGFACE: ("fetcher.sources.huggingface.source", "HuggingFaceSource"),
}
_GIT = ("fetcher.sources.git_lfs.source", "GitLfsSource")


class Hub(Source, Protocol):
    """A source that knows users."""

    def user(self) -> str:
        """Ask whose token it is.

        Raises:
            AuthError: It is nobody's.
            SourceError: No answer, or none that tells.
        """
        ...


class Catalog:
    """The sources of one run.

    Args:
        endpoints: `[sources]` of the manifest, by NAME.
        environment: Variables for endpoints and tokens.
        home: The user's home folder.
        stored: The tokens of `fetcher login`.
        root: The manifest's folder, which folders are relative to.
        addresses: Where the files of URLs are, by source.
        scratch: A folder for what a source needs during the run; made when it is needed.
        idle_timeout_s: Seconds without a byte after which a reply is given up.
        retry: When to ask again for a listing.
        may_go_private: Whether public hubs may redirect to private addresses.
    """

    def __init__(
        self,
        *,
        endpoints: Mapping[str, Endpoint],
        environment: Mapping[str, str],
        home: Path,
        stored: StoredTokens | None = None,
        root: Path = Path(),
        addresses: Mapping[SourceRef, Mapping[RepoPath, str]] | None = None,
        scratch: Path,
        idle_timeout_s: float = 60.0,
        retry: RetrySchedule | None = None,
        may_go_private: bool = False,
    ) -> None:
        self._endpoints = endpoints
        self._root = root
        self._addresses = addresses or {}
        self._environment = environment
        self._stored = stored or NoStoredTokens()
        self._home = home
        self._scratch = scratch
        self._idle_timeout_s = idle_timeout_s
        self._retry = retry or RetrySchedule()
        self._login_note = login_note(environment, home)
        self._may_go_private = may_go_private
        self._tls: dict[str | None, Callable[[], ssl.SSLContext]] = {}  # by ca-file
        self._lock = threading.Lock()
        self._sources: dict[str, tuple[Source, ...]] = {}
        self._routes: dict[str, tuple[Source, ...]] = {}

    def candidates(self, ref: SourceRef) -> tuple[Source, ...]:
        """The places that serve `ref`: the endpoint, then its mirrors.

        Raises:
            ConfigError: No such endpoint, or an address that cannot be one.
        """
        key = self._key(ref)
        with self._lock:
            if key not in self._sources:
                self._sources[key] = self._made(ref)
            return self._sources[key]

    def routes(self, ref: SourceRef) -> tuple[Source, ...]:
        """The mirrors that the environment names for the endpoint of `ref`; to be asked before all others.

        A git+… string is the address itself and has no name to find a variable by; git's own
        `url.….insteadOf` leads it elsewhere.

        Raises:
            ConfigError: As `candidates`, or the variable holds what is no address.
        """
        if ref.is_url or ref.scheme == FOLDER or ref.scheme in GIT_SCHEMES:
            return ()
        key = self._key(ref)
        with self._lock:
            if key not in self._routes:
                endpoint = self._endpoint(ref)
                urls = mirrors_of(self._environment, ref.scheme)
                self._routes[key] = (
                    tuple(self._git_at(f"{url}/{ref.repo}") for url in urls)
                    if self._is_git(ref)
                    else self._at(endpoint, urls, self.token(endpoint))
                )
            return self._routes[key]

    def _key(self, ref: SourceRef) -> str:
        """Under which its sources are kept: one for all repositories of a hub, one for each of git."""
        is_hub = ref.scheme in _KINDS or (ref.scheme in self._endpoints and not self._is_git(ref))
        return ref.scheme if is_hub else str(ref)

    def places(self, ref: SourceRef) -> tuple[Source, ...]:
        """Everything that may send bytes of `ref`, best first."""
        return (*self.routes(ref), *self.candidates(ref))

    def endpoint(self, name: str) -> Endpoint:
        """What `NAME:` in a source string stands for: a hub, or a `[sources.NAME]`.

        Raises:
            ConfigError: There is no such endpoint.
        """
        if name in _KINDS:
            return Endpoint(name=name, kind=name, endpoint=built_in_endpoint(name, self._environment))
        if name in self._endpoints:
            return self._endpoints[name]
        raise ConfigError(
            "There is no source of this name.",
            facts=[f"sources: {', '.join([*_KINDS, *sorted(self._endpoints)])}"],
            fix="name one of them, or the address of a server such as https://hub.example",
        )

    def built_in(self) -> list[Endpoint]:
        """The hubs that need no table in models.toml."""
        return [self.endpoint(kind) for kind in _KINDS]

    def variable(self, endpoint: Endpoint) -> str | None:
        """The variable that may hold the token of an endpoint; None if only a login can."""
        if endpoint.token_env:
            return endpoint.token_env
        match self._hub_at(endpoint):
            case "modelscope":
                return TOKEN_VARIABLE
            case "huggingface":
                return huggingface.token_variable(self._environment)
        return None

    def token(self, endpoint: Endpoint) -> Token | None:
        """The token for the address of an endpoint: of its variable, else of a login, else of the official tool's."""
        variable = self.variable(endpoint)
        found = Token.read(self._environment, variable) if variable else None
        found = found or self._stored.token_for(endpoint.endpoint)
        if found is None and endpoint.token_env is None and self._hub_at(endpoint) == HUGGINGFACE:
            found = huggingface.stored_token(self._environment, self._home)
        return found

    def _hub_at(self, endpoint: Endpoint) -> str | None:
        """The built-in hub that has this address; its tokens belong there and nowhere else."""
        own = built_in_endpoint(endpoint.kind, self._environment) if endpoint.kind in _KINDS else None
        return endpoint.kind if own and origin_of(own) == origin_of(endpoint.endpoint) else None

    def user(self, endpoint: Endpoint, token: Token) -> str:
        """Ask the hub whose token it is.

        Raises:
            AuthError: It is nobody's.
            SourceError: The hub does not answer, or does not tell.
        """
        (source,) = self._at(endpoint, (endpoint.endpoint,), token)
        with closing(source):
            return source.user()

    def close(self) -> None:
        """Release all connections."""
        with self._lock:
            made = [*self._sources.values(), *self._routes.values()]
            self._sources, self._routes = {}, {}
        for sources in made:
            for source in sources:
                source.close()

    def _made(self, ref: SourceRef) -> tuple[Source, ...]:
        if ref.scheme == FOLDER:
            from fetcher.sources.folder import FolderSource

            return (FolderSource(self._root / ref.repo, label=str(ref), project=self._root),)
        if ref.is_url:
            from fetcher.sources.url import UrlSource

            client = self._client(Endpoint(name=ref.scheme, kind=ref.scheme, endpoint=str(ref)))
            return (UrlSource(str(ref), addresses=self._addresses.get(ref, {}), client=client, retry=self._retry),)
        if self._is_git(ref):
            return self._git(ref)
        endpoint = self._endpoint(ref)
        return self._at(endpoint, (endpoint.endpoint, *endpoint.mirrors), self.token(endpoint))

    def _at(self, endpoint: Endpoint, urls: Iterable[str], token: Token | None) -> tuple[Hub, ...]:
        """A source for each of the URLs that serve what an endpoint has; the token is for the endpoint's own."""
        own = origin_of(endpoint.endpoint)
        make = _load(_KINDS[endpoint.kind])
        return tuple(
            make(
                endpoint=url,
                client=self._client(endpoint),
                token=token if origin_of(url) == own else self._stored.token_for(url),
                login=self._login(endpoint, url),
                retry=self._retry,
                login_note=self._login_note,
            )
            for url in urls
        )

    def _login(self, endpoint: Endpoint, url: str) -> str:
        """How to give a token for an address, for the fix of an error."""
        if origin_of(url) != origin_of(endpoint.endpoint):
            return f"run `fetcher login {origin_text(url)}`"
        variable = self.variable(endpoint)
        return f"run `fetcher login {endpoint.name}`" + (f" or set {variable}" if variable else "")

    def _is_git(self, ref: SourceRef) -> bool:
        endpoint = self._endpoints.get(ref.scheme)
        return ref.scheme in GIT_SCHEMES or (endpoint is not None and endpoint.kind == GIT)

    def _git(self, ref: SourceRef) -> tuple[Source, ...]:
        """A git repository, and the same one below the mirrors of a named endpoint."""
        named = self._endpoints.get(ref.scheme)
        bases = (named.endpoint, *named.mirrors) if named else ()
        return tuple(self._git_at(f"{base}/{ref.repo}") for base in bases) or (
            self._git_at(str(ref).removeprefix("git+")),
        )

    def _git_at(self, url: str) -> Source:
        server = self._git_server(url)
        source: Source = _load(_GIT)(
            f"git+{url}",
            client=self._client(server),
            token_for=self._git_token,
            login_for=self._git_login,
            ca_file=server.ca_file,
            scratch=self._scratch,
            environment=self._environment,
            home=self._home,
            retry=self._retry,
            idle_timeout_s=self._idle_timeout_s,
        )
        return source

    def _git_server(self, url: str) -> Endpoint:
        """The named endpoint that is the server of a URL, so that its token also serves a git+https:// string."""
        unnamed = Endpoint(name="", kind=GIT, endpoint=url)
        if not url.startswith(("https://", "http://")):
            return unnamed
        same = (each for each in self._endpoints.values() if origin_of(each.endpoint) == origin_of(url))
        return next(same, unnamed)

    def _git_token(self, url: str) -> Token | None:
        server = self._git_server(url)
        return self.token(server) if server.name else self._stored.token_for(url)

    def _git_login(self, url: str) -> str:
        server = self._git_server(url)
        return self._login(server, url) if server.name else f"run `fetcher login {origin_text(url)}`"

    def _client(self, endpoint: Endpoint) -> "HttpClient":
        """Connections of their own for each source; one TLS context for all that trust the same."""
        from fetcher.net.http import HttpClient
        from fetcher.net.transport import once
        from fetcher.net.trust import tls_context

        ca_file = endpoint.ca_file
        if ca_file not in self._tls:
            self._tls[ca_file] = once(lambda: tls_context(self._environment, ca_file=ca_file, source=endpoint.name))
        return HttpClient(
            idle_timeout_s=self._idle_timeout_s,
            tls=self._tls[ca_file],
            may_go_private=self._may_go_private,
        )

    def _endpoint(self, ref: SourceRef) -> Endpoint:
        if ref.scheme not in _KINDS and ref.scheme not in self._endpoints:
            raise ConfigError(
                f"{ref} names an endpoint that models.toml does not have.",
                facts=[f"endpoints: {', '.join(sorted(self._endpoints)) or 'none'}"],
                fix=f"add a table [sources.{ref.scheme}] to models.toml",
            )
        return self.endpoint(ref.scheme)


def _load(place: tuple[str, str]) -> Callable[..., Any]:
    module, name = place
    made: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return made
