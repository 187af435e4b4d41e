"""Functions for programs that need no project, beside `Project` (project.py) and `path` (places.py).

They have the names and the parameters of the official ModelScope client, so that an import is all that
changes, and the rules of `fetcher download`: verified, resumed, shared with the store, nothing of the user's
replaced, and an error where the client would return an empty folder.

Promises (tests/api/test_download.py, test_official.py):
  * called with the official client's arguments, the same files are in the folder that is returned;
  * what nobody honours is no parameter, so that a caller cannot rest on it.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fetcher.core.manifest import MODELSCOPE, CacheLayout, SourceRef
from fetcher.errors import ConfigError
from fetcher.formats.manifest_entry import Entry
from fetcher.logins import Login, Logins
from fetcher.oneoff import Destination, OneOff, name_of, source_of, with_hub
from fetcher.settings import Flags, Settings
from fetcher.watch import Event, Listener

Folder = str | os.PathLike[str]
Patterns = str | Iterable[str]
LayoutName = Literal["modelscope", "huggingface"]
OnEvent = Callable[[Event], object]


def snapshot_download(
    model_id: str | None = None,
    revision: str | None = None,
    cache_dir: Folder | None = None,
    *,
    local_files_only: bool = False,
    ignore_file_pattern: Patterns | None = None,
    allow_file_pattern: Patterns | None = None,
    local_dir: Folder | None = None,
    allow_patterns: Patterns | None = None,
    ignore_patterns: Patterns | None = None,
    max_workers: int | None = None,
    repo_id: str | None = None,
    repo_type: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    layout: LayoutName | None = None,
    on_event: OnEvent | None = None,
) -> str:
    """Bring the files of a repository, and return the folder in which they are.

    Args:
        model_id: `OWNER/NAME` of ModelScope, or a source such as `hf:OWNER/NAME`.
        revision: Branch, tag or commit; None is the source's default.
        cache_dir: Put them into `cache_dir/OWNER/NAME`, or as `layout` says.
        local_files_only: Ask nobody; take what the same call found last time.
        ignore_file_pattern: `ignore_patterns`, if that is not given.
        allow_file_pattern: `allow_patterns`, if that is not given.
        local_dir: Put them here; wins over `cache_dir`.  With neither, the official library's cache.
        allow_patterns: Only these files.
        ignore_patterns: Not these files.
        max_workers: Files at a time.
        repo_id: In place of `model_id`.
        repo_type: `model` or `dataset`.
        token: For a private repository; None is what the environment or a login says.
        endpoint: Another address of the hub.
        layout: `modelscope` or `huggingface`: place them as this library's cache does.
        on_event: Called with each event; what it raises ends the run, state saved.

    Raises:
        ConfigError: An argument cannot be used.
        NotFoundError: No such repository or revision, or a pattern that matches nothing.
        AuthError: The repository wants a token, or another one.
        OfflineError: `local_files_only`, and something is missing.
        BlockedError: Something else stands where a file is to go.
        FetcherError: A source does not answer or lies, the disk refuses.
    """
    way = _Way(
        local=local_dir,
        cache=cache_dir,
        layout=layout,
        token=token,
        endpoint=endpoint,
        is_offline=local_files_only,
        workers=max_workers,
        on_event=on_event,
    )
    folder = way.bring(
        source_of(_named(model_id or repo_id), dataset=_is_dataset(repo_type)),
        revision=revision,
        include=_several(allow_patterns) or _several(allow_file_pattern),
        exclude=_several(ignore_patterns) or _several(ignore_file_pattern),
    )
    return str(folder)


def dataset_snapshot_download(
    dataset_id: str,
    revision: str | None = None,
    cache_dir: Folder | None = None,
    local_dir: Folder | None = None,
    *,
    local_files_only: bool = False,
    allow_file_pattern: Patterns | None = None,
    ignore_file_pattern: Patterns | None = None,
    allow_patterns: Patterns | None = None,
    ignore_patterns: Patterns | None = None,
    max_workers: int | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    layout: LayoutName | None = None,
    on_event: OnEvent | None = None,
) -> str:
    """Bring the files of a dataset, and return the folder in which they are.

    Args and errors are those of `snapshot_download`.
    """
    return snapshot_download(
        dataset_id,
        revision,
        cache_dir,
        local_files_only=local_files_only,
        ignore_file_pattern=ignore_file_pattern,
        allow_file_pattern=allow_file_pattern,
        local_dir=local_dir,
        allow_patterns=allow_patterns,
        ignore_patterns=ignore_patterns,
        max_workers=max_workers,
        repo_type="dataset",
        token=token,
        endpoint=endpoint,
        layout=layout,
        on_event=on_event,
    )


def model_file_download(
    model_id: str,
    file_path: str,
    revision: str | None = None,
    *,
    cache_dir: Folder | None = None,
    local_dir: Folder | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    local_files_only: bool = False,
    layout: LayoutName | None = None,
    on_event: OnEvent | None = None,
) -> str:
    """Bring one file of a repository, and return where it is.

    Args:
        file_path: Its path from the repository's root.

    The other args and the errors are those of `snapshot_download`.
    """
    way = _Way(
        local=local_dir,
        cache=cache_dir,
        layout=layout,
        token=token,
        endpoint=endpoint,
        is_offline=local_files_only,
        on_event=on_event,
    )
    return str(way.bring(source_of(model_id), revision=revision, files=(file_path,)) / file_path)


def dataset_file_download(
    dataset_id: str,
    file_path: str,
    *,
    cache_dir: Folder | None = None,
    local_dir: Folder | None = None,
    revision: str | None = None,
    token: str | None = None,
    endpoint: str | None = None,
    local_files_only: bool = False,
    layout: LayoutName | None = None,
    on_event: OnEvent | None = None,
) -> str:
    """Bring one file of a dataset, and return where it is.

    Args and errors are those of `model_file_download`.
    """
    return model_file_download(
        str(source_of(dataset_id, dataset=True)),
        file_path,
        revision,
        cache_dir=cache_dir,
        local_dir=local_dir,
        token=token,
        endpoint=endpoint,
        local_files_only=local_files_only,
        layout=layout,
        on_event=on_event,
    )


def login(token: str, source: str = MODELSCOPE) -> Login:
    """Keep a token for a hub, once the hub has said whose it is; `fetcher login`.

    Args:
        source: `modelscope`, `huggingface`, or the address of a server.

    Raises:
        AuthError: The hub refuses the token; nothing is kept.
        ConfigError: No such source, or no token.
    """
    return Logins(_settings(), {}).log_in(source, token)


def logout(source: str = MODELSCOPE) -> bool:
    """Forget the token for a hub; returns whether there was one.

    Raises:
        ConfigError: No such source.
    """
    return Logins(_settings(), {}).log_out(source)[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How a repository's files are to come, and where to."""

    local: Folder | None
    cache: Folder | None
    layout: LayoutName | None
    token: str | None
    endpoint: str | None
    is_offline: bool
    on_event: OnEvent | None
    workers: int | None = None

    def bring(
        self,
        source: SourceRef,
        *,
        revision: str | None,
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        files: tuple[str, ...] = (),
    ) -> Path:
        """Download; returns the folder."""
        listener = Listener(self.on_event) if self.on_event else None
        task = OneOff(
            wish=Entry(
                name=name_of(source),
                source=str(source),
                revision=revision,
                include=include,
                exclude=exclude,
                files=files,
            ),
            destination=Destination(
                local=Path(self.local) if self.local is not None else None,
                cache=Path(self.cache) if self.cache is not None else None,
                layout=_layout(self.layout),
            ),
            settings=with_hub(_settings(self.workers), source, endpoint=self.endpoint, token=self.token),
        )
        if listener is None:
            return task.run(offline=self.is_offline).folder
        task.events, task.stop = listener, listener.stop
        with listener.heard():
            return task.run(offline=self.is_offline).folder


def _settings(workers: int | None = None) -> Settings:
    if workers is not None and workers < 1:
        raise ConfigError(f"max_workers is {workers}.", fix="give a whole number above 0, or leave it out")
    return Settings.of(os.environ, Flags(jobs=workers))


def _named(repo: str | None) -> str:
    if not repo:
        raise ConfigError("No repository is named.", fix='give it first: snapshot_download("OWNER/NAME")')
    return repo


def _is_dataset(repo_type: str | None) -> bool:
    if repo_type not in (None, "model", "dataset"):
        raise ConfigError(f"There are no {repo_type!r} repositories.", fix='give repo_type="model" or "dataset"')
    return repo_type == "dataset"


def _layout(name: str | None) -> CacheLayout | None:
    if name is None:
        return None
    try:
        return CacheLayout(name)
    except ValueError:
        raise ConfigError(f"There is no layout {name!r}.", fix=f"give one of: {', '.join(CacheLayout)}") from None


def _several(patterns: Patterns | None) -> tuple[str, ...]:
    """Patterns as the official client takes them: one alone, or several."""
    if patterns is None:
        return ()
    return (patterns,) if isinstance(patterns, str) else tuple(patterns)
