import pytest

from sync_agent.errors import InputError
from sync_agent.inventory.mapping import TWIN_BYTES_MAX, check_columns, parse_mapping
from sync_agent.inventory.record import Coverage, Record
from tests.small_network import (
    LINK,
    LINKS,
    MAPPING,
    ROUTERS,
    SITE,
    SITES,
    UNMARKED,
    mapped,
    records,
)


def test_records_become_twins_with_typed_values_components_and_their_owner() -> None:
    result = mapped()
    assert result.diagnostics == ()
    assert result.desired.twins["S1"].to_document() == {
        "$metadata": {"$model": SITE},
        "label": "North",
        "latitude": 50.5,
        "floors": 3,
        "health": {"$metadata": {}},
        "tags": {"managedBy": "inventory"},
    }


def test_an_empty_cell_is_no_value() -> None:
    twins = mapped().desired.twins
    assert "floors" not in twins["S2"].properties
    assert "label" not in twins["R1"].properties


def test_two_rows_merge_into_one_link() -> None:
    link = mapped().desired.twins["L1"]
    assert link.properties["frequencyAtoZ"] == 18.195
    assert link.properties["frequencyZtoA"] == 19.205


def test_relationships_have_the_owner_in_front_of_their_ids() -> None:
    edges = mapped().desired.relationships
    assert {(e.source, e.name, e.target, e.id) for e in edges.values()} == {
        ("R1", "locatedIn", "S1", "inventory.locatedIn.S1"),
        ("R2", "locatedIn", "S2", "inventory.locatedIn.S2"),
        ("L1", "aEnd", "R1", "inventory.aEnd.R1"),
        ("L1", "zEnd", "R2", "inventory.zEnd.R2"),
    }


def test_an_empty_target_is_no_relationship() -> None:
    result = mapped(records(routers=[{**ROUTERS[0], "site": ""}], links=[]))
    assert result.diagnostics == ()
    assert result.desired.relationships == {}


def test_the_order_of_records_does_not_matter() -> None:
    assert mapped(records()[::-1]).desired == mapped().desired


def test_an_id_used_twice_is_told_with_both_places_and_held() -> None:
    result = mapped(records(sites=[*SITES, SITES[0]]))
    (fault,) = result.diagnostics
    assert fault.place == "sites.csv:4"
    assert "S1 is used twice" in fault.message
    assert "sites.csv:2" in fault.message
    assert "S1" in result.desired.held
    assert "S1" not in result.desired.twins
    assert "S2" in result.desired.twins


def test_an_id_used_by_two_models_is_held() -> None:
    result = mapped(records(routers=[{**ROUTERS[0], "id": "S1"}], links=[]))
    assert "S1" in result.desired.held
    assert "is a dtmi:test:Router;1 here" in result.diagnostics[0].message


def test_rows_of_one_link_that_contradict_each_other_are_told() -> None:
    result = mapped(records(links=[*LINKS, {**LINKS[0], "ghz": "20"}]))
    (fault,) = result.diagnostics
    assert fault.place == "links.csv:4"
    assert "frequencyAtoZ is 20.0, but 18.195 at links.csv:2" in fault.message
    assert "L1" in result.desired.held


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"latitude": "north"}, "latitude must be a number, not 'north'"),
        ({"floors": "3.5"}, "floors must be a whole number"),
        ({"label": "x" * 5000}, "label is longer than 4096 bytes"),
        ({"id": "S" * 129}, "is longer than 128 characters"),
        ({"id": "S\t1"}, "characters that cannot be seen"),
    ],
)
def test_a_cell_that_cannot_be_used_holds_its_element(change: dict[str, str], said: str) -> None:
    result = mapped(records(sites=[{**SITES[0], **change}, SITES[1]], routers=[], links=[]))
    (fault,) = result.diagnostics
    assert fault.place == "sites.csv:2"
    assert said in fault.message
    assert fault.remedy
    assert set(result.desired.twins) == {"S2"}


def test_a_record_without_an_id_leaves_a_gap_in_the_coverage() -> None:
    result = mapped(records(sites=[*SITES, {**SITES[0], "id": ""}]))
    assert result.diagnostics[0].message == "has no id: id is empty"
    assert result.gaps == (Coverage("sites.csv", False, "sites.csv:4 has no id"),)
    assert result.desired.held == frozenset()


def test_a_link_with_a_dangling_end_is_not_made() -> None:
    dangling = {**LINKS[0], "link": "L2", "z": "R9"}
    result = mapped(records(links=[*LINKS, dangling]))
    (fault,) = result.diagnostics
    assert fault.place == "links.csv:4"
    assert fault.message == "zEnd from L2 to R9: there is no R9 in the inventory"
    assert set(result.desired.held) == {"L2", "R9"}
    assert "L2" not in result.desired.twins
    assert ("L2", "inventory.aEnd.R1") not in result.desired.relationships
    assert ("L2", "inventory.zEnd.R9") in result.desired.held_relationships
    assert "L1" in result.desired.twins


def test_every_link_with_the_same_dangling_end_is_told_and_held() -> None:
    two = [{**LINKS[0], "link": name, "z": "R9"} for name in ("L2", "L3")]
    result = mapped(records(links=two))
    assert [fault.place for fault in result.diagnostics] == ["links.csv:2", "links.csv:3"]
    assert {"L2", "L3"} <= result.desired.held


def test_an_edge_to_a_held_element_is_left_without_a_word() -> None:
    result = mapped(records(sites=[{**SITES[0], "latitude": "x"}, SITES[1]], links=[]))
    assert len(result.diagnostics) == 1
    assert ("R1", "inventory.locatedIn.S1") in result.desired.held_relationships
    assert "R1" in result.desired.twins


def test_an_unknown_model_is_told_once_and_holds_its_elements() -> None:
    mapping = MAPPING.replace("dtmi:test:Site;1", "dtmi:test:Site;2")
    result = mapped(mapping=mapping)
    fault = result.diagnostics[0]
    assert fault.place == "mapping.toml:5: twin[1].model"
    assert fault.message == "there is no model dtmi:test:Site;2, but dtmi:test:Site;1"
    assert "models apply" in fault.remedy
    assert {"S1", "S2"} <= result.desired.held
    assert len(result.diagnostics) == 1


def test_a_property_the_model_lacks_is_told_once() -> None:
    mapping = MAPPING.replace('"label", "latitude"', '"lable", "latitude"')
    result = mapped(mapping=mapping)
    (fault,) = result.diagnostics
    assert fault.place == "mapping.toml:6: twin[1].columns"
    assert fault.message == "lable is no property of dtmi:test:Site;1, did you mean label?"


def test_a_model_that_cannot_bear_its_owner_is_told() -> None:
    result = mapped(
        [Record("sites.csv", "2", SITES[0], "sites.csv:2")],
        f'[[twin]]\nfrom = "sites.csv"\nid = "{{id}}"\nmodel = "{UNMARKED}"\n',
    )
    assert "has no text tags.managedBy" in result.diagnostics[0].message
    assert result.desired.twins == {}


def test_a_relationship_the_model_lacks_is_told_once_for_all_records() -> None:
    mapping = MAPPING.replace('"locatedIn"', '"locatedAt"')
    result = mapped(mapping=mapping)
    (fault,) = result.diagnostics
    assert fault.place == "mapping.toml:28: relationship[1].name"
    assert "did you mean locatedIn?" in fault.message
    assert {"R1", "R2"} <= set(result.desired.twins)


def test_a_target_of_the_wrong_model_is_told() -> None:
    result = mapped(records(routers=[{**ROUTERS[0], "site": "L1"}, ROUTERS[1]]))
    (fault,) = result.diagnostics
    assert f"locatedIn leads to a {SITE}, but L1 is a {LINK}" in fault.message


def test_a_relationship_to_itself_is_told() -> None:
    result = mapped(records(links=[{**link, "a": "L1"} for link in LINKS]))
    assert "L1 has aEnd to itself" in result.diagnostics[0].message


def test_a_twin_larger_than_the_service_takes_is_told() -> None:
    tags = "\n".join(f'"tags.t{i}" = "{{text}}"' for i in range(10))
    mapping = MAPPING.split("[[twin]]")[1]
    text = f"[[twin]]{mapping}\n[twin.properties]\n{tags}\n"
    row = {**SITES[0], "text": "x" * 4000}
    result = mapped([Record("sites.csv", "2", row, "sites.csv:2")], text)
    assert f"larger than {TWIN_BYTES_MAX} bytes" in result.diagnostics[0].message


def test_properties_of_relationships_are_typed_and_checked() -> None:
    text = MAPPING + (
        '[[relationship]]\nfrom = "deps.csv"\nsource = "{s}"\nname = "dependsOn"\n'
        'target = "{t}"\ncolumns = ["weight"]\n'
    )
    good = Record("deps.csv", "2", {"s": "R1", "t": "R2", "weight": "0.5"}, "deps.csv:2")
    bad = Record("deps.csv", "3", {"s": "R2", "t": "R1", "weight": "much"}, "deps.csv:3")
    result = mapped([*records(), good, bad], text)
    edges = result.desired.relationships
    assert edges["R1", "inventory.dependsOn.R2"].properties == {"weight": 0.5}
    assert ("R2", "inventory.dependsOn.R1") not in edges
    assert result.diagnostics[0].message == "dependsOn: weight must be a number, not 'much'"


def test_the_same_edge_with_different_properties_is_told() -> None:
    text = MAPPING + (
        '[[relationship]]\nfrom = "deps.csv"\nsource = "{s}"\nname = "dependsOn"\n'
        'target = "{t}"\ncolumns = ["weight"]\n'
    )
    twice = [
        Record("deps.csv", str(n), {"s": "R1", "t": "R2", "weight": f"{n}"}, f"deps.csv:{n}")
        for n in (2, 3)
    ]
    result = mapped([*records(), *twice], text)
    assert "is different at deps.csv:2" in result.diagnostics[0].message
    assert ("R1", "inventory.dependsOn.R2") in result.desired.held_relationships


def test_an_edge_without_a_source_leaves_a_gap() -> None:
    text = MAPPING + (
        '[[relationship]]\nfrom = "deps.csv"\nsource = "{s}"\nname = "dependsOn"\ntarget = "{t}"\n'
    )
    result = mapped([*records(), Record("deps.csv", "2", {"t": "R1"}, "deps.csv:2")], text)
    assert result.gaps == (Coverage("deps.csv", False, "deps.csv:2 has no source"),)


def test_a_column_that_is_not_there_is_told_with_those_that_are() -> None:
    columns = {
        "sites.csv": ("id", "label", "lattitude", "floors"),
        "routers.csv": tuple(ROUTERS[0]),
        "links.csv": tuple(LINKS[0]),
    }
    with pytest.raises(InputError) as raised:
        check_columns(parse_mapping(MAPPING, place="mapping.toml"), columns)
    assert raised.value.message == (
        "mapping.toml:6: twin[1].columns: sites.csv has no column 'latitude',"
        " did you mean lattitude?"
    )
    assert raised.value.remedy == "sites.csv has id, label, lattitude, floors"


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(InputError, match=r"there is no sites\.csv in the source"):
        check_columns(parse_mapping(MAPPING, place="mapping.toml"), {})
