"""The running agent's passes over its inventory, against the stub over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from sync_agent.agent import loop, presence
from sync_agent.agent.compose import run_agent
from sync_agent.agent.twin_service import twin_store
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.settings.settings import load_settings
from tests.inventory_server import InventoryServer, serving
from tests.small_network import MAPPING, MODELS
from tests.stubs import running_stub

SITES = "id,label,latitude,floors\nS1,North,50.5,3\nS2,South,49.25,2\n"
ROUTERS = "id,label,role,managed,installed,site\nR1,one,core,yes,,S1\n"


async def test_an_agent_with_a_list_of_sources_follows_them_and_puts_meddling_right(
    tmp_path: Path,
) -> None:
    files = {"sites.csv": SITES, "routers.csv": ROUTERS, "links.csv": "link,channel,ghz,a,z\n"}
    for name, text in {**files, "mapping.toml": MAPPING}.items():
        (tmp_path / name).write_text(text)
    source = {"name": "ems", "kind": "files", "path": str(tmp_path)}
    source["mapping"] = str(tmp_path / "mapping.toml")
    with running_stub() as stub:
        flags = {
            "adt.url": stub.adt_url,
            "adt.auth": "none",
            "state.path": str(tmp_path / "state.db"),
            "inventory.sources": json.dumps([source]),
            "inventory.interval_s": "0.2",
        }
        settings = load_settings(None, flags, {}).settings
        async with twin_store(settings) as twins:
            await twins.create_models(MODELS)
            stop = asyncio.Event()
            agent = asyncio.create_task(run_agent(settings, stop))
            await _until_label(twins, "R1", "one")
            (tmp_path / "routers.csv").write_text(ROUTERS.replace("one", "two"))
            await _until_label(twins, "R1", "two")
            await twins.patch_twin("S2", [{"op": "add", "path": "/label", "value": "theirs"}])
            await _until_label(twins, "S2", "South")
            stop.set()
            await agent


async def _until_label(twins: AzureTwinStore, twin_id: str, label: str) -> None:
    async with asyncio.timeout(30):
        while True:
            twin = await twins.get_twin(twin_id)
            if twin is not None and twin.properties.get("label") == label:
                return
            await asyncio.sleep(0.1)


async def test_an_outage_of_twins_or_source_is_told_once_and_so_is_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "AWAY_AFTER_S", 0.1)
    (tmp_path / "map.toml").write_text(
        'owner = "inventory"\nmarker = "tags.managedBy"\n'
        '[[twin]]\nfrom = "resources"\nid = "{id}"\nmodel = "dtmi:test:Site;1"\n'
    )
    inventory = InventoryServer(resources=[{"id": "S1"}])
    async with serving(inventory):
        source = {
            "name": "tmf",
            "kind": "tmf639",
            "url": f"{inventory.url}/tmf-api/resourceInventoryManagement/v5",
            "mapping": str(tmp_path / "map.toml"),
        }
        with running_stub() as stub, capture_logs() as logs:
            flags = {
                "adt.url": stub.adt_url,
                "adt.auth": "none",
                "state.path": str(tmp_path / "state.db"),
                "inventory.sources": json.dumps([source]),
                "inventory.interval_s": "0.05",
                "flags.interval_s": "0.05",
            }
            settings = load_settings(None, flags, {}).settings
            async with twin_store(settings) as twins, ClientSession() as web:
                await twins.create_models(MODELS)
                stop = asyncio.Event()
                agent = asyncio.create_task(run_agent(settings, stop))
                await _until(lambda: any(e["event"] == "inventory applied" for e in logs))
                inventory.fail("/tmf-api/resourceInventoryManagement/v5/resource", 0, 503, 3)
                await _until(lambda: _events(logs, "source tmf answers again"))
                outage = {"fault": [{"kind": "status", "status": 503}]}
                await web.put(f"{stub.adt_url}/stub/faults", json=outage)
                await _until(lambda: _events(logs, "the twin service does not answer"))
                await web.delete(f"{stub.adt_url}/stub/faults")
                await _until(lambda: _events(logs, "the twin service answers again"))
                stop.set()
                await agent
    assert [e["event"] for e in logs if "answer" in e["event"]] == [
        "source tmf does not answer",
        "source tmf answers again",
        "the twin service does not answer",
        "the twin service answers again",
    ]
    told = next(e for e in logs if e["event"] == "the twin service does not answer")
    assert told["log_level"] == "warning"
    assert "503" in told["reason"]
    assert "telemetry waits in its hub" in told["meanwhile"]
    assert told["since"].startswith("20")


async def test_an_agent_says_what_it_does_and_can_be_stopped_before_the_service_ever_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STOP_MAX_S", 0.1)
    flags = {
        "adt.url": "http://127.0.0.1:1",
        "adt.auth": "none",
        "state.path": str(tmp_path / "state.db"),
        "inventory.source": "inv",
        "inventory.mapping": "mapping.toml",
        "inventory.apply": "false",
    }
    stop = asyncio.Event()
    with capture_logs() as logs:
        agent = asyncio.create_task(run_agent(load_settings(None, flags, {}).settings, stop))
        await _until(lambda: _events(logs, "agent starts"))
        stop.set()
        async with asyncio.timeout(10):
            await agent
    assert logs[0]["twins"] == "http://127.0.0.1:1"
    assert logs[0]["inventory"].endswith("/inv every 5 min 0 s, only logged (inventory.apply)")
    assert logs[0]["telemetry"] == "off, event_hub is not set"


def _events(logs: list[MutableMapping[str, Any]], event: str) -> bool:
    return any(entry["event"] == event for entry in logs)


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while True:
            if done():
                return
            await asyncio.sleep(0.02)
