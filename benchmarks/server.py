"""nginx on loopback: plain, TLS, and one with a limit for each connection.

All that it needs and writes stands in the work folder; it needs no privileges.  It is
stopped when the block ends, and by the kernel if this program is killed.  nginx itself
holds the rate (`limit_rate`, for each request, and a connection has one at a time); the
delay is link.py's part.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import hub
from benchmarks.data import DataSet
from benchmarks.link import long_line

ROUND_TRIP_MS = 50
LIMIT = 20_000_000  # bytes a second and connection
_WORKERS = 2
_START_S = 10.0
_STOP_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Base URLs by the name of the line, and the certificate that the TLS ones need."""

    urls: dict[str, str]
    authority: Path


@contextmanager
def serving(sets: Sequence[DataSet], work: Path) -> Iterator[Servers]:
    """Serve `sets` on all lines."""
    answers, files, certificates = work / "hub", work / "data", work / "tls"
    for data in sets:
        hub.write_answers(data, answers / data.name)
    _ensure_certificates(certificates)
    plain, tls, limited = _free_ports(3)
    places = hub.locations(sets, answers=answers, files=files)
    text = _settings(sets, work, _listeners(plain, tls, limited, certificates, places))
    with ExitStack() as stack:
        stack.enter_context(_nginx(work / "nginx", text, (plain, tls, limited)))
        delayed = stack.enter_context(long_line(plain, hosts=(hub.HUB, hub.CDN), round_trip_ms=ROUND_TRIP_MS))
        both = stack.enter_context(long_line(limited, hosts=(hub.HUB, hub.CDN), round_trip_ms=ROUND_TRIP_MS))
        urls = {
            "plain": f"http://{hub.HUB}:{plain}",
            "tls": f"https://{hub.HUB}:{tls}",
            "delay": f"http://{hub.HUB}:{delayed}",
            "limited": f"http://{hub.HUB}:{both}",
        }
        yield Servers(urls=urls, authority=certificates / "ca.pem")


def _listeners(plain: int, tls: int, limited: int, certificates: Path, places: str) -> str:
    secure = f"""
    ssl_certificate {certificates}/server.pem;
    ssl_certificate_key {certificates}/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:4m;"""
    return f"""
server {{ {_listen(plain)} {places} }}
server {{ {_listen(tls, "ssl")} {secure} {places} }}
server {{ {_listen(limited)} limit_rate {LIMIT}; {places} }}
"""


def _listen(port: int, more: str = "") -> str:
    return " ".join(f"listen {host}:{port} {more} backlog=1024;" for host in (hub.HUB, hub.CDN))


def _settings(sets: Sequence[DataSet], work: Path, listeners: str) -> str:
    folder = work / "nginx"
    user = "user root;" if os.geteuid() == 0 else ""  # else the workers of root may not read the work folder
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    return f"""
{user}
daemon off;
worker_processes {_WORKERS};
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 2048; }}
http {{
{temporary}
access_log off;
log_not_found off;
server_tokens off;
default_type application/octet-stream;
sendfile on;
tcp_nopush on;
tcp_nodelay on;
keepalive_timeout 75;
keepalive_requests 100000;
absolute_redirect off;
{hub.http_settings(sets)}
{listeners}
}}
"""


@contextmanager
def _nginx(folder: Path, settings: str, ports: Sequence[int]) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(settings, encoding="utf-8")
    log = folder / "error.log"
    log.unlink(missing_ok=True)
    command = ["nginx", "-e", str(log), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    if keeper := shutil.which("setpriv"):
        command = [keeper, "--pdeathsig", "TERM", *command]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_for(process, ports, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], ports: Sequence[int], log: Path) -> None:
    end_s = time.monotonic() + _START_S
    for port in ports:
        while True:
            try:
                socket.create_connection((hub.CDN, port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end_s:
                    said = log.read_text(encoding="utf-8") if log.exists() else ""
                    raise SystemExit(f"nginx did not start.\n{said}") from None
                time.sleep(0.02)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server((hub.HUB, 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in held]


def _ensure_certificates(folder: Path) -> None:
    """An authority and a certificate for both addresses, made here and trusted by nobody else."""
    if (folder / "server.pem").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650")
    # CA:TRUE and keyCertSign are what Python's strict checks ask of an authority.
    _openssl(
        folder, *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=benchmark authority",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    )  # fmt: skip
    _openssl(
        folder, *key, "-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "server.key", "-out", "server.pem",
        "-subj", "/CN=benchmark server", "-addext", f"subjectAltName=IP:{hub.HUB},IP:{hub.CDN}",
        "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth",
    )  # fmt: skip


def _openssl(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        ["openssl", "req", "-x509", *arguments], cwd=folder, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"openssl could not make a certificate.\n{done.stderr}")
