"""The published JSON Schema of a mapping says what the reader says."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sync_agent.errors import InputError
from sync_agent.inventory.rules_file import parse_mapping

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "schemas" / "mapping.schema.json").read_text("utf-8"))
MAPPINGS = [
    *(ROOT / "sync_agent" / "defaults" / f"{kind}.toml" for kind in ("netbox", "teiv", "tmf639")),
    ROOT / "sync_agent" / "sample" / "mapping.toml",
    *sorted((ROOT / "examples").rglob("mapping.toml")),
]
EVERY_KEY = """
owner = "me"
marker = "tags.managedBy"
placeholders = false
[[twin]]
from = "a.csv"
id = "{id}"
model = "dtmi:x:A;1"
when = { kind = ["a", "b"] }
unless = { state = "gone" }
columns = ["one"]
merge = true
aliases = ["n:{name}"]
hints = ["s:{serial}"]
precedence = 2
[twin.properties]
two = "{two}"
three = 3
four = [1, 2]
five = { column = "five", when = { x = "1" }, unless = { y = "*" }, own = "observed", scale = 10 }
six = { value = "{six}", map = { up = true }, precedence = 1, decimal_comma = true }
[[relationship]]
from = "a.csv"
source = "{id}"
name = "near"
target = "{other}"
id = "{id}"
when = { kind = "a" }
unless = { kind = "b" }
columns = ["weight"]
placeholder = { source = "dtmi:x:A;1", target = "dtmi:x:B;1" }
vanished = "drop"
containment = true
[relationship.properties]
since = "{since}"
"""


def agree(text: str) -> bool:
    """Return whether both take a mapping; they must not differ."""
    by_schema = Draft202012Validator(SCHEMA).is_valid(tomllib.loads(text))
    try:
        parse_mapping(text, place="m.toml")
    except InputError:
        assert not by_schema
        return False
    assert by_schema
    return True


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_mapping_we_ship_fits(path: Path) -> None:
    assert agree(path.read_text(encoding="utf-8"))


def test_a_mapping_with_every_key_fits() -> None:
    assert agree(EVERY_KEY)


def test_the_schema_has_no_key_that_is_not_there() -> None:
    shown = tomllib.loads(EVERY_KEY)
    definitions: dict[str, Any] = SCHEMA["$defs"]
    assert SCHEMA["properties"].keys() == shown.keys()
    assert definitions["twinRule"]["properties"].keys() == shown["twin"][0].keys()
    assert definitions["relationshipRule"]["properties"].keys() == shown["relationship"][0].keys()
    used = shown["twin"][0]["properties"]
    assert definitions["property"]["properties"].keys() == used["five"].keys() | used["six"].keys()


@pytest.mark.parametrize("scope", ["vpn/tunnels", "plugins/bgp/session", "*.graphml#nodes"])
def test_a_scope_may_be_a_path_as_long_as_it_names_no_file(scope: str) -> None:
    assert agree(EVERY_KEY.replace('from = "a.csv"', f'from = "{scope}"'))


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('owner = "me"', 'owner = "Me!"'),
        ("placeholders = false", 'placeholders = "no"'),
        ('from = "a.csv"', 'from = "../a.csv"'),
        ('from = "a.csv"', 'from = "inside/a.csv"'),
        ('from = "a.csv"', 'from = "/etc/passwd"'),
        ('id = "{id}"\nmodel', "model"),
        ('model = "dtmi:x:A;1"', 'model = "A"'),
        ("merge = true", "merge = 1"),
        ("merge = true", "merg = true"),
        ("precedence = 2", 'precedence = "2"'),
        ("scale = 10", "scale = 0"),
        ('own = "observed"', 'own = "seen"'),
        ('column = "five"', 'column = "five", value = "6"'),
        ('name = "near"', "name = 1"),
        ("containment = true", "containment = 0"),
        ('vanished = "drop"', 'vanished = "delete"'),
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(was: str, now: str) -> None:
    assert was in EVERY_KEY
    assert not agree(EVERY_KEY.replace(was, now, 1))
