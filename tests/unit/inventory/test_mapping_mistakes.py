"""Mistakes people make in a mapping: each is told once, with file, line, element and a remedy."""

from __future__ import annotations

import pytest

from sync_agent.errors import InputError
from sync_agent.inventory.mapping import check_columns, map_records, parse_mapping
from sync_agent.inventory.record import Record, RecordDiagnostic
from tests.telecom_mapping import telecom

MAPPING = """\
[[twin]]
from = "sites.csv"
id = "{site}"
model = "dtmi:telecom:place:Site;1"
columns = ["displayLabel"]

[twin.properties]
latitude = { column = "lat" }

[[relationship]]
from = "sites.csv"
source = "{site}"
name = "partOf"
target = "{region}"
"""
TWIN = MAPPING[: MAPPING.index("[twin.properties]")]
ROWS = [{"site": f"S{n}", "displayLabel": "One", "lat": "5.5", "region": f"R{n}"} for n in range(3)]


def findings(text: str) -> list[RecordDiagnostic]:
    """Return what is wrong with a mapping, whichever step finds it."""
    try:
        mapping = parse_mapping(text, place="mapping.toml")
        check_columns(mapping, {"sites.csv": tuple(ROWS[0])})
    except InputError as error:
        message = error.message.removeprefix(f"{error.place}: ")
        return [RecordDiagnostic(error.place, message, error.remedy)]
    records = [Record("sites.csv", str(n), row, f"sites.csv:{n}") for n, row in enumerate(ROWS, 2)]
    return list(map_records(mapping, records, telecom()).diagnostics)


def test_the_mapping_itself_is_sound() -> None:
    assert findings(MAPPING) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("columns =", "column =", 5, "twin[1].column: is not a key there is, did you mean columns"),
        ('id = "{site}"', "id = 5", 3, "twin[1].id: must be text"),
        ('id = "{site}"', 'id = "{site}', 3, "is not TOML: Illegal character"),
        ('id = "{site}"', 'id == "{site}"', 3, "is not TOML: Invalid value"),
        ('id = "{site}"', 'id = "{site}"\nid = "x"', 4, "is not TOML: Cannot overwrite"),
        ('id = "{site}"\n', "", 1, "twin[1]: has no id"),
        ('id = "{site}"', 'id = "{site"', 3, "has a brace that does not enclose a column name"),
        ('id = "{site}"', 'id = "{}"', 3, "has a brace that does not enclose a column name"),
        ('id = "{site}"', 'id = "{sight}"', 3, "has no column 'sight', did you mean site?"),
        ('"lat"', '"lta"', 8, "sites.csv has no column 'lta', did you mean lat?"),
        ("sites.csv", "site.csv", 3, "there is no site.csv in the source"),
        ("sites.csv", "../sites.csv", 2, "is not the name of a file in the source's folder"),
        ("[[twin]]", "[twin]", 1, "twin: is written [[twin]]"),
        ("Site;1", "Sit;1", 4, "there is no model dtmi:telecom:place:Sit;1, did you mean"),
        ("Site;1", "Site;7", 4, "there is no model dtmi:telecom:place:Site;7, but dtmi:telecom"),
        ("dtmi:telecom:place:Site;1", "Site", 4, "'Site' is not a model id such as"),
        ("latitude", "lattitude", 8, "lattitude is no property of dtmi:telecom:place:Site;1, did"),
        ("latitude", '"health.scor"', 8, "scor is no property of component health, did you mean"),
        ("latitude", '"tags.managedBy"', 7, "tags.managedBy bears the owner"),
        ("latitude", '"a.b.c.d"', 8, "must be 1 to 3 names"),
        ('column = "lat"', 'column = "lat", own = "x"', 8, "must be one of managed, initial-only"),
        ('column = "lat"', 'column = "lat", value = 1', 8, "needs either column or value"),
        ('column = "lat"', 'column = "lat", scale = "x"', 8, "must be a number above 0"),
        ('column = "lat"', 'column = "lat", map = ["a"]', 8, "map: must be a table"),
        ('{ column = "lat" }', "2026-01-01", 8, "is a TOML time; write it in quotes"),
        ("columns =", 'when = "x"\ncolumns =', 5, "twin[1].when: must be a table"),
        ('["displayLabel"]', '["displayLabel", "latitude"]', 5, "which properties has too"),
        ('"partOf"', '"partOff"', 13, "has no relationship partOff, did you mean partOf?"),
        (
            "[[relationship]]",
            f"{TWIN}\n[[relationship]]",
            10,
            "twin[2]: makes the same as twin[1] (mapping.toml:1)",
        ),
        ("target =", 'placeholder = "Region"\ntarget =', 14, "'Region' is not a model id"),
    ],
)
def test_a_mistake_is_told_with_its_line(old: str, new: str, line: int, said: str) -> None:
    (finding,) = findings(MAPPING.replace(old, new))
    assert finding.place.partition(": ")[0] == f"mapping.toml:{line}"
    assert said in str(finding)
    assert finding.remedy


def test_a_rule_for_a_relationship_that_is_there_twice_is_told() -> None:
    again = MAPPING[MAPPING.index("[[relationship]]") :]
    (finding,) = findings(f"{MAPPING}\n{again}")
    assert str(finding).startswith(
        "mapping.toml:16: relationship[2]: makes the same as relationship[1] (mapping.toml:10)"
    )


def test_rules_that_differ_in_their_records_or_are_merged_are_not_the_same() -> None:
    by_type = MAPPING.replace("columns =", 'when = { lat = "5.5" }\ncolumns =', 1)
    other = MAPPING[: MAPPING.index("[[rel")].replace("columns =", 'unless = { lat = "5.5" }\n#', 1)
    assert findings(f"{by_type}\n{other}") == []


def test_a_placeholder_of_a_model_that_is_not_there_is_told_with_its_line() -> None:
    text = f'{MAPPING}placeholder = "dtmi:telecom:place:Nowhere;1"\n'
    assert str(findings(text)[0]).startswith(
        "mapping.toml:15: relationship[1].placeholder: there is no model dtmi:telecom:place:Nowhere"
    )


def test_a_mapping_that_is_nested_too_deeply_is_told() -> None:
    (finding,) = findings(f"a = {'[' * 2000}{']' * 2000}\n{MAPPING}")
    assert "nested too deeply" in finding.message
