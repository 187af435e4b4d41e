"""Looks for the models that a project uses: in its programs, and in the official libraries' caches.

Runs nothing and asks no network.  Which calls count is sources/calls.py, which files pythons.py of disk/.

Promises (tests/cli/test_init.py):
  * what git ignores is not read;
  * an id that is a folder of the project is no model of a hub.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from fetcher.core.offers import Offer, merged, short_form
from fetcher.disk.pythons import ENDINGS, contents, programs_below
from fetcher.errors import ConfigError
from fetcher.own_git import own_git
from fetcher.settings import Settings
from fetcher.sources.caches import cached_repositories, own_caches
from fetcher.sources.calls import calls_in


def offers(root: Path, settings: Settings) -> list[Offer]:
    """What is found, what programs use first."""
    caches = own_caches(settings.environment, settings.home)
    cached = [short_form(source) for source in cached_repositories(caches)]
    return merged(_used(root), cached)


def _used(root: Path) -> Iterator[Offer]:
    """One for each call in the project's programs."""
    for path, data in contents(root, _programs(root)):
        for call in calls_in(data, notebook=path.endswith(".ipynb")):
            if (root / call.local).exists() or (root / path).with_name(call.local.partition("/")[0]).exists():
                continue
            yield Offer(
                source=short_form(call.source),
                revision=call.revision,
                include=call.include,
                exclude=call.exclude,
                files=call.files,
                places=(f"{path}:{call.line}",),
            )


def _programs(root: Path) -> Iterable[str]:
    """Those that git has or would take, else all below the folder."""
    patterns = [f"*{ending}" for ending in ENDINGS]
    try:
        words = ("-c", "core.fsmonitor=false", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--")
        done = own_git(root, *words, *patterns)
    except ConfigError:
        return programs_below(root)
    if done.returncode:
        return programs_below(root)
    return sorted({name.decode("utf-8", "replace") for name in done.stdout.split(b"\0") if name})
