"""Several sources read side by side, and what becomes of one that does not answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sync_agent.agent.desired_graph import InventoryReader, read_desired
from sync_agent.agent.inventory_sources import NamedSource
from sync_agent.errors import InputError, SettingsError, UnreachableError
from sync_agent.inventory.record import complete_scopes
from sync_agent.settings.settings import Settings, load_settings
from sync_agent.sources.teiv import TeivSource
from tests.inventory_server import InventoryServer, serving
from tests.telecom_mapping import DEVICE, LINK, ROUTER, edge_rule, telecom, twin_rule

FEED = "dtmi:telecom:power:MainsFeed;1"

DCIM = twin_rule(
    "devices",
    DEVICE,
    'aliases = ["serial:{serial}"]',
    "[twin.properties]",
    'displayLabel = "{name}"',
    id_="device-{id}",
)
EMS = (
    twin_rule("nodes.csv", ROUTER, 'aliases = ["serial:{serial}"]', 'columns = ["softwareVersion"]')
    + twin_rule("links.csv", LINK)
    + edge_rule("links.csv", "aEnd", "{a}")
)


def settings_of(folder: Path, url: str, **extra: str) -> Settings:
    (folder / "dcim.toml").write_text(DCIM)
    (folder / "ems.toml").write_text(EMS)
    (folder / "nodes.csv").write_text("id,serial,softwareVersion\nne-1,77,7.2\n")
    (folder / "links.csv").write_text("id,a\nL1,ne-1\n")
    more = "".join(f"{key} = {value}\n" for key, value in extra.items())
    (folder / "sync-agent.toml").write_text(
        f'[[inventory.sources]]\nname = "dcim"\nkind = "netbox"\nurl = "{url}"\n'
        f'mapping = "dcim.toml"\nretry_for_s = 0\n{more}'
        '[[inventory.sources]]\nname = "ems"\nkind = "files"\npath = "."\nmapping = "ems.toml"\n'
    )
    return load_settings(folder / "sync-agent.toml", {}, {}).settings


BOX = {"id": 5, "name": "core-1", "serial": "77", "last_updated": "2026-01-01T00:00:00Z"}


async def test_two_sources_make_one_graph(tmp_path: Path) -> None:
    async with serving(InventoryServer({"devices": [BOX]})) as server:
        desired = await read_desired(settings_of(tmp_path, server.url), telecom())
    assert desired.diagnostics == ()
    assert desired.records == 3
    assert complete_scopes(desired.coverage) == {"dcim/devices", "ems/nodes.csv", "ems/links.csv"}
    twin = desired.graph.twins["device-5"]
    assert twin.model == ROUTER
    assert (twin.properties["displayLabel"], twin.properties["softwareVersion"]) == (
        "core-1",
        "7.2",
    )
    (edge,) = desired.graph.relationships.values()
    assert edge.target == "device-5"


async def test_sources_whose_mappings_name_different_owners_have_that_of_the_settings(
    tmp_path: Path,
) -> None:
    async with serving(InventoryServer({"devices": [BOX]})) as server:
        settings = settings_of(tmp_path, server.url)
        (tmp_path / "ems.toml").write_text('owner = "ems"\n' + EMS)
        with pytest.raises(InputError, match="owner") as raised:
            await read_desired(settings, telecom())
        assert "or inventory.owner for all" in raised.value.remedy
        digests = []
        for owner in ("network", "other"):
            inventory = settings.inventory.model_copy(update={"owner": owner})
            named = settings.model_copy(update={"inventory": inventory})
            desired = await read_desired(named, telecom())
            assert desired.graph.owner.name == owner
            assert desired.graph.twins["device-5"].properties["tags"] == {"managedBy": owner}
            digests.append(desired.digest)
    assert digests[0] != digests[1]


async def test_one_of_several_that_does_not_answer_is_unread_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    desired = await read_desired(settings_of(tmp_path, "http://127.0.0.1:1"), telecom())
    assert complete_scopes(desired.coverage) == {"ems/nodes.csv", "ems/links.csv"}
    (fault,) = desired.diagnostics
    assert fault.place == "source dcim"
    assert "cannot be reached" in fault.message
    assert "ne-1" in desired.graph.held  # its id in the other source is not known now
    assert "L1" in desired.graph.twins


async def test_a_wrong_token_names_no_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong\n")
    server = InventoryServer({"devices": [BOX]}, token="right")
    async with serving(server):
        settings = settings_of(tmp_path, server.url, auth='"token"', token_file='"token"')
        desired = await read_desired(settings, telecom())
        assert "403" in desired.diagnostics[0].message
        assert "wrong" not in str(desired.diagnostics)
        (tmp_path / "token").write_text("right\n")  # renewed while the agent runs
        assert (await read_desired(settings, telecom())).diagnostics == ()


async def test_when_no_source_answers_there_is_no_graph(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "http://127.0.0.1:1")
    only = settings.inventory.model_copy(update={"sources": settings.inventory.sources[:1]})
    with pytest.raises(UnreachableError):
        await read_desired(settings.model_copy(update={"inventory": only}), telecom())


async def test_a_mistake_in_a_mapping_is_an_error_and_no_group_of_errors(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "http://127.0.0.1:1")
    mapping = tmp_path / "ems.toml"
    mapping.write_text(mapping.read_text().replace("nodes.csv", "nodes.xlsx"))
    with pytest.raises(InputError, match=r"nodes\.xlsx is no file this source reads"):
        await read_desired(settings, telecom())


async def test_a_file_that_is_missing_leaves_the_other_sources_going(tmp_path: Path) -> None:
    async with serving(InventoryServer({"devices": [BOX]})) as server:
        settings = settings_of(tmp_path, server.url)
        (tmp_path / "nodes.csv").unlink()
        desired = await read_desired(settings, telecom())
    assert "device-5" in desired.graph.twins
    assert [str(fault) for fault in desired.diagnostics] == [
        f"{tmp_path / 'nodes.csv'}: is not there"
    ]
    assert complete_scopes(desired.coverage) == {"dcim/devices", "ems/links.csv"}


async def test_the_digest_changes_with_records_and_with_the_mapping(tmp_path: Path) -> None:
    async with serving(InventoryServer({"devices": [BOX]})) as server:
        settings = settings_of(tmp_path, server.url)
        digests = [(await read_desired(settings, telecom())).digest for _ in range(2)]
        assert digests[0] == digests[1]
        (tmp_path / "ems.toml").write_text("# changed\n" + EMS)
        digests.append((await read_desired(settings, telecom())).digest)
        server.tables["devices"][0]["name"] = "other"
        digests.append((await read_desired(settings, telecom())).digest)
    assert len(set(digests)) == 3


async def test_a_reader_that_is_kept_asks_for_what_changed(tmp_path: Path) -> None:
    async with serving(InventoryServer({"devices": [BOX]})) as server:
        async with InventoryReader.of(settings_of(tmp_path, server.url)) as reader:
            await reader.read(telecom())
            server.requests.clear()
            await reader.read(telecom())
        assert "last_updated__gte" in server.asked("/api/dcim/devices/")[0]


def test_a_token_over_plain_http_is_refused_at_once(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "http://netbox.example", auth='"token"', token='"t"')
    with pytest.raises(SettingsError, match="is not https"):
        InventoryReader.of(settings)


def test_a_sign_in_of_azure_is_refused_elsewhere(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "https://netbox.example", auth='"default"')
    with pytest.raises(SettingsError, match="is for twin instances"):
        InventoryReader.of(settings)


POWERED = f"""{twin_rule("nodes.csv", ROUTER)}{twin_rule("feeds.csv", FEED)}
{edge_rule("nodes.csv", "poweredBy", "{feed}")}"""


def powered(folder: Path, rules: str = "") -> Settings:
    (folder / "nodes.csv").write_text("id,feed\nR,F\n")
    (folder / "feeds.csv").write_text("id\nF\n")
    (folder / "mapping.toml").write_text(POWERED)
    (folder / "rules.toml").write_text(rules)
    given = 'dependency_rules = "rules.toml"\n' if rules else ""
    (folder / "sync-agent.toml").write_text(
        '[inventory]\nsource = "."\nmapping = "mapping.toml"\nderive_dependencies = true\n' + given
    )
    return load_settings(folder / "sync-agent.toml", {}, {}).settings


async def test_typed_relationships_become_dependencies_when_asked(tmp_path: Path) -> None:
    desired = await read_desired(powered(tmp_path), telecom())
    edges = desired.graph.relationships
    assert {(e.source, e.name, e.target) for e in edges.values()} == {
        ("R", "poweredBy", "F"),
        ("R", "dependsOn", "F"),
    }
    assert desired.diagnostics == ()


RULE = f"""[[rule]]
name = "power"
relationship = "poweredBy"
model = "{ROUTER}"
protection = "partial"
because = "x"
"""


async def test_own_rules_take_the_place_of_the_shipped_ones(tmp_path: Path) -> None:
    whole = await read_desired(powered(tmp_path, RULE), telecom())
    none = await read_desired(powered(tmp_path, RULE.replace("partial", "none")), telecom())
    assert len(whole.graph.relationships) - len(none.graph.relationships) == 1
    assert whole.digest != none.digest


async def test_rules_about_what_is_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has a relationship feeds"):
        await read_desired(powered(tmp_path, RULE.replace("poweredBy", "feeds")), telecom())
    idle = await read_desired(powered(tmp_path, RULE.replace("Router", "Modem")), telecom())
    assert [str(d).partition("rules.toml: ")[2] for d in idle.diagnostics] == [
        "rule 1 (power) is about dtmi:telecom:transport:Modem;1, which is not there"
    ]


async def test_what_sources_gave_as_before_is_not_mapped_again(tmp_path: Path) -> None:
    (tmp_path / "dcim.toml").write_text(DCIM)
    async with serving(InventoryServer({"devices": [BOX]})) as server:
        registry = telecom()
        async with InventoryReader.of(settings_of(tmp_path, server.url)) as reader:
            first = await reader.read(registry)
            assert await reader.read(registry) is first
            (tmp_path / "nodes.csv").write_text("id,serial,softwareVersion\nne-1,77,7.3\n")
            second = await reader.read(registry)
            assert second.graph.twins["device-5"].properties["softwareVersion"] == "7.3"
            (tmp_path / "ems.toml").write_text(EMS.replace("softwareVersion", "serial"))
            assert await reader.read(registry) is not second
            assert await reader.read(telecom()) is not second


async def test_a_relationship_that_goes_without_ever_being_read_is_seen_by_the_next_reading(
    tmp_path: Path,
) -> None:
    kind = "ODUFUNCTION_PROVIDES_NRCELLDU"
    (tmp_path / "mapping.toml").write_text(
        twin_rule("NRCellDU", DEVICE, id_="{$id}")
        + edge_rule(kind, "dependsOn", "{$bSide}", source="{$aSide}")
    )
    events = tmp_path / "events"
    events.mkdir()
    (events / "0.json").write_text("{")  # not everything was read, so nothing goes by itself
    source = TeivSource(folder=events)
    gone = {"id": "r1", "aSide": "du1", "bSide": "c1"}
    event = {
        "type": "ran-logical-topology.delete",
        "specversion": "1.0",
        "data": {"relationships": [{f"o-ran-smo-teiv-ran:{kind}": [gone]}]},
    }
    async with InventoryReader([NamedSource("", source, tmp_path / "mapping.toml")]) as reader:
        assert (await reader.read(telecom())).graph.gone == frozenset()
        (events / "1.json").write_text(json.dumps(event))
        found = await reader.read(telecom())
        assert found.graph.gone == {"du1/inventory.dependsOn.c1"}
        assert await reader.read(telecom()) is found
