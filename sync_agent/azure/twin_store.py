"""Azure Digital Twins through azure-digitaltwins-core: the twin service's three ports.

What is tried again is decided here, in one place: throttling (with the service's wait), 5xx and an
unreachable service, for ``retry_for_s``. A reset PATCH may have been applied already; it is
repeated all the same because the patches of this house are idempotent (``add`` and guarded
``remove``). Conditional writes are not repeated after a reset: the first may have been the one that
made the condition fail, and only the caller can look.
Where a gate is given, every request waits for its turn there, the repeated ones and the further
pages of a listing too. Plain http is allowed to loopback addresses only.
"""

from __future__ import annotations

import asyncio
import copy
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from itertools import count
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
from azure.core import MatchConditions
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AioHttpTransport
from azure.digitaltwins.core.aio import DigitalTwinsClient

from sync_agent.azure.request_policies import request_policies
from sync_agent.azure.service_errors import translated
from sync_agent.errors import NotFoundError, ServiceError, SettingsError, UnreachableError
from sync_agent.hosts import is_loopback
from sync_agent.ports.pace import Charge, Gate, Operation
from sync_agent.ports.watch import Unwatched, Watch
from sync_agent.query.charge import PAGE_ROWS
from sync_agent.twins.twin import Document, Relationship, Twin

REQUEST_MAX_S = 60.0
LATE_AFTER_S = 10.0
CONNECT_MAX_S = 10.0
CONNECTIONS_MAX = 128
RETRY_WAIT_MIN_S = 0.2
RETRY_WAIT_MAX_S = 30.0

Answer = TypeVar("Answer")


class AzureTwinStore:
    """One Azure Digital Twins instance (ports ``TwinReader``, ``TwinWriter``, ``ModelStore``).

    Use as an async context manager.
    """

    def __init__(
        self,
        url: str,
        credential: AsyncTokenCredential,
        *,
        retry_for_s: float,
        watch: Watch | None = None,
    ) -> None:
        """Prepare; the connection is made on entering. The watch hears of every request.

        Raises:
            SettingsError: the address is plain http and not of this machine.
        """
        parts = urlsplit(url)
        self._host = parts.netloc
        self._url = url
        self._credential = credential
        self._retry_for_s = retry_for_s
        self._watch = watch or Unwatched()
        self._gate: Gate | None = None
        self._plain = parts.scheme == "http"
        if self._plain and not is_loopback(parts.hostname or ""):
            raise SettingsError(
                f"adt.url {url} is not https",
                remedy="use https; plain http is for a stub on this machine only",
            )

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX), auto_decompress=False
        )
        # aiohttp sends PUT and DELETE again by itself where a kept connection breaks; then the
        # answer is that to the second one, and whether we made the change is lost.
        self._session._retry_connection = False
        self._client = DigitalTwinsClient(
            self._url,
            self._credential,
            transport=AioHttpTransport(
                session=self._session,
                session_owner=False,
                use_env_settings=False,
                connection_timeout=CONNECT_MAX_S,
            ),
            policies=request_policies(self._credential, plain=self._plain),
        )
        # The SDK copies all JSON value by value, which takes most of the time of a large reading.
        self._client._client._deserialize.deserialize_type["object"] = _as_it_is
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        await self._session.close()
        close = getattr(self._credential, "close", None)
        if close is not None:
            with suppress(Exception):
                await close()

    def paced(self, gate: Gate) -> AzureTwinStore:
        """Return the same service, over the same connections, whose requests wait at a gate.

        It is of use as long as this one is open.
        """
        paced = copy.copy(self)
        paced._gate = gate
        return paced

    # -- TwinReader -----------------------------------------------------------------------------

    async def get_twin(self, twin_id: str) -> Twin | None:
        """Return the twin, or None when there is none of that id."""
        try:
            document = await self._call(
                lambda _: self._client.get_digital_twin(twin_id), Operation.READ
            )
        except NotFoundError:
            return None
        return Twin.from_document(document)

    async def query(self, text: str) -> AsyncIterator[Document]:
        """Yield the rows of an ADT query, page after page."""
        headers = {"max-items-per-page": str(PAGE_ROWS)}
        charges: list[float] = []

        def answered(_: Any, page: Any, about: dict[str, Any]) -> Any:
            charges.append(about.get("query-charge") or 0.0)
            return page

        pages = self._client.query_twins(text, headers=headers, cls=answered)
        async for row in self._pages(pages, Operation.QUERY, charges):
            yield row

    async def relationships_of(self, twin_id: str) -> AsyncIterator[Relationship]:
        """Yield the twin's outgoing relationships."""
        async for row in self._pages(self._client.list_relationships(twin_id), Operation.READ):
            yield Relationship.from_document(row)

    # -- TwinWriter -----------------------------------------------------------------------------

    async def put_twin(self, twin: Twin, *, only_if_absent: bool = False) -> Twin:
        """Create or wholly replace a twin; ``only_if_absent`` refuses one that exists (412)."""
        condition = {"match_condition": MatchConditions.IfMissing} if only_if_absent else {}
        document = await self._call(
            lambda _: self._client.upsert_digital_twin(twin.id, twin.to_document(), **condition),
            Operation.CREATE_DELETE,
            (twin.id,),
            repeat_reset=not only_if_absent,
        )
        return Twin.from_document(document)

    async def patch_twin(
        self, twin_id: str, patch: Sequence[Document], *, etag: str | None = None
    ) -> None:
        """Apply a JSON Patch; all of it or nothing."""
        await self._call(
            lambda _: self._client.update_digital_twin(twin_id, list(patch), **_if_match(etag)),
            Operation.PATCH,
            (twin_id,),
            repeat_reset=etag is None,
        )

    async def delete_twin(self, twin_id: str, *, etag: str | None = None) -> None:
        """Delete a twin that has no relationships left."""
        await self._call(
            lambda _: self._client.delete_digital_twin(twin_id, **_if_match(etag)),
            Operation.CREATE_DELETE,
            (twin_id,),
            repeat_reset=etag is None,
        )

    async def put_relationship(
        self, relationship: Relationship, *, only_if_absent: bool = False
    ) -> Relationship:
        """Create or wholly replace a relationship; both ends must exist."""
        condition = {"match_condition": MatchConditions.IfMissing} if only_if_absent else {}
        document = await self._call(
            lambda _: self._client.upsert_relationship(
                relationship.source, relationship.id, relationship.to_document(), **condition
            ),
            Operation.CREATE_DELETE,
            (relationship.source, relationship.target),
            repeat_reset=not only_if_absent,
        )
        return Relationship.from_document(document)

    async def patch_relationship(
        self,
        source: str,
        relationship_id: str,
        patch: Sequence[Document],
        *,
        etag: str | None = None,
        target: str | None = None,
    ) -> None:
        """Apply a JSON Patch to a relationship's properties."""
        await self._call(
            lambda _: self._client.update_relationship(
                source, relationship_id, list(patch), **_if_match(etag)
            ),
            Operation.PATCH,
            (source, target) if target else (source,),
            repeat_reset=etag is None,
        )

    async def delete_relationship(
        self,
        source: str,
        relationship_id: str,
        *,
        etag: str | None = None,
        target: str | None = None,
    ) -> None:
        """Delete a relationship."""
        await self._call(
            lambda _: self._client.delete_relationship(source, relationship_id, **_if_match(etag)),
            Operation.CREATE_DELETE,
            (source, target) if target else (source,),
            repeat_reset=etag is None,
        )

    # -- ModelStore -----------------------------------------------------------------------------

    async def list_models(self) -> AsyncIterator[Document]:
        """Yield model metadata with the DTDL document under ``model``."""
        async for model in self._pages(
            self._client.list_models(include_model_definition=True), Operation.MODEL
        ):
            yield model.serialize() | {"model": model.model}

    async def create_models(self, documents: Sequence[Document]) -> None:
        """Create models, all or none; at most 250 a call."""
        await self._call(lambda _: self._client.create_models(list(documents)), Operation.MODEL)

    async def decommission_model(self, model_id: str) -> None:
        """Forbid new twins of a model."""
        await self._call(lambda _: self._client.decommission_model(model_id), Operation.MODEL)

    async def delete_model(self, model_id: str) -> None:
        """Delete a model no other model refers to."""
        await self._call(lambda _: self._client.delete_model(model_id), Operation.MODEL)

    # -- calls ----------------------------------------------------------------------------------

    async def generated(self, work: Callable[[Any], Awaitable[Answer]]) -> Answer:
        """Make one request, once, in the SDK's generated layer, for what it has no other way to."""
        try:
            async with asyncio.timeout(REQUEST_MAX_S):
                return await work(self._client._client)
        except (AzureError, aiohttp.ClientError, TimeoutError, OSError) as error:
            raise translated(error, self._host) from error

    async def _call(
        self,
        work: Callable[[Charge], Awaitable[Answer]],
        operation: Operation,
        twins: Sequence[str] = (),
        *,
        repeat_reset: bool = True,
    ) -> Answer:
        began_s = 0.0
        for attempt in count():
            try:
                async with self._turn(operation, twins) as charge:
                    # Waiting for the first turn is no failure: patience begins with the request.
                    began_s = began_s or time.monotonic()
                    return await self._once(work, charge)
            except ServiceError as error:
                again = repeat_reset if isinstance(error, UnreachableError) else error.retryable
                if not again or time.monotonic() - began_s >= self._retry_for_s:
                    raise
                wait_s = _backoff_s(attempt) if error.retry_after_s is None else error.retry_after_s
            await asyncio.sleep(wait_s)
        raise AssertionError("counting does not end")

    async def _once(self, work: Callable[[Charge], Awaitable[Answer]], charge: Charge) -> Answer:
        began_s = time.monotonic()
        late = asyncio.get_running_loop().call_later(LATE_AFTER_S, self._note_late, began_s)
        try:
            # The transport's own limits are per read, and longer than anyone waits.
            async with asyncio.timeout(REQUEST_MAX_S):
                answer = await work(charge)
        except (AzureError, aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = translated(error, self._host)
            self._watch.ended(began_s, failure)
            raise failure from error
        finally:
            late.cancel()
        self._watch.ended(began_s)
        return answer

    def _note_late(self, began_s: float) -> None:
        """Tell of a service that hangs; whoever waits for it does not want to wait in silence."""
        reason = f"{self._host} cannot be reached (no answer for {LATE_AFTER_S:g} s)"
        self._watch.ended(began_s, UnreachableError(reason))

    def _turn(
        self, operation: Operation, twins: Sequence[str]
    ) -> AbstractAsyncContextManager[Charge]:
        if self._gate is None:
            return nullcontext(_free)
        return self._gate.turn(operation, twins)

    async def _pages(
        self, listing: Any, operation: Operation, charges: list[float] | None = None
    ) -> AsyncIterator[Any]:
        """Yield the items of a paged listing; a page that fails is asked for again by itself.

        ``charges`` is where the listing puts what each page cost.
        """
        pages = listing.by_page()

        async def next_page(charge: Charge) -> list[Any] | None:
            # A pager that raised continues from its last token when it is asked again.
            page = await _next_page(pages)
            if charges:
                charge(charges.pop())
            return page

        while True:
            page = await self._call(next_page, operation)
            if page is None:
                return
            for item in page:
                yield item
            if not pages.continuation_token:
                return


async def _next_page(pages: Any) -> list[Any] | None:
    try:
        page = await anext(pages)
    except StopAsyncIteration:
        return None
    return [item async for item in page]


def _free(_: float) -> None:
    """Count nothing: nobody asked what a request costs."""


def _backoff_s(attempt: int) -> float:
    """Return a wait that grows, and differs among those that were refused together."""
    longest_s = min(RETRY_WAIT_MIN_S * 2.0 ** min(attempt, 16), RETRY_WAIT_MAX_S)
    return random.uniform(0, longest_s)  # noqa: S311 - no secret


def _if_match(etag: str | None) -> dict[str, Any]:
    if etag is None:
        return {}
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _as_it_is(value: Any) -> Any:
    return value
