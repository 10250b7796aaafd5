"""The running agent's passes over its inventory, against the stub over real sockets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from sync_agent.agent.compose import run_agent
from sync_agent.agent.twin_service import twin_store
from sync_agent.azure.twin_store import AzureTwinStore
from sync_agent.settings.settings import load_settings
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
