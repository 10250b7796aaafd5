"""The JavaScript SDK, unmodified, over TLS: other traffic than Python's, the same answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from sync_agent.stub.certificate import made_in
from sync_agent.stub.server import StubOptions
from tests.npm import installed, run_script
from tests.stubs import running_stub

SCRIPT = Path(__file__).parent / "javascript" / "adt.js"
SCENARIOS = ["models", "twins", "components", "relationships", "queries", "telemetry"]
SCENARIOS += ["eventRoutes", "theEnd"]
RUN_S = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("version", ["1.0.3", "1.1.0"])  # of api-version 2020-10-31, 2022-05-31
def test_the_javascript_sdk_does_all_it_can(tmp_path: Path, version: str) -> None:
    modules = installed(tmp_path / "sdk", f"@azure/digital-twins-core@{version}")
    certificate = made_in(tmp_path)
    trusted = {"NODE_EXTRA_CA_CERTS": str(certificate.certificate)}
    with running_stub(StubOptions(tls=certificate)) as stub:
        done = run_script(SCRIPT, stub.adt_url, within_s=RUN_S, NODE_PATH=str(modules), **trusted)
    assert done == SCENARIOS
