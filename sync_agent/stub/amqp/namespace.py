"""The namespace behind all connections: hubs, partitions, who reads them, and group commit.

Publishers hand events in with ``publish`` and are told the outcome later. Everything handed in
during one turn of the event loop is kept in one transaction of the log, whichever connections it
came from; receivers are woken after it. What waits is bounded by what all sockets can deliver in
one turn.

Ownership follows Event Hubs: a receiver with an epoch displaces those of its group with a lower,
equal or no epoch; one with a lower or no epoch is refused while a higher one is there; without
epochs at most ``receivers_max`` of a group share a partition. What a client is told is in the
service's words where tests of its SDKs look for them.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from sync_agent.errors import SettingsError, StoreError
from sync_agent.stub.amqp.condition import AmqpError, Condition
from sync_agent.stub.amqp.hashing import partition_for_key
from sync_agent.stub.amqp.message import IncomingEvent
from sync_agent.stub.amqp.partition_log import (
    Append,
    EventLog,
    PartitionInfo,
    PartitionKey,
    Slice,
)
from sync_agent.stub.amqp.selector import Position, PositionKind

DEFAULT_GROUP = "$default"
PARTITIONS_MAX = 1_024
READ_EVENTS_MAX = 512
READ_BYTES_MAX = 256 * 1024

_LOG = logging.getLogger(__name__)

Clock = Callable[[], float]
Outcome = Callable[[AmqpError | None], None]


@dataclass(frozen=True, slots=True)
class HubOptions:
    """A hub to serve; ``consumer_groups`` None admits any name, ``$Default`` is always there."""

    name: str
    partitions: int = 4
    consumer_groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the broker; a peer that exceeds one is told which."""

    frame_bytes_max: int = 65_536
    message_bytes_max: int = 1_048_576
    unfinished_bytes_max: int = 256 * 1024 * 1024
    connections_max: int = 1_000
    sessions_max: int = 256
    links_max: int = 256
    receivers_max: int = 5
    idle_timeout_s: float = 240.0
    handshake_timeout_s: float = 20.0


class Reader(Protocol):
    """A receiver of a partition, as the partition sees it."""

    @property
    def epoch(self) -> int | None:
        """The owner level, None for a receiver that shares."""
        ...

    def wake(self) -> None:
        """Look for new events."""
        ...

    def lose(self, reason: AmqpError) -> None:
        """Give the partition up: another receiver took it."""
        ...


class Partition:
    """One partition of a hub: its place in the log and its present readers."""

    __slots__ = ("_log", "_readers", "hub", "key", "number")

    def __init__(self, hub: str, number: int, log: EventLog) -> None:
        self.hub = hub
        self.number = number
        self.key: PartitionKey = (hub.lower(), number)
        self._log = log
        self._readers: dict[str, list[Reader]] = {}

    def info(self) -> PartitionInfo:
        """Return where the partition stands."""
        return self._log.info(self.key)

    def read(self, sequence: int, events_max: int) -> Slice:
        """Read on from a sequence number, at most READ_EVENTS_MAX events."""
        return self._log.read(self.key, sequence, min(events_max, READ_EVENTS_MAX), READ_BYTES_MAX)

    def locate(self, position: Position) -> int:
        """Return the sequence number where a receiver with this position starts.

        Raises:
            AmqpError: the position lies behind the last event ever enqueued.
        """
        info = self.info()
        last = {
            PositionKind.OFFSET: info.last_offset,
            PositionKind.SEQUENCE_NUMBER: info.last_sequence,
        }.get(position.kind)
        if last is not None and position.value > last:
            what = "offset" if position.kind is PositionKind.OFFSET else "sequence number"
            raise AmqpError(
                Condition.ARGUMENT_ERROR,
                f"The supplied {what} '{position.value}' is invalid."
                f" The last {what} in the system is '{last}'.",
            )
        return self._log.locate(self.key, position)

    def admit(self, group: str, reader: Reader, receivers_max: int) -> None:
        """Let a reader in, displacing those it outranks.

        Raises:
            AmqpError: a reader with a higher epoch is there, or too many readers share.
        """
        present = self._readers.setdefault(group, [])
        highest = max((other.epoch for other in present if other.epoch is not None), default=None)
        if highest is not None and (reader.epoch is None or reader.epoch < highest):
            raise AmqpError(Condition.STOLEN, _refusal(highest, reader.epoch))
        if reader.epoch is None and len(present) >= receivers_max:
            raise AmqpError(
                Condition.LIMIT_EXCEEDED,
                "Exceeded the maximum number of allowed receivers per partition in a consumer group"
                f" which is {receivers_max} ({self.hub}/{self.number}, group '{group}').",
            )
        losers = list(present) if reader.epoch is not None else []
        present.append(reader)
        for loser in losers:
            self.leave(group, loser)
            loser.lose(
                AmqpError(
                    Condition.STOLEN,
                    f"New receiver 'nil' with higher epoch of '{reader.epoch}' is created hence"
                    f" current receiver 'nil' with epoch '{loser.epoch or 0}' is getting"
                    " disconnected. If you are recreating the receiver, make sure a higher epoch is"
                    f" used ({self.hub}/{self.number}, group '{group}').",
                )
            )

    def leave(self, group: str, reader: Reader) -> None:
        """Forget a reader; doing it twice changes nothing."""
        present = self._readers.get(group, [])
        if reader in present:
            present.remove(reader)
        if not present:
            self._readers.pop(group, None)

    def wake(self) -> None:
        """Tell all readers that there are new events."""
        for present in list(self._readers.values()):
            for reader in list(present):
                reader.wake()


def _refusal(highest: int, epoch: int | None) -> str:
    """Return what a reader is told that a stronger one keeps out."""
    if epoch is None:
        return (
            f"At least one receiver for the endpoint is created with epoch of '{highest}', and so"
            " non-epoch receiver is not allowed. Either reconnect with a higher epoch, or make sure"
            " all epoch receivers are closed or disconnected."
        )
    return (
        f"Receiver 'nil' with a higher epoch of '{highest}' already exists. Receiver 'nil' with"
        f" epoch {epoch} cannot be created. Make sure you are creating receiver with increasing"
        " epoch value to ensure connectivity, or ensure all old epoch receivers are closed or"
        " disconnected."
    )


class Reset(Enum):
    """When a sender's connection ends: before its delivery is kept, or after, unanswered."""

    BEFORE = "before"
    AFTER = "after"


class Hub:
    """An event hub: its partitions, its consumer groups, and round robin over them."""

    def __init__(self, options: HubOptions, log: EventLog, created_ms: int) -> None:
        self.name = options.name
        self.created_ms = created_ms
        self.partitions = tuple(Partition(options.name, n, log) for n in range(options.partitions))
        groups = options.consumer_groups
        self._groups = None if groups is None else {group.lower() for group in groups}
        self._turn = 0

    def partition(self, number: str) -> Partition:
        """Return a partition by its id.

        Raises:
            AmqpError: there is none of that id.
        """
        if number.isascii() and number.isdigit() and len(number) < 6:
            index = int(number)
            if index < len(self.partitions):
                return self.partitions[index]
        raise AmqpError(
            Condition.ARGUMENT_OUT_OF_RANGE,
            "The specified partition is invalid for an EventHub partition sender or receiver."
            f" It should be between 0 and {len(self.partitions) - 1}; it is '{number}'.",
        )

    def route(self, partition_key: str | None) -> Partition:
        """Return the partition of a key, or the next one in turn without a key."""
        if partition_key:
            return self.partitions[partition_for_key(partition_key, len(self.partitions))]
        self._turn = (self._turn + 1) % len(self.partitions)
        return self.partitions[self._turn]

    def group(self, name: str) -> str:
        """Return a consumer group's name in lower case.

        Raises:
            AmqpError: the hub has no such group.
        """
        group = name.lower()
        if group == DEFAULT_GROUP or (group and (self._groups is None or group in self._groups)):
            return group
        raise AmqpError(
            Condition.NOT_FOUND,
            f"The messaging entity '{self.name}|{name}' could not be found.",
        )


class Room:
    """What the unfinished deliveries of all links may hold together: links cost a peer nothing."""

    def __init__(self, bytes_max: int) -> None:
        self._left = bytes_max

    def take(self, count: int) -> bool:
        """Take room for so many bytes; False when there is none."""
        if count > self._left:
            return False
        self._left -= count
        return True

    def give(self, count: int) -> None:
        """Give room back."""
        self._left += count


class Namespace:
    """All hubs of one broker, the keys that open them, and the group commit."""

    def __init__(
        self,
        hubs: Sequence[HubOptions],
        *,
        log: EventLog,
        keys: Mapping[str, str],
        limits: Limits,
        any_credential: bool = False,
        clock: Clock = time.time,
    ) -> None:
        self.keys = keys
        self._any_credential = any_credential
        self.limits = limits
        self.room = Room(limits.unfinished_bytes_max)
        self.clock = clock
        self._log = log
        self._hubs: dict[str, Hub] = {}
        for options in hubs:
            self._add(options)
        self._waiting: list[tuple[Partition, Append, Outcome]] = []
        self._busy_until_s = 0.0
        self._resets: dict[Reset, int] = {}

    @property
    def busy(self) -> AmqpError | None:
        """What a sender is told while the namespace is throttled, else None."""
        if self.clock() >= self._busy_until_s:
            return None
        return AmqpError(
            Condition.SERVER_BUSY,
            "The request was terminated because the namespace is being throttled. Error code :"
            " 50002. Please wait 4 seconds and try again.",
        )

    def takes_credential(self, token: str) -> bool:
        """Tell whether the token of a credential opens the namespace."""
        given = token.encode()
        known = [hmac.compare_digest(given, key.encode()) for key in self.keys.values()]
        return self._any_credential or any(known)

    def throttle(self, seconds: float) -> None:
        """Tell senders for so long that the server is busy."""
        self._busy_until_s = self.clock() + seconds

    def reset_sends(self, *, before: int, after: int) -> None:
        """End the connections of the next so many deliveries before, of then so many after."""
        self._resets = {Reset.BEFORE: before, Reset.AFTER: after}

    def next_reset(self) -> Reset | None:
        """Return what becomes of the connection of the next delivery, None when nothing does."""
        for reset, left in self._resets.items():
            if left > 0:
                self._resets[reset] = left - 1
                return reset
        return None

    def _add(self, options: HubOptions) -> None:
        name = options.name.lower()
        if not name or "/" in name or name in self._hubs:
            raise SettingsError(
                f"event hub name '{options.name}' is empty, holds a slash or is given twice",
                remedy="give each event hub a name of its own",
            )
        if not 1 <= options.partitions <= PARTITIONS_MAX:
            raise SettingsError(
                f"event hub '{options.name}' cannot have {options.partitions} partitions",
                remedy=f"choose 1 to {PARTITIONS_MAX}",
            )
        created_ms = self._log.open_hub(name, options.partitions, self.now_ms())
        self._hubs[name] = Hub(options, self._log, created_ms)

    def now_ms(self) -> int:
        """Return the wall clock in epoch milliseconds."""
        return int(self.clock() * 1000)

    def hub(self, name: str) -> Hub:
        """Return a hub by its name, whatever its case.

        Raises:
            AmqpError: there is none of that name.
        """
        hub = self._hubs.get(name.lower())
        if hub is None:
            raise AmqpError(
                Condition.NOT_FOUND, f"The messaging entity '{name}' could not be found."
            )
        return hub

    def publish(
        self, partition: Partition, events: Sequence[IncomingEvent], outcome: Outcome
    ) -> None:
        """Hand events in for a partition; ``outcome`` is called when they are kept or refused."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.commit)
        self._waiting.append((partition, Append(partition.key, events), outcome))

    def commit(self) -> None:
        """Keep everything handed in, tell its senders, and wake the receivers."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        problem: AmqpError | None = None
        try:
            self._log.append([append for _, append, _ in waiting], self.now_ms())
        except StoreError as error:
            problem = AmqpError(Condition.LIMIT_EXCEEDED, f"the events were not kept: {error}")
        except Exception:  # noqa: BLE001 - no sender may be left without an answer
            _LOG.exception("the event log failed")
            problem = AmqpError(Condition.INTERNAL_ERROR, "the events were not kept")
        for _, _, outcome in waiting:
            outcome(problem)
        if problem is None:
            for partition in {partition for partition, _, _ in waiting}:
                partition.wake()
