"""Who may ask, what a signature opens, and the hub's words for what is not there."""

import base64
import json
from pathlib import Path

import pytest

from fetcher.serve.answers import LINK_LIFETIME_S, Answers, Doorkeeper
from fetcher.serve.repositories import Library
from fetcher.serve.wire import Answer, FileSlice, Request
from tests.hub.publish import MIB, Publisher

TOKEN = "ms-secret"
BASE = "http://hub"
ADDRESSES = [
    "/api/v1/models/o/n",
    "/api/v1/models/o/n/revisions",
    "/api/v1/models/o/n/commits?Ref=master",
    "/api/v1/models/o/n/repo/files?Revision=master&Recursive=True",
    "/api/v1/models/o/n/repo?FilePath=small",
    "/api/v1/models/o/n/repo?FilePath=large",
    "/models/o/n/resolve/master/small",
    "/api/v1/datasets/o/d/repo/tree",
    "/openapi/v1/models/o/n",
    "/openapi/v1/users/me",
    "/o/n.git/info/refs?service=git-upload-pack",
    "/models/o/n.git/info/refs?service=git-upload-pack",
    "/datasets/o/d.git/info/refs?service=git-upload-pack",
]


class Clock:
    """Seconds that pass when told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def answers(publisher: Publisher, clock: Clock) -> Answers:
    """A private hub with a model and a dataset."""
    publisher.publish("o/n", {"small": b"s", "large": MIB, "other": MIB})
    publisher.publish("datasets/o/d", {"small": b"s"})
    return Answers(Library(publisher.root), Doorkeeper(TOKEN, clock=clock))


def public(root: Path) -> Answers:
    return Answers(Library(root), Doorkeeper(None, clock=Clock()))


def ask(answers: Answers, target: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> Answer:
    named = {"user-agent": "git/2.40", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return answers.answer(Request(method=method, target=target, headers=named, body=body), base_url=BASE)


def told(answer: Answer) -> dict[str, object]:
    assert isinstance(answer.body, bytes)
    document = json.loads(answer.body)
    assert isinstance(document, dict)
    return document


def location(answer: Answer) -> str:
    return dict(answer.headers)["Location"].removeprefix(BASE)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": f"bearer {TOKEN}"},
        {"cookie": f"a=b; m_session_id={TOKEN}; c=d"},
        {"authorization": basic("oauth2", TOKEN)},
        {"authorization": "Bearer wrong", "cookie": f"m_session_id={TOKEN}"},
    ],
)
def test_the_token_opens_every_address_in_every_form(answers: Answers, address: str, headers: dict[str, str]) -> None:
    """Official clients send it as Bearer and as cookie, git as Basic."""
    assert ask(answers, address, **headers).status in (200, 302)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": TOKEN},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": basic("someone", TOKEN)},
        {"authorization": basic("oauth2", TOKEN + "x")},
        {"authorization": "Bearer ms-sécret"},
        {"authorization": "", "cookie": f"other={TOKEN}"},
    ],
)
def test_without_the_token_nothing_is_told(answers: Answers, address: str, headers: dict[str, str]) -> None:
    """Neither that a repository exists, nor its files, refs or names."""
    answer = ask(answers, address, **headers)
    there, not_there = told(answer), told(ask(answers, address.replace("o/", "nobody/", 1), **headers))
    there.pop("RequestId", None), not_there.pop("RequestId", None)
    there.pop("request_id", None), not_there.pop("request_id", None)
    assert answer.status == 403
    assert there == not_there


def test_git_is_asked_for_credentials(answers: Answers) -> None:
    """git sends `oauth2:TOKEN@` of a URL only after a 401."""
    answer = ask(answers, "/o/n.git/info/refs?service=git-upload-pack")
    assert (answer.status, dict(answer.headers)) == (401, {"WWW-Authenticate": 'Basic realm="fetcher"'})


def test_refs_are_for_git_only(publisher: Publisher) -> None:
    """The live hub answers its web page to other user agents."""
    publisher.publish("o/n", {})
    address = "/o/n.git/info/refs?service=git-upload-pack"
    assert ask(public(publisher.root), address).status == 200
    assert ask(public(publisher.root), address, user_agent="python").status == 404


def test_a_signature_opens_its_object_until_it_expires(answers: Answers, clock: Clock) -> None:
    """Signed links are handed around; they must die, and open nothing else."""
    large = location(ask(answers, ADDRESSES[5], authorization=f"Bearer {TOKEN}"))
    other = location(ask(answers, ADDRESSES[5].replace("large", "other"), authorization=f"Bearer {TOKEN}"))
    opened = ask(answers, large)
    assert (opened.status, isinstance(opened.body, FileSlice)) == (200, True)
    path, _, key = large.partition("?auth_key=")
    expires, _, signature = key.partition("-")
    for forged in (
        path,
        f"{path}?auth_key=",
        f"{other.partition('?')[0]}?auth_key={key}",
        f"{path}?auth_key={int(expires) + 1}-{signature}",
        f"{path}?auth_key={expires}-{signature[:-1]}",
        f"{path}?auth_key=-{signature}",
        f"{path}?auth_key=%D9%A1-{signature}",
        f"{path}?auth_key={expires}-%C3%A9",
    ):
        assert ask(answers, forged).status == 403, forged
    clock.now += LINK_LIFETIME_S
    assert ask(answers, large).status == 200
    clock.now += 1
    assert ask(answers, large).status == 403


def test_an_object_that_changed_on_disk_is_gone(answers: Answers, publisher: Publisher) -> None:
    """Its name is its hash: other bytes must never come under it."""
    large = location(ask(answers, ADDRESSES[5], authorization=f"Bearer {TOKEN}"))
    publisher.publish("o/n", {"large": MIB}, seed=1)
    assert ask(answers, large).status == 404


def test_the_same_object_in_another_repository_is_found(answers: Answers, publisher: Publisher) -> None:
    """One path may vanish while another still has the bytes."""
    publisher.publish("o/copy", {"large": MIB})
    bearer = f"Bearer {TOKEN}"
    ask(answers, "/api/v1/models/o/copy/repo?FilePath=large", authorization=bearer)
    large = location(ask(answers, ADDRESSES[5], authorization=bearer))
    publisher.publish("o/n", {})
    assert ask(answers, large).status == 200


def test_login_exchanges_the_token(answers: Answers) -> None:
    """The git token and the session open the hub as the token does."""
    body = json.dumps({"AccessToken": TOKEN}).encode()
    answer = ask(answers, "/api/v1/login", method="POST", body=body)
    data = told(answer)["Data"]
    assert isinstance(data, dict)
    assert {"Username": data["Username"], "Email": data["Email"]} == {"Username": "fetcher", "Email": ""}
    cookies = [value.partition("=")[0] for name, value in answer.headers if name == "Set-Cookie"]
    assert cookies == ["m_session_id", "csrf_session"]
    refs = ask(answers, ADDRESSES[10], authorization=basic("oauth2", data["AccessToken"]))
    assert refs.status == 200


def test_a_bad_token_is_refused_in_the_hubs_words(answers: Answers) -> None:
    """HTTP 400 and the code that the official client looks for."""
    answer = ask(answers, "/api/v1/login", method="POST", body=b'{"AccessToken": "bad"}')
    document = told(answer)
    document.pop("RequestId")
    assert answer.status == 400
    assert document == {
        "Code": 10010103009,
        "Success": False,
        "Message": "the access token is not valid",
        "Data": None,
    }


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/api/v1/models/no/no", 404, 10010205001),
        ("/api/v1/models/no/no/repo/files", 404, 10010205001),
        ("/api/v1/models/no/no/repo?FilePath=a", 404, 10010205001),
        ("/api/v1/models/o/n/repo?FilePath=nope", 404, 10990101007),
        ("/api/v1/models/o/n/repo?FilePath=small&Revision=nope", 404, 10990101007),
        ("/api/v1/models/o/n/repo?FilePath=..%2F..%2Fdatasets%2Fo%2Fd%2Fsmall", 404, 10990101007),
        ("/models/o/n/resolve/master/..%2F..%2Fdatasets/o/d/small", 404, 10990101007),
        ("/models/o/n/resolve/master/../../datasets/o/d/small", 404, 10990101007),
        ("/models/o/n/resolve/master/%2Fetc/passwd", 404, 10990101007),
        ("/models/o/n/resolve/master/%00", 404, 10990101007),
        ("/nowhere", 404, 404),
        ("/models/o/n/resolve/master/%FF", 400, 400),
    ],
)
def test_what_is_not_there_has_the_hubs_code(
    answers: Answers, publisher: Publisher, target: str, status: int, code: int
) -> None:
    """Clients tell a missing repository from a missing file by the code."""
    answer = ask(public(publisher.root), target)
    document = told(answer)
    assert (answer.status, document["Code"], document["Success"], document["Data"]) == (status, code, False, None)


def test_openapi_has_its_own_envelope(answers: Answers, publisher: Publisher) -> None:
    """`success`, `code` as a word, no `Data`."""
    document = told(ask(public(publisher.root), "/openapi/v1/models/no/no"))
    assert document.pop("request_id")
    assert document == {"success": False, "code": "ResourceNotFound", "message": "the repository does not exist"}


def test_commits_of_an_unknown_ref_are_null(answers: Answers, publisher: Publisher) -> None:
    """As on the live hub: a success that says nothing."""
    hub = public(publisher.root)
    assert told(ask(hub, "/api/v1/models/o/n/commits?Ref=nope"))["Data"] == {"Commit": None, "TotalCount": 0}
    data = told(ask(hub, "/api/v1/models/o/n/commits?Ref=master&PageNumber=1&PageSize=1"))["Data"]
    assert isinstance(data, dict)
    assert (len(data["Commit"]), len(data["Commit"][0]["Id"]), data["TotalCount"]) == (1, 40, 1)


def test_revisions_name_branches_and_tags_without_commits(answers: Answers, publisher: Publisher) -> None:
    """A client that expects commits here must fail against this hub too."""
    publisher.tag("o/n", "v1", {"a": b""})
    data = told(ask(public(publisher.root), "/api/v1/models/o/n/revisions"))["Data"]
    assert isinstance(data, dict)
    shown = {kind: [entry["Revision"] for entry in entries] for kind, entries in data["RevisionMap"].items()}
    assert shown == {"Branches": ["master"], "Tags": ["v1"]}
    assert set(data["RevisionMap"]["Tags"][0]) == {"Revision", "CreatedAt"}
