"""What people paste where a source is due."""

import pytest

from fetcher.formats.pages import Page, cloned_repository, page_of

_SP, _HF = "modelscope:acme/sp", "huggingface:acme/sp"


@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("https://modelscope.cn/models/acme/sp", Page(source=_SP)),
        ("https://www.modelscope.cn/models/acme/sp/summary?token=ms-1", Page(source=_SP)),
        ("modelscope.cn/datasets/acme/sp/files", Page(source="modelscope:datasets/acme/sp")),
        ("https://modelscope.cn/models/acme/sp/tree/v1.0/onnx", Page(source=_SP, revision="v1.0")),
        (
            "https://modelscope.cn/models/acme/sp/file/view/master/onnx/a.json?status=1",
            Page(source=_SP, revision="master", file="onnx/a.json"),
        ),
        ("https://huggingface.co/acme/sp", Page(source=_HF)),
        ("hf.co/acme/sp/tree/refs%2Fpr%2F1", Page(source=_HF, revision="refs/pr/1")),
        (
            "https://huggingface.co/datasets/acme/sp/blob/main/a%20b.json",
            Page(source="huggingface:datasets/acme/sp", revision="main", file="a b.json"),
        ),
        ("https://huggingface.co/acme/sp/resolve/main/model.bin", None),
        ("https://huggingface.co/acme/sp/raw/main/config.json", None),
        ("https://huggingface.co/docs/transformers", None),
        ("https://me:token@huggingface.co/acme/sp", None),
        ("https://files.example/acme/sp", None),
        ("acme/sp", None),
    ],
)
def test_the_address_of_a_page_means_what_it_shows(text: str, page: Page | None) -> None:
    """Its revision and its file too; the address of a file to download is not one."""
    assert page_of(text) == page


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("https://www.modelscope.cn/acme/sp.git", _SP),
        ("https://www.modelscope.cn/datasets/acme/sp.git", "modelscope:datasets/acme/sp"),
        ("https://github.com/acme/sp.git", "git+https://github.com/acme/sp.git"),
        ("git@github.com:acme/sp.git", "git+ssh://git@github.com/acme/sp.git"),
        ("https://me:token@github.com/acme/sp.git", None),
        ("https://files.example/sp.git?a=b", None),
        ("git+https://github.com/acme/sp.git", None),
        ("modelscope:acme/sp", None),
        ("file:a@b:c", None),
    ],
)
def test_what_one_gives_to_git_clone(text: str, source: str | None) -> None:
    """Nothing that holds a token is taken up."""
    assert cloned_repository(text) == source
