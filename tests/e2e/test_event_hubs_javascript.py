"""The JavaScript SDK, unmodified: other encodings than Python's, and it goes by other words."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync_agent.stub.amqp.broker import HubOptions
from sync_agent.stub.certificate import made_in
from sync_agent.stub.server import StubOptions
from tests.npm import installed, run_script
from tests.stubs import running_stub

SCRIPT = Path(__file__).parent / "javascript" / "event_hubs.js"
SCENARIOS = ["properties", "bodies", "positions", "refusals", "owners", "buffered"]
RUN_S = 180

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("way", ["amqp", "ws"])
def test_the_javascript_sdk_sends_and_receives(tmp_path: Path, way: str) -> None:
    modules = installed(tmp_path / "sdk", "@azure/event-hubs@6.0.4")
    if way == "ws":
        installed(tmp_path / "sdk", "ws@8")
    certificate = made_in(tmp_path) if way == "ws" else None
    trusted = {"NODE_EXTRA_CA_CERTS": str(certificate.certificate)} if certificate else {}
    with running_stub(StubOptions(hubs=(HubOptions("telemetry", 4),), tls=certificate)) as stub:
        address = stub.event_hub_connection_string
        done = run_script(SCRIPT, address, way, within_s=RUN_S, NODE_PATH=str(modules), **trusted)
    assert done == SCENARIOS
