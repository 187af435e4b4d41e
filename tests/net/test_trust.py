"""Whose certificates are believed."""

from pathlib import Path

import pytest
import trustme

from fetcher.errors import ConfigError, SourceError
from fetcher.net.http import HttpClient
from fetcher.net.trust import tls_context
from tests.cli.command import desk
from tests.net.proxy import Proxy
from tests.net.tls import hub_of_one_file, signed
from tests.net.wire import Wire, reply


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "corp-ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def test_a_ca_of_one_source_is_trusted_by_it_besides_the_system_s(ca_file: Path) -> None:
    """The file adds; a CDN of the hub may be signed by anybody else."""
    plain, more = tls_context({}), tls_context({}, ca_file=str(ca_file), source="corp")
    assert len(more.get_ca_certs()) == len(plain.get_ca_certs()) + 1
    assert len(plain.get_ca_certs()) > 10


def test_what_the_environment_names_is_all_that_is_trusted(ca_file: Path) -> None:
    """As OpenSSL, curl and git do."""
    assert len(tls_context({"SSL_CERT_FILE": str(ca_file)}).get_ca_certs()) == 1
    assert tls_context({"SSL_CERT_DIR": str(ca_file.parent)}).get_ca_certs() == []


@pytest.mark.parametrize(
    ("variable", "name", "reason"),
    [
        ("SSL_CERT_FILE", "missing.pem", "no such file or directory"),
        ("SSL_CERT_FILE", "empty.pem", "it holds no certificate"),
        ("SSL_CERT_DIR", "empty.pem", "no such folder"),
        (None, "missing.pem", "no such file or directory"),
        (None, "empty.pem", "it holds no certificate"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, variable: str | None, name: str, reason: str) -> None:
    """OpenSSL itself would go on without a word and refuse every server."""
    (tmp_path / "empty.pem").write_text("nothing")
    path = str(tmp_path / name)
    with pytest.raises(ConfigError) as caught:
        tls_context({variable: path} if variable else {}, ca_file=None if variable else path, source="corp")
    assert str(caught.value) == (
        f"{variable or '`ca-file` of [sources.corp]'} cannot be used.\n"
        f"  path: {path}\n"
        f"  reason: {reason}\n"
        "  fix: name a file of certificates in PEM form (`-----BEGIN CERTIFICATE-----`)"
    )


@pytest.mark.parametrize(
    ("names", "reason"),
    [(("other.example",), "IP address mismatch, certificate is not valid for '127.0.0.1'."),
     (None, "unable to get local issuer certificate")],
)  # fmt: skip
def test_a_wrong_certificate_is_an_error_with_the_fix(
    authority: trustme.CA, ca_file: Path, names: tuple[str, ...] | None, reason: str
) -> None:
    """Another host's, and one of a CA that nobody trusts: exit 5, and no request was sent."""
    signer = authority if names else trustme.CA()
    with Wire(lambda head: [reply(b"{}")], tls=True) as wire:
        host = wire.host
        wire.tls = signed(signer, *(names or ("127.0.0.1",)))
        client = HttpClient(tls=lambda: tls_context({}, ca_file=str(ca_file), source="corp"))
        with pytest.raises(SourceError) as caught:
            client.get(wire.url)
        client.close()
        assert wire.requests == []
    assert str(caught.value) == (
        f"{host} cannot prove who it is: its TLS certificate was refused.\n"
        f"  reason: {reason}\n"
        "  fix: correct the endpoint; or, if your organisation signs it, add its CA to the system's trust store, "
        "or name the CA's file by SSL_CERT_FILE or by `ca-file` in [sources.NAME]"
    )


def test_a_hub_of_the_house_behind_a_proxy(authority: trustme.CA, ca_file: Path, tmp_path: Path) -> None:
    """The way of most companies: CONNECT through a proxy with a password, and a CA of one's own."""
    with Wire(hub_of_one_file(), tls=True) as hub, Proxy(hub.host) as proxy:
        hub.tls = signed(authority, "hub.corp.example")
        more = {"HTTPS_PROXY": f"http://user:PASSWORD-of-mine@{proxy.host}", "NO_PROXY": "", "FETCHER_RETRIES": "1"}
        at = desk(tmp_path / "project", "http://127.0.0.1:9", more=more)
        source = '[sources.corp]\nkind = "modelscope"\nendpoint = "https://hub.corp.example"\n'
        at.manifest(f'[models.m]\nsource = "corp:owner/name"\n{source}')
        refused = at.fetcher("-vv", "lock")
        assert refused.code == 5
        assert "hub.corp.example cannot prove who it is" in refused.err
        (at.folder / "sub").mkdir()
        ca_file.rename(at.folder / "corp-ca.pem")
        at.manifest(f'[models.m]\nsource = "corp:owner/name"\n{source}ca-file = "corp-ca.pem"\n')
        runs = [at.ok("-vv", "lock", "-C", "sub"), at.ok("-vv", "sync")]
        assert at.placed() == {"a.bin": b"bytes"}
        assert all(head.startswith(b"CONNECT hub.corp.example:443 ") for head in proxy.heads)
        assert all(b"Proxy-Authorization: Basic " in head for head in proxy.heads)
        assert not any(b"roxy-" in head for head in hub.requests), "the password is for the proxy"
        for run in (refused, *runs):
            assert "PASSWORD" not in run.err + run.out
        at.environment["NO_PROXY"] = "hub.corp.example"
        before = len(proxy.heads)
        assert at.fetcher("lock", "--upgrade").code == 5, "nobody knows that name without the proxy"
        assert len(proxy.heads) == before
