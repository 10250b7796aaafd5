"""Decides what an attach asks for: which node, hub, partition or consumer group, and from where.

Addresses, with or without a host in front, in any case::

    $cbs, $management                                       questions and answers
    HUB, HUB/Partitions/N                                   the peer sends events
    HUB/ConsumerGroups/GROUP/Partitions/N                   the peer receives events
"""

from __future__ import annotations

from dataclasses import dataclass

from sync_agent.stub.amqp import performatives
from sync_agent.stub.amqp.codec import Described, Symbol
from sync_agent.stub.amqp.condition import AmqpError, Condition
from sync_agent.stub.amqp.consumer import ConsumerLink, Subscription
from sync_agent.stub.amqp.link import Channel, Link
from sync_agent.stub.amqp.namespace import Namespace
from sync_agent.stub.amqp.performatives import NULL, Attach
from sync_agent.stub.amqp.publisher import PublisherLink
from sync_agent.stub.amqp.request import NODES, ReplyLink, RequestLink
from sync_agent.stub.amqp.selector import BEGINNING, SELECTOR_FILTER, Position, parse_selector
from sync_agent.stub.amqp.token import entity_path

EPOCH_PROPERTY = "com.microsoft:epoch"
METRICS_CAPABILITY = "com.microsoft:enable-receiver-runtime-metric"


@dataclass(frozen=True, slots=True)
class Terminus:
    """One end of a link as the peer describes it."""

    address: str
    selector: str | None


def termini(attach: Attach) -> tuple[Terminus, Terminus]:
    """Return the source and the target of an attach."""
    return _terminus(attach.source, 7), _terminus(attach.target, None)


def answer(attach: Attach, max_message_size: int, *, refused: bool) -> bytes:
    """Encode the answer to an attach; a refused one names no terminus on this side."""
    source, target = termini(attach)
    refused_source = refused and attach.is_receiver
    refused_target = refused and not attach.is_receiver
    wants_metrics = attach.is_receiver and _wants_metrics(attach)
    name = Symbol(SELECTOR_FILTER)
    filters = {name: Described(name, source.selector)} if source.selector is not None else {}
    return performatives.attach(
        attach,
        source=NULL if refused_source else performatives.source(source.address, filters),
        target=NULL if refused_target else performatives.target(target.address),
        max_message_size=max_message_size,
        offered_capabilities=(METRICS_CAPABILITY,) if wants_metrics else (),
    )


def open_link(channel: Channel, namespace: Namespace, attach: Attach) -> Link:
    """Make the link an attach asks for.

    Raises:
        AmqpError: the address is unknown, the connection has no access to it, or the receiver's
            position or ownership is refused.
    """
    source, target = termini(attach)
    address = source.address if attach.is_receiver else target.address
    node = address.lower().rpartition("/")[2]
    if node in NODES:
        if attach.is_receiver:
            return ReplyLink(channel, attach, node, target.address)
        return RequestLink(channel, attach, node, namespace)
    path = entity_path(address)
    right = ConsumerLink.right if attach.is_receiver else PublisherLink.right
    if not channel.is_authorized(path, right):
        raise AmqpError(
            Condition.UNAUTHORIZED,
            f"Unauthorized access. '{right}' claim(s) are required to perform this operation."
            f" Resource: '{address}'.",
        )
    if attach.is_receiver:
        return _consumer(channel, namespace, attach, source, path)
    return _publisher(channel, namespace, attach, address, path)


def _publisher(
    channel: Channel, namespace: Namespace, attach: Attach, address: str, path: tuple[str, ...]
) -> PublisherLink:
    match path:
        case (name,):
            hub, partition = namespace.hub(name), None
        case (name, "partitions", number):
            hub = namespace.hub(name)
            partition = hub.partition(number)
        case _:
            raise _unknown(address)
    return PublisherLink(channel, attach, path, namespace=namespace, hub=hub, partition=partition)


def _consumer(
    channel: Channel,
    namespace: Namespace,
    attach: Attach,
    source: Terminus,
    path: tuple[str, ...],
) -> ConsumerLink:
    match path:
        case (name, "consumergroups", group, "partitions", number):
            hub = namespace.hub(name)
        case _:
            raise _unknown(source.address)
    subscription = Subscription(
        partition=hub.partition(number),
        group=hub.group(group),
        position=_position(source),
        epoch=_epoch(attach.properties),
        wants_metrics=_wants_metrics(attach),
    )
    return ConsumerLink(channel, attach, path, namespace=namespace, subscription=subscription)


def _unknown(address: str) -> AmqpError:
    return AmqpError(Condition.NOT_FOUND, f"The messaging entity '{address}' could not be found.")


def _terminus(described: Described | None, filters_at: int | None) -> Terminus:
    fields = described.value if described is not None else None
    if not isinstance(fields, list):
        return Terminus("", None)
    address = fields[0] if fields else None
    filters: object = None
    if filters_at is not None and len(fields) > filters_at:
        filters = fields[filters_at]
    selector = filters.get(SELECTOR_FILTER) if isinstance(filters, dict) else None
    return Terminus(address if isinstance(address, str) else "", _expression(selector))


def _expression(value: object) -> str | None:
    inner = value.value if isinstance(value, Described) else value
    if isinstance(inner, bytes):
        return inner.decode("utf-8", "replace")
    return inner if isinstance(inner, str) else None


def _position(source: Terminus) -> Position:
    return BEGINNING if source.selector is None else parse_selector(source.selector)


def _epoch(properties: object) -> int | None:
    epoch = properties.get(EPOCH_PROPERTY) if isinstance(properties, dict) else None
    if epoch is None:
        return None
    if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 0:
        raise AmqpError(Condition.ARGUMENT_ERROR, f"the epoch '{epoch}' is no number from 0 on")
    return epoch


def _wants_metrics(attach: Attach) -> bool:
    desired = attach.desired_capabilities
    return METRICS_CAPABILITY in desired if isinstance(desired, list) else False
