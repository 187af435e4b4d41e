"""What the official Hugging Face client must be able to do with the hub; for any version of it.

Run as a program in the client's own environment, so it uses nothing but `huggingface_hub`:

    python hf_client.py MODEL DATASET FOLDER

prints one JSON document: the names that it listed, the refs, and the errors by their class.
"""

import json
import sys
from pathlib import Path


def main(model: str, dataset: str, folder: Path) -> None:
    """Ask for everything, once."""
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.utils import EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    api = HfApi()
    snapshot_download(model, local_dir=folder / "model")
    snapshot_download(dataset, repo_type="dataset", local_dir=folder / "dataset")
    snapshot_download(model, revision="v1", allow_patterns=["*.json"], local_dir=folder / "tag")
    cached = Path(snapshot_download(model))
    one = Path(hf_hub_download(model, "onnx/model.onnx"))
    errors = {}
    for name, call in {
        "file": lambda: hf_hub_download(model, "no-such-file"),
        "revision": lambda: hf_hub_download(model, "config.json", revision="nowhere"),
        "repository": lambda: hf_hub_download("nobody/nothing", "config.json"),
        "listing": lambda: api.list_repo_files("nobody/nothing"),
    }.items():
        try:
            call()
        except (EntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError) as error:
            errors[name] = type(error).__name__
    refs = api.list_repo_refs(model)
    entries = list(api.list_repo_tree(dataset, repo_type="dataset", recursive=True))
    sys.stdout.write(
        json.dumps(
            {
                "cached": {
                    str(path.relative_to(cached)): path.stat().st_size for path in cached.rglob("*") if path.is_file()
                },
                "one": one.stat().st_size,
                "files": api.list_repo_files(model),
                "sha": api.repo_info(model).sha,
                "license": api.repo_info(model).card_data.license,
                "commits": [[each.commit_id, each.created_at.year] for each in api.list_repo_commits(model)],
                "branches": [ref.name for ref in refs.branches],
                "tags": [ref.name for ref in refs.tags],
                "listed": len(entries),
                "lfs": sorted(entry.path for entry in entries if getattr(entry, "lfs", None)),
                "errors": errors,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
