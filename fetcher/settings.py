"""What decides besides the manifest: flags, then environment, then defaults; built once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fetcher.core.units import parse_age, parse_rate, parse_size
from fetcher.errors import ConfigError

MANIFEST = "models.toml"
_JOBS = 16  # files at a time; as many as connections to one host
_CONNECTIONS = 16  # a host; more gains nothing on any link that was measured
_IDLE_S = 60.0
_RETRIES = 6
_TRASH_AGE_S = 30 * 86400.0
_TRASH_SIZE = 20 << 30  # bytes
_WAIT_S = 600.0  # another sync of a large model may well take that long

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the command line says; None where it says nothing.

    Attributes:
        jobs: Files fetched at a time.
        connections: Most connections to one host.
        wait_s: Seconds to wait for another fetcher.
        limit_rate: Bytes per second over all connections, such as `20M`.
        adopt: Folders whose files may be taken instead of fetched.
    """

    jobs: int | None = None
    connections: int | None = None
    wait_s: float | None = None
    limit_rate: str | None = None
    adopt: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one run.

    Attributes:
        store: The shared store's folder.
        logins: The file of `fetcher login`.
        environment: For endpoints and tokens; values are never shown.
        jobs: Files fetched at a time.
        connections: Most connections to one host.
        wait_s: Seconds to wait for another fetcher that is at work on the project.
        object_wait_s: Seconds to wait for another one that fetches the same object; None for
            as long as it makes progress.
        idle_timeout_s: Seconds without a byte after which a connection is given up.
        retries: Tries in a row that may fail before a source is given up.
        trash_age_s: Seconds for which the trash keeps fetcher's own files.
        trash_size: Bytes of fetcher's own files, nowhere else, that the trash keeps.
        limit_rate: Bytes per second over all connections; None is no limit.
        private_redirects: Whether public hubs may redirect to private addresses.
        adopt: Folders whose files may be taken instead of fetched.
    """

    store: Path
    logins: Path
    environment: Mapping[str, str]
    home: Path
    jobs: int = _JOBS
    connections: int = _CONNECTIONS
    wait_s: float = _WAIT_S
    object_wait_s: float | None = None
    idle_timeout_s: float = _IDLE_S
    retries: int = _RETRIES
    limit_rate: int | None = None
    private_redirects: bool = False
    adopt: tuple[Path, ...] = ()
    trash_age_s: float = _TRASH_AGE_S
    trash_size: int = _TRASH_SIZE

    @classmethod
    def of(cls, environment: Mapping[str, str], flags: Flags = Flags()) -> "Settings":
        """Combine flags with the environment and the defaults.

        Raises:
            ConfigError: A variable or a flag holds what cannot be used.
        """
        import platformdirs  # no command's help must pay for it

        store = environment.get("FETCHER_STORE") or platformdirs.user_cache_dir("fetcher", appauthor=False)
        return cls(
            store=_folder("FETCHER_STORE", store),
            logins=Path(platformdirs.user_config_dir("fetcher", appauthor=False)) / "logins.json",
            environment=environment,
            home=Path.home(),
            jobs=flags.jobs or _read(environment, "FETCHER_JOBS", _count, _JOBS),
            connections=flags.connections or _read(environment, "FETCHER_CONNECTIONS", _count, _CONNECTIONS),
            wait_s=_WAIT_S if flags.wait_s is None else flags.wait_s,
            object_wait_s=flags.wait_s,
            idle_timeout_s=_read(environment, "FETCHER_IDLE_TIMEOUT", _seconds, _IDLE_S),
            retries=_read(environment, "FETCHER_RETRIES", _count, _RETRIES),
            limit_rate=_limit_rate(environment, flags),
            private_redirects=_read(environment, "FETCHER_PRIVATE_REDIRECTS", _allowed, default=False),
            adopt=flags.adopt,
            trash_age_s=_read(environment, "FETCHER_TRASH_AGE", parse_age, _TRASH_AGE_S),
            trash_size=_read(environment, "FETCHER_TRASH_SIZE", parse_size, _TRASH_SIZE),
        )


def _folder(name: str, text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ConfigError(
            f"{name}: there is no such user in {text[:80]!r}.", fix=f"correct {name} or unset it"
        ) from None


def _limit_rate(environment: Mapping[str, str], flags: Flags) -> int | None:
    if flags.limit_rate is None:
        return _read(environment, "FETCHER_LIMIT_RATE", parse_rate, None)
    try:
        return parse_rate(flags.limit_rate)
    except ValueError as error:
        raise ConfigError(f"--limit-rate: {error}.", fix="give it as --limit-rate 20M") from None


def _read(environment: Mapping[str, str], name: str, parse: Callable[[str], _Value], default: _Value) -> _Value:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(f"{name}: {error}.", fix=f"correct {name} or unset it") from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise ValueError(f"expected a whole number above 0, got {text[:40]!r}")
    return int(text)


def _allowed(text: str) -> bool:
    if text not in ("allow", "refuse"):
        raise ValueError(f"expected `allow` or `refuse`, got {text[:40]!r}")
    return text == "allow"


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"expected a number of seconds above 0, got {text[:40]!r}")
    return value
