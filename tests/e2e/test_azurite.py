"""With real Azurite: import jobs from and to blobs, event processors with blob checkpoints."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient, PartitionContext
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob import BlobSasPermissions, generate_blob_sas

from sync_agent.stub.amqp.broker import HubOptions
from sync_agent.stub.server import StubOptions
from tests.adt_clients import client_at
from tests.azurite import ACCOUNT, KEY, Azurite, running_azurite
from tests.stubs import running_stub
from tests.unit.stub.adt.plane import MODELS, ROOM

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TWIN = {"$metadata": {"$model": ROOM}, "thermostat": {"$metadata": {}}}
TWINS = 5_000


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    with running_azurite(tmp_path_factory.mktemp("azurite")) as azurite:
        yield azurite


def ndjson(lines: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def run_job(client: Any, job_id: str, source: str, log: str) -> Any:
    jobs = client._client.import_jobs  # the SDK has no public layer for jobs
    jobs.add(job_id, {"inputBlobUri": source, "outputBlobUri": log})
    end = time.monotonic() + 300
    while time.monotonic() < end:
        job = jobs.get_by_id(job_id)
        if job.status not in ("notstarted", "running"):
            return job
        time.sleep(0.2)
    raise AssertionError("the job did not end")


def test_an_import_job_reads_and_writes_blobs_with_the_account_s_key(azurite: Azurite) -> None:
    header = [{"Section": "Header"}, {"fileVersion": "1.0.0"}, {"Section": "Models"}, *MODELS]
    twins = [{"$dtId": f"t{n}", **TWIN, "temperature": n % 40} for n in range(TWINS)]
    with running_stub() as stub, azurite.container("load") as box, client_at(stub.adt_url) as adt:
        box.upload_blob("in.ndjson", ndjson([*header, {"Section": "Twins"}, *twins]))
        job = run_job(adt, "j1", azurite.uri("load", "in.ndjson"), azurite.uri("load", "out"))
        assert job.status == "succeeded", job.error.message
        assert list(adt.query_twins("SELECT COUNT() FROM digitaltwins")) == [{"COUNT": TWINS}]
        log = [json.loads(line) for line in box.download_blob("out").readall().splitlines()]
        assert log[-1]["details"] == {"status": "Succeeded"}


def test_a_shared_access_signature_in_the_address_is_used(azurite: Azurite) -> None:
    def signed(blob: str, permission: BlobSasPermissions) -> str:
        query = generate_blob_sas(
            ACCOUNT, "sas", blob, account_key=KEY, permission=permission,
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )  # fmt: skip
        return f"{azurite.uri('sas', blob)}?{query}"

    lines = [{"Section": "Header"}, {"fileVersion": "1.0.0"}, {"Section": "Twins"}]
    with running_stub() as stub, azurite.container("sas") as box, client_at(stub.adt_url) as adt:
        adt.create_models(list(MODELS))
        box.upload_blob("in", ndjson([*lines, {"$dtId": "a", **TWIN}]))
        read = signed("in", BlobSasPermissions(read=True))
        write = signed("out", BlobSasPermissions(create=True, write=True, add=True))
        assert run_job(adt, "ok", read, write).status == "succeeded"
        job = run_job(adt, "no", signed("in", BlobSasPermissions(delete=True)), write)
        assert (job.status, "403" in job.error.message) == ("failed", True)


async def send(connection: str, first: int, count: int) -> None:
    async with EventHubProducerClient.from_connection_string(
        connection, eventhub_name="telemetry"
    ) as producer:
        for number in range(first, first + count):
            await producer.send_event(EventData(str(number)), partition_id=str(number % 4))


class Processor:
    """An event processor in this process: what it saw, by partition."""

    def __init__(self, connection: str, azurite: Azurite, container: str) -> None:
        self.seen: Counter[str] = Counter()
        self.partitions: set[str] = set()
        self.store = BlobCheckpointStore.from_connection_string(
            azurite.connection_string, container
        )
        self.client = EventHubConsumerClient.from_connection_string(
            connection, "$Default", eventhub_name="telemetry", checkpoint_store=self.store,
            load_balancing_interval=1, partition_ownership_expiration_interval=8,
        )  # fmt: skip

    async def __aenter__(self) -> Processor:
        receiving = self.client.receive(self.take, starting_position="-1", max_wait_time=1)
        self.task = asyncio.create_task(receiving)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await asyncio.wait([self.task], timeout=10)
        await self.store.close()

    async def take(self, context: PartitionContext, event: EventData | None) -> None:
        if event is None:
            return
        self.partitions.add(context.partition_id)
        self.seen[event.body_as_str()] += 1
        await context.update_checkpoint(event)


async def until(condition: Any, timeout_s: float = 90.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - other clients' state
            await asyncio.sleep(0.05)


async def test_two_processors_share_partitions_and_one_takes_over(azurite: Azurite) -> None:
    options = StubOptions(hubs=(HubOptions("telemetry", 4),))
    with running_stub(options) as stub, azurite.container("checkpoints"):
        connection = stub.event_hub_connection_string
        async with Processor(connection, azurite, "checkpoints") as one:
            async with Processor(connection, azurite, "checkpoints") as two:
                number = 0
                while not (one.partitions and two.partitions):
                    assert number < 4_000, "one processor kept all partitions"
                    await send(connection, number, 40)
                    number += 40
                    await asyncio.sleep(1)
                await until(lambda: len(one.seen | two.seen) == number)
            await send(connection, number, 40)
            await until(lambda: len(one.seen | two.seen) == number + 40)
            assert one.partitions == {"0", "1", "2", "3"}
        both = one.seen + two.seen
        assert set(both) == {str(n) for n in range(number + 40)}


CHILD = """
import asyncio, sys
from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
async def main():
    store = BlobCheckpointStore.from_connection_string(sys.argv[2], "killed")
    client = EventHubConsumerClient.from_connection_string(
        sys.argv[1], "$Default", eventhub_name="telemetry", checkpoint_store=store,
        load_balancing_interval=1, partition_ownership_expiration_interval=6)
    async def take(context, event):
        if event is not None:
            print(event.body_as_str(), flush=True)
            await context.update_checkpoint(event)
    async with client:
        await client.receive(take, starting_position="-1", max_wait_time=1)
asyncio.run(main())
"""


async def test_after_a_kill_the_next_processor_goes_on_from_the_checkpoint(
    azurite: Azurite, tmp_path: Path
) -> None:
    with running_stub() as stub, azurite.container("killed"):
        connection = stub.event_hub_connection_string
        await send(connection, 0, 100)
        output = tmp_path / "seen"
        with output.open("wb") as file:
            arguments = [sys.executable, "-c", CHILD, connection, azurite.connection_string]
            child = subprocess.Popen(arguments, stdout=file)  # noqa: ASYNC220 - returns at once
            await until(lambda: len(output.read_bytes().split()) >= 60)
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
        first = [text.decode() for text in output.read_bytes().split()]
        async with Processor(connection, azurite, "killed") as next_one:
            await until(lambda: len({*first, *next_one.seen}) == 100)
        twice = set(first) & set(next_one.seen)
        assert len(twice) <= 4, "at most the event under way of each partition comes twice"
