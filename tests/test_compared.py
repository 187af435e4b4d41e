"""docs/compared.md: each cell of its first table is what the programs do here, one after the other, on one hub."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.hub.faults import OBJECT, Corrupt, FaultProxy, Rule
from tests.hub.publish import MIB, Publisher
from tests.official import Officials

_ROOT = Path(__file__).parents[1]
_LARGE, _SMALL, _EXTRA = "model.safetensors", "config.json", "README.md"
_TREE: dict[str, bytes | int] = {_SMALL: b"{}", _EXTRA: b"# m", _LARGE: 2 * MIB}


def _table(page: str, heading: str) -> dict[str, list[str]]:
    """The rows of four cells below a heading, by the first of them; each row once."""
    section = (_ROOT / page).read_text(encoding="utf-8").partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines()]
    return {cells[0]: cells[1:] for cells in rows if len(cells) == 4}


_TABLE = _table("docs/compared.md", "## What happens")
_PROGRAMS = _TABLE["what happens"]
_ROWS = {
    "flipped": "a byte of a large file is flipped on the way",
    "edited": "a placed file was edited; the same command again",
    "damaged": "a placed file was damaged; the command that mends it",
    "machine": "the branch has moved on; a second machine",
    "requests": "the same command again: requests to the hub",
    "no network": "the same command again, without a network",
    "left out": "a pattern leaves out a file that is there; again",
    "folders": "the same model in two folders",
    "nothing": "a pattern that matches no file, on the command line",
}

_IN_CHINESE = {  # longer words first
    "replaced, ": "覆盖，",
    "placed, ": "照样放到位，",
    "refused, ": "拒绝，",
    "kept, ": "保留，",
    "exit ": "退出码 ",
    "the same bytes": "相同的字节",
    "other bytes": "不同的字节",
    "removed": "移走",
    "stays": "留着",
    "the bytes once": "只占一份",
    "the bytes twice": "占两份",
}


class _World:
    """A hub, a proxy in front of it that may spoil replies, and a folder."""

    def __init__(self, folder: Path, publisher: Publisher, hub: Hub, proxy: FaultProxy, officials: Officials) -> None:
        self.folder, self.publisher, self.hub, self.proxy, self.officials = folder, publisher, hub, proxy, officials
        self.published = publisher.publish("o/m", _TREE)
        publisher.commit("o/m", "first", _TREE)  # stays when the branch moves on


class _Fetcher:
    """`fetcher lock`, once, and `fetcher sync`."""

    def __init__(self, world: _World, place: Path) -> None:
        place.mkdir(parents=True)
        self._at: Desk = desk(place / "project", world.proxy.url, more={"FETCHER_STORE": str(place / "store")})
        self._at.model(repo="o/m")
        self.target = self._at.folder / "models/m"

    def bring(self, exclude: str = "") -> int:
        if exclude:
            self._at.model(repo="o/m", more=f'exclude = ["{exclude}"]')
        if exclude or not (self._at.folder / "models.lock").exists():
            self._at.ok("lock")
        return self._at.fetcher("sync").code

    def mend(self) -> int:
        assert self._at.fetcher("verify").code == 4
        return self._at.fetcher("sync").code

    def bring_to_a_second_machine(self, place: Path) -> Path:
        other = desk(place, self._at.environment["MODELSCOPE_ENDPOINT"], more={"FETCHER_STORE": f"{place}.store"})
        for name in ("models.toml", "models.lock"):
            (other.folder / name).write_bytes((self._at.folder / name).read_bytes())
        other.ok("sync")
        return other.folder / "models/m"

    def bring_to_a_second_folder(self, place: Path) -> Path:
        other = desk(place, self._at.environment["MODELSCOPE_ENDPOINT"], more=self._at.environment)
        other.model(repo="o/m")
        other.ok("lock")
        other.ok("sync")
        return other.folder / "models/m"

    def bring_nothing(self) -> int:
        return self._at.fetcher("download", "o/m", "--include", "*.bin", "--local-dir", "no").code


class _Official:
    """One of the official clients, into a folder."""

    line = ""

    def __init__(self, world: _World, place: Path) -> None:
        self._world, self._place = world, place
        self.target = place / "here"

    def _run(self, place: Path, more: str = "") -> int:
        return self._world.officials.run(f"{self.line}{more}", folder=place, endpoint=self._world.proxy.url).code

    def bring(self, exclude: str = "") -> int:
        return self._run(self._place, f" --exclude '{exclude}'" if exclude else "")

    def mend(self) -> int:
        return self.bring()

    def bring_to_a_second_machine(self, place: Path) -> Path:
        assert self._run(place) == 0
        return place / "here"

    def bring_to_a_second_folder(self, place: Path) -> Path:
        line = self.line.replace("here", str(place))
        assert self._world.officials.run(line, folder=self._place, endpoint=self._world.proxy.url).code == 0
        return place

    def bring_nothing(self) -> int:
        return self._run(self._place, " --include '*.bin'")


class _ModelScope(_Official):
    line = "modelscope download o/m --local_dir here"


class _HuggingFace(_Official):
    line = "hf download o/m --local-dir here"


_KINDS: dict[str, Callable[[_World, Path], _Fetcher | _Official]] = {
    "fetcher": _Fetcher,
    "modelscope": _ModelScope,
    "hf": _HuggingFace,
}


def _seen(world: _World, name: str) -> tuple[dict[str, str], _Fetcher | _Official]:
    """What one program does, by row, and the program as it is then."""
    place = world.folder / name
    spoilt, program = (_KINDS[name](world, place / each) for each in ("spoilt", "first"))
    world.proxy.plan.append(Rule(OBJECT, Corrupt(offset=5)))
    code = spoilt.bring()
    seen = {"flipped": f"{'placed' if (spoilt.target / _LARGE).exists() else 'refused'}, exit {code}"}
    world.proxy.plan.clear()

    assert program.bring() == 0
    world.hub.forget_requests()
    assert program.bring() == 0
    seen["requests"] = str(sum("o/m" in each.path for each in world.hub.requests))
    second = program.bring_to_a_second_folder(place / "second")
    seen["folders"] = f"the bytes {'once' if (program.target / _LARGE).samefile(second / _LARGE) else 'twice'}"
    seen["damaged"] = _damaged(world, program)
    seen["edited"] = _edited(program)

    world.publisher.publish("o/m", {**_TREE, _SMALL: b"[2]"})
    there = program.bring_to_a_second_machine(place / "machine")
    seen["machine"] = f"{'the same' if (there / _SMALL).read_bytes() == world.published[_SMALL] else 'other'} bytes"
    world.publisher.publish("o/m", _TREE)

    assert program.bring(exclude=_EXTRA) == 0
    seen["left out"] = "stays" if (program.target / _EXTRA).exists() else "removed"
    seen["nothing"] = f"exit {program.bring_nothing()}"
    return seen, program


def _damaged(world: _World, program: _Fetcher | _Official) -> str:
    """A byte changes as a disk changes it, without a new time."""
    file = program.target / _LARGE
    before = file.stat()
    with file.open("r+b") as stream:
        stream.write(bytes([world.published[_LARGE][0] ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    code = program.mend()
    return f"{'mended' if file.read_bytes() == world.published[_LARGE] else 'stays damaged'}, exit {code}"


def _edited(program: _Fetcher | _Official) -> str:
    """As by an editor that writes a new file; it is out of the way afterwards."""
    file = program.target / _SMALL
    file.unlink()
    file.write_bytes(b"[1]")
    later = file.stat().st_mtime + 10  # hf does not see an edit of the second after the download
    os.utime(file, (later, later))
    code = program.bring()
    words = f"{'kept' if file.read_bytes() == b'[1]' else 'replaced'}, exit {code}"
    file.unlink()
    assert program.bring() == 0
    return words


def test_the_table_is_what_the_programs_do(tmp_path: Path, hub: Hub, publisher: Publisher) -> None:
    """Every cell; a release of another program that does better must be told of."""
    with contextlib.ExitStack() as stack:
        with FaultProxy(hub.url) as proxy:
            officials = stack.enter_context(Officials({"PATH": os.environ["PATH"], "HF_ENDPOINT": proxy.url}))
            world = _World(tmp_path, publisher, hub, proxy, officials)
            found = {name: _seen(world, name) for name in _PROGRAMS}
        for seen, program in found.values():
            seen["no network"] = f"exit {program.bring()}"
    seen_in_rows = {text: [found[name][0][key] for name in _PROGRAMS] for key, text in _ROWS.items()}
    assert {row: cells for row, cells in _TABLE.items() if row not in ("what happens", "---")} == seen_in_rows


def test_the_readmes_show_rows_of_that_table() -> None:
    """The same cells in both, word by word in Chinese."""
    english, chinese = _table("README.md", "## Compared"), _table("README.zh-CN.md", "## 与其他工具比较")
    assert len(english) > 5
    assert english == {row: _TABLE[row] for row in english}
    translated = ["|".join(cells) for cells in english.values()]
    for old, new in _IN_CHINESE.items():
        translated = [cells.replace(old, new) for cells in translated]
    assert ["|".join(cells) for cells in chinese.values()][2:] == translated[2:]
