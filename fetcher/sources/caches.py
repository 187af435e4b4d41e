"""Where the official clients keep what they have downloaded.

Nothing in there is changed: files are copies that a sync may take bytes from (disk/copies.py).
"""

import os
from collections.abc import Mapping
from pathlib import Path

from fetcher.core.manifest import HUGGINGFACE, MODELSCOPE, CacheLayout, SourceRef


def official_caches(environment: Mapping[str, str], home: Path) -> list[Path]:
    """Folders in the order in which they are looked at; some may not exist."""
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    modelscope = environment.get("MODELSCOPE_CACHE") or home / ".cache" / "modelscope"
    hugging = environment.get("HF_HOME") or cache / "huggingface"
    hub = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE") or Path(hugging) / "hub"
    return [_expanded(folder, home) for folder in (modelscope, hub)]


def own_caches(environment: Mapping[str, str], home: Path) -> dict[CacheLayout, str]:
    """The folder in which each official library looks."""
    modelscope, huggingface = official_caches(environment, home)
    return {CacheLayout.modelscope: modelscope.as_posix(), CacheLayout.huggingface: huggingface.as_posix()}


def cached_repositories(caches: Mapping[CacheLayout, str]) -> list[SourceRef]:
    """The repositories that the official libraries have downloaded, as their folders tell; sorted.

    Args:
        caches: The folder in which each library looks.
    """
    modelscope, huggingface = Path(caches[CacheLayout.modelscope]), Path(caches[CacheLayout.huggingface])
    found = {
        *(_source(HUGGINGFACE, name) for name in _names(huggingface, marker="snapshots")),
        *(
            _source(MODELSCOPE, f"{kind}--{name}")
            for kind in ("models", "datasets")
            for name in _names(modelscope / kind, marker="snapshots")
        ),
        *(  # up to modelscope 1.37
            _source(MODELSCOPE, f"models--{owner}--{name.replace('___', '.')}")
            for folder in (modelscope, modelscope / "hub", modelscope / "models", modelscope / "hub" / "models")
            for owner in _names(folder)
            for name in _names(folder / owner, marker=".msc")
        ),
    }
    return sorted(filter(None, found), key=str)


def _names(folder: Path, *, marker: str = "") -> list[str]:
    """Folders in a folder that hold something of this name."""
    try:
        return [each.name for each in os.scandir(folder) if os.path.exists(os.path.join(each.path, marker))]
    except OSError:
        return []


def _source(scheme: str, name: str) -> SourceRef | None:
    kind, _, repo = name.partition("--")
    if kind not in ("models", "datasets") or not repo:
        return None
    try:
        return SourceRef.parse(f"{scheme}:{'datasets/' if kind == 'datasets' else ''}{repo.replace('--', '/')}")
    except ValueError:
        return None


_CACHE_VARIABLES = {CacheLayout.modelscope: "MODELSCOPE_CACHE", CacheLayout.huggingface: "HF_HUB_CACHE"}


def cache_variables(caches: Mapping[CacheLayout, str]) -> dict[str, str]:
    """What tells Hugging Face's libraries to ask nobody, and where each library finds what is laid out for it."""
    return {"HF_HUB_OFFLINE": "1", **{_CACHE_VARIABLES[layout]: folder for layout, folder in sorted(caches.items())}}


def _expanded(folder: Path | str, home: Path) -> Path:
    text = str(folder)
    return home / text[2:] if text.startswith("~/") else Path(text).absolute()
