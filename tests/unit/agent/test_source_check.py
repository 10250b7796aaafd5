"""Each source is looked at for itself: what answers, what it has, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from sync_agent.agent.source_check import check_sources
from sync_agent.errors import ServiceError
from tests.inventory_server import InventoryServer, serving
from tests.unit.agent.test_desired_graph import BOX, settings_of


async def test_each_source_says_what_answers(tmp_path: Path) -> None:
    async with serving(InventoryServer(version="4.2.1")) as server:
        dcim, ems = await check_sources(settings_of(tmp_path, server.url), read=False)
    assert (dcim.name, dcim.kind, dcim.answer) == (
        "dcim",
        "netbox",
        f"NetBox 4.2.1 at {server.url}",
    )
    assert (ems.name, ems.kind, ems.faults) == ("ems", "files", ())


async def test_what_answers_and_is_no_netbox_is_told_and_the_next_is_looked_at(
    tmp_path: Path,
) -> None:
    async with serving(InventoryServer(version="")) as server:
        server.version = None  # type: ignore[assignment]
        dcim, ems = await check_sources(settings_of(tmp_path, server.url), read=False)
    (fault,) = dcim.faults
    assert isinstance(fault, ServiceError)
    assert "is no NetBox" in fault.message
    assert ems.answer


async def test_a_reading_says_what_each_scope_really_gave(tmp_path: Path) -> None:
    async with serving(InventoryServer({"devices": [BOX]})) as server:
        settings = settings_of(tmp_path, server.url)
        (tmp_path / "links.csv").unlink()
        dcim, ems = await check_sources(settings, read=True)
    assert [(s.coverage.scope, s.coverage.complete, s.records) for s in dcim.scopes] == [
        ("devices", True, 1)
    ]
    assert [(s.coverage.scope, s.coverage.complete, s.records) for s in ems.scopes] == [
        ("nodes.csv", True, 1),
        ("links.csv", False, 0),
    ]
    (fault,) = ems.faults
    assert fault.message.endswith("links.csv: is not there")
