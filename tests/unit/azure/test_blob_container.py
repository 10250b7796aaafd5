"""The container against a service that refuses; what it does on real storage is in e2e."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sync_agent.azure.blob_container import AzureBlobContainer, storage_credential
from sync_agent.errors import (
    NotFoundError,
    ServiceError,
    SettingsError,
    UnauthorizedError,
    UnreachableError,
)

SECRET = "sv=2024&sig=verysecret"


class Refusing:
    """A storage service that answers everything the same."""

    def __init__(self) -> None:
        self.status = 403
        self.code = "AuthorizationFailure"
        self.sent: list[str] = []
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.sent.append(str(request.rel_url))
        detail = f"<Code>{self.code}</Code><Message>signed was {SECRET}</Message>"
        body = f'<?xml version="1.0" encoding="utf-8"?><Error>{detail}</Error>'
        headers = {"x-ms-error-code": self.code, "Content-Type": "application/xml"}
        return web.Response(status=self.status, text=body, headers=headers)

    def container(self) -> AzureBlobContainer:
        return AzureBlobContainer(self.url, storage_credential("sas", self.url, f"?{SECRET}"))


@pytest.fixture
async def storage() -> AsyncIterator[Refusing]:
    refusing = Refusing()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refusing.answer)
    async with TestServer(app) as server:
        refusing.url = f"http://127.0.0.1:{server.port}/account/box"
        yield refusing


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_names_the_container_and_the_role_but_nothing_secret(
    storage: Refusing, status: int
) -> None:
    storage.status = status
    async with storage.container() as container:
        with pytest.raises(UnauthorizedError) as refused:
            await container.upload("in", iter([b"x\n"]))
    message = refused.value.message
    assert f"{storage.url} refuses the credentials (AuthorizationFailure)" in message
    assert "Storage Blob Data Contributor" in refused.value.remedy
    assert "sig" not in message + refused.value.remedy
    assert "sig=verysecret" in storage.sent[0], "the signature was sent, and once"


async def test_a_missing_container_is_named_and_has_nothing_to_read_or_remove(
    storage: Refusing,
) -> None:
    storage.status, storage.code = 404, "ContainerNotFound"
    async with storage.container() as container:
        with pytest.raises(NotFoundError, match="there is no container"):
            await container.upload("in", iter([b"x\n"]))
        assert [line async for line in container.lines("log")] == []
        await container.remove("in")


async def test_other_refusals_give_the_code_and_not_what_was_signed(storage: Refusing) -> None:
    storage.status, storage.code = 409, "LeaseIdMissing"
    async with storage.container() as container:
        with pytest.raises(ServiceError, match="409 LeaseIdMissing") as refused:
            await container.remove("in")
    assert "sig" not in refused.value.message


async def test_storage_that_is_not_there_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync_agent.azure.blob_container.TRIES", 1)
    url = "http://127.0.0.1:9/account/box"
    async with AzureBlobContainer(url, storage_credential("sas", url, SECRET)) as container:
        with pytest.raises(UnreachableError) as lost:
            await container.upload("in", iter([b"x\n"]))
    assert "127.0.0.1:9 cannot be reached" in lost.value.message
    assert lost.value.remedy.startswith("check import_job.container")
    assert "sig" not in lost.value.message


def test_plain_http_is_for_this_machine_only() -> None:
    with pytest.raises(SettingsError, match="is not https"):
        AzureBlobContainer("http://box.example/loads", storage_credential("sas", "", SECRET))


def test_an_address_has_nothing_secret_and_a_name_is_one_part_of_it() -> None:
    url = "https://acme.blob.core.windows.net/loads"
    container = AzureBlobContainer(url, storage_credential("sas", url, SECRET))
    assert container.address("a/b c") == f"{url}/a%2Fb%20c"


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://acme.blob.core.windows.net/loads", "acme"),
        ("http://127.0.0.1:10000/devstoreaccount1/loads", "devstoreaccount1"),
    ],
)
def test_a_key_goes_with_the_account_of_the_address(url: str, account: str) -> None:
    credential = storage_credential("key", url, "c2VjcmV0")
    assert credential.named_key.name == account  # type: ignore[union-attr]
