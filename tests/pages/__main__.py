"""Writes the pages that are made from the code (`make pages`); with `--check`, says what is wrong with the pages."""

import sys
from pathlib import Path

from tests.pages.commands import commands_page
from tests.pages.keys import lock_page, manifest_page
from tests.pages.links import pages_without_navigation, wrong_links
from tests.pages.measured import compared_page
from tests.pages.output import output_page

ROOT = Path(__file__).parents[2]
MADE = {
    "docs/reference/commands.md": commands_page,
    "docs/reference/models-toml.md": manifest_page,
    "docs/reference/models-lock.md": lock_page,
    "docs/compared.md": compared_page,
    "docs/reference/json.md": output_page,
}


def problems(root: Path = ROOT) -> list[str]:
    """A line for each page that is not what the code says, and for each link that leads nowhere."""
    stale = [
        f"{name} is not what the code says; run `make pages`"
        for name, make in MADE.items()
        if (root / name).read_text(encoding="utf-8") != make()
    ]
    return [*stale, *wrong_links(root), *pages_without_navigation(root)]


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        found = problems()
        sys.stderr.writelines(f"{line}\n" for line in found)
        return 1 if found else 0
    for name, make in MADE.items():
        (ROOT / name).write_text(make(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
