"""Which string leads where, and with which token."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fetcher.core.manifest import Endpoint, SourceRef
from fetcher.core.retry import RetrySchedule
from fetcher.errors import AuthError, ConfigError, SourceError
from fetcher.sources.catalog import Catalog
from tests.sources.lookalike import API, COMMIT, Answer, Lookalike, blob, fail, listing

SECRET, CORP_SECRET = "ms-0123-SECRET", "ms-4567-CORP"
FILES = f"{API}/repo/files"
MODEL = SourceRef.parse("modelscope:owner/name")
CORP = SourceRef.parse("corp:owner/name")
EMPTY = b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # git's name of no bytes

MakeCatalog = Callable[..., Catalog]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[MakeCatalog]:
    made: list[Catalog] = []

    def make(environment: dict[str, str] | None = None, *endpoints: Endpoint) -> Catalog:
        made.append(
            Catalog(
                endpoints={endpoint.name: endpoint for endpoint in endpoints},
                environment=environment or {},
                home=tmp_path,
                scratch=tmp_path / "scratch",
                idle_timeout_s=5.0,
                retry=RetrySchedule(attempts=1),
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def hub_like() -> Iterator[Lookalike]:
    with Lookalike() as hub:
        yield hub.says(FILES, listing(blob("a")))


@pytest.fixture
def mirror() -> Iterator[Lookalike]:
    with Lookalike() as hub:
        yield hub.says(FILES, listing(blob("a")))


def _corp(hub: Lookalike, *mirrors: str, **more: Any) -> Endpoint:
    return Endpoint(name="corp", kind="modelscope", endpoint=hub.url, mirrors=mirrors, **more)


@pytest.mark.parametrize(
    ("environment", "label"),
    [
        ({}, "modelscope.cn"),
        ({"MODELSCOPE_ENDPOINT": "http://127.0.0.1:9"}, "127.0.0.1:9"),
        ({"MODELSCOPE_ENDPOINT": "https://one.example/", "MODELSCOPE_DOMAIN": "two.example"}, "one.example"),
        ({"MODELSCOPE_DOMAIN": "www.modelscope.cn"}, "www.modelscope.cn"),
        ({"MODELSCOPE_DOMAIN": "http://two.example:81"}, "two.example:81"),
        ({"MODELSCOPE_ENDPOINT": " "}, "modelscope.cn"),
    ],
)
def test_the_environment_says_where_modelscope_is(
    catalog: MakeCatalog, environment: dict[str, str], label: str
) -> None:
    """The variables of the official client, in its order."""
    assert [source.label for source in catalog(environment).candidates(MODEL)] == [label]


@pytest.mark.parametrize("url", [f"https://user:{SECRET}@h", "ftp://h", "https://", "https://h?x", "h h", "http://h:x"])
@pytest.mark.parametrize("name", ["MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN"])
def test_a_variable_without_an_address_is_refused_unseen(catalog: MakeCatalog, url: str, name: str) -> None:
    """Its value may hold a token."""
    with pytest.raises(ConfigError) as caught:
        catalog({name: url}).candidates(MODEL)
    assert str(caught.value) == (
        f"{name} does not hold the address of a hub.\n"
        "  expected: such as https://modelscope.cn, without a user, a token or a query\n"
        f"  fix: correct {name} or unset it"
    )


def test_mirrors_follow_their_endpoint(catalog: MakeCatalog, hub_like: Lookalike) -> None:
    """In the manifest's order, and the same objects each time: their connections are kept."""
    made = catalog({}, _corp(hub_like, "https://m1.example", "https://m2.example"))
    sources = made.candidates(CORP)
    assert [source.label for source in sources] == [hub_like.host, "m1.example", "m2.example"]
    assert made.candidates(SourceRef.parse("corp:datasets/other/data")) is sources


def test_a_mirror_on_another_host_gets_no_token(catalog: MakeCatalog, hub_like: Lookalike, mirror: Lookalike) -> None:
    """Rule 9; one on the same host is the same server."""
    corp = _corp(hub_like, mirror.url, f"{hub_like.url}/again", token_env="CORP_TOKEN")
    environment = {"CORP_TOKEN": CORP_SECRET, "MODELSCOPE_API_TOKEN": SECRET}
    own, other, again = catalog(environment, corp).candidates(CORP)
    own.snapshot(CORP, COMMIT)
    other.snapshot(CORP, COMMIT)
    hub_like.says(f"/again{FILES}", listing(blob("a")))
    again.snapshot(CORP, COMMIT)
    assert [seen.headers["authorization"] for seen in hub_like.seen] == [f"Bearer {CORP_SECRET}"] * 2
    assert not mirror.seen[0].headers.keys() & {"authorization", "cookie"}


@pytest.mark.parametrize(
    ("ref", "variable"),
    [
        (MODEL, "FETCHER_MODELSCOPE_MIRRORS"),
        (CORP, "FETCHER_CORP_MIRRORS"),
        (SourceRef.parse("my-hub.eu:owner/name"), "FETCHER_MY_HUB_EU_MIRRORS"),
    ],
    ids=str,
)
def test_the_environment_routes_a_hub_through_mirrors_without_its_token(
    catalog: MakeCatalog, hub_like: Lookalike, mirror: Lookalike, ref: SourceRef, variable: str
) -> None:
    """They come before the home; a company's mirror is no place for the hub's token."""
    environment = {variable: f"{mirror.url}/, https://m2.example", "MODELSCOPE_API_TOKEN": SECRET}
    environment["MODELSCOPE_ENDPOINT"] = hub_like.url
    named = [Endpoint(name=name, kind="modelscope", endpoint=hub_like.url) for name in ("corp", "my-hub.eu")]
    made = catalog(environment, *named)
    assert [source.label for source in made.places(ref)] == [mirror.host, "m2.example", hub_like.host]
    assert [source.label for source in made.candidates(ref)] == [hub_like.host]
    made.routes(ref)[0].snapshot(ref, COMMIT)
    assert not mirror.seen[0].headers.keys() & {"authorization", "cookie"}


def test_a_mirror_variable_without_an_address_is_refused_unseen(catalog: MakeCatalog) -> None:
    """Its value may hold a token."""
    with pytest.raises(ConfigError) as caught:
        catalog({"FETCHER_MODELSCOPE_MIRRORS": f"https://u:{SECRET}@m.example"}).routes(MODEL)
    assert str(caught.value) == (
        "FETCHER_MODELSCOPE_MIRRORS does not hold the address of a hub.\n"
        "  expected: such as https://modelscope.cn, without a user, a token or a query\n"
        "  fix: correct FETCHER_MODELSCOPE_MIRRORS or unset it"
    )


@pytest.mark.parametrize(
    ("same_host", "token_env", "sent"),
    [
        (False, None, None),  # the token of modelscope.cn is not for others
        (True, None, SECRET),  # the host of `modelscope:` under another name
        (False, "CORP_TOKEN", CORP_SECRET),
        (True, "UNSET", None),  # named, so nothing else is taken for it
    ],
)
def test_a_named_endpoint_gets_its_own_token(
    catalog: MakeCatalog, hub_like: Lookalike, same_host: bool, token_env: str | None, sent: str | None
) -> None:
    """MODELSCOPE_API_TOKEN belongs to the host of `modelscope:`."""
    environment = {"CORP_TOKEN": CORP_SECRET, "MODELSCOPE_API_TOKEN": SECRET}
    if same_host:
        environment["MODELSCOPE_ENDPOINT"] = hub_like.url
    catalog(environment, _corp(hub_like, token_env=token_env)).candidates(CORP)[0].snapshot(CORP, COMMIT)
    assert hub_like.seen[0].headers.get("authorization") == (sent and f"Bearer {sent}")


def test_modelscope_api_token_goes_to_modelscope(catalog: MakeCatalog, hub_like: Lookalike) -> None:
    """Wherever MODELSCOPE_ENDPOINT says that it is."""
    environment = {"MODELSCOPE_ENDPOINT": hub_like.url, "MODELSCOPE_API_TOKEN": SECRET}
    catalog(environment).candidates(MODEL)[0].snapshot(MODEL, COMMIT)
    assert hub_like.seen[0].headers["authorization"] == f"Bearer {SECRET}"
    assert hub_like.seen[0].headers["cookie"] == f"m_session_id={SECRET}"


@pytest.mark.parametrize("moved", [False, True])
def test_a_login_of_the_official_tool_is_named_when_a_token_is_missing(
    catalog: MakeCatalog, hub_like: Lookalike, tmp_path: Path, moved: bool
) -> None:
    """Its token stands in a pickle; who has logged in there would wonder why it is not enough."""
    folder = tmp_path / ("elsewhere" if moved else ".modelscope") / "credentials"
    folder.mkdir(parents=True)
    (folder / "cookies").write_bytes(b"never read")
    (folder / "session").write_text("0123456789abcdef0123456789abcdef")
    hub_like.says(FILES, fail(403, status=403))
    environment = {"MODELSCOPE_ENDPOINT": hub_like.url}
    if moved:
        environment["MODELSCOPE_HOME"] = str(folder.parent)
    with pytest.raises(AuthError) as caught:
        catalog(environment).candidates(MODEL)[0].snapshot(MODEL, COMMIT)
    assert str(caught.value) == (
        f"{hub_like.host} asks for a token for owner/name.\n"
        "  answer: status 403, code 403, 'no'\n"
        "  login: the one stored by the official tool is a pickle, which fetcher does not read\n"
        "  fix: run `fetcher login modelscope` or set MODELSCOPE_API_TOKEN, with a token that may read it"
    )
    assert "authorization" not in hub_like.seen[0].headers, "`session` is the number of an installation, no token"


def _asked_with(catalog: MakeCatalog, hub_like: Lookalike, environment: dict[str, str]) -> str | None:
    """The Authorization header of a listing of `huggingface:`."""
    hub_like.says(
        f"/api/models/owner/name/tree/{COMMIT}", Answer(b'[{"type":"file","path":"a","size":0,"oid":"%s"}]' % EMPTY)
    )
    made = catalog({"HF_ENDPOINT": hub_like.url, **environment})
    made.candidates(SourceRef.parse("hf:owner/name"))[0].snapshot(SourceRef.parse("hf:owner/name"), COMMIT)
    return hub_like.seen[-1].headers.get("authorization")


def test_hugging_face_has_its_own_endpoint_and_tokens(
    catalog: MakeCatalog, hub_like: Lookalike, tmp_path: Path
) -> None:
    """The official tool's variables in its order, then the text file of its login."""
    home = tmp_path
    assert _asked_with(catalog, hub_like, {"MODELSCOPE_API_TOKEN": SECRET}) is None
    for folder, variables in {
        home / ".cache/huggingface": {},
        home / "xdg/huggingface": {"XDG_CACHE_HOME": str(home / "xdg")},
        home / "own": {"HF_HOME": "~/own"},
    }.items():
        folder.mkdir(parents=True)
        (folder / "token").write_text(f"hf_{folder.name}\n")
        assert _asked_with(catalog, hub_like, variables) == f"Bearer hf_{folder.name}"
    older = {"HUGGING_FACE_HUB_TOKEN": "hf_older"}
    assert _asked_with(catalog, hub_like, older) == "Bearer hf_older"
    assert _asked_with(catalog, hub_like, {**older, "HF_TOKEN": "hf_newer"}) == "Bearer hf_newer"


def test_a_login_of_the_official_tool_that_is_no_token_is_an_error(catalog: MakeCatalog, tmp_path: Path) -> None:
    """Half of a file must not become a header."""
    path = tmp_path / ".cache/huggingface/token"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"two words\n")
    with pytest.raises(ConfigError) as caught:
        catalog().candidates(SourceRef.parse("hf:owner/name"))
    assert caught.value.what == f"{path} does not hold a token."
    assert "two words" not in str(caught.value)


def test_hugging_face_s_token_goes_to_its_hub_only(catalog: MakeCatalog, hub_like: Lookalike) -> None:
    """A company's hub of the same kind is another host."""
    corp = Endpoint(name="corp", kind="huggingface", endpoint=hub_like.url)
    hub_like.says(
        f"/api/models/owner/name/tree/{COMMIT}", Answer(b'[{"type":"file","path":"a","size":0,"oid":"%s"}]' % EMPTY)
    )
    catalog({"HF_TOKEN": SECRET}, corp).candidates(CORP)[0].snapshot(CORP, COMMIT)
    assert "authorization" not in hub_like.seen[0].headers


def test_an_endpoint_that_left_the_manifest_is_named(catalog: MakeCatalog, hub_like: Lookalike) -> None:
    """A lock may still name it (`sync --frozen`)."""
    with pytest.raises(ConfigError) as caught:
        catalog({}, _corp(hub_like)).candidates(SourceRef.parse("gone:owner/name"))
    assert str(caught.value) == (
        "gone:owner/name names an endpoint that models.toml does not have.\n"
        "  endpoints: corp\n"
        "  fix: add a table [sources.gone] to models.toml"
    )


def test_a_closed_catalog_makes_its_sources_anew(catalog: MakeCatalog, hub_like: Lookalike) -> None:
    """Closing ends connections, not the program."""
    made = catalog({}, _corp(hub_like))
    first = made.candidates(CORP)
    first[0].snapshot(CORP, COMMIT)
    made.close()
    assert made.candidates(CORP)[0] is not first[0]
    made.candidates(CORP)[0].snapshot(CORP, COMMIT)


def test_an_endpoint_that_is_not_there_is_an_error_with_its_name(catalog: MakeCatalog) -> None:
    """No token variable, no URL with a secret: the host."""
    with pytest.raises(SourceError, match=r"\A127.0.0.1:9 cannot be reached\."):
        catalog({"MODELSCOPE_ENDPOINT": "http://127.0.0.1:9"}).candidates(MODEL)[0].snapshot(MODEL, COMMIT)


def test_nothing_that_is_slow_is_loaded_before_the_first_source() -> None:
    """A command with nothing to fetch must not pay 150 ms for an HTTP stack."""
    program = (
        "import sys; from pathlib import Path; from fetcher.sources.catalog import Catalog;"
        "Catalog(endpoints={}, environment={}, home=Path('/'), scratch=Path('/'));"
        "print(*sorted({'httpx', 'httpcore', 'pydantic', 'ssl'} & sys.modules.keys()))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.split() == []
