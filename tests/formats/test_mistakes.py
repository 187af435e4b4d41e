"""What was probably meant; the whole messages are in test_bad_manifests.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.core.manifest import SourceRef
from fetcher.errors import ConfigError
from fetcher.formats.manifest_toml import read_manifest
from fetcher.formats.mistakes import meant_source
from tests.core.strategies import unhurried

MS, HF = "https://modelscope.cn", "https://huggingface.co"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("acme/sp", "modelscope:acme/sp"),
        ("acme/sp/", "modelscope:acme/sp"),
        ("models/acme/sp", "modelscope:acme/sp"),
        ("datasets/acme/sp", "modelscope:datasets/acme/sp"),
        (f"{MS}/models/acme/sp", "modelscope:acme/sp"),
        (f"{MS}/models/acme/sp/", "modelscope:acme/sp"),
        (f"{MS}/models/acme/sp?token=secret", "modelscope:acme/sp"),
        (f"{MS}/models/acme/sp/file/view/master/config.json", "modelscope:acme/sp"),
        ("https://www.modelscope.cn/models/acme/sp/files", "modelscope:acme/sp"),
        ("http://WWW.ModelScope.cn/datasets/acme/sp#top", "modelscope:datasets/acme/sp"),
        ("www.modelscope.cn/models/acme/sp", "modelscope:acme/sp"),
        (f"{HF}/acme/sp", "huggingface:acme/sp"),
        (f"{HF}/acme/sp.git", "huggingface:acme/sp"),
        (f"{HF}/acme/sp/blob/main/config.json", "huggingface:acme/sp"),
        (f"{HF}/datasets/acme/sp", "huggingface:datasets/acme/sp"),
        ("https://hf.co/acme/sp", "huggingface:acme/sp"),
    ],
)
def test_a_repository_is_recognised_in_what_people_paste(text: str, meant: str) -> None:
    """A newcomer copies the address bar, or what stands above the model's card."""
    assert meant_source(text) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sp",
        "a/b/c",
        "../sp",
        "modelscope:acme/sp",
        "file:acme/sp",
        f"{MS}/models/acme/sp/resolve/master/model.bin",
        f"{HF}/acme/sp/resolve/main/model.bin",
        f"{HF}/acme/sp/raw/main/config.json",
        f"{HF}/datasets/acme",
        f"{HF}/docs/hub",
        f"{HF}/spaces/acme/sp",
        f"{MS}/models/acme",
        f"{MS}/studios/acme/sp",
        "https://token@modelscope.cn/models/acme/sp",
        "https://modelscope.cn.example/models/acme/sp",
        "https://example.org/huggingface.co/acme/sp",
        "git+https://huggingface.co/acme/sp",
    ],
)
def test_nothing_is_guessed_where_nothing_is_clear(text: str) -> None:
    """A wrong guess costs more than none: files stay URLs, other hosts are no hub, a token is not carried along."""
    assert meant_source(text) is None


@unhurried
@given(
    st.sampled_from(["", f"{MS}/models/", f"{MS}/datasets/", f"{HF}/", f"{HF}/datasets/"]),
    st.text(st.sampled_from("aB1._-/?#@:* \n"), max_size=12),
)
def test_a_suggested_source_can_be_read(start: str, rest: str) -> None:
    """Whoever follows the advice must not meet the next error."""
    meant = meant_source(f"{start}{rest}")
    assert meant is None or str(SourceRef.parse(meant)) == meant


def test_the_address_of_a_file_is_a_source() -> None:
    """Only pages are refused."""
    url = f"{HF}/acme/sp/resolve/main/model.bin"
    manifest = read_manifest(f'version = 1\n[models.sp]\nsource = "{url}"\n', file="models.toml")
    assert [str(model.source) for model in manifest.models.values()] == [url]


def refused(text: str, *, file: str = "models.toml") -> str:
    with pytest.raises(ConfigError) as caught:
        read_manifest(text, file=file)
    return str(caught.value)


def test_a_lock_given_as_manifest_names_the_manifest() -> None:
    """`--manifest models.lock` is a slip of the shell's completion."""
    text = "\ufeff# Written by `fetcher lock`. Commit this file; do not edit it.\r\nversion = 9\r\n"
    assert refused(text, file="other.lock") == (
        "other.lock is a lock, not a manifest.\n  fix: name the manifest: other.toml"
    )


@pytest.mark.parametrize("key", ['commit = "83ee97c"', 'tree = "x"', 'files = { "a" = true }'])
def test_one_wrong_key_makes_no_lock_of_a_manifest(key: str) -> None:
    """`commit` for `revision` is a mistake in one line; the advice to restore the file would be wrong."""
    assert "is a lock" not in refused(f'version = 1\n[models.a]\nsource = "ms:a/b"\n{key}\n')


@pytest.mark.parametrize("table", ["models.a.files", "models.a.options", "models.a.requested"])
def test_a_table_that_is_no_model_is_not_told_to_be_quoted(table: str) -> None:
    """A model that has a source of its own is complete; what stands below it is no second half of its name."""
    text = f'version = 1\n[models.a]\nsource = "ms:a/b"\n[{table}]\ninclude = ["*"]\n'
    assert "quotes" not in refused(text)


@pytest.mark.parametrize(
    "tables",
    [
        '[models.a.1]\nsource = "ms:a/b"\n[models.a.1.2]\nsource = "ms:a/c"',
        '[models]\na.1.source = "ms:a/b"\na.1.2.source = "ms:a/c"',
    ],
)
def test_every_dotted_name_is_told_at_once(tables: str) -> None:
    """One name may continue another, and the half that is no model is not said to lack a source."""
    lines = refused(f"version = 1\n{tables}\n").split("\n")
    assert lines[0] == "models.toml has 2 problems."
    assert [line.rpartition("; ")[2] for line in lines[1:3]] == ['write `[models."a.1"]`', 'write `[models."a.1.2"]`']


def test_other_problems_stay_beside_a_dotted_name() -> None:
    """All problems of a file are told at once."""
    message = refused('version = 1\n[models.a.1]\nsource = "ms:a/b"\n[models.b]\n[models.c]\nrevision = "x"\n')
    assert message.count("is missing") == 2
    assert message.count("needs quotes") == 1


def test_a_dotted_name_is_recognised_before_its_source_is_written() -> None:
    """The half that is no model has no key of its own, so the keys below it belong to the whole name."""
    assert refused('version = 1\n[models.a.1]\ninclude = ["*"]\n').endswith('fix: write `[models."a.1"]`')


def test_a_model_beside_a_dotted_name_still_lacks_its_source() -> None:
    """With a key of its own it is a model and no half of a name."""
    message = refused('version = 1\n[models.a]\nrevision = "x"\n[models.a.1]\nsource = "ms:a/b"\n')
    assert "`models.a.source` is missing" in message
    assert "needs quotes" in message


def test_a_key_of_a_model_is_no_half_of_a_name() -> None:
    """A file may be called `source`; what is wrong is that `files` is a table."""
    message = refused('version = 1\n[models.a]\nsource = "ms:a/b"\n[models.a.files]\nsource = "x"\n')
    assert message.startswith("models.toml, line 4: `models.a.files` gives addresses, which only a URL takes.")
