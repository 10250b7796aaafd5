"""Makes the writes of a migration to relationships; each can be made again and changes nothing.

A step that was cut off is made from its beginning, so a write may find its work done: what it
deletes is gone, what it removes from a relationship is removed.
"""

from __future__ import annotations

from sync_agent.errors import NotFoundError, ServiceError
from sync_agent.migration.edges import EdgeWrite
from sync_agent.ports.twin_store import TwinStore


async def write_edge(service: TwinStore, write: EdgeWrite) -> None:
    """Make one write of a relationship.

    Raises:
        ServiceError: the service cannot be reached or refuses it.
    """
    edge = write.edge
    try:
        match write.action:
            case "delete":
                await service.delete_relationship(edge.source, edge.id, target=edge.target)
            case "put":
                await service.put_relationship(edge)
            case "patch":
                await service.patch_relationship(
                    edge.source, edge.id, write.patch, target=edge.target
                )
    except NotFoundError:
        return  # somebody deleted it
    except ServiceError as error:
        if error.retryable or error.status != 400 or write.action != "patch":
            raise
        await _patch_rest(service, write)


async def _patch_rest(service: TwinStore, write: EdgeWrite) -> None:
    """Repeat a patch without the removals that were made before."""
    edge = write.edge
    async for now in service.relationships_of(edge.source):
        if now.id == edge.id:
            left = [
                operation
                for operation in write.patch
                if operation["op"] != "remove" or operation["path"][1:] in now.properties
            ]
            if left:
                await service.patch_relationship(edge.source, edge.id, left, target=edge.target)
