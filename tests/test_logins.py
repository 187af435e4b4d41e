"""Logging in and out, and who is who."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from fetcher.core.manifest import Endpoint
from fetcher.errors import AuthError, ConfigError, FetcherError
from fetcher.logins import Access, Login, Logins
from fetcher.serve.hub import Hub
from fetcher.settings import Settings
from tests.sources.lookalike import Answer, Lookalike

SECRET = "ms-0123-SECRET"


@pytest.fixture(autouse=True)
def _no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")


@pytest.fixture
def private(start_hub: Callable[..., Hub]) -> Hub:
    return start_hub(token=SECRET)


def logins(url: str, *endpoints: Endpoint, **environment: str) -> Logins:
    settings = Settings.of({"MODELSCOPE_ENDPOINT": url, "FETCHER_RETRIES": "1", **environment})
    return Logins(settings, {endpoint.name: endpoint for endpoint in endpoints})


def _modelscope(accesses: list[Access]) -> Access:
    (found,) = [access for access in accesses if access.name == "modelscope"]
    return found


def kept() -> Path:
    return Settings.of({}).logins


def test_a_login_says_whose_token_it_is_and_where_it_is_kept(private: Hub) -> None:
    """And the next run finds it without a variable."""
    done = logins(private.url).log_in("ms", SECRET)
    assert done == Login(server=private.url, kept_in=str(kept()), user="fetcher")
    assert [access for access in logins(private.url).accesses(ask=True) if access.name == "modelscope"] == [
        Access(
            name="modelscope",
            server=private.url,
            token_from=str(kept()),
            token_env="MODELSCOPE_API_TOKEN",
            user="fetcher",
        )
    ]


def test_a_token_that_the_hub_refuses_is_not_kept(private: Hub) -> None:
    """Exit 6, at once rather than at the next lock."""
    with pytest.raises(AuthError) as caught:
        logins(private.url).log_in("modelscope", "ms-9999-WRONG")
    host = private.url.removeprefix("http://")
    assert str(caught.value) == (
        f"{host} refuses the token.\n"
        "  status: 403\n"
        "  fix: run `fetcher login modelscope` or set MODELSCOPE_API_TOKEN again"
    )
    assert not kept().exists()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(b"", 404), "does not tell whose token it is."),
        (Answer(b"<html>", 200), "did not answer with JSON."),
        (Answer(b'{"data": {"username": 5}}', 200), "does not tell whose token it is."),
        (Answer(b"[]", 503), "cannot answer at the moment."),
    ],
)
def test_a_token_that_nobody_can_judge_is_kept(answer: Answer, why: str) -> None:
    """A hub of one's own may not know the question."""
    with Lookalike() as hub:
        hub.says("/openapi/v1/users/me", answer)
        done = logins(hub.url).log_in("modelscope", SECRET)
        assert (done.user, done.unchecked) == (None, f"{hub.host} {why}")
    assert SECRET in kept().read_text()


def test_the_environment_comes_first_and_a_login_says_so(private: Hub) -> None:
    """Who wonders why the new token is not used reads it here."""
    wrong = logins(private.url, MODELSCOPE_API_TOKEN="ms-9999-WRONG")
    assert wrong.log_in("modelscope", SECRET).shadowed_by == "MODELSCOPE_API_TOKEN"
    access = _modelscope(wrong.accesses(ask=True))
    assert isinstance(access.problem, AuthError)
    access = _modelscope(wrong.accesses(ask=False))
    assert (access.token_from, access.user, access.problem) == ("MODELSCOPE_API_TOKEN", None, None)


def test_a_named_source_and_a_server_have_logins_of_their_own(private: Hub) -> None:
    """`corp` is asked whose token it is; a bare server cannot be."""
    corp = Endpoint(name="corp", kind="modelscope", endpoint=private.url, token_env="CORP_TOKEN")
    made = logins("http://127.0.0.1:9", corp)
    assert made.log_in("corp", SECRET).user == "fetcher"
    assert made.log_in("https://cdn.example:8443/x/y", SECRET) == Login(
        server="https://cdn.example:8443", kept_in=str(kept())
    )
    found = {access.name: access for access in made.accesses(ask=True)}
    assert found["corp"].token_from == str(kept())
    assert found["modelscope"].token_from is None
    assert found["https://cdn.example:8443"].token_from == str(kept())
    assert made.log_out("corp") == (private.url, True)
    assert made.log_out("corp") == (private.url, False)


@pytest.mark.parametrize("source", [SECRET, "nowhere", f"https://user:{SECRET}@h", "https:", "http://"])
def test_what_is_no_source_is_refused_unseen(source: str) -> None:
    """It may be the token, in the wrong place."""
    with pytest.raises(ConfigError) as caught:
        logins("http://127.0.0.1:9").log_in(source, SECRET)
    assert SECRET not in str(caught.value)
    assert not kept().exists()


@pytest.mark.parametrize("secret", ["", "a b", "a\nb", "ключ"])
def test_what_is_no_token_is_refused(secret: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(ConfigError) as caught:
        logins("http://127.0.0.1:9").log_in("modelscope", secret)
    assert str(caught.value) == (
        "What was given is not a token.\n"
        "  expected: letters, digits and signs, without spaces, commas, quotes and semicolons\n"
        "  fix: copy the token alone from the settings of the hub's website"
    )


def test_a_file_of_logins_that_is_broken_is_a_problem_of_each_source() -> None:
    """`auth` still lists them."""
    kept().parent.mkdir(parents=True)
    kept().write_text(json.dumps({"version": 9}))
    kept().chmod(0o600)
    with pytest.raises(FetcherError, match="cannot be understood"):
        logins("http://127.0.0.1:9").accesses(ask=False)
