"""On what it was measured: processor, memory, kernel, file system, versions.  Linux."""

import os
import platform
import ssl
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import Peer, nginx_version


def describe(work: Path, chosen: Sequence[Peer]) -> dict[str, str]:
    """Facts by name, in the order in which they are shown."""
    versions = ", ".join(f"{peer.name} {peer.version()}" for peer in chosen)
    return {
        "Processor": f"{_field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "Memory": f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "Kernel": f"{platform.system()} {platform.release()}",
        "File system": _file_system(work),
        "Server": f"nginx {nginx_version()} on loopback, same machine",
        "Clients": versions,
        "Python": f"{platform.python_version()}, {ssl.OPENSSL_VERSION}",
    }


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "0 unknown"


def _file_system(path: Path) -> str:
    """The type of the file system that `path` is on."""
    here, best, kind = f"{path.resolve()}/", "", "unknown"
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, mount, name, *_ = line.split()
        if here.startswith(f"{mount.rstrip('/')}/") and len(mount) >= len(best):
            best, kind = mount, name
    return kind
