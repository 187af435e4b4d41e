"""The answers that hold as long as nothing has changed: `.fetcher/ready`, a copy of what was found out.

Written when a look has found nothing to do; read by the front room (fetcher/front.py), which
must not import more than this.  It holds the digests of the manifest and the lock that it is
about, the stamp of the index that it rests on, the answers, and the size, time and inode of
every placed file.  Only files that the index trusts are in it, so that whatever has these
three is what it was (disk/scan.py says why).  It decides nothing about files: where it is
missing, torn or not about what is there now, the command looks for itself.

The format is made to be read by Python in the time that it has (100,000 files in 20 ms):
lines of text, names between NUL, then three 64-bit numbers of this machine for each file.

Promises (tests/disk/test_ready.py, tests/test_front.py):
  * a file that is torn at any byte is no file;
  * a name, a size, a time, an inode, a folder or a kind that is not as it was is noticed.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC = "fetcher ready 4"
TRASH = ".fetcher/trash"  # from the project's folder
_DIRECTORY, REGULAR, _LINK, KIND = 0o040000, 0o100000, 0o120000, 0o170000
_STAMP_SIZE = 24  # bytes: size, mtime_ns, inode
_MOST_IN_TRASH = 2000  # entries; a look at so many takes as long as the normal way's start


def ready_name(manifest: str) -> str:
    """The file's name in `.fetcher`; each manifest of a folder has its own."""
    return "ready" if manifest == "models.toml" else f"ready-{manifest}"


def digest_of(data: bytes) -> str:
    """What tells one manifest or lock from another: blake2b, 128 hex digits.

    Python's own, which is loaded in a twentieth of the time of `hashlib`, with OpenSSL behind it, and
    takes a third of that of Python's own sha256: 1 ms for a lock of 10,000 files.
    """
    try:
        from _blake2 import blake2b
    except ImportError:
        from hashlib import blake2b
    return str(blake2b(data).hexdigest())


def about(version: str, root: str, manifest: str, lock: str) -> "tuple[str, ...]":
    """What answers are about: a fetcher, a project's folder, and the digests of its manifest and its lock."""
    return (version, root, manifest, lock)


def index_name(manifest: str) -> str:
    """The index's name in `.fetcher`; with one index, two manifests of a folder would prune each other's files."""
    return "index.sqlite" if manifest == "models.toml" else f"index-{manifest}.sqlite"


def index_stamp(path: str) -> str:
    """What tells one state of the index from another; empty where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino}"


def trash_stamp(folder: str) -> str:
    """What tells one state of the trash from another; empty where it holds too much, or something that cannot be read.

    Of each entry the name, size, time, inode and number of links: what `status` says of the trash
    counts files, and bytes of those that have no other link.
    """
    seen = ["trash"]
    folders = [folder] if os.path.lexists(folder) else []
    try:
        while folders:
            here = folders.pop()
            for name in sorted(os.listdir(here)):
                path = f"{here}/{name}"
                found = os.lstat(path)
                if found.st_mode & KIND == _DIRECTORY:
                    folders.append(path)
                seen.append(
                    f"{path[len(folder) :]}\0{found.st_size} {found.st_mtime_ns} {found.st_ino} {found.st_nlink}"
                )
            if len(seen) > _MOST_IN_TRASH:
                return ""
    except OSError:
        return ""
    return "\0".join(seen).replace("\n", "\0")  # no name holds a NUL


def around_stamp(folders: "Iterable[str]") -> str:
    """What tells one list of names in some folders from another: each with its time and inode; empty if one is gone."""
    seen = ["around"]
    for folder in folders:
        try:
            found = os.stat(folder)
        except OSError:
            return ""
        seen += [folder, f"{found.st_mtime_ns} {found.st_ino}"]
    return "\0".join(seen)


class Ready:
    """What a look found out.

    Attributes:
        about: Of the fetcher, the project's folder, and the digests of manifest and lock.
        fresh: The answer of `lock --check`.
        index: Stamp of the index; empty where only the lock was looked at.
        trash: Stamp of the trash; empty where `status` must look at it again.
        around: Stamps of the folders in which `status` has looked for what else is there.
        synced: The answer of `sync`; empty as well then.
        in_place: What `status` says besides its lines.
        status: The lines of `status`.
        folders: Of the files, from the project's folder; none may be a symlink.
        far_folders: Absolute ones, which the user has written and which may be symlinks.
        files: Their names, from the project's folder or absolute.
        links: How many of them, at the end, are symlinks: names that lead to a snapshot.
        stamps: Three numbers for each.
    """

    __slots__ = (
        "about",
        "around",
        "far_folders",
        "files",
        "folders",
        "fresh",
        "in_place",
        "index",
        "links",
        "stamps",
        "status",
        "synced",
        "trash",
    )

    def __init__(
        self,
        about: "tuple[str, ...]",
        fresh: str,
        *,
        index: str = "",
        trash: str = "",
        around: str = "",
        synced: str = "",
        in_place: str = "",
        status: "tuple[str, ...]" = (),
        folders: "tuple[bytes, ...]" = (),
        far_folders: "tuple[bytes, ...]" = (),
        files: "tuple[bytes, ...]" = (),
        links: int = 0,
        stamps: bytes = b"",
    ) -> None:
        self.about = about
        self.fresh = fresh
        self.index = index
        self.trash = trash
        self.around = around
        self.synced = synced
        self.in_place = in_place
        self.status = status
        self.folders = folders
        self.far_folders = far_folders
        self.files = files
        self.links = links
        self.stamps = stamps

    def to_bytes(self) -> "bytes | None":
        """The file's content; None if something in it cannot be written so."""
        lines = (*self.about, self.fresh, self.index, self.trash, self.around, self.synced, self.in_place, *self.status)
        names = (*self.folders, *self.far_folders, *self.files)
        if any("\n" in line for line in lines) or len(self.stamps) != len(self.files) * _STAMP_SIZE:
            return None
        counts = [len(each) for each in (self.about, self.status, self.folders, self.far_folders, self.files)]
        body = b"\0".join(names)
        text = "\n".join((*lines, "")).encode("utf-8", "surrogateescape")
        head = " ".join(map(str, (*counts, self.links, len(text), len(body))))
        return b"%s\n%s\n%s%s%s" % (MAGIC.encode(), head.encode(), text, body, self.stamps)

    @classmethod
    def of(cls, data: bytes) -> "Ready | None":
        """Read the content; None where it is torn or of another format."""
        magic, _, rest = data.partition(b"\n")
        head, _, rest = rest.partition(b"\n")
        if magic.decode("latin-1") != MAGIC:
            return None
        try:
            about, status, folders, far, files, links, text_size, body_size = map(int, head.split())
        except ValueError:
            return None
        if len(rest) != text_size + body_size + files * _STAMP_SIZE:
            return None
        lines = rest[:text_size].decode("utf-8", "surrogateescape").split("\n")[:-1]
        body = rest[text_size : text_size + body_size]
        names = tuple(body.split(b"\0")) if body else ()
        if len(lines) != about + 6 + status or len(names) != folders + far + files or not 0 <= links <= files:
            return None
        return cls(
            tuple(lines[:about]),
            lines[about],
            index=lines[about + 1],
            trash=lines[about + 2],
            around=lines[about + 3],
            synced=lines[about + 4],
            in_place=lines[about + 5],
            status=tuple(lines[about + 6 :]),
            folders=names[:folders],
            far_folders=names[folders : folders + far],
            files=names[folders + far :],
            links=links,
            stamps=rest[text_size + body_size :],
        )

    def is_alone(self) -> bool:
        """Whether nothing has come into the folders of the files, or gone; the working folder must be the project's."""
        return bool(self.around) and self.around == around_stamp(self.around.split("\0")[1::2])

    def is_as_it_was(self) -> bool:
        """Whether every folder and file is what it was; the working folder must be the project's."""
        lstat, stat = os.lstat, os.stat
        numbers: list[int] = []
        kinds = 0
        try:
            for folder in self.folders:
                kinds |= lstat(folder).st_mode ^ _DIRECTORY
            for folder in self.far_folders:
                kinds |= stat(folder).st_mode ^ _DIRECTORY
            first_link = len(self.files) - self.links
            for names, kind in ((self.files[:first_link], REGULAR), (self.files[first_link:], _LINK)):
                for name in names:
                    found = lstat(name)
                    kinds |= found.st_mode ^ kind
                    numbers += (found.st_size, found.st_mtime_ns, found.st_ino)
        except (OSError, ValueError):
            return False
        return not kinds & KIND and numbers == memoryview(self.stamps).cast("Q").tolist()


def stamps_of(numbers: "list[int]") -> bytes:
    """Size, time and inode of each file as they stand in the file; empty if one is no 64-bit number."""
    try:
        return b"".join([number.to_bytes(8, sys.byteorder) for number in numbers])
    except OverflowError:
        return b""
