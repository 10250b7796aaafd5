"""The stub with a large graph: the bare engine, the executor above it, and HTTP, in one run.

200,000 twins and 400,000 relationships (STUB_BENCH_TWINS scales both): regions, sites in regions,
routers in sites, each router depending on two others. The bare engine runs the executor's own
statements on the same file and nothing else; beside it stands SQL written by hand, which does less
(it keeps no track of edges used, and patches one value in place). The executor is what runs below
HTTP, from the text of a query to rows ready to be sent; HTTP is one connection to a stub in a
process of its own. Times are medians, a page of 100 rows where there is one.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import apsw
import pytest

from sync_agent.stub.adt.queries import Statements
from sync_agent.stub.adt.store import TwinDb
from tests.unit.query.executors import model
from tests.unit.stub.adt.blob_server import serving_blobs

ROOT = Path(__file__).resolve().parents[2]
TWINS = int(os.environ.get("STUB_BENCH_TWINS", "200000"))
REGIONS = 50
SITES = TWINS // 20
VERSION = "api-version=2023-10-31"
STAMP = "2026-01-01T00:00:00.0000000Z"
ROUTER = "dtmi:b:Router;1"
START = "r000077"
SCORE = {"@type": "Property", "name": "score", "schema": "double"}
MODELS = [
    {**model(f"dtmi:b:{name};1"), "contents": [SCORE]} for name in ("Region", "Site", "Router")
]
QUERIES = {
    "filter and count": f"SELECT COUNT() FROM DIGITALTWINS T WHERE IS_OF_MODEL('{ROUTER}')"
    " AND T.score < 5",
    "join per start": "SELECT B FROM DIGITALTWINS A JOIN B RELATED A.dependsOn"
    f" WHERE A.$dtId = '{START}'",
    "3-hop match per start": "SELECT b.$dtId FROM DIGITALTWINS MATCH (a)-[:dependsOn*..3]->(b)"
    f" WHERE a.$dtId = '{START}'",
    "whole-region match": "SELECT r FROM DIGITALTWINS MATCH (g)<-[:partOf]-(s)<-[:locatedIn]-(r)"
    " WHERE g.$dtId = 'g07'",
}
BARE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "filter and count": (
        ("SELECT count(*) FROM twins WHERE model = ? AND document ->> '$.score' < 5"),
        (ROUTER,),
    ),
    "join per start": (
        (
            "SELECT json(b.document) FROM relationships e JOIN twins b ON b.id = e.target"
            " WHERE e.source = ? AND e.name = 'dependsOn' ORDER BY e.pk LIMIT 101"
        ),
        (START,),
    ),
    "3-hop match per start": (
        (
            "WITH RECURSIVE hop(id, depth) AS (VALUES(?, 0) UNION ALL"
            " SELECT e.target, depth + 1 FROM hop CROSS JOIN relationships e"
            " ON e.source = hop.id AND e.name = 'dependsOn' WHERE depth < 3)"
            " SELECT json(t.document) FROM hop CROSS JOIN twins t ON t.id = hop.id"
            " WHERE depth > 0 ORDER BY t.pk LIMIT 101"
        ),
        (START,),
    ),
    "whole-region match": (
        (
            "SELECT json(r.document) FROM relationships s"
            " JOIN relationships l ON l.target = s.source AND l.name = 'locatedIn'"
            " JOIN twins r ON r.id = l.source WHERE s.target = ? AND s.name = 'partOf'"
            " ORDER BY s.pk, l.pk LIMIT 101"
        ),
        ("g07",),
    ),
}

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    chance = random.Random(7)
    db = TwinDb(folder / "adt.db")
    with db.writing():
        for document in MODELS:
            db.add_model(document["@id"], document, STAMP)
        for number in range(REGIONS):
            db.put_twin(twin(f"g{number:02}", "Region"))
        for number in range(SITES):
            db.put_twin(twin(f"s{number:06}", "Site"))
            relate(db, f"s{number:06}", "partOf", f"g{number % REGIONS:02}")
        routers = TWINS - SITES - REGIONS
        for number in range(routers):
            db.put_twin(twin(f"r{number:06}", "Router", score=chance.uniform(0, 100)))
            relate(db, f"r{number:06}", "locatedIn", f"s{number % SITES:06}")
        for number in range(2 * TWINS - SITES - routers):
            target = f"r{chance.randrange(routers):06}"
            relate(db, f"r{number % routers:06}", "dependsOn", target, number)
    db.close()
    return folder


def twin(name: str, kind: str, **properties: Any) -> dict[str, Any]:
    stamps = {key: {"lastUpdateTime": STAMP} for key in properties}
    metadata = {"$model": f"dtmi:b:{kind};1", "$lastUpdateTime": STAMP, **stamps}
    return {"$dtId": name, "$etag": f'W/"{name}"', **properties, "$metadata": metadata}


def relate(db: TwinDb, source: str, name: str, target: str, number: int = 0) -> None:
    db.put_relationship(
        {
            "$relationshipId": f"{name}{number}",
            "$etag": 'W/"e"',
            "$sourceId": source,
            "$relationshipName": name,
            "$targetId": target,
        }
    )


@contextmanager
def serving(folder: Path) -> Iterator[http.client.HTTPConnection]:
    command = [sys.executable, "-m", "sync_agent", "stub", "--output", "json"]
    command += ["--data-dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        place = urlsplit(json.loads(process.stdout.readline())["adt_url"]).netloc
        connection = http.client.HTTPConnection(place, timeout=120)
        try:
            yield connection
        finally:
            connection.close()
            process.terminate()


def timed_us(work: Callable[[], Any], rounds: int) -> float:
    """Return the median time of a call in microseconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times) * 1e6


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> bytes:
    text = None if body is None else json.dumps(body)
    headers = {"Content-Type": "application/json"}
    connection.request(method, f"{path}?{VERSION}", text, headers)
    answer = connection.getresponse()
    data = answer.read()
    assert answer.status < 300, data[:300]
    return data


def test_operations_beside_the_bare_engine(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: dict[str, list[float]] = {}
    db = TwinDb(folder / "adt.db")
    bare, statements = db._db, Statements()
    for name, text in QUERIES.items():
        sql, parameters = BARE[name]

        def executor(text: str = text) -> None:
            _, lowered = statements.of(text, db)
            if lowered.is_count:
                db.select(lowered.sql, lowered.parameters)
                return
            for row in db.select(*lowered.page(101)):
                lowered.encoded(row)

        rounds = 5 if name == "filter and count" else 200
        _, lowered = statements.of(text, db)
        own = (lowered.sql, lowered.parameters) if lowered.is_count else lowered.page(101)
        rows[name] = [
            timed_us(lambda s=sql, p=parameters: list(bare.execute(s, p)), rounds),  # type: ignore[misc]
            timed_us(lambda o=own: list(bare.execute(*o)), rounds),  # type: ignore[misc]
            timed_us(executor, rounds),
        ]
    reading = timed_us(lambda: list(bare.execute(READ, (START,))), 500)
    rows["point read"] = [reading, reading, timed_us(lambda: db.twin(START), 500)]
    rows["patch"] = [
        timed_us(lambda: patch_in_place(bare), 500),
        timed_us(lambda: read_and_write(bare), 500),
        timed_us(lambda: patch(db), 500),
    ]
    db.close()
    with serving(folder) as connection:
        for name, text in QUERIES.items():
            body = {"query": text}
            rounds = 5 if name == "filter and count" else 50
            rows[name].append(
                timed_us(lambda b=body: ask(connection, "POST", "/query", b), rounds)  # type: ignore[misc]
            )
        path = f"/digitaltwins/{START}"
        rows["point read"].append(timed_us(lambda: ask(connection, "GET", path), 500))
        change = [{"op": "add", "path": "/score", "value": 1.5}]
        rows["patch"].append(timed_us(lambda: ask(connection, "PATCH", path, change), 500))
    lines = [
        f"{name:24}{row[0]:10.0f}{row[1]:10.0f}{row[2]:10.0f}{row[2] / row[1]:7.1f}{row[3]:10.0f}"
        for name, row in rows.items()
    ]
    with capsys.disabled():
        print(f"\n{TWINS:,} twins, {2 * TWINS:,} relationships; microseconds")  # noqa: T201
        print(f"{'':24}{'by hand':>10}{'engine':>10}{'executor':>10}{'ratio':>7}{'HTTP':>10}")  # noqa: T201
        print("\n".join(lines))  # noqa: T201


READ = "SELECT json(document) FROM twins WHERE id = ?"


def patch_in_place(db: apsw.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.execute(
        "UPDATE twins SET document = jsonb_set(document, '$.score', 1.25) WHERE id = ?", (START,)
    )
    db.execute("COMMIT")


def read_and_write(db: apsw.Connection) -> None:
    ((text,),) = db.execute(READ, (START,))
    db.execute("BEGIN IMMEDIATE")
    db.execute(
        "INSERT INTO twins(id, model, document) VALUES(?,?,jsonb(?)) ON CONFLICT(id)"
        " DO UPDATE SET model = excluded.model, document = excluded.document",
        (START, ROUTER, text),
    )
    db.execute("COMMIT")


def patch(db: TwinDb) -> None:
    document = db.twin(START)
    assert document is not None
    document["score"] = 1.5
    with db.writing():
        db.put_twin(document)


def test_an_import_job_of_all_twins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, list[dict[str, Any]]] = {
        "Models": [
            {
                "@id": ROUTER,
                "@type": "Interface",
                "@context": "dtmi:dtdl:context;3",
                "contents": [SCORE],
            }
        ],
        "Twins": [
            {"$dtId": f"r{n:06}", "$metadata": {"$model": ROUTER}, "score": n % 100}
            for n in range(TWINS)
        ],
    }
    lines: list[Any] = [{"Section": "Header"}, {"fileVersion": "1.0.0"}]
    for section, entries in names.items():
        lines += [{"Section": section}, *entries]
    with serving_blobs() as blobs, serving(tmp_path) as connection:
        blobs.stored["/acc/box/in"] = b"".join(json.dumps(e).encode() + b"\n" for e in lines)
        began = time.perf_counter()
        body = {"inputBlobUri": f"{blobs.url}/in", "outputBlobUri": f"{blobs.url}/out"}
        ask(connection, "PUT", "/jobs/imports/j", body)
        while True:
            job = json.loads(ask(connection, "GET", "/jobs/imports/j"))
            if job["status"] not in ("notstarted", "running"):
                break
            time.sleep(0.1)
        took_s = time.perf_counter() - began
    assert job["status"] == "succeeded", job
    with capsys.disabled():
        print(f"\n{TWINS:,} twins by import job: {took_s:.1f} s")  # noqa: T201
