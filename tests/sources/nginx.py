"""nginx with fcgiwrap in front of `git http-backend` and giftless: large files by nginx itself, with ranges."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sources.git_server import GitServer

_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_NGINX, _FCGIWRAP = (shutil.which(name, path=_SBIN) for name in ("nginx", "fcgiwrap"))

needs_nginx = pytest.mark.skipif(
    not (_NGINX and _FCGIWRAP), reason="nginx or fcgiwrap is not installed (`make debian`)"
)

_CONFIG = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{
  client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  log_format short '$request_method $uri $status $http_range';
  access_log {folder}/access.log short;
  server {{
    listen 127.0.0.1:{port};
    location ~ "^/(.+)/(.+)\\.git/info/lfs/objects/storage/([0-9a-f]{{64}})$" {{
      limit_rate {rate};
      alias {storage}/$1/$2/$3;
    }}
    location ~ /info/lfs/ {{ proxy_pass {giftless}; proxy_set_header Host $http_host; }}
    location / {{
      fastcgi_pass unix:{folder}/fcgi.sock;
      fastcgi_param SCRIPT_FILENAME {backend};
      fastcgi_param GIT_PROJECT_ROOT {root};
      fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
      fastcgi_param GIT_PROTOCOL $http_git_protocol;
    }}
  }}
}}
"""


@dataclass(frozen=True, kw_only=True)
class Nginx:
    """A server that runs; `requests` are lines of its log: method, path, status, range."""

    url: str
    log: Path

    def requests(self) -> list[str]:
        """What was answered so far."""
        return self.log.read_text(encoding="utf-8").splitlines()


@contextlib.contextmanager
def nginx(server: GitServer, folder: Path, *, rate: str) -> Iterator[Nginx]:
    """Serve what `server` has; `rate` bounds each reply with a large file, in bytes a second (`1m`)."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    backend = Path(subprocess.check_output(["git", "--exec-path"], text=True).strip()) / "git-http-backend"
    text = _CONFIG.format(
        folder=folder,
        port=port,
        storage=server.storage,
        root=server.root,
        giftless=server.url,
        backend=backend,
        rate=rate,
    )
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    for owned in (folder, server.root, server.storage):
        owned.chmod(0o755)
    assert _NGINX
    assert _FCGIWRAP
    environment = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    started = [
        subprocess.Popen([_FCGIWRAP, "-s", f"unix:{folder}/fcgi.sock"], env=environment),
        subprocess.Popen([_NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL),
    ]
    try:
        _wait_for(port, folder / "fcgi.sock")
        yield Nginx(url=f"http://127.0.0.1:{port}", log=folder / "access.log")
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(10)


def _wait_for(port: int, other: Path) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            if other.exists():
                return
        time.sleep(0.05)
    raise AssertionError("nginx does not listen")
