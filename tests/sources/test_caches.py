"""What the official libraries have downloaded, as their folders tell."""

from pathlib import Path

from fetcher.core.manifest import CacheLayout
from fetcher.sources.caches import cached_repositories


def test_each_layout_of_both_libraries_is_known(tmp_path: Path) -> None:
    """Also those of older versions; what is no repository is passed over."""
    for folder in (
        "hf/models--gpt2/snapshots",
        "hf/models--BAAI--bge-small-zh-v1.5/snapshots",
        "hf/datasets--a--b/snapshots",
        "hf/models--half--way/blobs",
        "hf/.locks/models--a--b",
        "ms/models/a--b.c/snapshots",
        "ms/datasets/d--e/snapshots",
        "ms/models/odd--name--more--x/snapshots",
    ):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("ms/old/one/.msc", "ms/hub/old/qwen2___5/.msc", "ms/hub/models/old/three/.msc", "ms/old/no/file"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    caches = {CacheLayout.modelscope: str(tmp_path / "ms"), CacheLayout.huggingface: str(tmp_path / "hf")}
    assert [str(each) for each in cached_repositories(caches)] == [
        "huggingface:BAAI/bge-small-zh-v1.5",
        "huggingface:datasets/a/b",
        "huggingface:gpt2",
        "modelscope:a/b.c",
        "modelscope:datasets/d/e",
        "modelscope:old/one",
        "modelscope:old/qwen2.5",
        "modelscope:old/three",
    ]
    nowhere = {layout: str(tmp_path / "nowhere") for layout in CacheLayout}
    assert cached_repositories(nowhere) == []
