"""Filters of event routes: what they admit, and what the service says of those it cannot read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_agent.errors import QueryError
from sync_agent.stub.adt.route_filter import parse_filter

EVENT: dict[str, Any] = {
    "type": "Microsoft.DigitalTwins.Twin.Update",
    "source": "myadt.api.wcus.digitaltwins.azure.net",
    "subject": "thermostat.55",
    "$body": {
        "modelId": "dtmi:x:Room;1",
        "patch": [{"value": 40, "path": "/t", "op": "replace"}],
        "temperature": 21.5,
        "on": True,
        "nothing": None,
        "$metadata": {"$model": "dtmi:x:Room;1"},
    },
}


@pytest.mark.parametrize(
    ("text", "admits"),
    [
        ("true", True),
        ("FALSE", False),
        ("type = 'Microsoft.DigitalTwins.Twin.Update'", True),
        ("type = 'microsoft.digitaltwins.twin.update'", False),
        ("type != 'x'", True),
        ("STARTS_WITH(subject, 'thermo')", True),
        ("ends_with(subject, '.55') and contains($body.modelId, 'Room')", True),
        ("CONTAINS(subject, 'x') OR $body.temperature > 21", True),
        ("$body.temperature >= 21.5 AND $body.temperature < 22", True),
        ("$body.temperature = '21.5'", False),
        ("$body.on = true", True),
        ("$body.nothing = null", True),
        ("$body.missing = null", False),
        ("$body.missing != 'x'", False),
        ("$body.$metadata.$model = 'dtmi:x:Room;1'", True),
        ("$body.patch = 'x'", False),
        ("$body.$metadata = $body.$metadata", True),
        ("$body.$metadata != $body.$metadata", False),
        ("$body.$metadata < $body.$metadata", False),
        ("$body.patch >= $body.patch", True),
        ("$body.nothing != null OR $body.nothing < null", False),
        ("NOT (type = 'x')", True),
        ("type = 'x' OR type = 'y' OR true", True),
        ("true AND (false OR true)", True),
        ("$eventType = 'DigitalTwinTelemetryMessages'", False),
        ("subject = 'it''s'", False),
    ],
)
def test_a_filter_admits_what_it_says(text: str, *, admits: bool) -> None:
    assert parse_filter(text)(EVENT) is admits


def test_the_old_names_of_events_are_still_taken() -> None:
    old = parse_filter("$eventType = 'DigitalTwinTelemetryMessages' or $eventType = 'x'")
    assert old({"type": "microsoft.iot.telemetry"})
    life = parse_filter("$eventType = 'DigitalTwinLifecycleNotification'")
    told = [name for name in ("Create", "Update", "Delete") if life(twin_event(name))]
    assert told == ["Create", "Delete"]
    assert not life({})


def twin_event(name: str) -> dict[str, str]:
    return {"type": f"Microsoft.DigitalTwins.Twin.{name}"}


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("this is not a valid filter string", "Unexpected input 'is'", 6),
        ("", "Unexpected input '<EOF>'", 1),
        ("type =", "Unexpected input '<EOF>'", 7),
        ("type = 'x' true", "Unexpected input 'true'", 12),
        ("(true", "Unexpected input '<EOF>'", 6),
        ("'x' = type", "Unexpected input ''x''", 1),
        ("type = ?", "Unexpected input '?'", 8),
        ("STARTS_WITH(type)", "Unexpected input ')'", 17),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, message: str, position: int) -> None:
    with pytest.raises(QueryError) as raised:
        parse_filter(text)
    assert (raised.value.message, raised.value.position) == (message, position)


def test_a_place_in_a_filter_of_several_lines_is_told_by_its_line() -> None:
    with pytest.raises(QueryError) as refused:
        parse_filter("type = 'x'\n  AND ?")
    assert (refused.value.line, refused.value.position) == (2, 7)


def test_a_filter_is_bounded_in_length_and_depth() -> None:
    with pytest.raises(QueryError, match="longer"):
        parse_filter("true OR " * 2_000 + "true")
    with pytest.raises(QueryError, match="too deep"):
        parse_filter("(" * 50 + "true" + ")" * 50)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        admits = parse_filter(text)
    except QueryError:
        return
    assert admits(EVENT) in (True, False)
