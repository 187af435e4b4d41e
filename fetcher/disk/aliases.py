"""Two names of one folder: what fetcher wrote under the one is found under the other.

A target may be reached by a link today and by its own path tomorrow.  The file that stands
at the wanted spot is then the very one that the index knows under another name, and must
not be taken for a leftover.

Promise (tests/test_targets.py):
  * a file that is wanted is not removed, whatever name the index knows it by.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from fetcher.core.plan import Wanted
from fetcher.disk.index import Row


def under_wanted_names(rows: Mapping[str, Row], wanted: Iterable[Wanted], root: Path) -> dict[str, Row]:
    """The rows, those of wanted files under the spots at which these are wanted."""
    spots = {item.spot for item in wanted}
    strays = [spot for spot in rows if spot not in spots]
    unknown = [spot for spot in spots if spot not in rows]
    if not (strays and unknown) or not any(map(os.path.isabs, (*strays, *unknown))):
        return dict(rows)
    names = {name: spot for spot in unknown if (name := _name(root / spot))}
    renamed = {spot: names[name] for spot in strays if (name := _name(root / spot)) in names}
    return {renamed.get(spot, spot): replace(row, spot=renamed.get(spot, spot)) for spot, row in rows.items()}


def _name(path: Path) -> tuple[int, int, str] | None:
    """The folder itself and the name in it; None where there is no such folder."""
    try:
        found = path.parent.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, path.name
