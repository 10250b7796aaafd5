"""One writer at a time: a lease that a run holds from before its first write to after its last.

On one machine a lock on a file beside the journal is enough, and the system gives it back when
a process dies. Where agents on several machines may bring the same inventory, a **lease twin** in
the instance itself keeps the others out: it is created only if it is not there, taken over only
when it has run out and only under its ETag, renewed under its ETag three times within its time, and
deleted at the end. Whoever finds it taken over has lost it, and its run stops. Its model is
deployed when it is missing. Why this way: docs/decisions/0004-one-writer.md.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sync_agent.disk.lock import LockTakenError, open_locked
from sync_agent.errors import (
    ConflictError,
    GuardError,
    NotFoundError,
    PreconditionError,
    ServiceError,
    StoreError,
    UnreachableError,
)
from sync_agent.ports.twin_store import TwinService
from sync_agent.twins.time import format_time_ms, parse_time_ms
from sync_agent.twins.twin import Document, Twin

MODEL_ID = "dtmi:syncagent:WriterLease;1"
MODEL: Document = {
    "@context": "dtmi:dtdl:context;2",
    "@id": MODEL_ID,
    "@type": "Interface",
    "displayName": "Writer lease of sync-agent",
    "contents": [
        {"@type": "Property", "name": "holder", "schema": "string"},
        {"@type": "Property", "name": "until", "schema": "dateTime"},
    ],
}
RENEWALS = 3

Lost = Callable[[str], None]
"""Called once when the lease was lost; the holder has to stop."""


@asynccontextmanager
async def file_lease(path: Path) -> AsyncIterator[None]:
    """Hold the lock of a file.

    Raises:
        GuardError: another process holds it.
        StoreError: the file cannot be opened.
    """
    try:
        handle = open_locked(path)
    except LockTakenError as error:
        raise GuardError(
            f"another sync-agent on this machine is changing the twins ({path})",
            remedy="wait until it is done",
        ) from error
    except OSError as error:
        raise StoreError(
            f"lock {path}: {error.strerror}", remedy="check its folder, or set state.journal"
        ) from error
    try:
        yield
    finally:
        os.close(handle)


class TwinLease:
    """A lease twin; ``holder`` says who we are, ``now_ms`` is the date."""

    def __init__(
        self,
        service: TwinService,
        owner: str,
        *,
        holder: str,
        lease_s: float,
        now_ms: Callable[[], int],
    ) -> None:
        self._service = service
        self._id = f"sync-agent-lease.{owner}"
        self._holder = holder
        self._lease_s = lease_s
        self._now_ms = now_ms
        self._etag = ""

    @asynccontextmanager
    async def held(self, lost: Lost) -> AsyncIterator[None]:
        """Hold the lease and renew it.

        Raises:
            GuardError: another writer holds it; the message says who and until when.
            ServiceError: the service could not be reached or refused the lease.
        """
        await self._take()
        renewing = asyncio.create_task(self._renew(lost))
        try:
            yield
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing
            with suppress(ServiceError):  # it runs out by itself
                await self._service.delete_twin(self._id, etag=self._etag)

    async def _take(self) -> None:
        fresh = Twin(self._id, MODEL_ID, self._values())
        try:
            self._etag = (await self._service.put_twin(fresh, only_if_absent=True)).etag
        except PreconditionError:
            await self._take_over()
        except UnreachableError:  # it may have been made all the same
            await self._take_again(fresh)
        except ServiceError as error:
            if error.retryable or error.status != 400:
                raise
            with suppress(ConflictError):  # another one deployed it at the same moment
                await self._service.create_models([MODEL])
            await self._take_again(fresh)

    async def _take_again(self, fresh: Twin) -> None:
        try:
            self._etag = (await self._service.put_twin(fresh, only_if_absent=True)).etag
        except PreconditionError:
            await self._take_over()

    async def _take_over(self) -> None:
        there = await self._service.get_twin(self._id)
        if there is None:
            raise self._refusal("another writer", "just now")
        until = str(there.properties.get("until", ""))
        holder = str(there.properties.get("holder", "another writer"))
        if holder == self._holder:  # the answer to our own request got lost
            self._etag = there.etag
            return
        if _time_ms(until) > self._now_ms():
            raise self._refusal(holder, f"until {until}")
        try:
            await self._write(there.etag)
        except (PreconditionError, NotFoundError):
            raise self._refusal("another writer", "just now") from None

    async def _write(self, etag: str) -> None:
        patch = [
            {"op": "add", "path": f"/{name}", "value": value}
            for name, value in self._values().items()
        ]
        try:
            await self._service.patch_twin(self._id, patch, etag=etag)
        except PreconditionError:  # by our own last write, if its answer got lost
            await self._service.patch_twin(self._id, patch, etag=(await self._ours()).etag)
        self._etag = (await self._ours()).etag

    async def _ours(self) -> Twin:
        there = await self._service.get_twin(self._id)
        if there is None or there.properties.get("holder") != self._holder:
            raise PreconditionError("the lease was taken over", status=412)
        return there

    async def _renew(self, lost: Lost) -> None:
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._lease_s
        while True:
            await asyncio.sleep(self._lease_s / RENEWALS)
            try:
                async with asyncio.timeout(self._lease_s / RENEWALS):
                    await self._write(self._etag)
            except (PreconditionError, NotFoundError):
                lost(f"the lease {self._id} was taken over")
                return
            except (ServiceError, TimeoutError):
                if loop.time() >= until_s:
                    lost(f"the lease {self._id} could not be renewed")
                    return
            else:
                until_s = loop.time() + self._lease_s

    def _values(self) -> Document:
        until_ms = self._now_ms() + int(1000 * self._lease_s)
        return {"holder": self._holder, "until": format_time_ms(until_ms)}

    def _refusal(self, holder: str, when: str) -> GuardError:
        return GuardError(
            f"{holder} is changing the twins (lease {self._id}, {when})",
            remedy="wait until it is done; the lease of one that died runs out by itself",
        )


@asynccontextmanager
async def stopping_when_lost(lease: TwinLease) -> AsyncIterator[None]:
    """Hold a lease, and stop what is done under it when it is lost.

    Raises:
        GuardError: another writer holds it, or took it over.
        ServiceError: the service could not be reached or refused the lease.
    """
    task = asyncio.current_task()
    reasons: list[str] = []

    def lost(reason: str) -> None:
        reasons.append(reason)
        if task is not None:
            task.cancel()

    async with lease.held(lost):
        try:
            yield
        except asyncio.CancelledError:
            if not reasons or task is None or task.uncancel():
                raise
            raise GuardError(
                f"{reasons[0]}; the run was stopped", remedy="run it again: it does what is left"
            ) from None


def _time_ms(text: str) -> int:
    try:
        return parse_time_ms(text)
    except ValueError:
        return 0
