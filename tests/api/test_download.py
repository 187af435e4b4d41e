"""`snapshot_download` and its like: what they raise, and what they do beyond the official client."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import fetcher
from fetcher.serve.hub import Hub
from tests.api.conftest import MODEL
from tests.cli.command import Desk
from tests.hub.publish import Publisher, read_tree

TOKEN = "ms-11111111-2222-3333-4444-555555555555"


def test_what_does_not_exist_is_an_error(at: Desk) -> None:
    """The official client returns an empty folder for some of these."""
    with pytest.raises(fetcher.NotFoundError, match=r'the pattern "\*\.nothing" matches no file'):
        fetcher.snapshot_download(MODEL, allow_patterns=["*.json", "*.nothing"], local_dir="here")
    with pytest.raises(fetcher.NotFoundError) as caught:
        fetcher.model_file_download(MODEL, "confg.json", local_dir="here")
    assert str(caught.value) == (
        "model: 1 of the names in `files` do not exist upstream.\n"
        "  missing: confg.json (closest: config.json)\n"
        "  fix: correct the names of the files"
    )
    with pytest.raises(fetcher.NotFoundError):
        fetcher.snapshot_download(MODEL, "v9", local_dir="here")
    with pytest.raises(fetcher.NotFoundError):
        fetcher.snapshot_download("owner/nothing", local_dir="here")
    assert not (at.folder / "here").exists()


def test_arguments_that_mean_nothing_are_refused(at: Desk) -> None:
    """Whole messages, for people who type them."""
    cases: list[tuple[Callable[[], object], str]] = [
        (
            lambda: fetcher.snapshot_download(),
            'No repository is named.\n  fix: give it first: snapshot_download("OWNER/NAME")',
        ),
        (
            lambda: fetcher.snapshot_download(MODEL, repo_type="studio"),
            'There are no \'studio\' repositories.\n  fix: give repo_type="model" or "dataset"',
        ),
        (
            lambda: fetcher.snapshot_download(MODEL, layout="hub"),  # type: ignore[arg-type]
            "There is no layout 'hub'.\n  fix: give one of: modelscope, huggingface",
        ),
        (
            lambda: fetcher.snapshot_download(MODEL, max_workers=0),
            "max_workers is 0.\n  fix: give a whole number above 0, or leave it out",
        ),
    ]
    for call, text in cases:
        with pytest.raises(fetcher.ConfigError) as caught:
            call()
        assert str(caught.value) == text


def test_what_the_user_has_edited_stays(at: Desk, publisher: Publisher) -> None:
    """An error, where the official client overwrites."""
    folder = fetcher.snapshot_download(MODEL, allow_patterns=["*.json"], local_dir=at.folder / "here")
    (at.folder / "here/config.json").write_text("edited")
    publisher.publish(MODEL, {"config.json": b"[]"})
    with pytest.raises(fetcher.BlockedError):
        fetcher.snapshot_download(MODEL, allow_patterns=["*.json"], local_dir=folder)
    assert (at.folder / "here/config.json").read_text() == "edited"


def test_local_files_only_asks_nobody(at: Desk, hub: Hub, published: dict[str, bytes]) -> None:
    """What the same call found last time is there, from the store if the folder has lost it."""
    with pytest.raises(fetcher.OfflineError):
        fetcher.snapshot_download(MODEL, local_dir="here", local_files_only=True)
    fetcher.snapshot_download(MODEL, local_dir="here")
    hub.forget_requests()
    (at.folder / "here/config.json").unlink()
    assert read_tree(at.folder / "here") != published
    fetcher.snapshot_download(MODEL, local_dir="here", local_files_only=True)
    assert read_tree(at.folder / "here") == published
    assert hub.requests == []


def test_several_threads_want_the_same_repository(at: Desk, published: dict[str, bytes]) -> None:
    """As the workers of a data loader do: each gets the folder, and whole files in it."""
    together = threading.Barrier(4)

    def work(number: int) -> tuple[str, dict[str, bytes]]:
        together.wait()
        folder = fetcher.snapshot_download(MODEL, cache_dir="cache", layout="modelscope")
        return folder, read_tree(at.folder / folder)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(4)))
    assert [tree for _, tree in found] == [published] * 4
    assert len({folder for folder, _ in found}) == 1


def test_every_kind_of_source_and_repository(at: Desk, publisher: Publisher, published: dict[str, bytes]) -> None:
    """Hugging Face by its short form, datasets by type and by function, a folder of this machine."""
    table = publisher.publish("datasets/owner/table", {"train.csv": b"a,b\n", "README.md": b"# t\n"})
    assert read_tree(at.folder / fetcher.snapshot_download(f"hf:{MODEL}", local_dir="hf")) == published
    assert fetcher.snapshot_download(repo_id="owner/table", repo_type="dataset", local_dir="t") == f"{at.folder}/t"
    assert read_tree(at.folder / "t") == table
    placed = fetcher.dataset_snapshot_download("hf:owner/table", cache_dir="cache", ignore_patterns=["*.md"])
    assert placed == f"{at.folder}/cache/datasets/owner/table"
    assert read_tree(at.folder / placed) == {"train.csv": b"a,b\n"}
    file = fetcher.dataset_file_download("owner/table", "train.csv", cache_dir="cache", layout="modelscope")
    assert file.startswith(f"{at.folder}/cache/datasets/owner--table/snapshots/")
    assert (at.folder / file).read_bytes() == b"a,b\n"


def test_a_login_opens_what_is_private(
    at: Desk,
    start_hub: Callable[..., Hub],
    published: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By an argument, and by a login that the hub has confirmed; a wrong one is not kept."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    hub = start_hub(token=TOKEN)
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.url)
    with pytest.raises(fetcher.AuthError):
        fetcher.snapshot_download(MODEL, local_dir="here")
    assert read_tree(at.folder / fetcher.snapshot_download(MODEL, local_dir="a", token=TOKEN)) == published
    with pytest.raises(fetcher.AuthError):
        fetcher.login("ms-wrong")
    assert fetcher.login(TOKEN).server == hub.url
    assert read_tree(at.folder / fetcher.snapshot_download(MODEL, local_dir="b")) == published
    assert (fetcher.logout(), fetcher.logout()) == (True, False)
    with pytest.raises(fetcher.AuthError):
        fetcher.snapshot_download(MODEL, local_dir="c")
