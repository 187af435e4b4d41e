"""models.lock: the same lock, the same bytes; what must not be let in."""

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import Lock, LockedFile, LockedModel, PinnedSource, tree_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath
from fetcher.errors import ConfigError, FetcherError, IntegrityError
from fetcher.formats.lock_lines import END, HEADER
from fetcher.formats.lock_toml import LockText, read_lock, write_lock
from tests.core.strategies import locks, models, unhurried

ZERO = "0" * 64
BGE_TREE = sha256(f"{'c' * 64} 0 config.json\n".encode()).hexdigest()
GPT2_TREE = sha256(
    (
        f'{"a" * 64} 653665842 a "quoted".bin\n{"b" * 64} 726 B.json\n{"d" * 64} 2 Ａ.txt\n{"e" * 64} 1 é.txt\n'
        f"{'f' * 64} 9223372036854775807 \U0001f600.txt\n"
    ).encode()
).hexdigest()
BGE_SEAL = sha256(
    (
        '{"commit":"1111111111111111111111111111111111111111",'
        '"fallback":["modelscope:AI-ModelScope/bge@2222222222222222222222222222222222222222"],'
        '"requested":{"exclude":[],"files":["config.json"],"include":[],"revision":null},'
        f'"source":"huggingface:BAAI/bge","tree":"sha256:{BGE_TREE}"}}'
    ).encode()
).hexdigest()
GPT2_SEAL = sha256(
    (
        '{"commit":"83ee97c66e841048bedc5c02c15ce2f3ed259feb","fallback":[],'
        '"requested":{"exclude":["*.md","a\\"b"],"files":[],"include":["*.json","\\u529f/*"],"revision":"master"},'
        f'"source":"modelscope:datasets/AI-ModelScope/gpt2","tree":"sha256:{GPT2_TREE}"}}'
    ).encode()
).hexdigest()
GOLDEN = f"""\
# Written by `fetcher lock`. Commit this file; do not edit it.
version = 1

[models.bge]
source = "huggingface:BAAI/bge"
commit = "1111111111111111111111111111111111111111"
tree = "sha256:{BGE_TREE}"
seal = "sha256:{BGE_SEAL}"
fallback = ["modelscope:AI-ModelScope/bge@2222222222222222222222222222222222222222"]

[models.bge.requested]
files = ["config.json"]

[models.bge.files]
"config.json" = "sha256:{"c" * 64} 0"

[models."gpt.2"]
source = "modelscope:datasets/AI-ModelScope/gpt2"
commit = "83ee97c66e841048bedc5c02c15ce2f3ed259feb"
tree = "sha256:{GPT2_TREE}"
seal = "sha256:{GPT2_SEAL}"

[models."gpt.2".requested]
revision = "master"
include = ["*.json", "功/*"]
exclude = ["*.md", "a\\"b"]

[models."gpt.2".files]
"B.json" = "sha256:{"b" * 64} 726"
"a \\"quoted\\".bin" = "sha256:{"a" * 64} 653665842"
"é.txt" = "sha256:{"e" * 64} 1"
"Ａ.txt" = "sha256:{"d" * 64} 2"
"\U0001f600.txt" = "sha256:{"f" * 64} 9223372036854775807"

# End of the lock.
"""


def file(path: str, digit: str, size: int) -> LockedFile:
    return LockedFile(path=RepoPath(path), sha256=Sha256(digit * 64), size=size)


def golden_lock() -> Lock:
    bge_files = (file("config.json", "c", 0),)
    gpt2_files = (
        file("B.json", "b", 726),
        file('a "quoted".bin', "a", 653665842),
        file("é.txt", "e", 1),
        file("Ａ.txt", "d", 2),
        file("\U0001f600.txt", "f", 2**63 - 1),
    )
    bge = LockedModel(
        name=ModelName("bge"),
        source=SourceRef.parse("hf:BAAI/bge"),
        commit=Commit("1" * 40),
        tree=tree_of(bge_files),
        requested=Requested(files=("config.json",)),
        files=bge_files,
        fallback=(PinnedSource(source=SourceRef.parse("ms:AI-ModelScope/bge"), commit=Commit("2" * 40)),),
    )
    gpt2 = LockedModel(
        name=ModelName("gpt.2"),
        source=SourceRef.parse("ms:datasets/AI-ModelScope/gpt2"),
        commit=Commit("83ee97c66e841048bedc5c02c15ce2f3ed259feb"),
        tree=tree_of(gpt2_files),
        requested=Requested(revision="master", include=("*.json", "功/*"), exclude=("*.md", 'a"b')),
        files=gpt2_files,
    )
    return Lock(models={gpt2.name: gpt2, bge.name: bge})


def read(text: str) -> LockText:
    return read_lock(text, file="models.lock")


def section(*, rows: str = f'"x" = "sha256:{ZERO} 1"', **keys: str) -> str:
    """A lock of one model with some keys replaced; a value is TOML."""
    values = {"source": '"ms:a/b"', "commit": f'"{"0" * 40}"', "tree": f'"sha256:{ZERO}"', **keys}
    lines = [f"{key} = {value}" for key, value in values.items() if value]
    return "\n".join([HEADER, "", "[models.m]", *lines, "", "[models.m.requested]", "", "[models.m.files]", rows, ""])


def test_a_lock_is_written_as_design_3_shows() -> None:
    """Other tools read it and people review it, so its form is fixed to the byte."""
    assert write_lock(golden_lock(), None) == GOLDEN


@unhurried
@given(locks())
def test_a_lock_reads_back_as_it_was_written(lock: Lock) -> None:
    """And written again it has the same bytes: with the earlier text and without."""
    text = write_lock(lock, None)
    previous = read(text)
    assert previous.lock == lock
    assert all(model.is_intact() for model in previous.lock.models.values())
    assert list(previous.lock.models) == sorted(lock.models)
    assert write_lock(previous.lock, previous) == text
    assert write_lock(previous.lock, None) == text


@unhurried
@given(locks())
def test_paths_are_sorted_by_their_utf_8_bytes(lock: Lock) -> None:
    """Any tool in any language can check it; UTF-16 order differs above U+FFFF."""
    backwards = {name: replace(model, files=model.files[::-1]) for name, model in lock.models.items()}
    assert write_lock(Lock(models=backwards), None) == write_lock(lock, None)
    for model in read(write_lock(lock, None)).lock.models.values():
        assert [f.path.encode() for f in model.files] == sorted(f.path.encode() for f in model.files)


@unhurried
@given(locks(), st.data())
def test_a_changed_model_leaves_the_other_sections_alone(lock: Lock, data: st.DataObject) -> None:
    """A review of one model's upgrade shows that model only."""
    text = write_lock(lock, None)
    added = data.draw(models("m"))
    changed = write_lock(Lock(models={**lock.models, added.name: added}), read(text))
    kept = [part for name, part in read(text).sections.items() if name != added.name]
    assert all(part in changed for part in kept)
    assert read(changed).lock.models == {**lock.models, added.name: added}


STRANGE = f"""\
# A note of ours.
version = 1
future = "kept"

# About a.
[models.a]
source = "ms:a/b"   # a comment
note = \"\"\"
[models.z]
\"\"\"
lists = [
  ["x"],
]
tree = "sha256:{ZERO}"
commit = '{"0" * 40}'

[models.a.future]
id = "mit"
[models.a.requested]
future = 1
[models.a.files]
x = "sha256:{ZERO} 1"

# About b.
[models.b]
source = "modelscope:a/b"
commit = "{"0" * 40}"
tree = "sha256:{ZERO}"

[models.b.requested]

[models.b.files]
"x" = "sha256:{ZERO} 1"

# Something new.
[policy]
x = 1

# End of the lock.
"""


def test_what_is_unknown_is_kept_byte_for_byte() -> None:
    """A newer fetcher wrote it; an older one must not throw it away (design 3)."""
    previous = read(STRANGE)
    assert write_lock(previous.lock, previous) == STRANGE


@pytest.mark.parametrize("ending", ["", "\n", "\n# End of the lock.", "\n\n\n# End of the lock.\n\n"])
@pytest.mark.parametrize("start", [GOLDEN, STRANGE, f"{HEADER}\n\n{END}\n"], ids=["golden", "strange", "empty"])
def test_the_last_line_is_written_once_however_the_text_ended(start: str, ending: str) -> None:
    """An older fetcher wrote none, and an editor may have moved it."""
    previous = read(start.removesuffix(f"\n\n{END}\n") + ending)
    assert write_lock(previous.lock, previous) == start


def test_a_last_line_in_the_middle_is_dropped() -> None:
    """It is left there when a conflict of an old and a new lock is resolved by taking both sides."""
    text = GOLDEN.replace('\n\n[models."gpt.2"]', f'\n\n{END}\n\n[models."gpt.2"]')
    assert text.count(END) == 2
    previous = read(text)
    assert write_lock(previous.lock, previous) == GOLDEN


def test_the_words_of_the_last_line_may_stand_elsewhere() -> None:
    """Only a line of its own is fetcher's; another comment is its writer's."""
    text = section(note='""', rows=f'"x" = "sha256:{ZERO} 1"  {END}')
    previous = read(text)
    assert write_lock(previous.lock, previous) == f"{text}\n{END}\n"


SEALED = GOLDEN.replace("\ncommit", '\nfuture = "kept"\ncommit')


def test_a_section_with_its_seal_is_kept_byte_for_byte() -> None:
    """The seal covers what this version knows, so that a key of a newer fetcher does not break it."""
    previous = read(SEALED)
    assert all(model.is_intact() for model in previous.lock.models.values())
    assert write_lock(previous.lock, previous) == SEALED


def test_a_section_with_a_wrong_seal_is_not_kept() -> None:
    """Its unknown keys may be from another side of a merge; the other section stays."""
    previous = read(SEALED.replace(BGE_SEAL, ZERO))
    cut = SEALED.index('[models."gpt.2"]')
    assert write_lock(previous.lock, previous) == GOLDEN[: GOLDEN.index('[models."gpt.2"]')] + SEALED[cut:]


def test_a_wrong_seal_is_not_an_error_of_reading() -> None:
    """A merge can leave one; staleness reports it and `fetcher lock` mends it."""
    model = read(GOLDEN.replace(BGE_SEAL, ZERO)).lock.models[ModelName("bge")]
    assert model.seal == ZERO
    assert not model.seal_is_right()
    assert not model.is_intact()


def test_a_section_without_a_seal_is_read_and_sealed_when_it_changes() -> None:
    """An older fetcher wrote it; to rewrite every section for it would make a review unreadable."""
    text = GOLDEN.replace(f'seal = "sha256:{BGE_SEAL}"\n', "")
    previous = read(text)
    bge = previous.lock.models[ModelName("bge")]
    assert bge.seal is None
    assert bge.is_intact()
    assert write_lock(previous.lock, previous) == text
    moved = Lock(models={**previous.lock.models, bge.name: replace(bge, commit=Commit("3" * 40))})
    assert read(write_lock(moved, previous)).lock.models[ModelName("bge")].seal is not None


def test_a_removed_model_takes_its_comment_along_and_nothing_else() -> None:
    """The rest of the text stays as it was."""
    previous = read(STRANGE)
    without_a = Lock(models={name: model for name, model in previous.lock.models.items() if name != "a"})
    start, end = STRANGE.index("# About a."), STRANGE.index("# About b.")
    assert write_lock(without_a, previous) == STRANGE[:start] + STRANGE[end:]


def test_a_changed_section_is_written_anew_and_the_other_kept() -> None:
    """Old bytes for new pins would be a lie."""
    previous = read(STRANGE)
    a = replace(previous.lock.models[ModelName("a")], commit=Commit("1" * 40))
    text = write_lock(Lock(models={**previous.lock.models, a.name: a}), previous)
    fresh = write_lock(Lock(models={a.name: a}), None).removeprefix(HEADER).removesuffix(f"{END}\n").strip("\n")
    start, end = STRANGE.index("# About a."), STRANGE.index("# About b.")
    assert text == f"{STRANGE[:start]}{fresh}\n\n{STRANGE[end:]}"


@pytest.mark.parametrize(
    "inner",
    [
        "models = {{ m = {{ {keys}, requested = {{}}, files = {{ x = {row} }} }} }}",
        "models.m = {{ {keys}, requested = {{}}, files = {{ x = {row} }} }}",
        "[models]\nm = {{ {keys}, requested = {{}}, files = {{ x = {row} }} }}",
    ],
)
def test_a_section_that_cannot_stand_alone_is_written_anew(inner: str) -> None:
    """TOML has many ways to say the same; what cannot be cut out whole must not be lost or doubled."""
    keys = f'source = "ms:a/b", commit = "{"0" * 40}", tree = "sha256:{ZERO}"'
    row = f'"sha256:{ZERO} 1"'
    previous = read(f"version = 1\n{inner.format(keys=keys, row=row)}\n")
    text = write_lock(previous.lock, previous)
    assert read(text).lock == previous.lock
    assert text.removeprefix(HEADER).removeprefix("version = 1") == write_lock(previous.lock, None).removeprefix(HEADER)


def test_windows_line_ends_and_a_byte_order_mark_are_read() -> None:
    """git may have changed them at checkout; the lock is written with LF again."""
    text = write_lock(golden_lock(), None)
    previous = read("\ufeff" + text.replace("\n", "\r\n"))
    assert previous.lock == golden_lock()
    assert write_lock(previous.lock, previous) == text


def test_a_wrong_tree_is_not_an_error_of_reading() -> None:
    """A merge can leave one; staleness reports it and `fetcher lock` mends it."""
    model = read(section()).lock.models[ModelName("m")]
    assert model.tree == ZERO
    assert not model.tree_is_right()


def test_files_are_sorted_however_they_stand_in_the_text() -> None:
    """Two locks with the same pins are equal, also after somebody sorted the lines in an editor."""
    rows = [f'"{name}" = "sha256:{ZERO} 1"' for name in ("b", "a", "c")]
    files = read(section(rows="\n".join(rows))).lock.models[ModelName("m")].files
    assert [one.path for one in files] == ["a", "b", "c"]


def test_an_empty_lock_is_written_and_read() -> None:
    """A project whose last model was removed."""
    text = write_lock(Lock(), None)
    assert text == f"{HEADER}\n\n{END}\n"
    assert read(text).lock == Lock()


GIT_FIX = "restore models.lock from git, or remove the section and run `fetcher lock`"
BAD = {
    "newer_version": (
        "version = 2\nmodels = 7\n",
        (
            "models.lock, line 1: `version` is 2, which is newer than this fetcher.\n"
            "  expected: version = 1\n"
            "  fix: upgrade fetcher: `git pull` in its clone, then `python3 -m pip install .`"
        ),
    ),
    "older_version": (
        "version = 0\n",
        (
            "models.lock, line 1: `version` is 0, which never existed.\n"
            "  expected: version = 1\n"
            "  fix: remove models.lock and run `fetcher lock`"
        ),
    ),
    "no_version": (
        "",
        f"models.lock, line 1: `version` is missing.\n  fix: {GIT_FIX}",
    ),
    "conflict_markers": (
        section().replace("[models.m]", "<<<<<<< HEAD\n[models.m]\n=======\n[models.n]\n>>>>>>> other"),
        (
            "models.lock, line 4: the file holds conflict markers of a git merge.\n"
            "  fix: run `fetcher lock`, which merges it model by model"
        ),
    ),
    "model_twice": (
        f"{section()}\n\n{section().removeprefix(HEADER).lstrip()}",
        (
            "models.lock, line 15: `models.m` stands twice (merged by git?).\n"
            "  first: line 4\n"
            "  fix: take one of the two sections away, then run `fetcher lock`"
        ),
    ),
    "syntax": (
        section(source='"ms:a/b'),
        (
            "models.lock, line 5, column 17: this is not TOML.\n"
            "  reason: Illegal character '\\n'\n"
            "  fix: correct line 5 of models.lock"
        ),
    ),
    "missing_key": (
        section(commit=""),
        f"models.lock, line 4: `models.m.commit` is missing.\n  fix: {GIT_FIX}",
    ),
    "wrong_type": (
        section(source="7"),
        f"models.lock, line 5: `models.m.source` is a whole number.\n  expected: a string\n  fix: {GIT_FIX}",
    ),
    "row_number": (
        section(rows='"x" = 7'),
        f"models.lock, line 12: `models.m.files.x` is a whole number.\n  expected: a string\n  fix: {GIT_FIX}",
    ),
    "branch_for_commit": (
        section(commit='"master"'),
        (
            "models.lock, line 6: `models.m.commit` is not as `fetcher lock` writes it.\n"
            "  reason: expected a full commit of 40 hex digits, got 'master'\n"
            f"  fix: {GIT_FIX}"
        ),
    ),
    "seal_without_prefix": (
        section(seal=f'"{ZERO}"'),
        (
            "models.lock, line 8: `models.m.seal` is not as `fetcher lock` writes it.\n"
            f"  reason: expected `sha256:` and 64 hex digits, got '{ZERO}'\n"
            f"  fix: {GIT_FIX}"
        ),
    ),
    "fallback_without_commit": (
        section(fallback='["ms:a/b"]'),
        (
            "models.lock, line 8: `models.m.fallback` is not as `fetcher lock` writes it.\n"
            "  reason: expected `SOURCE@COMMIT`\n"
            f"  fix: {GIT_FIX}"
        ),
    ),
    "row_without_size": (
        section(rows=f'"x" = "sha256:{ZERO}"'),
        (
            "models.lock, line 12: `models.m.files.x` is not as `fetcher lock` writes it.\n"
            f"  got: 'sha256:{ZERO}'\n"
            "  expected: `sha256:`, 64 hex digits, a space and the size in bytes\n"
            f"  fix: {GIT_FIX}"
        ),
    ),
    "row_of_md5": (
        section(rows='"x" = "md5:00 1"'),
        (
            "models.lock, line 12: `models.m.files.x` is not as `fetcher lock` writes it.\n"
            "  got: 'md5:00 1'\n"
            "  expected: `sha256:`, 64 hex digits, a space and the size in bytes\n"
            f"  fix: {GIT_FIX}"
        ),
    ),
}
WHO = "restore models.lock from git; find out who wrote this line"
HOSTILE = {
    "parent": (
        section(rows=f'"ok" = "sha256:{ZERO} 1"\n"../x" = "sha256:{ZERO} 1"'),
        (
            'models.lock, line 13: `models.m.files."../x"` is not safe.\n'
            "  reason: unsafe path '../x': it has '..' as a part\n"
            f"  fix: {WHO}"
        ),
    ),
    "absolute": (
        section(rows=f'"/etc/x" = "sha256:{ZERO} 1"'),
        (
            'models.lock, line 12: `models.m.files."/etc/x"` is not safe.\n'
            "  reason: unsafe path '/etc/x': it is absolute\n"
            f"  fix: {WHO}"
        ),
    ),
    "control_character": (
        section(rows=f'"a\\u001b[2J" = "sha256:{ZERO} 1"'),
        (
            'models.lock, line 12: `models.m.files."a\\u001b[2J"` is not safe.\n'
            "  reason: unsafe path 'a\\x1b[2J': it holds a backslash or a control character\n"
            f"  fix: {WHO}"
        ),
    ),
    "twins": (
        section(rows=f'"a" = "sha256:{ZERO} 1"\n"A" = "sha256:{ZERO} 1"'),
        (
            "models.lock, line 11: `models.m.files` is not safe.\n"
            "  reason: 'a' and 'A' would be the same file on some systems\n"
            f"  fix: {WHO}"
        ),
    ),
    "file_and_folder": (
        section(rows=f'"a" = "sha256:{ZERO} 1"\n"a/b" = "sha256:{ZERO} 1"'),
        (
            "models.lock, line 11: `models.m.files` is not safe.\n"
            "  reason: 'a' is a file and also a directory of 'a/b'\n"
            f"  fix: {WHO}"
        ),
    ),
    "model_name": (
        section().replace("models.m", 'models."../m"'),
        (
            'models.lock, line 4: `models."../m"` is not safe.\n'
            "  reason: unsafe name '../m': use letters, digits, `.`, `_` and `-`, starting with a letter or digit\n"
            f"  fix: {WHO}"
        ),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_lock_that_cannot_be_used_is_refused_with_its_line(name: str) -> None:
    """Exit 2; the whole message is compared."""
    text, message = BAD[name]
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_lock_is_refused_as_such(name: str) -> None:
    """Exit 4: a lock comes with a pull request, and its paths are written to (design 4, rule 8)."""
    text, message = HOSTILE[name]
    with pytest.raises(IntegrityError) as caught:
        read(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "size", ["-1", "+1", "01", "1.0", "1e3", "0x1", "1_0", "９", "9223372036854775808", "9" * 5000]
)
def test_a_size_that_cannot_be_is_refused(size: str) -> None:
    """A size decides how much is read and reserved."""
    with pytest.raises(IntegrityError) as caught:
        read(section(rows=f'"x" = "sha256:{ZERO} {size}"'))
    assert str(caught.value) == (
        "models.lock, line 12: `models.m.files.x` has a size that cannot be.\n"
        f"  got: {size[:80]!r}\n"
        "  expected: bytes as a plain number, at most 9223372036854775807\n"
        f"  fix: {WHO}"
    )


@unhurried
@given(locks(), st.data())
def test_a_lock_with_a_piece_cut_out_is_refused_or_read(lock: Lock, data: st.DataObject) -> None:
    """Any damage ends in one of our errors, never in another exception."""
    text = write_lock(lock, None)
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 40)))
    put = data.draw(st.sampled_from(["", '"', "[", "=", "\n", "../", "]]", "'''"]))
    try:
        damaged = read(text[:start] + put + text[stop:])
    except FetcherError:
        return
    assert read(write_lock(damaged.lock, damaged)).lock == damaged.lock
