from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_agent.sources.json_place import place_of


def line_of(text: str, pointer: str) -> int:
    return place_of(text, pointer)[0]


TEXT = """{
  "@id": "x",
  "contents": [
    {"name": "a"},
    {
      "name": "b",
      "a/b": {"c~d": 1}
    }
  ]
}
"""


def test_a_pointer_leads_to_its_line() -> None:
    assert line_of(TEXT, "") == 1
    assert line_of(TEXT, "/@id") == 2
    assert line_of(TEXT, "/contents/0/name") == 4
    assert line_of(TEXT, "/contents/1/name") == 6
    assert line_of(TEXT, "/contents/1/a~1b/c~0d") == 7


def test_a_pointer_leads_to_its_column() -> None:
    assert place_of(TEXT, "") == (1, 1)
    assert place_of(TEXT, "/@id") == (2, 10)
    assert place_of(TEXT, "/contents/0/name") == (4, 14)
    assert place_of('[1, {"a": "\U0001f4e1", "b": 2}]', "/1/b") == (1, 21)


def test_what_is_missing_is_on_the_line_of_what_should_hold_it() -> None:
    assert line_of(TEXT, "/contents/1/schema") == 5
    assert line_of(TEXT, "/contents/7/name") == 3
    assert line_of(TEXT, "/@id/x") == 2


documents = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=10,
)


def pointers(value: Any, prefix: str = "") -> list[str]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    found = [prefix]
    for key, item in inner:
        name = str(key).replace("~", "~0").replace("/", "~1")
        found += pointers(item, f"{prefix}/{name}")
    return found


@settings(deadline=None)
@given(document=documents)
def test_lines_grow_along_any_document_written_a_value_a_line(document: Any) -> None:
    text = json.dumps(document, indent=1)
    lines = [line_of(text, pointer) for pointer in pointers(document)]

    assert lines[0] == 1
    assert lines == sorted(lines)
    assert len(set(lines)) == len(lines)
