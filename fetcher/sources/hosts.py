"""Which hosts are asked for a model, as far as models.toml and the environment say.  Loads no source.

Where a host redirects for the bytes of a file is not in here: the sha256 judges those.
"""

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from fetcher.core.kinds import FOLDER, GIT_SCHEMES, HUB_KINDS
from fetcher.core.manifest import Endpoint, SourceRef
from fetcher.core.paths import RepoPath
from fetcher.sources.environment import built_in_endpoint, mirrors_of


def hosts_of(
    refs: Iterable[SourceRef],
    endpoints: Mapping[str, Endpoint],
    addresses: Mapping[SourceRef, Mapping[RepoPath, str]],
) -> tuple[str, ...]:
    """The hosts of the sources, their mirrors included, each `host` or `host:port`.

    Args:
        endpoints: `[sources]` by NAME.
        addresses: Where the files of URLs are, by source.
    """
    urls = [url for ref in refs for url in _urls(ref, endpoints, addresses)]
    return tuple(dict.fromkeys(host for host in map(_host, urls) if host))


def hosts_of_environment(refs: Iterable[SourceRef], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts that variables put in the place of, or before, those that models.toml says."""
    schemes = dict.fromkeys(ref.scheme for ref in refs if not ref.is_url and ref.scheme not in (FOLDER, *GIT_SCHEMES))
    urls = [url for scheme in schemes for url in mirrors_of(environment, scheme)]
    urls += [built_in_endpoint(scheme, environment) for scheme in schemes if scheme in HUB_KINDS]
    return tuple(dict.fromkeys(map(_host, urls)))


def _urls(
    ref: SourceRef, endpoints: Mapping[str, Endpoint], addresses: Mapping[SourceRef, Mapping[RepoPath, str]]
) -> Iterator[str]:
    if ref.is_url:
        yield from addresses.get(ref, {}).values() or [str(ref)]
    elif ref.scheme in GIT_SCHEMES:
        yield str(ref)
    elif ref.scheme in endpoints:
        yield endpoints[ref.scheme].endpoint
        yield from endpoints[ref.scheme].mirrors
    elif ref.scheme in HUB_KINDS:
        yield built_in_endpoint(ref.scheme, {})


def _host(url: str) -> str:
    """`host` or `host:port` in small letters; empty where there is none."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()
