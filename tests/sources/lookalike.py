"""A scripted hub: a dict from addresses to answers.  Knows nothing of the code under test.

    hub.says("/api/v1/models/o/n/revisions", ok({...}))

An address is a path, or a path with `?` and the decoded query in the order of its names; the
longer one is looked up first.  Several answers are given one after the other, the last for ever.
"""

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

COMMIT = "83ee97c66e841048bedc5c02c15ce2f3ed259feb"
OTHER = "0123456789abcdef0123456789abcdef01234567"
API = "/api/v1/models/owner/name"
DATASET = "/api/v1/datasets/owner/name"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the hub says once."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that came; header names in lower case."""

    target: str
    address: str
    headers: dict[str, str] = field(repr=False)


def ok(data: Any, **more: Any) -> Answer:
    return Answer(json.dumps({"Code": 200, "Success": True, "Message": "success", "Data": data, **more}).encode())


def fail(code: int, message: str = "no", *, status: int = 200) -> Answer:
    document = {"Code": code, "Success": False, "Message": message, "RequestId": "1", "Data": None}
    return Answer(json.dumps(document).encode(), status)


def status(code: int, *headers: tuple[str, str]) -> Answer:
    return Answer(b"", code, headers)


def blob(path: str, data: bytes | None = None, **changes: Any) -> dict[str, Any]:
    data = path.encode() if data is None else data
    return {
        "Type": "blob",
        "Path": path,
        "Name": path.rpartition("/")[2],
        "Size": len(data),
        "Sha256": hashlib.sha256(data).hexdigest(),
        "Revision": OTHER,
        "IsLFS": False,
        **changes,
    }


def tree(path: str) -> dict[str, Any]:
    return {"Type": "tree", "Path": path, "Name": path, "Size": 0, "Sha256": "", "Revision": OTHER, "IsLFS": False}


def listing(*entries: dict[str, Any], short: str | None = COMMIT[:8], total: int | None = None) -> Answer:
    data: dict[str, Any] = {"Files": list(entries), "LatestCommitter": {"Id": "", "ShortId": short}}
    return ok(data if total is None else {**data, "TotalCount": total})


class Lookalike:
    """The server, on loopback; `host` may be any of its addresses and names."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._host = host
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()
        self.seen: list[Seen] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                answer = hub._answer(self.path, {name.lower(): value for name, value in self.headers.items()})
                self.send_response_only(answer.status)
                for name, value in answer.headers:
                    self.send_header(name, value)
                if not any(name == "Transfer-Encoding" for name, _ in answer.headers):
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def host(self) -> str:
        return f"{self._host}:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def addresses(self) -> list[str]:
        return [seen.address for seen in self.seen]

    def says(self, address: str, *answers: Answer) -> Self:
        self._answers[address] = list(answers)
        return self

    def _answer(self, target: str, headers: dict[str, str]) -> Answer:
        path, query = urlsplit(target).path, urlsplit(target).query
        address = path + (
            "?" + "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(query))) if query else ""
        )
        with self._lock:
            self.seen.append(Seen(target, address, headers))
            answers = self._answers.get(address) or self._answers.get(path)
            if not answers:
                return fail(404, f"nothing at {address}", status=404)
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
