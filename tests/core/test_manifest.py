"""Source strings: every form of design 2, and what is refused."""

import pytest
from hypothesis import given

from fetcher.core.manifest import SourceRef
from tests.core.strategies import source_refs, unhurried

FORMS = {
    "modelscope:AI-ModelScope/gpt2": SourceRef(scheme="modelscope", repo="AI-ModelScope/gpt2"),
    "ms:AI-ModelScope/gpt2": SourceRef(scheme="modelscope", repo="AI-ModelScope/gpt2"),
    "hf:BAAI/bge-small-zh-v1.5": SourceRef(scheme="huggingface", repo="BAAI/bge-small-zh-v1.5"),
    "ms:models/owner/name": SourceRef(scheme="modelscope", repo="owner/name"),
    "ms:models/name": SourceRef(scheme="modelscope", repo="models/name"),
    "ms:datasets/name": SourceRef(scheme="modelscope", repo="datasets/name"),
    "ms:datasets/owner/name": SourceRef(scheme="modelscope", repo="owner/name", dataset=True),
    "ms:datasets/models/name": SourceRef(scheme="modelscope", repo="models/name", dataset=True),
    "corp:owner/name": SourceRef(scheme="corp", repo="owner/name"),
    "git+https://hub.example/a/b.git": SourceRef(scheme="git+https", repo="//hub.example/a/b.git"),
    "git+ssh://git@hub.example/a": SourceRef(scheme="git+ssh", repo="//git@hub.example/a"),
    "git+file:///srv/a": SourceRef(scheme="git+file", repo="///srv/a"),
    "https://hub.example/f.bin": SourceRef(scheme="https", repo="//hub.example/f.bin"),
    "https://hub.example/d/?ref=main": SourceRef(scheme="https", repo="//hub.example/d/?ref=main"),
    "file:../weights": SourceRef(scheme="file", repo="../weights"),
    "file:./my weights//a/": SourceRef(scheme="file", repo="my weights/a"),
    "file:.": SourceRef(scheme="file", repo="."),
    "file:///srv/a/": SourceRef(scheme="file", repo="/srv/a"),
}
REFUSED = [
    "file:a\u202eb",
    "git+https://hub.example/a\u200b.git",
    "https://hub.example/\x9b31m.bin",
    "",
    "gpt2",
    "AI-ModelScope/gpt2",
    "modelscope:",
    ":a/b",
    "modelscope:gpt2",
    "modelscope:a/b/c",
    "modelscope:a//b",
    "modelscope:../b",
    "modelscope:a/..",
    "modelscope:a/b?x",
    "modelscope:a/b\n",
    "modelscope: a/b",
    "modelscope:datasets/a/b/c",
    "https:hub.example/f",
    "git+https:/hub.example/f",
    "https://",
    "https://hub.example/f#x",
    "file:",
    "file://host/a",
    "file://",
    "file:~/a",
    "file:a\\b",
    "file:a\nb",
]


@pytest.mark.parametrize("text", FORMS)
def test_every_form_of_a_source_is_read(text: str) -> None:
    """Design 2 lists the forms; short ones are expanded so that a lock has one spelling."""
    assert SourceRef.parse(text) == FORMS[text]


@unhurried
@given(source_refs)
def test_a_source_reads_back_as_it_was_written(ref: SourceRef) -> None:
    """The lock holds the text and staleness compares it."""
    assert SourceRef.parse(str(ref)) == ref


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_a_source_is_refused(text: str) -> None:
    """A repository's name becomes a part of URLs and folders."""
    with pytest.raises(ValueError, match="expected"):
        SourceRef.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://me:secret@hub.example/f.bin",
        "git+https://oauth2:secret@hub.example/a.git",
        "git+ssh://git:secret@hub.example/a.git",
        "https:me:secret@hub.example/f.bin",
        "https://hub.example/f.bin?token=secret",
        "modelscope:secret@a/b",
        "me:se cret@hub",
    ],
)
def test_a_secret_in_a_source_is_refused_and_not_repeated(text: str) -> None:
    """models.toml is committed and messages end in logs (design 4, rule 9)."""
    with pytest.raises(ValueError, match="expected") as caught:
        SourceRef.parse(text)
    assert "cret" not in str(caught.value)
