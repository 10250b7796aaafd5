"""What equal rows do not show: indexes in use, statements SQLite can take, pages."""

from __future__ import annotations

from typing import Any

import apsw
import pytest

from sync_agent.query.checks import OPERATORS_MAX, PATTERN_MAX, check
from sync_agent.query.parser import parse
from sync_agent.stub.adt.lowering import Lowered, lower
from sync_agent.stub.adt.store import TwinDb
from sync_agent.twins.graph import TwinGraph
from tests.unit.query.executors import model, store_of

NODE = {"$metadata": {"$model": "dtmi:net:Node;1"}}
JOIN = "SELECT B.$dtId FROM DIGITALTWINS A JOIN B RELATED A.next JOIN C RELATED B.next WHERE "


def chain(size: int) -> TwinGraph:
    """Return a chain of twins n0, n1, ..., each with an edge to the next."""
    return TwinGraph(
        ({"$dtId": f"n{i}", "i": i, **NODE} for i in range(size)),
        (
            {
                "$relationshipId": "next",
                "$sourceId": f"n{i}",
                "$relationshipName": "next",
                "$targetId": f"n{i + 1}",
            }
            for i in range(size - 1)
        ),
    )


@pytest.fixture(scope="module")
def db() -> Any:
    db = store_of(chain(500), [model("dtmi:net:Node;1")])
    yield db
    db.close()


def lowered(db: TwinDb, text: str) -> Lowered:
    query = parse(text)
    check(query)
    return lower(query, db.models_of)


def plan(db: TwinDb, text: str) -> str:
    sql, parameters = lowered(db, text).page(100)
    return "\n".join(row[3] for row in db.select(f"EXPLAIN QUERY PLAN {sql}", parameters))


def rows(db: TwinDb, text: str) -> list[Any]:
    found = lowered(db, text)
    return [found.row(row) for row in db.select(*found.page(10_000))]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM DIGITALTWINS WHERE $dtId = 'n3'",
        "SELECT * FROM DIGITALTWINS T WHERE T.$dtId IN ['n3', 'n4'] AND T.i = 3",
        "SELECT COUNT() FROM DIGITALTWINS WHERE $dtId = 'n3'",
        "SELECT * FROM RELATIONSHIPS r WHERE r.$sourceId IN ['n1', 'n2']",
        "SELECT * FROM RELATIONSHIPS WHERE $targetId = 'n1' AND $relationshipName = 'next'",
        JOIN + "A.$dtId = 'n3'",
        JOIN + "C.$dtId IN ['n3', 'n9']",
        "SELECT b FROM DIGITALTWINS MATCH (a)-[*..3]-(b) WHERE a.$dtId = 'n3'",
        "SELECT a FROM DIGITALTWINS MATCH (a)-[:next]->(b)-[*1..3]->(c) WHERE c.$dtId = 'n3'",
        "SELECT a FROM DIGITALTWINS MATCH (a)-[r]-()<-[:next|feeds*2]-(c) WHERE c.$dtId = 'n3'",
    ],
)
def test_what_is_named_is_looked_up_and_no_table_is_read_through(db: TwinDb, text: str) -> None:
    reads = plan(db, text).splitlines()
    tables = ("SCAN t", "SCAN r")
    assert not [line for line in reads if line.startswith(tables) or "KEY (rowid>?)" in line]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM DIGITALTWINS WHERE i < 3 AND STARTSWITH($dtId, 'n')",
        JOIN + "A.$dtId = 'n3'",
        "SELECT b FROM DIGITALTWINS MATCH (a)-[:next*..3]->(b) WHERE a.$dtId = 'n3'",
    ],
)
def test_a_statement_is_prepared_once_however_often_it_runs(db: TwinDb, text: str) -> None:
    asked: list[int] = []

    def note(action: int, *_: object) -> int:  # SQLite asks while it prepares, never while it runs
        asked.append(action)
        return apsw.SQLITE_OK

    sql, parameters = lowered(db, text).page(100)
    db._db.authorizer = note
    try:
        first = db.select(sql, parameters)
        assert asked
        asked.clear()
        assert db.select(sql, parameters) == first
        assert not asked
    finally:
        db._db.authorizer = None


def test_a_search_starts_at_the_twin_that_is_fixed_to_the_fewest(db: TwinDb) -> None:
    text = "SELECT b.i FROM DIGITALTWINS MATCH (a)-[]->(b)-[]->(c) WHERE"
    text += " a.$dtId IN ['n1', 'n2', 'n3'] AND c.$dtId = 'n4'"
    assert lowered(db, text).parameters[0] == "n4"
    assert rows(db, text) == [{"i": 3}]


def test_the_id_of_a_node_is_known_without_its_twin(db: TwinDb) -> None:
    text = "SELECT b FROM DIGITALTWINS MATCH (a)-[]->(b) WHERE a.$dtId = 'n3' AND b.$dtId = 'n4'"
    assert "SEARCH t0" not in plan(db, text)
    assert [row["b"]["$dtId"] for row in rows(db, text)] == ["n4"]


def test_twins_of_a_model_are_found_by_the_index(db: TwinDb) -> None:
    text = "SELECT COUNT() FROM DIGITALTWINS WHERE IS_OF_MODEL('dtmi:net:Node;1')"
    assert "twins_model" in plan(db, text)


def test_a_page_goes_on_behind_the_key_of_the_last_row(db: TwinDb) -> None:
    query = lowered(db, "SELECT i FROM DIGITALTWINS WHERE i >= 10")
    first = db.select(*query.page(2))
    second = db.select(*query.page(2, first[-1][-1]))
    assert query.keyset
    assert [query.row(row) for row in first + second] == [{"i": i} for i in range(10, 14)]


def test_a_page_of_a_search_goes_on_by_count(db: TwinDb) -> None:
    query = lowered(db, "SELECT b.i FROM DIGITALTWINS MATCH (a)-[*..6]->(b) WHERE a.$dtId = 'n1'")
    assert not query.keyset
    assert [query.row(row) for row in db.select(*query.page(2, 2))] == [{"i": 4}, {"i": 5}]


def test_counting_is_done_by_the_database(db: TwinDb) -> None:
    query = lowered(db, "SELECT COUNT() FROM DIGITALTWINS WHERE i < 7")
    assert query.is_count
    assert db.select(*query.page(1)) == [(7,)]


def test_the_widest_pattern_of_the_language_is_one_statement_sqlite_takes(db: TwinDb) -> None:
    pattern = "(a)" + "".join(f"-[*..10]->(b{i})" for i in range(8))
    text = f"SELECT COUNT() FROM DIGITALTWINS MATCH {pattern} WHERE a.$dtId = 'n490'"
    assert rows(db, text) == [{"COUNT": 9}]  # 9 edges behind n490, 8 parts: 8 + 1 of 9 edges


def test_the_longest_pattern_with_the_most_conditions_is_one_statement_sqlite_takes(
    db: TwinDb,
) -> None:
    pattern = "(a)" + "".join(f"-[r{i}:next]->(b{i})" for i in range(PATTERN_MAX))
    every = "".join(f" AND IS_DEFINED(b{i}.i) AND b{i}.i > {i}" for i in range(OPERATORS_MAX // 2))
    text = f"SELECT b29.i, r7 FROM DIGITALTWINS MATCH {pattern} WHERE a.$dtId = 'n1'{every}"
    ((row),) = rows(db, text)
    assert (row["i"], row["r7"]["$sourceId"]) == (31, "n8")
    names = ", ".join(f"b{i}, r{i}" for i in range(PATTERN_MAX))
    text = f"SELECT a, {names} FROM DIGITALTWINS MATCH {pattern} WHERE a.$dtId = 'n1'"
    assert len(rows(db, text)[0]) == 1 + 2 * PATTERN_MAX


def test_any_number_of_models_can_be_asked_for_at_once(db: TwinDb) -> None:
    many = [f"dtmi:net:M{i};1" for i in range(10_000)]
    text = "SELECT COUNT() FROM DIGITALTWINS WHERE " + " OR ".join(
        f"IS_OF_MODEL('dtmi:net:Any;{i + 1}')" for i in range(50)
    )
    query = lower(parse(text), lambda of, exact: [*many, "dtmi:net:Node;1"])
    assert db.select(query.sql, query.parameters) == [(500,)]


def test_the_deepest_condition_of_the_language_is_one_sqlite_takes(db: TwinDb) -> None:
    nested = "NOT (" * 50 + "i = 1 OR i = 2" + ")" * 50
    text = f"SELECT COUNT() FROM DIGITALTWINS WHERE {nested} AND i IN [{'1, ' * 2_000}1]"
    assert rows(db, text) == [{"COUNT": 1}]


def test_texts_are_never_part_of_the_statement(db: TwinDb) -> None:
    evil = "x\\' OR 1=1; DROP TABLE twins; --"
    text = (
        f"SELECT [[{evil}]] FROM DIGITALTWINS [[{evil}]] WHERE [[{evil}]].[[{evil}]] = '{evil}'"
        f" OR STARTSWITH([[{evil}]], '{evil}') OR IS_OF_MODEL('{evil}')"
    )
    assert "DROP" not in lowered(db, text).sql
    assert rows(db, text) == []


def test_the_schema_the_statements_are_written_for_is_the_store_s(db: TwinDb) -> None:
    with pytest.raises(apsw.SQLError):
        db.select("SELECT document FROM twin", ())
    columns = {row[1] for row in db.select("PRAGMA table_info(relationships)", ())}
    assert columns == {"pk", "source", "id", "name", "target", "document"}
