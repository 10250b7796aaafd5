import json
from typing import Any

import pytest

from sync_agent.reconcile.change import Action, Change
from sync_agent.reconcile.import_file import import_lines, refused
from sync_agent.twins.twin import Relationship, Twin

TWIN = Change(
    Action.CREATE, twin=Twin("S1", "dtmi:test:Site;1", {"label": "Nörd", "health": {}}, etag="x")
)
EDGE = Change(
    Action.CREATE, relationship=Relationship("e1", "R1", "locatedIn", "S1", {"weight": 0.5})
)


def lines(*changes: Change) -> list[dict[str, Any]]:
    return [json.loads(line) for line in import_lines(changes)]


def test_the_input_has_a_header_and_its_sections_in_order() -> None:
    assert lines(TWIN, EDGE) == [
        {"Section": "Header"},
        {"fileVersion": "1.0.0", "author": "sync-agent", "organization": "sync-agent"},
        {"Section": "Twins"},
        {
            "$dtId": "S1",
            "$metadata": {"$model": "dtmi:test:Site;1"},
            "label": "Nörd",
            "health": {},
        },
        {"Section": "Relationships"},
        {
            "$dtId": "R1",
            "$relationshipId": "e1",
            "$relationshipName": "locatedIn",
            "$targetId": "S1",
            "weight": 0.5,
        },
    ]


def test_a_section_without_entries_is_left_out() -> None:
    sections = [line["Section"] for line in lines(EDGE) if "Section" in line]
    assert sections == ["Header", "Relationships"]


def test_each_line_ends_and_holds_no_other_end() -> None:
    text = Change(Action.CREATE, twin=Twin("T", "m", {"text": "one\ntwo\r\u2028three"}))
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in import_lines([text]))


ERROR = {"code": "ValidationFailed", "message": "Invalid twin specified"}


@pytest.mark.parametrize(
    ("details", "found"),
    [
        (
            {"section": "Twins", "entity": "S1", "error": ERROR},
            ("S1", "ValidationFailed Invalid twin specified"),
        ),
        ({"id": "R1/e1", "message": "no target"}, ("R1/e1", "no target")),
        ({"id": "S1"}, ("S1", "the import job refused it")),
        ({"section": "S1", "status": "S1"}, None),
        ({"entity": "other", "error": ERROR}, None),
        ("S1", None),
    ],
)
def test_a_refused_entry_is_known_by_its_name(details: Any, found: Any) -> None:
    assert refused({"logType": "Error", "details": details}, {"S1", "R1/e1"}) == found


def test_what_is_no_error_refuses_nothing() -> None:
    assert refused({"logType": "Info", "details": {"entity": "S1"}}, {"S1"}) is None
    assert refused({}, {"S1"}) is None
