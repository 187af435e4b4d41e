"""The road from the lock to the disk, with the rules that hold whoever walks it.

Look; if something is to be done, look again under the claim; refuse before the first byte
what must be refused; carry the plan out; remember.  `fetcher sync` and `Project.sync` are
both this.

Promises (tests/test_sync.py, test_user_files.py, test_project.py):
  * a plan with nothing to do takes no claim that it would have to wait for;
  * what is changed was looked at under the claim;
  * something in the way stops a sync before the first byte, unless it is to keep going.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from fetcher.core.change import Bounds
from fetcher.core.choice import USUAL, Choice
from fetcher.core.digest import Sha256
from fetcher.core.interfaces import Events, FetchRequest
from fetcher.core.lock import Lock, LockedModel
from fetcher.core.manifest import Endpoint, Layout, SourceRef
from fetcher.core.paths import RepoPath
from fetcher.core.plan import Wanted, take_names
from fetcher.core.policy import Policy
from fetcher.core.proof import Depth
from fetcher.core.retry import RetrySchedule
from fetcher.core.units import count_text
from fetcher.disk.claim import claim
from fetcher.disk.staging import Staging
from fetcher.disk.state import make_state_folder
from fetcher.disk.tidy import tidy
from fetcher.disk.trash import Trash
from fetcher.errors import BusyError, DiskError, FetcherError
from fetcher.prepare import Pair, prepare
from fetcher.settings import Settings
from fetcher.survey import Survey, Surveyor
from fetcher.sync import Report, Workplace, fetch_request

if TYPE_CHECKING:
    from fetcher.sources.catalog import Catalog
    from fetcher.transfer import TransferSettings
    from fetcher.undo import Undoer, Undone

_PATIENCE_S = 1.0  # of waiting in silence for another fetcher

Guard = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a sync is asked to do about the plan.

    Attributes:
        force: Move what is in the way into the trash.
        prune: Remove what fetcher wrote and nothing wants any more.
        offline: Refuse a plan that needs the network.
        keep_going: Do the other models when one fails or is blocked.
        take_names: Let names in a library's cache lead elsewhere, whoever wrote them.
    """

    choice: Choice = USUAL
    force: bool = False
    prune: bool = True
    offline: bool = False
    keep_going: bool = False
    take_names: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """One project's road.

    Attributes:
        state: The project's `.fetcher` folder.
        register: Makes the project known to its store.
        stop: Set it to end a transfer with its state saved.
        guard: Entered around the part of a sync that `stop` ends.
        pair: The manifest and the lock, if the one is known to be what the other asks for.
    """

    root: Path
    state: Path
    layout: Layout
    surveyor: Surveyor
    workplace: Workplace
    staging: Staging
    register: Callable[[], object]
    trash: Trash
    settings: Settings
    events: Events
    stop: Event
    guard: Guard
    pair: Pair | None = None

    def look(self, lock: Lock, wishes: Wishes) -> Survey:
        """Look at the disk and plan what the wishes allow."""
        survey = self.surveyor.look(lock, wishes.choice)
        if not wishes.prune:
            survey = survey.with_plan(survey.plan.without_remove())
        if wishes.take_names:
            survey = survey.with_plan(take_names(survey.plan))
        return survey.with_plan(self.workplace.force(survey.plan)) if wishes.force else survey

    def verify(self, lock: Lock, choice: Choice, depth: Depth) -> Survey:
        """Look with every file hashed, or a sample, and remember what was found."""
        with self.guard():
            survey = self.surveyor.look_closely(lock, choice, depth)
        if self.state.exists() and not self.workplace.knows(survey.scan, survey.plan):
            self._remember(survey, choice)
        return survey

    def repair(self, lock: Lock, choice: Choice, depth: Depth) -> tuple[Survey, Report]:
        """Verify, and bring what is missing or damaged to the lock; what is blocked stays."""
        with self._claimed():
            with self.guard():
                survey = self.surveyor.look_closely(lock, choice, depth)
            mending = replace(survey.plan.without_remove(), blocked=(), left=())
            return survey, self._change(survey.with_plan(mending), Wishes(choice=choice))

    def sync(self, lock: Lock, wishes: Wishes) -> Report:
        """Make the disk match the lock; the report has failures only if the wishes say to keep going.

        Raises:
            BlockedError: Something is in the way that is not fetcher's.
            OfflineError: Something is missing that the network has.
            BusyError: Another fetcher is at work for longer than the wait.
            DiskError: Not enough room, before the first byte.
            InterruptedRun: `stop` was set; what was received is kept.
        """
        survey = self.look(lock, wishes)
        if survey.plan.is_empty():
            self._remember(survey, wishes.choice)
            left = {item.spot: item.reason for item in survey.plan.left}
            return Report(kept=len(survey.plan.keep), left=left)
        with self._claimed():
            report = self._change(self.look(lock, wishes), wishes)
            self._tidy()
            return report

    def undo(self, undoer: "Undoer") -> "list[Undone]":
        """Put the last sync back, and those before it that did not end; empty where there is none.

        Raises:
            BlockedError: Files were changed since.
            BusyError: Another fetcher is at work on the project.
        """
        if not self.trash.last():
            self._sweep_claim()
            return []
        with self._claimed():
            return [undoer.put_back(change) for change in self.trash.last()]

    def _tidy(self) -> None:
        """Let the trash go what is too old or too much; a disk that refuses is for a later sync to say."""
        bounds = Bounds(age_s=self.settings.trash_age_s, size=self.settings.trash_size)
        with suppress(DiskError):
            gone = tidy(self.trash.all(), bounds)
            if gone:
                self.events.note(f"the trash has let {count_text(gone, 'file')} of earlier syncs go")

    def _change(self, survey: Survey, wishes: Wishes) -> Report:
        """Refuse what must be refused, and carry the rest of the plan out."""
        blocked = survey.plan.blocked_models() if wishes.keep_going else {}
        plan = survey.plan.without_models(blocked)
        plan.require_free_way()
        with self.guard():
            plan = self.workplace.prove_stored(plan)
        if wishes.offline:
            plan.require_no_fetch()
        with self.guard():
            report = self._carry_out(survey.with_plan(plan), wishes)
        return replace(report, failures={**blocked, **report.failures})

    def _carry_out(self, survey: Survey, wishes: Wishes) -> Report:
        by_digest: dict[Sha256, list[tuple[Wanted, LockedModel]]] = {}
        for home in survey.homes:
            by_digest.setdefault(home[0].sha256, []).append(home)
        endpoints = rooted(self.layout.sources, self.root)
        if self.layout.policy is not None and survey.plan.fetch:
            refs = [ref for _, model in survey.homes for ref in (model.source, *(pin.source for pin in model.fallback))]
            require_allowed_environment(self.layout.policy, refs, self.settings.environment, self.events)
        made = catalog_of(self.settings, endpoints, root=self.root, addresses=self.layout.addresses)
        with closing(made) as catalog:

            def request(wanted: Wanted) -> FetchRequest:
                homes = sorted(by_digest[wanted.sha256], key=lambda home: home[0] is not wanted)
                return fetch_request(wanted, homes, catalog.places)

            def fetch(wanted: Sequence[tuple[FetchRequest, Wanted]]) -> Mapping[Sha256, FetcherError]:
                return self._fetch(wanted, keep_going=wishes.keep_going)

            return self.workplace.carry_out(survey.plan, survey.scan, fetch, request)

    def _fetch(
        self, wanted: Sequence[tuple[FetchRequest, Wanted]], *, keep_going: bool
    ) -> Mapping[Sha256, FetcherError]:
        from fetcher.transfer import Job, require_space, run_transfer

        jobs = [Job(request=request, store=self.staging.store_for(item)) for request, item in wanted]
        require_space(jobs)
        settings = transfer_settings(self.settings, keep_going=keep_going)
        outcomes = run_transfer(jobs, settings=settings, events=self.events, stop=self.stop)
        return {outcome.request.name: outcome.error for outcome in outcomes if outcome.error}

    def _remember(self, survey: Survey, choice: Choice) -> None:
        """Save what the look found out, so that it need not be hashed again.

        A help for later runs only: where the disk refuses, or another fetcher is at work, nothing is saved.
        The short answer is for a project that its store knows: who gets it never comes by here again.
        """
        if not (survey.wanted or self.state.exists()):
            return
        with suppress(DiskError, BusyError):
            make_state_folder(self.state)
            with claim(self.state / "claim", wait_s=0, what=self.root.name):
                known = self.workplace.remember(survey.scan, survey.plan)
                if known and self.pair and choice.is_usual() and self._try_to_register():
                    prepare(self.pair, self.state, survey, self.trash)

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Keep other fetchers from changing this project meanwhile.

        Raises:
            BusyError: Another one does, for longer than the wait.
        """
        make_state_folder(self.state)
        what = f"the project {self.root.name}"
        with ExitStack() as stack:
            try:
                stack.enter_context(
                    claim(self.state / "claim", wait_s=min(_PATIENCE_S, self.settings.wait_s), what=what)
                )
            except BusyError:
                if self.settings.wait_s <= _PATIENCE_S:
                    raise
                self.events.note(f"waiting for another fetcher that is at work on {what}; Ctrl-C gives up")
                rest_s = self.settings.wait_s - _PATIENCE_S
                stack.enter_context(claim(self.state / "claim", wait_s=rest_s, what=what))
            self._try_to_register()  # a store that cannot be written is told by who needs it
            yield

    def _sweep_claim(self) -> None:
        """Let go of what a holder that was killed at its end has left."""
        if self.state.exists():
            with suppress(DiskError, BusyError), claim(self.state / "claim", wait_s=0, what=self.root.name):
                pass

    def _try_to_register(self) -> bool:
        """Make the project known to its store; whether that worked."""
        try:
            self.register()
        except DiskError:
            return False
        return True


def require_allowed_environment(
    policy: Policy, refs: Sequence[SourceRef], environment: Mapping[str, str], events: Events
) -> None:
    """Refuse hosts that variables name and the policy denies; to be called before these are asked.

    Raises:
        PolicyError: There is one.
    """
    from fetcher.core.verdicts import judge_environment, require_allowed
    from fetcher.sources.hosts import hosts_of_environment

    found = judge_environment(policy, hosts_of_environment(refs, environment))
    for note in require_allowed(found, what="the environment"):
        events.note(note)


def rooted(endpoints: Mapping[str, Endpoint], root: Path) -> dict[str, Endpoint]:
    """`[sources]` of the manifest in a folder, with paths that do not depend on the current one."""
    return {
        name: replace(each, ca_file=str(root / each.ca_file)) if each.ca_file else each
        for name, each in endpoints.items()
    }


def catalog_of(
    settings: Settings,
    endpoints: Mapping[str, Endpoint],
    *,
    root: Path = Path(),
    addresses: Mapping[SourceRef, Mapping[RepoPath, str]] | None = None,
) -> "Catalog":
    """The sources that settings and a manifest in the folder `root` make."""
    from fetcher.disk.tokens import TokenStore
    from fetcher.sources.catalog import Catalog

    return Catalog(
        endpoints=endpoints,
        root=root,
        addresses=addresses,
        environment=settings.environment,
        home=settings.home,
        scratch=settings.store / "scratch",
        stored=TokenStore(settings.logins),
        idle_timeout_s=settings.idle_timeout_s,
        retry=RetrySchedule(attempts=settings.retries),
        may_go_private=settings.private_redirects,
    )


def transfer_settings(settings: Settings, *, keep_going: bool) -> "TransferSettings":
    """What the settings say about transfers."""
    from fetcher.transfer import TransferSettings

    return TransferSettings(
        jobs=settings.jobs,
        connections=settings.connections,
        limit_rate=settings.limit_rate,
        idle_timeout_s=settings.idle_timeout_s,
        claim_wait_most_s=settings.object_wait_s,
        retry=RetrySchedule(attempts=settings.retries),
        keep_going=keep_going,
    )
