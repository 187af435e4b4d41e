"""models.toml and models.lock of a folder, read: what is wanted, what is pinned, whether they fit.

All that `fetcher lock --check` needs, the policy included.  Not in here: sources and the disk (project.py).

Promises (tests/test_project.py, tests/test_architecture.py):
  * nothing here asks the network or looks at a target;
  * the road to the disk is not loaded for it.
"""

import os
import shlex
import stat
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fetcher.core.events import Events, NoEvents
from fetcher.core.lock import Lock, Staleness, staleness
from fetcher.core.manifest import Layout, Manifest
from fetcher.disk.kinds import kind_of
from fetcher.disk.ready import digest_of
from fetcher.errors import ConfigError, DifferenceError
from fetcher.formats.lock_toml import LockText, read_lock
from fetcher.formats.manifest_toml import read_layout, read_manifest
from fetcher.settings import MANIFEST, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fetcher.core.manifest import SourceRef
    from fetcher.core.verdicts import Finding, Place


@dataclass(kw_only=True)
class Pins:
    """One models.toml with its lock.

    Attributes:
        root: The folder of the manifest; targets are relative to it.
        manifest_path: Usually `root / "models.toml"`.
        events: Watches what happens.
    """

    root: Path
    manifest_path: Path
    settings: Settings
    events: Events = field(default_factory=NoEvents)
    _digests: dict[Path, str] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def find(
        cls,
        start: str | os.PathLike[str] | None = None,
        *,
        manifest: str = MANIFEST,
        settings: Settings | None = None,
        events: Events | None = None,
    ) -> Self:
        """That of a folder or of the nearest folder above it that has a manifest.

        Raises:
            ConfigError: There is none.
        """
        root = root_of(start, manifest)
        return cls(
            root=root,
            manifest_path=root / manifest,
            settings=settings or Settings.of(os.environ),
            events=events or NoEvents(),
        )

    @property
    def lock_path(self) -> Path:
        """models.lock, or other.lock for `--manifest other.toml`."""
        return self.manifest_path.with_suffix(".lock")

    @cached_property
    def manifest(self) -> Manifest:
        """models.toml, read once until a method of the road is called.

        Raises:
            ConfigError: With file, line, key and fix.
        """
        return read_manifest(self.text_of(self.manifest_path), file=self.manifest_path.name)

    @cached_property
    def layout(self) -> Layout:
        """What the lock does not say of its models.  Mistakes elsewhere in models.toml are only noted.

        Raises:
            ConfigError: The targets, the groups or the sources cannot be read.
        """
        try:
            return Layout.of(self.manifest)
        except ConfigError as mistakes:
            name = self.manifest_path.name
            try:
                layout = read_layout(self.text_of(self.manifest_path), file=name)
            except ConfigError as error:
                error.facts = (*error.facts, "needed with any lock: targets, groups, [sources] and [policy]")
                raise
            self.events.note(f"{mistakes.what} The lock is used as it is; `fetcher lock` will need {name} mended.")
            return layout

    def lock_text(self) -> LockText | None:
        """models.lock as it is now; None if there is none."""
        if not self.lock_path.exists():
            return None
        return read_lock(self.text_of(self.lock_path), file=self.lock_path.name)

    def findings(self, lock: Lock) -> "list[Finding]":
        """Everything in a lock that the policy denies or warns of; asks nobody."""
        policy = self.layout.policy
        if policy is None:
            return []
        from fetcher.core.verdicts import judge  # for those who have one

        places: dict[str, Place] = {
            name: self.place_of([model.source, *(pin.source for pin in model.fallback)])
            for name, model in lock.models.items()
        }
        return judge(policy, lock, places, now_s=time.time())

    def require_allowed(self, lock: Lock, *, only: str | None = None) -> None:
        """Refuse a lock that breaks the policy; what is only warned of is noted.

        Args:
            only: A model; what is about others is left to whom these concern.

        Raises:
            PolicyError: Something is denied.
        """
        found = [each for each in self.findings(lock) if only in (None, each.model) or each.model is None]
        if found:
            from fetcher.core.verdicts import require_allowed

            for note in require_allowed(found, what=self.lock_path.name):
                self.events.note(note)

    def place_of(self, refs: "Sequence[SourceRef]") -> "Place":
        """What models.toml says of where a model comes from."""
        from fetcher.core.verdicts import Place
        from fetcher.sources.hosts import hosts_of

        return Place(sources=tuple(map(str, refs)), hosts=hosts_of(refs, self.layout.sources, self.layout.addresses))

    def staleness(self) -> list[Staleness]:
        """Every field in which the lock differs from what the manifest asks for."""
        known = self.lock_text()
        return staleness(self.manifest, known.lock if known else Lock())

    def fresh_lock(self) -> Lock:
        """The lock, if it is what the manifest asks for.

        Raises:
            DifferenceError: It is missing or stale; says in which fields.
        """
        known = self.lock_text()
        if known is None:
            raise DifferenceError(f"There is no {self.lock_path.name} yet.", fix="run `fetcher lock`")
        found = staleness(self.manifest, known.lock)
        if found:
            raise DifferenceError(
                f"{self.lock_path.name} is not what {self.manifest_path.name} asks for.",
                facts=[str(item) for item in found],
                fix="run `fetcher lock`",
            )
        return known.lock

    def frozen_lock(self) -> Lock:
        """The lock as it is, whatever the manifest says.

        Raises:
            DifferenceError: There is none.
            ConfigError: A section is not as `fetcher lock` wrote it.
        """
        known = self.lock_text()
        if known is None:
            raise DifferenceError(f"There is no {self.lock_path.name} yet.", fix="run `fetcher lock`")
        broken = [name for name, model in known.lock.models.items() if not model.is_intact()]
        if broken:
            raise ConfigError(
                f"{self.lock_path.name} was changed by hand or merged wrongly.",
                facts=[f"seal or tree does not fit: {name}" for name in broken],
                fix="run `fetcher lock`",
            )
        return known.lock

    def text_of(self, path: Path) -> str:
        """A file's text, as `read_text` gives it; its digest is kept."""
        data = _bytes_of(path)
        self._digests[path] = digest_of(data)
        try:
            return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"{path.name} is not UTF-8 text (byte {error.start}).", fix=f"save {path.name} as UTF-8"
            ) from None


def root_of(start: str | os.PathLike[str] | None, manifest: str) -> Path:
    """The folder of the manifest: `start`, the folder of a file, or the nearest one above; None is the current folder.

    Raises:
        ConfigError: There is none.
    """
    begin = Path(start or Path.cwd()).absolute()
    if manifest.endswith(".lock"):
        raise ConfigError(
            f"{manifest} is a lock, not a manifest.",
            fix=f"name the manifest: {manifest.removesuffix('.lock')}.toml",
        )
    for folder in (begin, *begin.parents):
        if os.path.isfile(folder / manifest):
            return folder
        if os.path.lexists(folder / manifest) and not os.path.isdir(folder / manifest):
            raise _no_file(folder / manifest)
    raise ConfigError(
        f"There is no {manifest} in {begin} or in a folder above it.",
        fix="run `fetcher init` to write one, or name the folder with -C",
    )


def _bytes_of(path: Path) -> bytes:
    """Of a regular file: a pipe would keep us waiting, a device never end."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _no_file(path)
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}.", fix=f"check {path}") from None


def _no_file(path: Path) -> ConfigError:
    """The error of a name that something else has."""
    kind = kind_of(os.stat(path).st_mode) if os.path.exists(path) else "a symlink to nothing"
    return ConfigError(
        f"{path.name} is {kind}, not a file.",
        facts=[f"path: {path}"],
        fix=f"move it away: mv {shlex.quote(str(path))} {shlex.quote(f'{path}.old')}",
    )
