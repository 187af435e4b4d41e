"""Finds the answer to a question of Hugging Face's protocol in a library of repositories.

The words are hf_protocol.py's; who may ask, and the signed links, are answers.py's.
"""

from collections.abc import Callable
from typing import Protocol

from fetcher.core.digest import is_commit
from fetcher.serve import hf_protocol
from fetcher.serve.cards import license_of, text_of
from fetcher.serve.lfs import ATTRIBUTES, MAX_ATTRIBUTES, lfs_files
from fetcher.serve.protocol import object_path, unsatisfiable
from fetcher.serve.repositories import DEFAULT_BRANCH, Library, Repository, StoredFile, Tree
from fetcher.serve.wire import Answer, Request, UnsatisfiableRangeError

USER = "fetcher"


class Door(Protocol):
    """Who may ask: `answers.Doorkeeper`."""

    @property
    def is_private(self) -> bool:
        """Whether a token is needed."""
        ...

    def admits(self, request: Request) -> bool:
        """Whether the request may be answered."""
        ...

    def sign(self, path: str) -> str:
        """The key that opens a path for a while."""
        ...


class HuggingFaceAnswers:
    """Answers questions out of a library.  Used by several threads at once."""

    def __init__(self, library: Library, door: Door) -> None:
        self._library = library
        self._door = door

    def answer(self, question: hf_protocol.Question, request: Request, *, base_url: str) -> Answer:
        """The reply to one request; `base_url` is where the asker reached this hub."""
        has_token = "authorization" in request.headers
        if not self._door.admits(request):
            if has_token:
                return hf_protocol.refusal(401, None, "Invalid credentials in Authorization header")
            return hf_protocol.no_repository(has_token=False)
        if isinstance(question, hf_protocol.WhoAmI):
            if not has_token:
                return hf_protocol.refusal(401, None, "Invalid username or password.")
            return hf_protocol.told({"type": "user", "id": USER, "name": USER, "fullname": USER, "orgs": []})
        found = self._library.find(question.key)
        if found is None:
            return hf_protocol.no_repository(has_token=has_token)
        match question:
            case hf_protocol.ListRefs():
                revisions = found.revisions()
                return hf_protocol.told(hf_protocol.refs(revisions, _own_name(found)))
            case hf_protocol.Resolve() | hf_protocol.Send():
                return self._file(found, question, request, base_url=base_url)
        return self._about(found, question, base_url=base_url)

    def _about(
        self,
        found: Repository,
        question: hf_protocol.Describe | hf_protocol.ListTree | hf_protocol.ListCommits,
        *,
        base_url: str,
    ) -> Answer:
        tree = _tree(found, question.revision)
        if tree is None:
            return hf_protocol.no_revision(question.revision)
        if isinstance(question, hf_protocol.ListCommits):
            return hf_protocol.told(hf_protocol.history(tree))
        if isinstance(question, hf_protocol.Describe):
            told = license_of(tree)
            said = hf_protocol.description(found.key, tree, private=self._door.is_private, license=told)
            return hf_protocol.told(said)
        entries, following = hf_protocol.page_of(tree, question, _lfs(tree))
        if not entries and question.folder:
            return hf_protocol.no_entry(question.folder)
        link = () if following is None else hf_protocol.next_page(base_url, question, following)
        return hf_protocol.told(entries, link)

    def _file(
        self, found: Repository, question: hf_protocol.Resolve | hf_protocol.Send, request: Request, *, base_url: str
    ) -> Answer:
        commit = _commit(found, question.revision)
        file = found.file(commit, question.path) if commit else None  # without a look at all the others
        if commit is None or file is None:
            is_there = _tree(found, question.revision) is not None
            return hf_protocol.no_entry(question.path) if is_there else hf_protocol.no_revision(question.revision)
        if isinstance(question, hf_protocol.Send):
            return _sent(lambda: hf_protocol.small_file(file, commit, request.headers), file)
        if not lfs_files({file.path: file}, text_of(found.file(commit, ATTRIBUTES), most=MAX_ATTRIBUTES)):
            return hf_protocol.leads_to_small(question, file, commit)
        path = object_path(file)
        link = f"{base_url}{path}?auth_key={self._door.sign(path)}&commit={commit}"
        return hf_protocol.leads_to_large(file, commit, link)


def _tree(found: Repository, revision: str) -> Tree | None:
    """A tree by this hub's names: `main` is the folder's own branch, unless there is one of that name."""
    name = revision.removeprefix("refs/heads/")
    tree = found.tree(name)
    if tree is None and name == hf_protocol.DEFAULT_REVISION:
        tree = found.tree(DEFAULT_BRANCH)
    return tree


def _commit(found: Repository, revision: str) -> str | None:
    if is_commit(revision):
        return revision
    tree = _tree(found, revision)
    return tree.commit if tree is not None else None


def _own_name(found: Repository) -> str:
    """The branch that is called `main`; none if there is one of that name."""
    return "" if found.tree(hf_protocol.DEFAULT_REVISION) is not None else DEFAULT_BRANCH


def _lfs(tree: Tree) -> frozenset[str]:
    return lfs_files(tree.files, text_of(tree.files.get(ATTRIBUTES), most=MAX_ATTRIBUTES))


def _sent(answer: Callable[[], Answer], file: StoredFile) -> Answer:
    try:
        return answer()
    except UnsatisfiableRangeError:
        return unsatisfiable(file.size)
