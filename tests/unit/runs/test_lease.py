"""The lease twin: taken, renewed, kept although answers get lost, and lost when taken over."""

from __future__ import annotations

import asyncio

import pytest

from sync_agent.errors import GuardError, UnreachableError
from sync_agent.runs.lease import MODEL, TwinLease, stopping_when_lost
from tests.memory_service import MemoryService

ID = "sync-agent-lease.inventory"
NOW_MS = 1_800_000_000_000


def lease(service: MemoryService, holder: str = "me/1", lease_s: float = 0.09) -> TwinLease:
    return TwinLease(service, "inventory", holder=holder, lease_s=lease_s, now_ms=lambda: NOW_MS)


async def test_a_lease_keeps_others_out_and_is_given_back() -> None:
    service = MemoryService([MODEL])
    lost: list[str] = []
    async with lease(service).held(lost.append):
        with pytest.raises(GuardError, match="me/1 is changing the twins"):
            async with lease(service, "you/2").held(lost.append):
                raise AssertionError("it is held")
    async with lease(service, "you/2").held(lost.append):
        pass
    assert lost == []
    assert service.graph.twin(ID) is None


async def test_a_lease_is_ours_although_the_answer_got_lost() -> None:
    service = MemoryService([MODEL])
    service.fail_after["put", ID].append(UnreachableError("reset"))
    lost: list[str] = []
    async with lease(service).held(lost.append):
        pass
    assert lost == []
    assert service.graph.twin(ID) is None


async def test_a_lease_is_renewed_and_survives_a_lost_answer() -> None:
    service = MemoryService([MODEL])
    service.fail_after["patch", ID].append(UnreachableError("reset"))
    lost: list[str] = []
    async with lease(service).held(lost.append):
        await asyncio.sleep(0.3)
    assert lost == []
    assert service.log.count(("patch", ID)) > 3


async def test_a_lease_that_was_taken_over_is_lost_and_not_deleted() -> None:
    service = MemoryService([MODEL])
    lost: list[str] = []
    async with lease(service).held(lost.append):
        await service.patch_twin(ID, [{"op": "add", "path": "/holder", "value": "you/2"}])
        await asyncio.sleep(0.1)
    assert lost == [f"the lease {ID} was taken over"]
    assert (service.graph.twin(ID) or {})["holder"] == "you/2"


async def test_what_is_done_under_a_lease_stops_when_it_is_taken_over() -> None:
    service = MemoryService([MODEL])

    async def run() -> None:
        async with stopping_when_lost(lease(service)):
            await service.patch_twin(ID, [{"op": "add", "path": "/holder", "value": "you/2"}])
            await asyncio.sleep(10)

    with pytest.raises(GuardError, match="was taken over; the run was stopped") as caught:
        await run()
    assert caught.value.remedy == "run it again: it does what is left"
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_a_run_that_is_broken_off_gives_its_lease_back() -> None:
    service = MemoryService([MODEL])
    held = asyncio.Event()

    async def run() -> None:
        async with stopping_when_lost(lease(service)):
            held.set()
            await asyncio.sleep(10)

    task = asyncio.create_task(run())
    await held.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert service.graph.twin(ID) is None
