"""Explorer put together: to whom the agent's sign-in goes, and what its failure looks like."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from sync_agent.agent.explorer import serving_explorer
from sync_agent.errors import SettingsError
from sync_agent.settings.settings import AdtSettings, Settings
from sync_agent.stub.server import StubOptions
from tests.stubs import running_stub

MODELS = "/api/proxy/models?api-version=2021-06-30-preview"


@pytest.fixture
def build(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<p>Explorer</p>")
    return tmp_path


async def models(url: str, build: Path, **adt: object) -> tuple[int, str]:
    """Return status and text of the models as Explorer gets them."""
    settings = Settings(adt=AdtSettings.model_validate({"url": url, **adt}))
    async with (
        serving_explorer(settings, folder=build, upstream=None, port=0) as server,
        aiohttp.ClientSession() as client,
        client.get(server.url + MODELS) as answer,
    ):
        return answer.status, await answer.text()


@pytest.mark.parametrize("auth", ["default", "managed-identity", "none"])
async def test_a_stub_without_a_token_needs_no_sign_in(build: Path, auth: str) -> None:
    with running_stub() as stub:
        assert (await models(stub.adt_url, build, auth=auth))[0] == 200


async def test_a_stub_with_a_token_gets_that_of_the_settings(build: Path) -> None:
    with running_stub(StubOptions(token="s3cret", keys={"k": "s3cret"})) as stub:
        token = SecretStr("s3cret")
        assert (await models(stub.adt_url, build, auth="token", token=token))[0] == 200
        assert (await models(stub.adt_url, build, auth="none"))[0] == 401


async def test_a_sign_in_that_fails_is_an_answer_with_what_to_do(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of all ways to sign in only the environment's, which is empty.
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    status, text = await models("https://twins.invalid", build, auth="default")
    assert status == 401
    assert "twins.invalid refuses the credentials: sign in" in text


@pytest.mark.parametrize("url", ["http://twins.example", "http://localhost.example:8080"])
async def test_the_token_goes_nowhere_in_the_clear(build: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="is not https"):
        await models(url, build)
