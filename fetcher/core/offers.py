"""What `fetcher init` offers: models that are found, each with the command that would add it.  Pure."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fetcher.core.manifest import SHORT_FORMS, SourceRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A model that somebody uses.

    Attributes:
        source: A source string, in its short form.
        revision: The one that is asked for.
        include, exclude, files: As in models.toml.
        places: Where it was found: `PATH:LINE`; none is in a cache only.
        cached: Whether an official library has it in its cache.
    """

    source: str
    revision: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    cached: bool = False

    @property
    def command(self) -> str:
        """The command that would add it, as a shell reads it."""
        words = ["fetcher", "add", self.source, *self.files]
        if self.revision:
            words += ["--revision", self.revision]
        for option, patterns in (("--include", self.include), ("--exclude", self.exclude)):
            words += [option, *patterns] if patterns else []
        return shlex.join(words)


def short_form(source: SourceRef) -> str:
    """A source string as people type it."""
    short = {scheme: form for form, scheme in SHORT_FORMS.items()}
    return str(source).replace(f"{source.scheme}:", f"{short.get(source.scheme, source.scheme)}:", 1)


def merged(found: Iterable[Offer], cached: Iterable[str]) -> list[Offer]:
    """One offer for each source and revision: those of the repository first, by their first place, then the cached.

    Args:
        found: In the repository, one for each place.
        cached: Sources in the caches.
    """
    groups: dict[tuple[str, str | None], list[Offer]] = {}
    for each in found:
        groups.setdefault((each.source, each.revision), []).append(each)
    have = set(cached)
    used = {source for source, _ in groups}
    own = [replace(_joined(group), cached=source in have) for (source, _), group in groups.items()]
    return [*own, *(Offer(source=source, cached=True) for source in sorted(have - used))]


def _joined(group: Sequence[Offer]) -> Offer:
    """All places of one source: what one of them takes as a whole is taken as a whole."""
    only_files = all(each.files for each in group)
    only_some = all(each.include for each in group if not each.files)
    alike = len({each.exclude for each in group}) == 1
    return replace(
        group[0],
        files=_all(each.files for each in group) if only_files else (),
        include=_all(each.include for each in group) if only_some and not any(each.files for each in group) else (),
        exclude=group[0].exclude if alike else (),
        places=_all(each.places for each in group),
    )


def _all(texts: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for some in texts for text in some))
