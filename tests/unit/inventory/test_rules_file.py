from pathlib import Path

import pytest

from sync_agent.errors import InputError
from sync_agent.inventory.desired import Ownership
from sync_agent.inventory.rules import with_decimal_point
from sync_agent.inventory.rules_file import parse_mapping
from sync_agent.inventory.template import Template
from tests.small_network import MAPPING

TWIN = '[[twin]]\nfrom = "a.csv"\nid = "{id}"\nmodel = "dtmi:test:Site;1"\n'
EDGE = '[[relationship]]\nfrom = "a.csv"\nsource = "{id}"\nname = "x"\ntarget = "{t}"\n'


def test_a_mapping_is_read_with_its_scopes_in_order() -> None:
    mapping = parse_mapping(MAPPING, place="m.toml")
    assert mapping.scopes == ("sites.csv", "routers.csv", "links.csv")
    assert mapping.owner.name == "inventory"
    assert mapping.owner.marker == ("tags", "managedBy")


def test_columns_templates_constants_and_conditions_become_rules() -> None:
    text = TWIN + (
        'columns = ["label"]\n[twin.properties]\nfloors = 3\n"tags.kind" = "x-{kind}"\n'
        'latitude = { column = "lat", when = { zone = ["a", "b"] }, own = "initial-only" }\n'
    )
    (rule,) = parse_mapping(text, place="m.toml").twins
    by_name = {prop.name: prop for prop in rule.properties}
    assert by_name["label"].value == Template.of_column("label")
    assert by_name["floors"].value == 3
    assert by_name["tags.kind"].path == ("tags", "kind")
    latitude = by_name["latitude"]
    assert latitude.ownership is Ownership.INITIAL_ONLY
    assert latitude.when[0].holds({"zone": "b"})
    assert not latitude.when[0].holds({"zone": "c"})
    assert latitude.key == "twin[1].properties.latitude"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = [", "is not TOML"),
        ("", "has no [[twin]]"),
        ('owner = "Me!"\n' + TWIN, "owner: must be 1 to 32 of"),
        ("ownr = 1\n" + TWIN, "ownr: is not a key there is, did you mean owner?"),
        (TWIN + 'modle = "x"\n', "twin[1].modle: is not a key there is, did you mean model?"),
        ('[[twin]]\nfrom = "a.csv"\nid = "{id}"\n', "twin[1]: has no model"),
        (TWIN.replace("dtmi:test:Site;1", "Site"), "'Site' is not a model id"),
        (TWIN.replace("a.csv", "../a.csv"), "not the name of a file"),
        (TWIN.replace('"{id}"', '"{id"'), "has a brace that does not enclose"),
        (TWIN.replace('"{id}"', "7"), "twin[1].id: must be text"),
        (TWIN + "merge = 1\n", "merge: must be true or false"),
        (TWIN + "columns = [1]\n", "columns: must be a list of texts"),
        (TWIN + "[twin.properties]\nx = { colum = 'y' }\n", "needs either column or value"),
        (
            TWIN + "[twin.properties]\nx = { column = 'y', own = 'mine' }\n",
            "must be one of managed",
        ),
        (TWIN + "[twin.properties]\nx = { column = 'y', wen = {} }\n", "did you mean when?"),
        (TWIN + "[twin.properties]\nx = 2024-01-01\n", "is a TOML time; write it in quotes"),
        (TWIN + "[twin.properties]\ntags.x = 'y'\n", "quote a dotted property name"),
        (TWIN + "[twin.properties]\n'a.b.c.d' = 'y'\n", "must be 1 to 3 names"),
        (TWIN + "[twin.properties]\n'tags.managedBy' = 'y'\n", "bears the owner"),
        (TWIN + "[twin.properties]\ntags = '{x}'\n'tags.a' = 'y'\n", "and a part of it"),
        (TWIN + "columns = ['x']\n[twin.properties]\nx = 'y'\n", "which properties has too"),
        (TWIN + "when = { a = 1 }\n", "when.a: must be text or a list of texts"),
        (TWIN + EDGE.replace("[[relationship]]", "[relationship]"), "is written [[relationship]]"),
        (TWIN + EDGE + "[relationship.properties]\n'a.b' = 'x'\n", "are for twins only"),
    ],
)
def test_a_mistake_in_a_mapping_names_file_and_key(text: str, said: str) -> None:
    with pytest.raises(InputError, match=r"^m\.toml(:\d+)?: ") as raised:
        parse_mapping(text, place="m.toml")
    assert said in raised.value.message
    assert raised.value.remedy


def test_too_many_rules_are_refused() -> None:
    with pytest.raises(InputError, match="the most is 1000"):
        parse_mapping(TWIN * 1001, place="m.toml")


def test_the_mapping_in_the_manual_is_one() -> None:
    page = Path(__file__).parents[3] / "docs" / "inventory.md"
    text = page.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    mapping = parse_mapping(text, place="inventory.md")
    assert mapping.scopes == ("sites.csv", "links.csv")


def test_the_manual_has_every_key_of_a_rule() -> None:
    page = (Path(__file__).parents[3] / "docs" / "inventory.md").read_text(encoding="utf-8")
    keys = "from id model columns properties when merge source target name column value own"
    for key in keys.split():
        assert f"`{key}`" in page
    for word in Ownership:
        assert f"`{word}`" in page


def test_a_mistake_is_told_with_its_line() -> None:
    text = TWIN + 'columns = ["label"]\n\n[twin.properties]\nfloors = { colum = "f" }\n'
    with pytest.raises(InputError) as raised:
        parse_mapping(text, place="m.toml")
    assert raised.value.place == "m.toml:8"


@pytest.mark.parametrize(
    ("cell", "number"),
    [("52,52", "52.52"), ("-1.234.567,8", "-1234567.8"), ("7", "7"), (7.5, 7.5)],
)
def test_numbers_may_be_written_with_a_comma(cell: str | float, number: str | float) -> None:
    mapping = parse_mapping(
        TWIN + '[twin.properties]\nx = { column = "y", decimal_comma = true }\n', place="m.toml"
    )
    assert mapping.twins[0].properties[0].value_for({"y": cell}) == number


@pytest.mark.parametrize("cell", ["52.52", "1,2,3", "1.23,4", "seven"])
def test_what_is_no_number_with_a_comma_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="a number with a decimal comma"):
        with_decimal_point(cell)


def test_words_are_translated_and_numbers_scaled() -> None:
    text = TWIN + (
        "[twin.properties]\n"
        'state = { column = "s", map = { active = "installed", "*" = "planned" } }\n'
        'speed = { column = "kbps", scale = 1000 }\n'
        'role = { column = "r", unless = { r = "none" } }\n'
    )
    state, speed, role = parse_mapping(text, place="m.toml").twins[0].properties
    assert state.value_for({"s": "active"}) == "installed"
    assert state.value_for({"s": "odd"}) == "planned"
    assert state.value_for({"s": None}) is None
    assert speed.value_for({"kbps": 10}) == 10_000
    assert speed.value_for({"kbps": "0.1"}) == 100.0
    assert role.value_for({"r": "none"}) is None
    assert role.value_for({"r": "core"}) == "core"
    with pytest.raises(ValueError, match="must be a number"):
        speed.value_for({"kbps": "fast"})


def test_a_word_without_a_translation_is_refused() -> None:
    text = TWIN + '[twin.properties]\nstate = { column = "s", map = { a = "b" } }\n'
    (rule,) = parse_mapping(text, place="m.toml").twins[0].properties
    with pytest.raises(ValueError, match="'x' has no entry in its map"):
        rule.value_for({"s": "x"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TWIN + "precedence = true\n", "precedence: must be a whole number"),
        (TWIN + "aliases = 'x'\n", "aliases: must be a list of texts"),
        (TWIN + "[twin.properties]\nx = { column = 'y', scale = 0 }\n", "a number above 0"),
        (TWIN + "[twin.properties]\nx = { column = 'y', map = { a = [] } }\n", "must be text, a"),
        (TWIN + EDGE + "placeholder = 'Site'\n", "'Site' is not a model id"),
        (TWIN + EDGE + "vanished = 'gone'\n", "must be hold or drop, not 'gone'"),
        (TWIN + EDGE + "placeholder = 1\n", "must be true, false, a model id"),
        (TWIN + EDGE + "placeholder = { sauce = 'x' }\n", "is not a key there is"),
        (TWIN + EDGE + "containment = 'x'\n", "containment: must be true or false"),
    ],
)
def test_a_mistake_in_the_further_keys_is_told(text: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_mapping(text, place="m.toml")
    assert said in raised.value.message or said in str(raised.value)
