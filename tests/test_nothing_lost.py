"""Rule 1 over random histories: users' files, edits, renames, symlinks and modes; locks that change; syncs and undos.

The world keeps its own book: every text of the user's is unique, so that it can be looked
for anywhere below the project, and a picture of the disk is taken without fetcher's code.
"""

import os
import tempfile
import threading
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fetcher.core.interfaces import NoEvents
from fetcher.core.paths import RepoPath
from fetcher.core.plan import Wanted
from fetcher.disk.copies import Copies
from fetcher.disk.index import Index
from fetcher.disk.staging import Staging
from fetcher.disk.store import Store
from fetcher.disk.trash import Trash
from fetcher.errors import BlockedError
from fetcher.sync import Workplace
from fetcher.undo import Undoer
from tests.disk.looks import sha

_PATHS = ["a", "b", "sub/a", "sub/b", "sub/deep/a", "deep"]
_CONTENTS = {"one": b"one", "two": b"two", "longer": b"one and a half", "large": bytes(1 << 20)}
_MODELS = ["m", "n"]
_FOLDERS = ["", "/sub", "/sub/deep"]

spots = st.tuples(st.sampled_from(_MODELS), st.sampled_from(_PATHS)).map(lambda each: f"models/{each[0]}/{each[1]}")
folders = st.tuples(st.sampled_from(_MODELS), st.sampled_from(_FOLDERS)).map(lambda each: f"models/{each[0]}{each[1]}")
locks = st.dictionaries(
    st.tuples(st.sampled_from(_MODELS), st.sampled_from([p for p in _PATHS if p != "deep"])),
    st.sampled_from(sorted(_CONTENTS)),
    max_size=6,
)


class Histories(RuleBasedStateMachine):
    """One project, its user, and fetcher."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.base = Path(self.folder.name)
        self.root = self.base / "project"
        self.root.mkdir()
        self.outside = self.base / "outside"
        self.outside.mkdir()
        self.store = Store(self.base / "store")
        for content in _CONTENTS.values():
            self.store.add_bytes(content)
        self.texts: set[bytes] = set()
        self.count = 0

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(spot=spots)
    def the_user_writes(self, spot: str) -> None:
        """A new file, or an edit by writing anew."""
        path = self.root / spot
        if not path.is_dir() and not path.is_symlink() and self._make_parent(path):
            if path.is_file():
                self._forget(path)
                path.unlink()
            path.write_bytes(self._text())

    @rule(pick=st.integers(min_value=0))
    def the_user_edits_in_place(self, pick: int) -> None:
        """An editor that keeps the inode, on any file that is there; large files are read-only and shared."""
        there = [path for path in sorted(self.root.glob("models/**/*")) if path.is_file() and not path.is_symlink()]
        alone = [path for path in there if path.stat().st_nlink == 1]
        if alone:
            path = alone[pick % len(alone)]
            self._forget(path)
            path.write_bytes(self._text())

    @rule(old=spots, new=spots)
    def the_user_renames(self, old: str, new: str) -> None:
        """A file or a whole folder."""
        source, target = self.root / old, self.root / new
        free = not os.path.lexists(target) and source not in target.parents
        if os.path.lexists(source) and free and self._make_parent(target):
            source.rename(target)

    @rule(spot=spots | folders)
    def the_user_links(self, spot: str) -> None:
        """A symlink out of the project, where a file or a folder would be; a folder that is there goes with it."""
        path, goal = self.root / spot, self.outside / f"{len(os.listdir(self.outside))}"
        if path.is_dir() and not path.is_symlink() and self._make_parent(path):
            path.rename(goal)
        if not os.path.lexists(path) and self._make_parent(path):
            goal.mkdir(exist_ok=True)
            path.symlink_to(goal)

    @rule(spot=spots, mode=st.sampled_from([0o444, 0o600, 0o755]))
    def the_user_changes_a_mode(self, spot: str, mode: int) -> None:
        """Of a file that is not shared."""
        path = self.root / spot
        if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1:
            path.chmod(mode)

    @rule(first=locks, second=locks, pick=st.integers(min_value=0), undo=st.booleans())
    def the_user_edits_between_two_syncs(
        self, first: dict[tuple[str, str], str], second: dict[tuple[str, str], str], pick: int, undo: bool
    ) -> None:
        """What fetcher wrote and the user changed is the user's, whatever the lock says next."""
        self.fetcher_syncs(first, force=False, undo=False)
        self.the_user_edits_in_place(pick)
        self.fetcher_syncs(second, force=False, undo=undo)

    @rule(lock=locks, force=st.booleans(), undo=st.booleans())
    def fetcher_syncs(self, lock: dict[tuple[str, str], str], force: bool, undo: bool) -> None:
        """A sync to another lock; what it did is put back, if the draw says so."""
        content = {where: _CONTENTS[name] for where, name in lock.items()}
        before, outside = self._picture(self.root), self._picture(self.outside)
        try:
            changed = self._sync(content, force=force)
        except BlockedError:
            assert not force
            assert self._picture(self.root) == before, "a refused sync changes nothing"
            return
        finally:
            assert self._picture(self.outside) == outside, "no link is followed"
        if not force:
            assert self._of_the_user(before).items() <= self._picture(self.root).items(), (
                "only force moves what is the user's"
            )
        for (model, path), data in content.items():
            assert (self.root / "models" / model / path).read_bytes() == data
        if undo and changed:
            self._undo()
            assert self._picture(self.root) == before

    @invariant()
    def no_text_of_the_user_s_is_lost(self) -> None:
        """It is in the project or in its trash, or where the user has moved it."""
        if hasattr(self, "root"):
            found = {
                Path(where, name).read_bytes()
                for top in (self.root, self.outside)
                for where, _, names in os.walk(top)
                for name in names
                if Path(where, name).is_file()
            }
            assert self.texts <= found

    def _sync(self, lock: dict[tuple[str, str], bytes], *, force: bool) -> bool:
        wanted = [
            Wanted(model=model, path=RepoPath(path), spot=f"models/{model}/{path}", sha256=sha(data), size=len(data))
            for (model, path), data in lock.items()
        ]
        workplace = Workplace(
            root=self.root,
            state=self.root / ".fetcher",
            index="index.sqlite",
            staging=self._staging(),
            copies=Copies(projects=list, folders=[]),
            events=NoEvents(),
            stop=threading.Event(),
        )
        scan = workplace.look(wanted, models=None, elsewhere=())
        plan = workplace.plan(wanted, scan.local)
        plan = workplace.force(plan) if force else plan
        plan.require_free_way()
        plan.require_no_fetch()
        report = workplace.carry_out(plan, scan, lambda _: {}, lambda _: None)  # type: ignore[arg-type,return-value]
        return not report.is_empty()

    def _undo(self) -> None:
        trash = Trash(root=self.root, folder=self.root / ".fetcher" / "trash", index="index.sqlite")
        undoer = Undoer(root=self.root, index=Index(self.root / ".fetcher" / "index.sqlite"), staging=self._staging())
        for change in trash.last():
            assert undoer.put_back(change).lost == ()

    def _staging(self) -> Staging:
        return Staging(root=self.root, state=self.root / ".fetcher", store=self.store)

    def _picture(self, top: Path) -> dict[str, tuple[int, bytes]]:
        """Mode and content of everything but fetcher's state and folders, which hold no bytes."""
        found = {}
        for where, folders, names in os.walk(top):
            folders[:] = [name for name in folders if name != ".fetcher"]
            for name in (*names, *folders):
                path = Path(where, name)
                if path.is_symlink():
                    found[str(path)] = (0, os.readlink(path).encode())
                elif path.is_file():
                    found[str(path)] = (path.stat().st_mode, path.read_bytes())
        return found

    def _of_the_user(self, picture: dict[str, tuple[int, bytes]]) -> dict[str, tuple[int, bytes]]:
        """What the user wrote, and the symlinks, which only the user makes here."""
        return {path: (mode, data) for path, (mode, data) in picture.items() if not mode or data in self.texts}

    def _make_parent(self, path: Path) -> bool:
        """Make the folders above; False if something else is there."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            return False
        return not any(parent.is_symlink() for parent in path.parents if parent != self.root)

    def _text(self) -> bytes:
        self.count += 1
        text = b"the user's %d" % self.count
        self.texts.add(text)
        return text

    def _forget(self, path: Path) -> None:
        """The user overwrites a text: it is not fetcher's to keep."""
        self.texts.discard(path.read_bytes())


Histories.TestCase.settings = settings(
    max_examples=40, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistories = Histories.TestCase
