"""`fetcher diff`: models.lock beside the one in git, or in a file."""

import shutil
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import Desk, desk
from tests.git import git
from tests.hub.publish import KIB, Publisher

_BEFORE: dict[str, bytes | int] = {"config.json": b'{"a": 1}', "model.bin": 20 * KIB, "old.txt": b"old"}
_AFTER: dict[str, bytes | int] = {"config.json": b'{"a": 22}', "copy.txt": b"old", "model.bin": 20 * KIB}


@pytest.fixture
def at(tmp_path: Path, hub: Hub, publisher: Publisher) -> Desk:
    """A repository in whose commit m is locked; since then m has moved, n was added."""
    publisher.publish("owner/model", _BEFORE)
    at = desk(tmp_path / "project", hub.url)
    at.environment["GIT_CEILING_DIRECTORIES"] = str(tmp_path)
    at.model()
    at.ok("lock", "-q")
    git(at.folder, "init", "-q")
    _commit(at)
    return at


def _commit(at: Desk) -> None:
    git(at.folder, "add", ".")
    assert git(at.folder, "commit", "-m", "work").returncode == 0


def _move_on(at: Desk, publisher: Publisher) -> tuple[str, str]:
    """The commits of m before and after."""
    before = _pin(at)
    publisher.publish("owner/model", _AFTER)
    publisher.publish("owner/other", {"a`|b.bin": 3 * KIB})
    at.manifest(
        '[models.m]\nsource = "ms:owner/model"\ninclude = ["*.json", "*.txt", "*.bin"]\n'
        '[models.n]\nsource = "ms:owner/other"\n'
    )
    at.ok("lock", "--upgrade", "-q")
    return before, _pin(at)


def _pin(at: Desk, name: str = "m") -> str:
    text = (at.folder / "models.lock").read_text(encoding="utf-8")
    return text.partition(f"[models.{name}]")[2].partition('commit = "')[2][:12]


def test_an_unchanged_lock_does_not_differ(at: Desk) -> None:
    """Not even where the last commit is about something else."""
    done = at.ok("diff", "--exit-code")
    assert (done.out, done.err) == ("", "models.lock since HEAD: no model differs.\n")
    assert at.ok("diff", "--markdown").out == "### `models.lock`: no model differs\n"


def test_what_has_changed_since_the_commit_is_told(at: Desk, publisher: Publisher, hub: Hub) -> None:
    """Models, commits, wishes, files, bytes to fetch; offline, and bytes that the lock had cost nothing."""
    before, after = _move_on(at, publisher)
    hub.close()
    done = at.fetcher("diff", "--exit-code")
    assert done.code == 1
    assert done.out == (
        f"~ m  {before} -> {after}  3 files, 20.0 KiB (1 added, 1 changed, 1 removed; 9 B new)\n"
        '    include: none -> ["*.bin", "*.json", "*.txt"]\n'
        "    ~ config.json  8 B -> 9 B\n"
        "    + copy.txt  3 B\n"
        "    - old.txt  3 B\n"
        f"+ n  {_pin(at, 'n')}  1 file, 3.0 KiB\n"
        "    + a`|b.bin  3.0 KiB\n"
    )
    assert done.err == "models.lock since HEAD: 1 model added, 1 changed; 3.0 KiB to fetch.\n"
    assert at.ok("diff").out == done.out
    _commit(at)
    assert at.ok("diff", "--exit-code").out == ""
    assert at.ok("diff", "HEAD~1").out == done.out


def test_json_has_both_sides_whole(at: Desk, publisher: Publisher) -> None:
    """With commits, digests and bytes as numbers."""
    before, after = _move_on(at, publisher)
    found = at.ok("diff", "--json").json
    head = git(at.folder, "rev-parse", "HEAD").stdout.strip()
    assert (found["base"], found["commit"], found["differs"], found["fetch_size"]) == ("HEAD", head, True, 9 + 3 * KIB)
    m, n = found["models"]
    assert (m["before"]["commit"][:12], m["after"]["commit"][:12], m["fetch_size"]) == (before, after, 9)
    assert [(file["path"], file["kind"]) for file in m["files"]] == [
        ("config.json", "changed"),
        ("copy.txt", "added"),
        ("old.txt", "removed"),
    ]
    assert (m["files"][1]["before"], m["files"][2]["after"]) == (None, None)
    assert (n["kind"], n["before"], n["after"]["size"]) == ("added", None, 3 * KIB)


def test_markdown_shows_names_and_obeys_none(at: Desk, publisher: Publisher) -> None:
    """A file of a foreign repository must not write the comment of a pull request."""
    before, after = _move_on(at, publisher)
    assert at.ok("diff", "--markdown").out == (
        "### `models.lock`: 1 model added, 1 changed; 3.0 KiB to fetch\n"
        "\n"
        "| model | commit | files | size | to fetch | licence |\n"
        "| --- | --- | --- | ---: | ---: | --- |\n"
        f"| `m` changed | `{before}` → `{after}` | 3 | 20.0 KiB | 9 B | `not recorded` |\n"
        f"| `n` added | `{_pin(at, 'n')}` | 1 | 3.0 KiB | 3.0 KiB | `not recorded` |\n"
        "\n"
        "<details><summary><code>m</code>: 1 file added, 1 file changed, 1 file removed</summary>\n"
        "\n"
        '- include: `none` → `["*.bin", "*.json", "*.txt"]`\n'
        "\n"
        "| file | change | size |\n"
        "| --- | --- | ---: |\n"
        "| `config.json` | changed | 8 B → 9 B |\n"
        "| `copy.txt` | added | 3 B |\n"
        "| `old.txt` | removed | 3 B |\n"
        "\n"
        "</details>\n"
        "\n"
        "<details><summary><code>n</code>: 1 file added</summary>\n"
        "\n"
        "| file | change | size |\n"
        "| --- | --- | ---: |\n"
        "| <code>a&#96;&#124;b.bin</code> | added | 3.0 KiB |\n"
        "\n"
        "</details>\n"
    )


def test_a_file_is_compared_and_what_is_gone_is_told(at: Desk, publisher: Publisher) -> None:
    """A copy of another lock, outside of any repository; by -C as well."""
    _move_on(at, publisher)
    shutil.copy(at.folder / "models.lock", at.folder.parent / "theirs.lock")
    shutil.rmtree(at.folder / ".git")
    at.model()
    at.ok("lock", "-q")
    done = at.ok("diff", "../theirs.lock")
    assert done.out.splitlines()[0].startswith("~ m  ")
    assert done.out.splitlines()[-2:] == [
        f"- n  {done.out.split('- n  ')[1][:12]}  1 file, 3.0 KiB",
        "    - a`|b.bin  3.0 KiB",
    ]
    assert done.err == "models.lock since ../theirs.lock: 1 model changed, 1 removed; 0 B to fetch.\n"
    assert at.ok("diff", "../theirs.lock", "--json").json["commit"] is None
    (at.folder / "models.lock").unlink()
    assert at.ok("diff", "../theirs.lock").err.startswith("models.lock since ../theirs.lock: 2 models removed;")


def test_a_licence_that_changes_is_told(at: Desk) -> None:
    """Where the lock records it."""
    lock = at.folder / "models.lock"
    text = lock.read_text(encoding="utf-8")
    before = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("seal"))
    at.folder.joinpath("before.lock").write_text(before.replace("\n[models.m.req", 'license = "mit"\n\n[models.m.req'))
    lock.write_text(before.replace("\n[models.m.req", 'license = "gpl-3.0"\n\n[models.m.req'), encoding="utf-8")
    done = at.ok("diff", "before.lock")
    assert done.out.splitlines()[1:] == ['    license: "mit" -> "gpl-3.0"']
    assert "| `mit` → `gpl-3.0` |" in at.ok("diff", "before.lock", "--markdown").out


def test_a_commit_without_a_lock_had_no_models(at: Desk) -> None:
    """Everything is new then; also in a folder below the repository's."""
    git(at.folder, "rm", "-q", "--cached", "models.lock")
    git(at.folder, "commit", "-m", "none")
    assert at.ok("diff").err == "models.lock since HEAD: 1 model added; 20.0 KiB to fetch.\n"
    below = at.folder / "below"
    below.mkdir()
    for name in ("models.toml", "models.lock"):
        shutil.copy(at.folder / name, below / name)
    _commit(at)
    assert at.ok("diff", "-C", "below", "--exit-code").err == "models.lock since HEAD: no model differs.\n"


def test_what_is_no_revision_is_refused(at: Desk) -> None:
    """And is never an option of git."""
    for revision in ("nothing", "--output=here", "HEAD:models.lock", ""):
        done = at.fetcher("diff", "--", revision)
        assert (done.code, done.err) == (
            2,
            (
                f"error: {revision} is neither a file nor a commit, branch or tag of this repository.\n"
                "  fix: name one that `git log` knows, or a file\n"
            ),
        )
    assert not (at.folder / "here").exists()


def test_without_a_repository_or_a_program_a_file_is_asked_for(at: Desk) -> None:
    """Each said in its own words."""
    shutil.rmtree(at.folder / ".git")
    assert at.fetcher("diff").err == (
        f"error: {at.folder} is in no git repository.\n  fix: name a file to compare with: `fetcher diff FILE`\n"
    )
    at.environment["PATH"] = str(at.folder)
    assert at.fetcher("diff").err == ("error: There is no program git in PATH.\n  fix: install git\n")
    assert at.fetcher("diff", "models.toml").code == 2
    assert at.fetcher("diff", "models.lock", "--json", "--markdown").code == 2
