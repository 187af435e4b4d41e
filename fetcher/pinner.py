"""models.lock made from models.toml and what the sources say: for all models, for one of them, or without some.

Nothing here writes.  In a module of its own because a sync, a look and a proof do without it.

Promises (tests/test_project.py, tests/test_policy.py, tests/cli/test_editing.py):
  * nobody is asked whom the policy denies, and no lock is given back that breaks it;
  * sections that are not asked about stay as they are.
"""

import threading
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

from fetcher.core.choice import Choice, chosen_models
from fetcher.core.lock import Lock, LockedModel
from fetcher.core.lockdiff import compare_locks
from fetcher.core.manifest import Endpoint, Manifest
from fetcher.core.outdated import Outlook
from fetcher.core.paths import ModelName
from fetcher.core.preview import Preview
from fetcher.core.verdicts import judge_place, require_allowed
from fetcher.disk.store import Store
from fetcher.formats.conflict import Merged, has_markers, merge_conflict
from fetcher.formats.lock_toml import LockText, write_lock, write_sections
from fetcher.outdated import outlooks
from fetcher.pins import Pins
from fetcher.preview import preview
from fetcher.resolve import KEEP_PINS, Upgrade, resolve
from fetcher.results import LockChange
from fetcher.road import catalog_of, require_allowed_environment, transfer_settings
from fetcher.sources.catalog import Catalog
from fetcher.survey import Surveyor
from fetcher.transfer import StoreHasher, StorePeeker


@dataclass(frozen=True, kw_only=True)
class Pinner:
    """Asks the sources.

    Attributes:
        pins: models.toml and models.lock as they are.
        endpoints: `[sources]`, with paths that do not depend on the current folder.
        surveyor: Knows where files go, and refuses two for one spot.
        stop: Set by any thread to end it.
    """

    pins: Pins
    endpoints: Mapping[str, Endpoint]
    surveyor: Surveyor
    stop: threading.Event

    def all(self, upgrade: Upgrade = KEEP_PINS) -> LockChange:
        """The whole lock; one with conflict markers is merged first.

        Raises:
            PolicyError: It would break the policy.
            FetcherError: From models.toml, models.lock and the sources.
        """
        merged = self._merged()
        known = merged.text if merged else self.pins.lock_text()
        before = known.lock if known else Lock()
        after = self._resolved(self.pins.manifest, before, upgrade)
        self.pins.require_allowed(after)
        self.surveyor.everything(after)
        text = write_lock(after, known)
        return LockChange(
            lock=after,
            text=text,
            changes=tuple(compare_locks(before, after)),
            differs=known is None or text != self.pins.text_of(self.pins.lock_path),
            merged=merged.verdicts if merged else (),
        )

    def one(self, name: ModelName) -> LockChange:
        """One model anew.

        Raises:
            As `all`.
        """
        known = self.pins.lock_text()
        manifest = self.pins.manifest
        alone = Manifest(models={name: manifest.models[name]}, sources=manifest.sources)
        model = self._resolved(alone, known.lock if known else Lock(), KEEP_PINS).models[name]
        change = self._changed(known, {name: model})
        self.pins.require_allowed(change.lock, only=name)
        return change

    def without(self, names: Iterable[ModelName]) -> LockChange:
        """The lock without the sections of models.  Asks nobody."""
        known = self.pins.lock_text()
        there = known.lock.models if known else {}
        return self._changed(known, {name: None for name in names if name in there})

    def preview(self, name: ModelName) -> Preview:
        """Which files a model of models.toml would have."""
        with closing(self._catalog()) as catalog:
            return preview(self.pins.manifest.models[name], catalog)

    def outlooks(self, choice: Choice) -> list[Outlook]:
        """What the sources have now, beside what the lock pins.

        Raises:
            DifferenceError: There is no lock.
            FetcherError: From the sources.
        """
        lock = self.pins.frozen_lock()
        chosen = chosen_models(lock, choice, self.pins.layout)
        some = Lock(models={name: lock.models[name] for name in chosen})
        with closing(self._catalog()) as catalog:
            return outlooks(self.pins.manifest, some, catalog)

    def _resolved(self, manifest: Manifest, before: Lock, upgrade: Upgrade) -> Lock:
        pins = self.pins
        store, settings = Store(pins.settings.store), transfer_settings(pins.settings, keep_going=False)
        with closing(self._catalog()) as catalog:
            return resolve(
                manifest,
                before,
                catalog,
                hasher=StoreHasher(store, settings=settings, events=pins.events, stop=self.stop),
                peeker=StorePeeker(store, retry=settings.retry, stop=self.stop),
                upgrade=upgrade,
                events=pins.events,
            )

    def _changed(self, known: LockText | None, sections: Mapping[ModelName, LockedModel | None]) -> LockChange:
        before = known.lock if known else Lock()
        kept = {name: model for name, model in before.models.items() if name not in sections}
        models = {**kept, **{name: model for name, model in sections.items() if model}}
        after = Lock(models=dict(sorted(models.items())))
        self.surveyor.everything(after)
        text = write_sections(known, sections) if sections else ""
        return LockChange(lock=after, text=text, changes=tuple(compare_locks(before, after)), differs=bool(sections))

    def _merged(self) -> Merged | None:
        """models.lock merged by fetcher, if git left a conflict in it."""
        path = self.pins.lock_path
        text = self.pins.text_of(path) if path.exists() else ""
        return merge_conflict(text, self.pins.manifest, file=path.name) if has_markers(text) else None

    def _catalog(self) -> Catalog:
        """The sources; refuses those that the policy denies before anybody is asked."""
        pins = self.pins
        self._require_allowed_places()
        return catalog_of(pins.settings, self.endpoints, root=pins.root, addresses=pins.manifest.addresses)

    def _require_allowed_places(self) -> None:
        """Refuse sources and hosts that the policy denies.

        Raises:
            PolicyError: There is one.
        """
        pins, manifest = self.pins, self.pins.manifest
        if manifest.policy is None:
            return
        refs = {name: [spec.source, *spec.fallback] for name, spec in manifest.models.items()}
        found = [
            each
            for name, of_model in refs.items()
            for each in judge_place(manifest.policy, name, pins.place_of(of_model))
        ]
        require_allowed(found, what=pins.manifest_path.name)  # warnings are noted with the lock
        everything = [ref for of_model in refs.values() for ref in of_model]
        require_allowed_environment(manifest.policy, everything, pins.settings.environment, pins.events)
