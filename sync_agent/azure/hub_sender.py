"""Sends events to a hub in order per partition or key, through azure-eventhub."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from azure.eventhub.exceptions import EventDataSendError, EventHubError
from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from sync_agent.azure.hub_address import HubAddress, build_client, service_error
from sync_agent.errors import InputError
from sync_agent.ports.events import OutgoingEvent


class HubSender:
    """Sends to a hub (port ``EventSender``)."""

    def __init__(self, address: HubAddress, *, retry_for_s: float) -> None:
        self._address = address
        self._retry_for_s = retry_for_s
        self._client = build_client(EventHubProducerClient, address)

    async def partitions(self) -> Sequence[str]:
        """Return the hub's partition ids.

        Raises:
            ServiceError: the hub cannot be reached, does not exist, or refuses the credentials.
        """
        try:
            return [str(p) for p in await self._retrying(self._client.get_partition_ids)]
        except (EventHubError, OSError, TimeoutError) as error:
            raise service_error(error, self._address) from error

    async def send(self, events: Sequence[OutgoingEvent]) -> None:
        """Send events in order per partition or key; returns when the hub accepted all.

        Raises:
            ServiceError: the hub stayed out of reach for ``retry_for_s``, is not there, or refuses
                the credentials; events before the failure may have been accepted.
            InputError: one event alone is larger than the hub takes.
        """
        lanes: dict[tuple[str | None, str | None], list[OutgoingEvent]] = {}
        for event in events:
            lanes.setdefault((event.partition, event.partition_key), []).append(event)
        try:
            await asyncio.gather(*(self._send_lane(*lane) for lane in lanes.items()))
        except (EventHubError, OSError, TimeoutError) as error:
            raise service_error(error, self._address) from error

    async def close(self) -> None:
        """Release the connection."""
        await self._client.close()

    async def _send_lane(
        self, lane: tuple[str | None, str | None], events: Sequence[OutgoingEvent]
    ) -> None:
        partition, key = lane
        position = 0
        while position < len(events):
            batch = await self._retrying(
                lambda: self._client.create_batch(partition_id=partition, partition_key=key)
            )
            added = 0
            for event in events[position:]:
                data = EventData(event.body)
                data.properties = {str(name): value for name, value in event.properties.items()}
                data.content_type = "application/json"
                try:
                    batch.add(data)
                except ValueError:
                    break
                added += 1
            if not added:
                raise InputError(
                    f"an event of {len(events[position].body)} bytes is larger than the hub takes",
                    remedy="put fewer rows into one event",
                )
            full = batch
            await self._retrying(lambda full=full: self._client.send_batch(full))
            position += added

    async def _retrying(self, work: Any) -> Any:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((EventDataSendError, EventHubError, OSError)),
            stop=stop_after_delay(self._retry_for_s),
            wait=wait_random_exponential(0.2, max=10),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                try:
                    return await work()
                except EventHubError as error:
                    translated = service_error(error, self._address)
                    if not translated.retryable:
                        raise translated from error
                    raise
        return None
