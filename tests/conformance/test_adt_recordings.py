"""Recorded exchanges with the real service, replayed against the stub by session."""

from __future__ import annotations

import gzip
import http.client
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.stubs import running_stub

RECORDINGS = next(
    (
        folder / "shared" / "conformance" / "adt"
        for folder in Path(__file__).resolve().parents
        if (folder / "shared" / "conformance" / "adt").is_dir()
    ),
    None,
)
NOT_BUILT = re.compile(r"^/(eventroutes|jobs)", re.IGNORECASE)
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(RECORDINGS is None, reason="../shared/conformance/adt is not here"),
]


def exchanges(name: str) -> Iterator[list[dict[str, Any]]]:
    assert RECORDINGS is not None
    sessions: dict[str, list[dict[str, Any]]] = {}
    with gzip.open(RECORDINGS / name, "rt", encoding="utf-8") as lines:
        for line in lines:
            exchange = json.loads(line)
            sessions.setdefault(exchange["session"], []).append(exchange)
    for session in sessions.values():
        yield sorted(session, key=lambda exchange: exchange["order"])


def blurred(value: Any) -> Any:
    """Return a body with what differs from run to run made equal."""
    if isinstance(value, str):
        value = value.replace("http://aka.ms", "https://aka.ms")
        return TIME.sub("<time>", GUID.sub("<guid>", value))
    if isinstance(value, list):
        return [blurred(item) for item in value]
    if isinstance(value, dict):
        return {
            k: "<link>" if k in ("nextLink", "continuationToken") and v else blurred(v)
            for k, v in value.items()
        }
    return value


class Replayer:
    """Sends one session's requests in order; a recorded ETag becomes the stub's of that moment."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self.etags: dict[str, str] = {}
        self.links: dict[str, str] = {}

    def send(self, exchange: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        parts = urlsplit(self.links.get(exchange["url"], exchange["url"]))
        headers = {
            name: self.etags.get(value, value)
            for name, value in (exchange["req_headers"] or {}).items()
            if name.lower() not in ("host", "content-length", "accept-encoding", "connection")
        }
        body = exchange["req_body"]
        text = None if body is None else body if isinstance(body, str) else json.dumps(body)
        headers.setdefault("Content-Type", "application/json")
        self.connection.request(
            exchange["method"],
            f"{parts.path}?{parts.query}",
            None if text is None else text.encode(),
            headers,
        )
        response = self.connection.getresponse()
        raw = response.read()
        found = json.loads(raw) if raw else None
        given = {name.lower(): value for name, value in response.getheaders()}
        self.learn(exchange, given, found)
        return response.status, given, found

    def learn(self, exchange: dict[str, Any], given: dict[str, str], found: Any) -> None:
        recorded = {k.lower(): v for k, v in (exchange["resp_headers"] or {}).items()}
        if recorded.get("etag") and given.get("etag"):
            self.etags[recorded["etag"]] = given["etag"]
        old = exchange["resp_body"]
        if isinstance(old, dict) and isinstance(found, dict):
            if old.get("$etag") and found.get("$etag"):
                self.etags[old["$etag"]] = found["$etag"]
            if old.get("nextLink") and found.get("nextLink"):
                self.links[old["nextLink"]] = found["nextLink"]


def differences(exchange: dict[str, Any], status: int, found: Any) -> list[str]:
    body = exchange["resp_body"]
    wrong = []
    if status != exchange["status"]:
        wrong.append(f"status {status}, recorded {exchange['status']}")
    code = (found or {}).get("error", {}).get("code") if isinstance(found, dict) else None
    if (exchange["error_code"] or None) != (code or None):
        wrong.append(f"code {code}, recorded {exchange['error_code']}")
    if not wrong and not is_query(exchange) and blurred(found or None) != blurred(body or None):
        wrong.append(f"body {json.dumps(blurred(found))}\n  recorded {json.dumps(blurred(body))}")
    return wrong


def is_query(exchange: dict[str, Any]) -> bool:
    # The recorded service's queries lag behind its writes and see what other sessions left.
    return "/query" in exchange["url"]


def built(exchange: dict[str, Any]) -> bool:
    return NOT_BUILT.match(urlsplit(exchange["url"]).path) is None


def seeds(sessions: list[list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the definition of every model that any session uploads."""
    models: dict[str, dict[str, Any]] = {}
    for session in sessions:
        for exchange in session:
            body = exchange["req_body"]
            if exchange["method"] == "POST" and isinstance(body, list):
                models |= {m["@id"]: m for m in body if isinstance(m, dict) and "@id" in m}
    return models


@pytest.mark.parametrize("name", ["python-2020-12.jsonl.gz", "python-2023-03.jsonl.gz"])
def test_the_stub_answers_as_the_service_was_recorded(name: str) -> None:
    failures: list[str] = []
    total: Counter[str] = Counter()
    for session in exchanges(name):
        if not session[0]["replays_from_empty"] or not all(map(built, session)):
            continue
        with running_stub() as stub:
            replayer = Replayer(stub.adt_url)
            for exchange in session:
                if exchange["status"] == 429:
                    continue
                status, _, found = replayer.send(exchange)
                total[exchange["op"]] += 1
                failures += [
                    f"{exchange['session']} #{exchange['order']} {exchange['op']}: {text}"
                    for text in differences(exchange, status, found)
                ]
    assert sum(total.values()) > 500
    assert not failures, f"{len(failures)} of {sum(total.values())}\n" + "\n".join(failures[:40])
