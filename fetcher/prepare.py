"""Write down what the front room (front.py) may answer: `.fetcher/ready`, see disk/ready.py.

A help for later runs only: where it cannot be written, nothing is lost but time.

Promises (tests/test_front.py):
  * an answer is written only if a look has found nothing to do and no file needs another look;
  * the same answer is not written twice.
"""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fetcher import __version__
from fetcher.core import answers
from fetcher.core.change import Usage
from fetcher.disk.atomic import write_atomic
from fetcher.disk.index import Row
from fetcher.disk.ready import Ready, about, index_name, index_stamp, ready_name, stamps_of, trash_stamp
from fetcher.disk.scan import is_settled
from fetcher.disk.tidy import usage
from fetcher.disk.trash import Trash
from fetcher.errors import DiskError
from fetcher.survey import Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A manifest and a lock that is what it asks for.

    Attributes:
        root: The project's folder.
        manifest, lock: The names of the files.
        digests: Of both (disk/ready.py).
    """

    root: Path
    manifest: str
    lock: str
    digests: tuple[str, str]

    def ready(self) -> Ready:
        """The answers that need no look at the disk."""
        return Ready(about(__version__, str(self.root), *self.digests), answers.fresh(self.lock, self.manifest))


def prepare_fresh(pair: Pair, state: Path) -> None:
    """Keep the answer of `lock --check`, and the others if they are about the same pair."""
    path = state / ready_name(pair.manifest)
    known = _read(path)
    if known is None or known.about != pair.ready().about:
        _write(path, pair.ready())


def prepare(pair: Pair, state: Path, survey: Survey, trash: Trash) -> None:
    """Keep the answers of a look at every model that found nothing to do; to be called under the claim."""
    rows = _certain_rows(survey)
    if rows is None:
        return
    ready = pair.ready()
    spots = [row.spot for row in rows]
    ready.folders, ready.far_folders = _folders_of(spots)
    ready.files = tuple(spot.encode("utf-8", "surrogateescape") for spot in spots)
    ready.links = sum(wanted.is_link for wanted in survey.wanted)
    try:
        ready.stamps = stamps_of([number for row in rows for number in (row.size, row.mtime_ns, row.inode)])
    except (OverflowError, TypeError):
        return
    files = Counter(wanted.model for wanted in survey.wanted)
    ready.index = index_stamp(str(state / index_name(pair.manifest)))
    ready.synced = answers.up_to_date(len(survey.wanted))
    ready.in_place = answers.IN_PLACE
    beside = survey.beside(pair.root)
    ready.around = beside.stamp
    ready.trash, of_trash = _trash(trash)
    of_models = (answers.synced(name, files[name], model.size) for name, model in survey.models.items())
    of_others = map(answers.not_by_default, survey.undesired)
    ready.status = (*of_models, *of_others, *answers.unmanaged(beside.spots), *of_trash)
    if ready.index:
        _write(state / ready_name(pair.manifest), ready)


def _trash(trash: Trash) -> tuple[str, list[str]]:
    """The stamp of the trash, taken before the look at it, and what `status` says of it."""
    stamp = trash_stamp(str(trash.folder))
    held = usage(trash.folder, trash.all()) if stamp else Usage()
    return "" if held.beside else stamp, answers.trash(held)


def _certain_rows(survey: Survey) -> list[Row] | None:
    """The rows of all wanted files; None if anything at all is left to be done or said."""
    scan = survey.scan
    if not survey.wanted or scan.local.leftovers or scan.open_intents or len(survey.plan.keep) != len(survey.wanted):
        return None
    rows = [scan.rows[wanted.spot] for wanted in sorted(survey.wanted, key=lambda wanted: wanted.is_link)]
    return rows if all(map(is_settled, rows)) else None


def _folders_of(spots: list[str]) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """The folders above the spots: in the project, and absolute."""
    found: dict[str, None] = {}
    for spot in spots:
        parent = spot.rpartition("/")[0]
        while parent and parent not in found:
            found[parent] = None
            parent = parent.rpartition("/")[0]
    names = {name: name.encode("utf-8", "surrogateescape") for name in found}
    near = tuple(text for name, text in names.items() if not name.startswith("/"))
    return near, tuple(text for name, text in names.items() if name.startswith("/"))


def _read(path: Path) -> Ready | None:
    try:
        return Ready.of(path.read_bytes())
    except OSError:
        return None


def _write(path: Path, ready: Ready) -> None:
    data = ready.to_bytes()
    if data is None or path.is_symlink() or path.parent.is_symlink():  # it may have come with somebody's project
        return
    with suppress(DiskError, OSError):
        if not path.exists() or path.read_bytes() != data:
            write_atomic(path, data)
