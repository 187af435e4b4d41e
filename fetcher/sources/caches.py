"""Where the official clients keep what they have downloaded.

Nothing in there is changed: files are copies that a sync may take bytes from (disk/copies.py).
"""

from collections.abc import Mapping
from pathlib import Path


def official_caches(environment: Mapping[str, str], home: Path) -> list[Path]:
    """Folders in the order in which they are looked at; some may not exist."""
    cache = Path(environment.get("XDG_CACHE_HOME") or home / ".cache")
    modelscope = environment.get("MODELSCOPE_CACHE") or home / ".cache" / "modelscope"
    hugging = environment.get("HF_HOME") or cache / "huggingface"
    hub = environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE") or Path(hugging) / "hub"
    return [_expanded(folder, home) for folder in (modelscope, hub)]


def cache_variables() -> dict[str, str]:
    """What tells Hugging Face's libraries to ask nobody."""
    return {"HF_HUB_OFFLINE": "1"}


def _expanded(folder: Path | str, home: Path) -> Path:
    text = str(folder)
    return home / text[2:] if text.startswith("~/") else Path(text).absolute()
