"""Faults, limits and late consistency as a client meets them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sync_agent.stub.adt.faults import FaultProfile
from sync_agent.stub.adt.guard import Guard
from tests.unit.stub.adt.plane import MODELS, Plane, Reply, twin


@pytest.fixture
def plane() -> Iterator[Plane]:
    plane = Plane()
    plane.put("a")
    plane.put("b")
    yield plane
    plane.close()


def set_profile(plane: Plane, **profile: Any) -> None:
    assert plane.ask("PUT", "/stub/faults", profile, version="").status == 204


def patch(plane: Plane, name: str = "a") -> Reply:
    return plane.patch(name, {"op": "add", "path": "/temperature", "value": 1})


def test_beyond_the_instance_s_limit_the_gateway_answers(plane: Plane) -> None:
    set_profile(plane, limits={"reads": 2})
    replies = [plane.ask("GET", twin("a")) for _ in range(4)]
    assert [r.status for r in replies[:2]] == [200, 200]
    refused = replies[3]
    assert refused.status == 429
    assert refused.body["error"]["statusCode"] == 429
    assert "code" not in refused.body["error"]
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["content-type"] == "application/json"
    assert "traceresponse" not in refused.headers


def test_beyond_a_twin_s_limit_the_service_answers(plane: Plane) -> None:
    set_profile(plane, limits={"twin_writes": 1})
    assert patch(plane).status == 204
    refused = patch(plane)
    assert (refused.status, refused.code) == (429, "TooManyRequests")
    assert "too many requests to this twin" in refused.message
    assert refused.headers["retry-after"] == "1"
    assert patch(plane, "b").status == 204


def test_when_query_units_are_spent_the_service_says_so(plane: Plane) -> None:
    set_profile(plane, limits={"query_units": 1})
    assert plane.query("SELECT * FROM DIGITALTWINS").status == 200
    refused = plane.query("SELECT * FROM DIGITALTWINS")
    assert (refused.status, refused.code) == (429, "QuotaReachedError")
    assert int(refused.headers["retry-after"]) >= 1


def test_a_relationship_counts_for_its_target_too(plane: Plane) -> None:
    set_profile(plane, limits={"twin_writes": 1})
    assert plane.link("a", "r", "b").status == 200
    assert patch(plane, "b").status == 429


def test_deleting_a_relationship_counts_for_its_target_too(plane: Plane) -> None:
    plane.link("a", "r", "b")
    set_profile(plane, limits={"twin_writes": 1})
    assert plane.ask("DELETE", f"{twin('a')}/relationships/r").status == 204
    assert patch(plane, "b").status == 429


def test_an_instance_that_is_full_takes_no_more_twins_but_those_there_are(plane: Plane) -> None:
    set_profile(plane, capacity={"twins": 2})  # a and b
    assert plane.put("a", temperature=5).status == 200
    refused = plane.put("c")
    assert (refused.status, refused.code) == (400, "TwinLimitReached")
    assert plane.ask("DELETE", twin("a")).status == 204
    assert plane.put("c").status == 200
    assert plane.put("a").code == "TwinLimitReached"
    set_profile(plane)
    assert plane.put("a").status == 200


def test_a_twin_that_has_all_its_relationships_takes_no_more_from_either_end(
    plane: Plane,
) -> None:
    plane.put("c")
    set_profile(plane, capacity={"relationships_of_twin": 1})
    assert plane.link("a", "r", "b").status == 200
    assert plane.link("a", "r", "c").status == 200  # the same one, led elsewhere
    for source, target in (("a", "b"), ("b", "c")):
        refused = plane.link(source, "s", target)
        assert (refused.status, refused.code) == (400, "LimitExceeded")
    assert plane.link("c", "r", "a").status == 200


def test_relationships_and_models_are_bounded_in_all(plane: Plane) -> None:
    set_profile(plane, capacity={"relationships": 1, "models": 5})  # four are there
    assert plane.link("a", "r", "b").status == 200
    assert plane.link("b", "r", "a").code == "LimitExceeded"
    new = [{**MODELS[1], "@id": f"dtmi:t:New{number};1"} for number in range(2)]
    assert plane.ask("POST", "/models", new).code == "LimitExceeded"
    assert plane.ask("POST", "/models", new[:1]).status == 201
    assert plane.ask("POST", "/models", b"{").message == "Payload is invalid."


def test_an_injected_status_changes_nothing(plane: Plane) -> None:
    fault = {"kind": "status", "operations": ["patch"], "status": 503, "retry_after_s": 3}
    set_profile(plane, fault=[{**fault, "times": 1}])
    refused = patch(plane)
    assert (refused.status, refused.code) == (503, "InjectedFault")
    assert refused.headers["retry-after"] == "3"
    assert "temperature" not in plane.get("a")
    assert patch(plane).status == 204
    found = plane.ask("GET", "/stub/faults", version="").body
    assert found["hits"] == {"0": 1}


def test_an_injected_429_looks_like_the_service_s(plane: Plane) -> None:
    set_profile(plane, fault=[{"kind": "status", "status": 429, "retry_after_s": 7}])
    refused = plane.ask("GET", "/models")
    assert refused.headers["retry-after"] == "7"
    assert refused.body["error"]["statusCode"] == 429


def test_a_profile_that_makes_no_sense_leaves_the_old_one(plane: Plane) -> None:
    set_profile(plane, limits={"reads": 1})
    refused = plane.ask("PUT", "/stub/faults", {"limits": {"x": 1}}, version="")
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    shown = plane.ask("GET", "/stub/faults", version="").body["profile"]
    assert shown["limits"] == {"reads": 1}


def test_after_a_delete_nothing_goes_wrong(plane: Plane) -> None:
    set_profile(plane, limits={"reads": 1})
    assert plane.ask("DELETE", "/stub/faults", version="").status == 204
    assert {plane.ask("GET", twin("a")).status for _ in range(9)} == {200}


def rows(plane: Plane) -> set[str]:
    body = {"query": "SELECT * FROM digitaltwins"}
    return {row["$dtId"] for row in plane.ask("POST", "/query", body).body["value"]}


def guarded(
    plane: Plane, profile: FaultProfile, clock_s: Callable[[], float] = time.monotonic
) -> Guard:
    """Give the guard of a plane a profile and a clock."""
    guard = plane.app._guard
    guard._clock_s = clock_s
    guard.set(profile)
    return guard


def test_a_lagging_query_sees_the_past_and_a_read_the_present(plane: Plane) -> None:
    now = [100.0]
    guarded(plane, FaultProfile(query_lag_s=5), lambda: now[0])
    plane.put("c")
    plane.ask("DELETE", twin("b"))
    assert rows(plane) == {"a", "b"}
    assert plane.ask("GET", twin("c")).status == 200
    assert plane.ask("GET", twin("b")).status == 404
    now[0] += 4.9
    assert rows(plane) == {"a", "b"}
    now[0] += 0.1
    assert rows(plane) == {"a", "c"}


def test_a_lagging_query_sees_models_and_relationships_late_too(plane: Plane) -> None:
    now = [0.0]
    guarded(plane, FaultProfile(query_lag_s=5), lambda: now[0])
    plane.link("a", "r", "b")
    count = {"query": "SELECT COUNT() FROM RELATIONSHIPS"}
    assert plane.ask("POST", "/query", count).body["value"] == [{"COUNT": 0}]
    now[0] = 6.0
    assert plane.ask("POST", "/query", count).body["value"] == [{"COUNT": 1}]


def test_what_is_rolled_back_is_never_seen(plane: Plane) -> None:
    guard = guarded(plane, FaultProfile(query_lag_s=0.001))

    def broken_write() -> None:
        with plane.db.writing():
            plane.db.delete_twin("a")
            plane.db.put_twin({})  # a document without an id

    with pytest.raises(KeyError):
        broken_write()
    plane.put("c")
    assert "a" in {t[0] for t in guard.queried().fetch("SELECT id FROM twins", ())}
    assert rows(plane) >= {"a", "b"}


def test_a_new_twin_cannot_be_related_at_once(plane: Plane) -> None:
    now = [0.0]
    guarded(plane, FaultProfile(relationship_lag_s=1), lambda: now[0])
    plane.put("new")
    assert plane.link("a", "r", "new").code == "TargetDigitalTwinNotFound"
    assert plane.link("new", "r", "a").code == "DigitalTwinNotFound"
    now[0] = 1.0
    assert plane.link("a", "r", "new").status == 200
    assert plane.link("new", "r", "a").status == 200


def test_a_twin_counts_as_connected_shortly_after_it_is_not(plane: Plane) -> None:
    plane.link("a", "r", "b")
    now = [0.0]
    guarded(plane, FaultProfile(relationship_lag_s=1), lambda: now[0])
    plane.ask("DELETE", f"{twin('a')}/relationships/r")
    assert plane.ask("DELETE", twin("b")).code == "RelationshipsNotDeleted"
    now[0] = 1.0
    assert plane.ask("DELETE", twin("b")).status == 204
