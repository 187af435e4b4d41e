"""models.toml as people write it, and what it becomes."""

from pathlib import Path

import pytest

from fetcher.core.manifest import Endpoint, Manifest, ModelSpec, Requested, SourceRef
from fetcher.core.paths import ModelName
from fetcher.formats.manifest_toml import read_manifest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
GPT2 = '[models.gpt2]\nsource = "ms:a/gpt2"\n'


def read(text: str) -> Manifest:
    return read_manifest(f"version = 1\n{text}", file="models.toml")


def gpt2(text: str) -> ModelSpec:
    return read(text).models[ModelName("gpt2")]


def test_the_example_of_the_design_becomes_these_values() -> None:
    """Every key of design 2 once; the defaults' exclude is added to the model's (design 3 shows the union)."""
    manifest = read_manifest((HERE / "good" / "design.toml").read_text("utf-8"), file="models.toml")
    dropped = ("*.md", ".gitattributes")
    assert list(manifest.models.values()) == [
        ModelSpec(
            name=ModelName("bge"),
            source=SourceRef(scheme="huggingface", repo="BAAI/bge-small-zh-v1.5"),
            requested=Requested(exclude=dropped, files=("config.json", "model.safetensors")),
            fallback=(SourceRef(scheme="modelscope", repo="AI-ModelScope/bge-small-zh-v1.5"),),
            groups=("embed",),
            target="models/bge",
        ),
        ModelSpec(
            name=ModelName("c"),
            source=SourceRef(scheme="corp", repo="a/b"),
            requested=Requested(exclude=dropped),
            target="models/c",
        ),
        ModelSpec(
            name=ModelName("gpt2"),
            source=SourceRef(scheme="modelscope", repo="AI-ModelScope/gpt2"),
            requested=Requested(
                revision="master", include=("*.json", "onnx/*"), exclude=("*.md", "*.tflite", ".gitattributes")
            ),
            target="models/gpt2",
        ),
    ]
    assert manifest.sources == {
        "corp": Endpoint(
            name="corp",
            kind="modelscope",
            endpoint="https://hub.corp.example",
            mirrors=("https://hub2.corp.example",),
            token_env="CORP_HUB_TOKEN",
        )
    }


@pytest.mark.parametrize("path", sorted((HERE / "good").glob("*.toml")), ids=lambda path: path.stem)
def test_a_good_manifest_is_read(path: Path) -> None:
    """Each form of a source, a target and a table is in one of these files."""
    read_manifest(path.read_text("utf-8"), file="models.toml")


def test_the_example_file_is_read() -> None:
    """People copy it; it must work as it is."""
    text = (ROOT / "models.toml.example").read_text("utf-8")
    manifest = read_manifest(text, file="models.toml.example")
    schemes = {"modelscope", "huggingface", "https", "file", "git+https"}
    assert {spec.source.scheme for spec in manifest.models.values()} == schemes
    assert text.startswith("#:schema ./schemas/models.schema.json\n")


def test_a_models_own_key_wins_over_the_defaults() -> None:
    """Also with an empty list: that is a value, not a key that was left out."""
    defaults = (
        '[defaults]\nrevision = "v1"\ninclude = ["*.json"]\nfiles = ["a"]\ngroups = ["x"]\nfallback = ["ms:b/c"]\n'
    )
    inherited = gpt2(defaults + GPT2)
    assert inherited.requested == Requested(revision="v1", include=("*.json",), files=("a",))
    assert (inherited.groups, inherited.fallback) == (("x",), (SourceRef.parse("ms:b/c"),))
    own = gpt2(f'{defaults}{GPT2}revision = "v2"\ninclude = []\nfiles = []\ngroups = []\nfallback = []\n')
    assert own.requested == Requested(revision="v2")
    assert (own.groups, own.fallback) == ((), ())


def test_excludes_add_up_unless_the_model_has_an_empty_list() -> None:
    """Design 3 shows the union in `requested`; an empty list is the way to have none."""
    defaults = '[defaults]\nexclude = ["*.md", "*.h5"]\n'
    assert gpt2(defaults + GPT2).requested.exclude == ("*.h5", "*.md")
    assert gpt2(f'{defaults}{GPT2}exclude = ["*.a"]').requested.exclude == ("*.a", "*.h5", "*.md")
    assert gpt2(f"{defaults}{GPT2}exclude = []").requested.exclude == ()


def test_lists_are_sorted_and_without_doubles() -> None:
    """The order in which patterns are written must not make a lock stale."""
    text = 'include = ["b", "a", "b"]\nexclude = ["d", "c", "d"]\nfiles = ["f", "e", "f"]\n'
    assert gpt2(GPT2 + text).requested == Requested(include=("a", "b"), exclude=("c", "d"), files=("e", "f"))


def test_fallbacks_keep_their_order() -> None:
    """They are tried in the order in which they were written; a double is tried once."""
    refs = gpt2(f'{GPT2}fallback = ["ms:z/z", "hf:a/a", "modelscope:z/z"]').fallback
    assert [str(ref) for ref in refs] == ["modelscope:z/z", "huggingface:a/a"]


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("weights/gpt2", "weights/gpt2"),
        ("./weights/gpt2/", "weights/gpt2"),
        (".", "."),
        ("./", "."),
        ("/srv/models", "/srv/models"),
        ("/srv/models/", "/srv/models"),
        (".github/models", ".github/models"),
    ],
)
def test_a_target_is_a_plain_folder(written: str, target: str) -> None:
    """One spelling for each folder; the project itself and absolute paths are allowed."""
    assert gpt2(f'{GPT2}target = "{written}"').target == target


def test_a_default_target_holds_the_name() -> None:
    """Otherwise all models would share one folder."""
    defaults = '[defaults]\ntarget = "./weights/{name}/v1/"\n'
    assert gpt2(defaults + GPT2).target == "weights/gpt2/v1"
    assert gpt2(f'{defaults}{GPT2}target = "here"').target == "here"


def test_two_models_may_share_a_folder() -> None:
    """What two models may not share is a file, and only the plan knows the files."""
    manifest = read(f'{GPT2}target = "m"\n[models.b]\nsource = "ms:a/b"\ntarget = "m"\n')
    assert [spec.target for spec in manifest.models.values()] == ["m", "m"]


def test_a_manifest_without_models_is_read() -> None:
    """`fetcher init` writes one."""
    assert read("") == Manifest(models={}, sources={})


def test_a_trailing_slash_of_an_endpoint_is_dropped() -> None:
    """Sources join paths to it."""
    text = '[sources.corp]\nkind = "modelscope"\nendpoint = "http://127.0.0.1:8080/"\n'
    assert read(text).sources["corp"].endpoint == "http://127.0.0.1:8080"
