"""Whose certificates are believed.

SSL_CERT_FILE and SSL_CERT_DIR are all that is trusted where they are set; else the system's
trust store, in which organisations put their own CA; else the list that comes with httpx.  A
`ca-file` of [sources.NAME] is trusted besides, by that source only.

Promises (tests/net/test_trust.py):
  * a certificate that none of these signed is refused;
  * a file that cannot be used is an error that names it, never a context that trusts less or more.
"""

import os
import ssl
import sys
from collections.abc import Mapping
from typing import cast

from fetcher.errors import ConfigError


def tls_context(environment: Mapping[str, str], *, ca_file: str | None = None, source: str = "") -> ssl.SSLContext:
    """A context for connections as a client.  Takes 20 to 45 ms.

    Args:
        ca_file: Certificates that one source trusts besides.
        source: NAME of that source, for the error.

    Raises:
        ConfigError: A file or folder of certificates cannot be used.
    """
    file, folder = environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR")
    context = _named(file, folder) if file or folder else _of_system()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:
            raise _unusable(f"`ca-file` of [sources.{source}]", ca_file, error) from None
    return context


def _named(file: str | None, folder: str | None) -> ssl.SSLContext:
    """What the environment names, and nothing else."""
    if folder and not os.path.isdir(folder):
        raise _unusable("SSL_CERT_DIR", folder, NotADirectoryError(0, "no such folder"))
    try:
        return ssl.create_default_context(cafile=file or None, capath=folder or None)
    except OSError as error:
        raise _unusable("SSL_CERT_FILE", file or "", error) from None


def _of_system() -> ssl.SSLContext:
    if sys.platform in ("darwin", "win32"):
        import truststore  # asks the system itself, which OpenSSL cannot there

        return cast("ssl.SSLContext", truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not _has_entries(ssl.get_default_verify_paths().capath):
        import certifi  # httpx brings it

        context.load_verify_locations(certifi.where())
    return context


def _has_entries(folder: str | None) -> bool:
    """Whether certificates may lie in it, which OpenSSL reads only when it needs one."""
    return folder is not None and os.path.isdir(folder) and bool(os.listdir(folder))


def _unusable(what: str, path: str, error: OSError) -> ConfigError:
    # OpenSSL's own reason for a file without certificates is about its internals.
    reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else (error.strerror or "").lower()
    return ConfigError(
        f"{what} cannot be used.",
        facts=[f"path: {path}", f"reason: {reason}"],
        fix="name a file of certificates in PEM form (`-----BEGIN CERTIFICATE-----`)",
    )
