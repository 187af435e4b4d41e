"""Random values of the core types, for property tests."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from fetcher.core.digest import Commit, Sha256
from fetcher.core.lock import Lock, LockedFile, LockedModel, PinnedSource, tree_of
from fetcher.core.manifest import Requested, SourceRef
from fetcher.core.paths import ModelName, RepoPath, refuse_twins

# The machine's other work must not fail a test: no limit on the time of an example.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def _is_safe(text: str) -> bool:
    try:
        RepoPath(text)
    except ValueError:
        return False
    return True


def _without_twins(paths: list[str]) -> bool:
    try:
        refuse_twins(paths)
    except ValueError:
        return False
    return True


hexes = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
sha256s = hexes.map(Sha256)
commits = st.one_of(hexes, hexes.map(lambda text: text[:40])).map(Commit)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}[a-z0-9]", fullmatch=True)
# `"`, `'`, `#`, `=` and `[` mean something in TOML and nothing in a path.
parts = st.text(
    st.one_of(
        st.sampled_from("ab\"'#=[]. é中\U0001f600"),
        st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp"), exclude_characters="/\\:"),
    ),
    min_size=1,
    max_size=8,
)
paths = st.lists(parts, min_size=1, max_size=3).map("/".join).filter(_is_safe).map(RepoPath)
path_lists = st.lists(paths, max_size=6, unique=True).filter(_without_twins)
wishes = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1, max_size=8), max_size=3)
wish_tuples = wishes.map(lambda texts: tuple(sorted(set(texts))))
owned_refs = st.builds(
    lambda scheme, owner, name, dataset: SourceRef(scheme=scheme, repo=f"{owner}/{name}", dataset=dataset),
    st.sampled_from(["modelscope", "corp"]),
    names | st.sampled_from(["datasets", "models"]),
    names,
    st.booleans(),
)
hugging_face_refs = st.builds(  # nobody can be called `datasets` there, and a name may stand alone
    lambda repo, dataset: SourceRef(scheme="huggingface", repo=repo, dataset=dataset),
    names | st.builds("{}/{}".format, names.filter(lambda name: name not in ("datasets", "models")), names),
    st.booleans(),
)
hub_refs = owned_refs | hugging_face_refs
other_refs = st.sampled_from(
    ["git+https://hub.example/a/b.git", "git+ssh://git@hub.example/a", "https://hub.example/f.bin", "file:../weights"]
).map(SourceRef.parse)
source_refs = hub_refs | other_refs
requests = st.builds(
    Requested,
    revision=st.none() | st.sampled_from(["master", "v1.0", 'a"b', "功能"]),
    include=wish_tuples,
    exclude=wish_tuples,
    files=wish_tuples,
)

licenses = st.none() | st.sampled_from(["unknown", "apache-2.0", 'a "b"', "木兰", "mit, apache-2.0"])
formats = st.sampled_from(["safetensors", "zip-pickle", "json"])


@st.composite
def file_tuples(draw: st.DrawFn) -> tuple[LockedFile, ...]:
    """Files of one model: safe, without twins, sorted by path."""
    return tuple(
        LockedFile(path=path, sha256=draw(sha256s), size=draw(st.integers(0, 2**63 - 1)))
        for path in sorted(draw(path_lists))
    )


@st.composite
def models(draw: st.DrawFn, name: str) -> LockedModel:
    """A locked model with the right tree digest."""
    files = draw(file_tuples())
    pins = st.builds(PinnedSource, source=source_refs, commit=commits)
    return LockedModel(
        name=ModelName(name),
        source=draw(source_refs),
        commit=draw(commits),
        tree=tree_of(files),
        requested=draw(requests),
        files=files,
        fallback=tuple(draw(st.lists(pins, max_size=2))),
        license=draw(licenses),
        committed=draw(st.sampled_from([None, "unknown", "2024-05-31T12:00:00Z"])),
        formats={file.path: draw(formats) for file in files} if draw(st.booleans()) else {},
    )


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """A lock of up to three models."""
    chosen = sorted(draw(st.lists(names.filter(_is_name), max_size=3, unique=True)))
    return Lock(models={ModelName(name): draw(models(name)) for name in chosen})


def _is_name(text: str) -> bool:
    try:
        ModelName(text)
    except ValueError:
        return False
    return True
