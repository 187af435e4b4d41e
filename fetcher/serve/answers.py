"""Finds the answer to a request in a library of repositories.

Holds who may ask (one token for the whole hub) and the signatures of the CDN path.
The words are protocol.py's, the files repositories.py's; the socket is hub.py's.

Promises (tests/serve/test_answers.py):
  * a hub with a token tells nothing about a repository to who does not have it;
  * a signed path opens one object for `LINK_LIFETIME_S` and no other.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Callable
from dataclasses import replace
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, unquote

from fetcher.serve import hf_protocol, protocol
from fetcher.serve.cards import license_of
from fetcher.serve.hf_answers import HuggingFaceAnswers
from fetcher.serve.repositories import DEFAULT_BRANCH, LFS_SIZE, Library, Repository, StoredFile
from fetcher.serve.wire import Answer, Request, UnsatisfiableRangeError

LINK_LIFETIME_S = 1800  # the live hub signs for 20 to 30 minutes
USER = "fetcher"


class Doorkeeper:
    """Knows the hub's token and signs the paths of large files."""

    def __init__(self, token: str | None, *, clock: Callable[[], float]) -> None:
        self._token = token
        self._clock = clock
        self._secret = secrets.token_bytes(32)

    @property
    def is_private(self) -> bool:
        """Whether a token is needed."""
        return self._token is not None

    def git_token(self) -> str:
        """What a login hands out for git."""
        return hmac.new(self._secret, b"git", hashlib.sha256).hexdigest()[:40]

    def accepts(self, token: str) -> bool:
        """Whether this token opens the hub; a public hub takes any that is not empty."""
        if self._token is None:
            return bool(token)
        known = (self._token, self.git_token())
        return any(hmac.compare_digest(token.encode(), other.encode()) for other in known)

    def admits(self, request: Request) -> bool:
        """Whether the request may be answered."""
        return not self.is_private or any(map(self.accepts, credentials_of(request)))

    def sign(self, path: str) -> str:
        """The `auth_key` that opens this path for a while."""
        expires = int(self._clock()) + LINK_LIFETIME_S
        return f"{expires}-{self._signature(path, expires)}"

    def opens(self, path: str, auth_key: str) -> bool:
        """Whether the key was signed for this path and has not expired."""
        expires, _, signature = auth_key.partition("-")
        if not (expires.isascii() and expires.isdecimal() and len(expires) < 15 and signature.isascii()):
            return False
        right = hmac.compare_digest(signature, self._signature(path, int(expires)))
        return right and self._clock() <= int(expires)

    def _signature(self, path: str, expires: int) -> str:
        return hmac.new(self._secret, f"{expires} {path}".encode(), hashlib.sha256).hexdigest()


def credentials_of(request: Request) -> list[str]:
    """Every token that a request carries: Bearer, git's Basic, the session cookie."""
    found = []
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        found.append(value.strip())
    elif kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user, password = "", ""
        if user == "oauth2":
            found.append(password)
    try:
        cookie = SimpleCookie(request.headers.get("cookie", "")).get("m_session_id")
    except CookieError:
        cookie = None
    if cookie:
        found += [cookie.value, unquote(cookie.value)]
    return found


class Answers:
    """Answers requests out of a library.  Used by several threads at once."""

    def __init__(self, library: Library, doorkeeper: Doorkeeper) -> None:
        self._library = library
        self._door = doorkeeper
        self._huggingface = HuggingFaceAnswers(library, doorkeeper)

    def answer(self, request: Request, *, base_url: str) -> Answer:
        """The reply to one request; `base_url` is where the asker reached this hub."""
        request_id = str(uuid.uuid4())
        try:
            asked = hf_protocol.question_of(request)
            if asked is not None:
                return self._huggingface.answer(asked, request, base_url=base_url)
            question = protocol.question_of(request)
        except ValueError as error:
            return protocol.failure(400, 400, f"the request cannot be read: {error}", request_id=request_id)
        match question:
            case None:
                return protocol.failure(404, 404, "no such address", request_id=request_id)
            case protocol.Login():
                return self._login(question, request_id)
            case protocol.GetObject():
                return self._object(question, request, request_id)
        if not self._door.admits(request):
            return self._refusal(question, request, request_id)
        if isinstance(question, protocol.WhoAmI):
            return protocol.open_success({"username": USER, "email": "", "nickname": USER}, request_id=request_id)
        found = self._library.find(question.key)
        if found is None:
            return _no_repository(question, request_id)
        if isinstance(question, protocol.GetFile):
            return self._file(found, question, request, base_url=base_url, request_id=request_id)
        return self._about(found, question, request, request_id)

    def _about(self, found: Repository, question: protocol.Question, request: Request, request_id: str) -> Answer:
        """Answers that tell something about a repository rather than its bytes."""
        match question:
            case protocol.ListFiles():
                return protocol.success(
                    protocol.listing(found.tree(question.revision), question), request_id=request_id
                )
            case protocol.ListRevisions():
                return protocol.success(protocol.revision_map(found.revisions()), request_id=request_id)
            case protocol.ListCommits():
                said = protocol.commits(found.tree(question.ref), page=question.page)
                return protocol.success(said, request_id=request_id)
            case protocol.AdvertiseRefs() if request.headers.get("user-agent", "").startswith("git/"):
                return protocol.advertised_refs(found.revisions())
            case protocol.DescribeRepository():
                return protocol.success(self._description(found), request_id=request_id)
            case protocol.RepositoryExists():
                return protocol.open_success(self._description(found), request_id=request_id)
        return protocol.failure(404, 404, "no such address", request_id=request_id)

    def _description(self, found: Repository) -> dict[str, object]:
        told = license_of(found.tree(DEFAULT_BRANCH))
        return protocol.repository(found.key, private=self._door.is_private, changed_s=0, license=told)

    def _login(self, question: protocol.Login, request_id: str) -> Answer:
        if not self._door.accepts(question.token):
            return protocol.failure(400, protocol.BAD_TOKEN, "the access token is not valid", request_id=request_id)
        session = quote(question.token, safe="")
        cookies = (
            ("Set-Cookie", f"m_session_id={session}; Path=/; HttpOnly"),
            ("Set-Cookie", f"csrf_session={secrets.token_hex(16)}; Path=/"),
        )
        data = {"AccessToken": self._door.git_token(), "Username": USER, "Email": ""}
        return protocol.success(data, request_id=request_id, headers=cookies)

    def _refusal(self, question: protocol.Question, request: Request, request_id: str) -> Answer:
        if isinstance(question, protocol.AdvertiseRefs) and "authorization" not in request.headers:
            # git sends the credentials of a URL only after it was asked for them
            return Answer(status=401, headers=(("WWW-Authenticate", 'Basic realm="fetcher"'),))
        if isinstance(question, protocol.WhoAmI | protocol.RepositoryExists):
            return protocol.open_failure(403, "Forbidden", "this hub needs its token", request_id=request_id)
        return protocol.failure(403, 403, "this hub needs its token", request_id=request_id)

    def _file(
        self, found: Repository, question: protocol.GetFile, request: Request, *, base_url: str, request_id: str
    ) -> Answer:
        file = found.file(question.revision, question.path)
        if file is None:
            message = f"the file {question.path!r} does not exist in the revision {question.revision!r}"
            return protocol.failure(404, protocol.FILE_NOT_FOUND, message, request_id=request_id)
        if file.size < LFS_SIZE:
            return _sent(protocol.gateway_file, file, request)
        path = protocol.object_path(file)
        location = f"{base_url}{path}?auth_key={self._door.sign(path)}"
        headers = (("Location", location), ("X-Linked-Size", str(file.size)), ("X-Linked-ETag", f'"{file.sha256}"'))
        return Answer(status=302, headers=headers)

    def _object(self, question: protocol.GetObject, request: Request, request_id: str) -> Answer:
        if not self._door.opens(question.path, question.auth_key):
            return protocol.failure(403, 403, "the signature is wrong or has expired", request_id=request_id)
        file = self._library.hashes.object(question.sha256)
        if file is None:
            return protocol.failure(404, protocol.FILE_NOT_FOUND, "the object is gone", request_id=request_id)
        answer = _sent(protocol.cdn_file, file, request)
        if not question.commit:
            return answer
        return replace(answer, headers=(*answer.headers, ("X-Repo-Commit", question.commit)))


def _sent(form: Callable[[StoredFile, dict[str, str]], Answer], file: StoredFile, request: Request) -> Answer:
    try:
        return form(file, dict(request.headers))
    except UnsatisfiableRangeError:
        return protocol.unsatisfiable(file.size)


def _no_repository(question: protocol.Question, request_id: str) -> Answer:
    if isinstance(question, protocol.RepositoryExists):
        return protocol.open_failure(404, "ResourceNotFound", "the repository does not exist", request_id=request_id)
    return protocol.failure(404, protocol.REPOSITORY_NOT_FOUND, "the repository does not exist", request_id=request_id)
