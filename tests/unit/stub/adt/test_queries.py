from __future__ import annotations

import json
from typing import Any

import pytest

from sync_agent.query.charge import charge_of_count, charge_of_rows
from sync_agent.stub.adt import queries
from tests.unit.stub.adt.plane import Plane

ALL = "SELECT * FROM DIGITALTWINS"


@pytest.fixture
def rooms(plane: Plane) -> Plane:
    for number in range(25):
        plane.put(f"r{number:02}", temperature=number)
    return plane


def every_page(plane: Plane, text: str, size: int, *, with_text: bool = False) -> list[list[Any]]:
    pages, body = [], {"query": text}
    while True:
        given = {"max-items-per-page": str(size)}
        reply = plane.ask("POST", "/query", body, headers=given)
        assert reply.status == 200, reply
        pages.append(reply.body["value"])
        token = reply.body["continuationToken"]
        if token is None:
            return pages
        body = {"continuationToken": token} | ({"query": text} if with_text else {})


def test_rows_come_with_a_token_and_a_charge(rooms: Plane) -> None:
    reply = rooms.query(ALL)
    assert list(reply.body) == ["value", "continuationToken"]
    assert reply.body["continuationToken"] is None
    assert [row["$dtId"] for row in reply.body["value"]] == [f"r{n:02}" for n in range(25)]
    assert float(reply.headers["query-charge"]) == charge_of_rows(25)
    assert float(rooms.query("SELECT * FROM RELATIONSHIPS").headers["query-charge"]) == 2.79
    counted = rooms.query("SELECT COUNT() FROM DIGITALTWINS")
    assert float(counted.headers["query-charge"]) == charge_of_count(25)


@pytest.mark.parametrize("with_text", [True, False])
def test_a_token_is_enough_for_the_next_page(rooms: Plane, with_text: bool) -> None:
    pages = every_page(rooms, ALL, 10, with_text=with_text)
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [row["$dtId"] for page in pages for row in page] == [f"r{n:02}" for n in range(25)]


def test_a_token_is_a_text_of_json_with_the_query_in_it(rooms: Plane) -> None:
    reply = rooms.ask("POST", "/query", {"query": ALL}, headers={"max-items-per-page": "7"})
    token = json.loads(reply.body["continuationToken"])
    assert list(token) == ["_t", "_s", "_rc", "_q", "_id", "_tr", "_pn"]
    assert (token["_q"], token["_tr"]) == (ALL, 7)


def test_a_token_wins_over_another_query(rooms: Plane) -> None:
    first = rooms.ask("POST", "/query", {"query": ALL}, headers={"max-items-per-page": "20"})
    body = {"query": "nonsense", "continuationToken": first.body["continuationToken"]}
    assert len(rooms.ask("POST", "/query", body).body["value"]) == 5


@pytest.mark.parametrize(
    "text",
    [ALL, "SELECT B.$dtId FROM DIGITALTWINS A JOIN B RELATED A.[[in]] WHERE A.$dtId = 'r00'"],
)
def test_a_token_the_service_made_goes_on_behind_the_rows_it_counts(
    rooms: Plane, text: str
) -> None:
    for number in range(25):
        rooms.link("r00", f"e{number}", f"r{number:02}")
    whole = rooms.query(text).body["value"]
    place = "-RID:~kN9rAJ5S8+IHAAAAAAAAAA==#RT:1#TRC:10#ISV:2#IEO:65567"
    token = {"_t": 2, "_s": None, "_rc": place, "_q": text, "_id": "x", "_tr": 10, "_pn": 2}
    body: dict[str, Any] = {"continuationToken": json.dumps(token)}
    given = {"max-items-per-page": "8"}
    second = rooms.ask("POST", "/query", body, headers=given).body
    assert second["value"] == whole[10:18]
    third = {"continuationToken": second["continuationToken"]}
    assert rooms.ask("POST", "/query", third, headers=given).body["value"] == whole[18:]


def test_a_page_has_a_hundred_rows_unless_asked_and_a_thousand_at_most(plane: Plane) -> None:
    with plane.db.writing():
        for number in range(1_100):
            plane.db.put_twin(
                {"$dtId": f"t{number}", "$etag": "x", "$metadata": {"$model": "dtmi:t:Floor;1"}}
            )
    assert len(plane.query(ALL).body["value"]) == 100
    assert [len(page) for page in every_page(plane, ALL, 5_000)] == [1_000, 100]


def test_top_ends_the_whole_answer_over_all_pages(rooms: Plane) -> None:
    pages = every_page(rooms, "SELECT TOP(12) FROM DIGITALTWINS", 5)
    assert [len(page) for page in pages] == [5, 5, 2]


def test_what_is_written_between_two_pages_neither_repeats_nor_hides_another(rooms: Plane) -> None:
    given = {"max-items-per-page": "10"}
    first = rooms.ask("POST", "/query", {"query": ALL}, headers=given).body
    rooms.ask("DELETE", "/digitaltwins/r03")
    rooms.put("new")
    rooms.patch("r12", {"op": "replace", "path": "/temperature", "value": 99})
    body: dict[str, Any] = {"continuationToken": first["continuationToken"]}
    second = rooms.ask("POST", "/query", body, headers={"max-items-per-page": "1000"}).body
    assert [row["$dtId"] for row in second["value"]] == [*(f"r{n}" for n in range(10, 25)), "new"]
    assert second["value"][2]["temperature"] == 99
    assert second["continuationToken"] is None


def test_joined_rows_are_paged_by_count(rooms: Plane) -> None:
    for number in range(1, 8):
        rooms.link("r00", f"e{number}", f"r{number:02}")
    text = "SELECT B.$dtId FROM DIGITALTWINS A JOIN B RELATED A.[[in]] WHERE A.$dtId = 'r00'"
    pages = every_page(rooms, text, 3)
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [row["$dtId"] for page in pages for row in page] == [f"r{n:02}" for n in range(1, 8)]


def test_a_count_is_one_row(rooms: Plane) -> None:
    reply = rooms.query("SELECT COUNT() FROM DIGITALTWINS WHERE temperature >= 20")
    assert reply.body == {"value": [{"COUNT": 5}], "continuationToken": None}


def test_a_query_sees_a_write_at_once(rooms: Plane) -> None:
    rooms.patch("r03", {"op": "replace", "path": "/temperature", "value": 99})
    found = rooms.query(f"{ALL} WHERE temperature = 99").body["value"]
    assert [row["$dtId"] for row in found] == ["r03"]


def test_rows_show_update_times_by_the_version_of_the_query(rooms: Plane) -> None:
    assert "$lastUpdateTime" in str(rooms.query(ALL, version="2022-05-31").body)
    assert "$lastUpdateTime" not in str(rooms.query(ALL, version="2020-10-31").body)


def test_what_explorer_asks_is_answered(rooms: Plane) -> None:
    rooms.put("it's")
    rooms.link("it's", "e", "r01")
    names = ", ".join(f"'r{number:02}'" for number in range(25))
    text = f"SELECT * FROM RELATIONSHIPS r WHERE r.$sourceId IN ['it\\'s', {names}]"
    reply = rooms.query(text, version="2021-06-30-preview")
    (edge,) = reply.body["value"]
    assert (edge["$sourceId"], edge["$targetId"]) == ("it's", "r01")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "foo"}, "SqlQueryError"),
        ({"query": "SELECT * FROM DIGITALTWINS " + "x" * 8_000}, "SqlQueryError"),
        ({"query": "SELECT A FROM DIGITALTWINS A JOIN B RELATED A.in"}, "SqlQueryError"),
        ({"query": ""}, "MissingArgument"),
        ({"query": 5}, "MissingArgument"),
        ({}, "MissingArgument"),
        ([], "InvalidArgument"),
        ({"continuationToken": "x"}, "BadRequest"),
        ({"continuationToken": 5}, "BadRequest"),
        ({"continuationToken": {"_q": "x"}}, "BadRequest"),
        ({"continuationToken": "[]"}, "BadRequest"),
        ({"continuationToken": '{"_q":"x","_tr":-1,"_rc":"0","_pn":1}'}, "BadRequest"),
        (
            {"continuationToken": '{"_q":"x","_tr":1,"_rc":"9' + "9" * 30 + '","_pn":1}'},
            "BadRequest",
        ),
        ({"continuationToken": '{"_q":"foo","_tr":1,"_rc":"0","_pn":1}'}, "SqlQueryError"),
    ],
)
def test_what_is_no_query_is_refused(rooms: Plane, body: Any, code: str) -> None:
    reply = rooms.ask("POST", "/query", body)
    assert (reply.status, reply.code) == (400, code)


def test_a_query_that_cannot_be_read_says_where(rooms: Plane) -> None:
    assert rooms.query("foo").message == (
        "SQL query parse failed: SQL Parser Error, Line=1, Position=0, Message=missing SELECT at"
        " 'foo' See samples in https://aka.ms/adtv2query for the correct syntax."
    )


def test_a_forged_token_cannot_get_past_top(rooms: Plane) -> None:
    text = "SELECT TOP(3) FROM DIGITALTWINS"
    token = json.dumps({"_q": text, "_tr": 30, "_rc": "0", "_pn": 4})
    reply = rooms.ask("POST", "/query", {"continuationToken": token})
    assert reply.body == {"value": [], "continuationToken": None}


def test_a_query_that_takes_too_long_is_ended(
    rooms: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "QUERY_MAX_S", 0.05)
    for number in range(12):
        for other in range(12):
            if other != number:
                rooms.link(f"r{number:02}", f"to{other}", f"r{other:02}")
    text = "SELECT COUNT() FROM DIGITALTWINS MATCH (A)-[*..9]-(B) WHERE A.$dtId = 'r00'"
    reply = rooms.query(text)
    assert (reply.status, reply.code) == (400, "TimeoutError")
    assert rooms.query(ALL).status == 200
