"""Where what developers may want to know goes: to stderr, without a secret in it."""

import logging

from fetcher.core.secrets import SECRETS


def log_to_stderr(verbose: int) -> None:
    """Begin, with what `-v` asks for."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Discreet("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger("fetcher").setLevel({0: logging.ERROR, 1: logging.INFO}.get(verbose, logging.DEBUG))


class _Discreet(logging.Formatter):
    """Leaves no known secret in a line, whoever has logged it."""

    def format(self, record: logging.LogRecord) -> str:
        """As Formatter.format."""
        return SECRETS.conceal(super().format(record))
