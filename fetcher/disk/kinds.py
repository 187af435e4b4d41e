"""What a thing on the disk is, in words for messages."""

import stat

_KINDS = {
    stat.S_IFLNK: "a symlink",
    stat.S_IFDIR: "a directory",
    stat.S_IFREG: "a file",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def kind_of(mode: int) -> str:
    """By its mode, as `stat` gives it."""
    return _KINDS.get(stat.S_IFMT(mode), "a special file")
