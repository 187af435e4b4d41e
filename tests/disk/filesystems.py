"""File systems of other kinds, on loop devices, where this machine lets us mount them."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MAKE = {"btrfs": ["mkfs.btrfs", "-q"], "xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"]}
_SIZE = 320 << 20  # bytes; mkfs.xfs makes none below 300 MiB


@contextlib.contextmanager
def reflinking(kind: str) -> Iterator[Path]:
    """A new file system that can share extents; the test is skipped where it cannot be had."""
    with _mounted(kind) as folder:
        yield folder


@contextlib.contextmanager
def _mounted(kind: str) -> Iterator[Path]:
    make = _MAKE[kind]
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    if shutil.which(make[0]) is None:
        pytest.skip(f"{make[0]} is not installed")
    with tempfile.TemporaryDirectory(prefix="fetcher-test-") as name:
        image, folder = Path(name, "image"), Path(name, "mounted")
        folder.mkdir()
        with image.open("wb") as file:
            file.truncate(_SIZE)
        subprocess.run([*make, str(image)], check=True, capture_output=True)
        mounted = subprocess.run(["mount", "-o", "loop", str(image), str(folder)], capture_output=True, text=True)
        if mounted.returncode != 0:
            pytest.skip(f"{kind} cannot be mounted here: {mounted.stderr.strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True, capture_output=True)
