"""The ``$management`` node: READ of an event hub's and a partition's runtime information."""

from __future__ import annotations

from collections.abc import Callable

from sync_agent.stub.amqp.codec import Int, TextArray, Timestamp
from sync_agent.stub.amqp.condition import AmqpError, Condition
from sync_agent.stub.amqp.message import Reply, Request
from sync_agent.stub.amqp.namespace import Hub, Namespace
from sync_agent.stub.amqp.token import entity_path, verify

NODE = "$management"
HUB_TYPE = "com.microsoft:eventhub"
PARTITION_TYPE = "com.microsoft:partition"

_STATUS = {
    Condition.NOT_FOUND: 404,
    Condition.UNAUTHORIZED: 401,
    Condition.ARGUMENT_OUT_OF_RANGE: 400,
}

Authorizer = Callable[[tuple[str, ...]], bool]
"""Tells whether the connection already has access to an entity's path."""


def answer(namespace: Namespace, request: Request, is_authorized: Authorizer) -> Reply:
    """Answer a request to ``$management``."""
    operation, kind = request.text("operation"), request.text("type")
    if operation != "READ" or kind not in (HUB_TYPE, PARTITION_TYPE):
        text = f"the operation '{operation}' of type '{kind}' is not implemented"
        return Reply(501, text, condition=Condition.NOT_IMPLEMENTED)
    try:
        _check_access(namespace, request, is_authorized)
        hub = namespace.hub(request.text("name"))
        if kind == HUB_TYPE:
            return Reply(200, "OK", _hub_information(hub))
        return Reply(200, "OK", _partition_information(namespace, hub, request.text("partition")))
    except AmqpError as error:
        status = _STATUS.get(error.condition, 500)
        return Reply(status, error.message, condition=error.condition)


def _check_access(namespace: Namespace, request: Request, is_authorized: Authorizer) -> None:
    name = request.text("name")
    path = entity_path(name)
    token = request.text("security_token")
    if token:
        resource = f"sb://namespace/{name}"
        verify(token, resource, namespace.keys, namespace.clock())
    elif not is_authorized(path):
        raise AmqpError(Condition.UNAUTHORIZED, f"the connection has no access to '{name}'")


def _hub_information(hub: Hub) -> dict[str, object]:
    return {
        "name": hub.name,
        "type": HUB_TYPE,
        "created_at": Timestamp(hub.created_ms),
        "partition_count": Int(len(hub.partitions)),
        "partition_ids": TextArray([str(partition.number) for partition in hub.partitions]),
    }


def _partition_information(namespace: Namespace, hub: Hub, number: str) -> dict[str, object]:
    partition = hub.partition(number)
    info = partition.info()
    return {
        "name": hub.name,
        "type": PARTITION_TYPE,
        "partition": str(partition.number),
        "begin_sequence_number": info.first_sequence,
        "last_enqueued_sequence_number": info.last_sequence,
        "last_enqueued_offset": str(info.last_offset),
        "last_enqueued_time_utc": Timestamp(info.last_enqueued_ms),
        "runtime_info_retrieval_time_utc": Timestamp(namespace.now_ms()),
        "is_partition_empty": info.is_empty,
    }
