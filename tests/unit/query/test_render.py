from __future__ import annotations

import pytest

from sync_agent.query.parser import parse
from sync_agent.query.render import render


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM DIGITALTWINS",
        "SELECT TOP(5) T.a AS [[SELECT]], [[the key]] FROM DIGITALTWINS T",
        "SELECT COUNT() FROM RELATIONSHIPS r WHERE r.$sourceId IN ['a', 'b']",
        "SELECT R, C FROM DIGITALTWINS T JOIN C RELATED T.has R WHERE T.$dtId = 'D\\'S'",
        "SELECT b FROM DIGITALTWINS MATCH (a)<-[r:has|is]-()-[*2..4]->(b)-[*..3]-() WHERE a.x = 1",
        "SELECT * FROM DIGITALTWINS WHERE NOT (a = 1 OR b NIN [1.5, NULL]) AND IS_NULL(c)",
        "SELECT * FROM DIGITALTWINS WHERE d < TRUE OR CONTAINS(a, '\\\\')",
        "SELECT * FROM DIGITALTWINS WHERE ARRAY_CONTAINS(b, -1)",
        "SELECT * FROM DIGITALTWINS T WHERE IS_OF_MODEL(T, 'dtmi:a;1', exact)",
        "SELECT * FROM DIGITALTWINS [[match]] WHERE IS_OF_MODEL('dtmi:a;1')",
    ],
)
def test_a_query_in_its_plainest_form_is_written_as_it_was_read(text: str) -> None:
    assert render(parse(text)) == text
