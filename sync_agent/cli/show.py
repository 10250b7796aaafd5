"""``sync-agent show``: one element, its properties and health, and its relationships both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sync_agent.cli import context, reading
from sync_agent.errors import NotFoundError
from sync_agent.report.output import Column, Output, print_fields, print_line, print_rows
from sync_agent.twins.twin import model_of

if TYPE_CHECKING:
    from sync_agent.settings.settings import Settings

RELATIONSHIPS_MAX = 100_000

_PROPERTIES = (
    Column("property", "PROPERTY"),
    Column("value", "VALUE"),
    Column("time", "AS OF", style="dim"),
)
_RELATIONSHIPS = (
    Column("direction", ""),
    Column("name", "RELATIONSHIP"),
    Column("element", "ELEMENT"),
    Column("properties", "PROPERTIES"),
    Column("id", "ID", style="dim"),
)


def show(
    ctx: typer.Context,
    element: Annotated[str, typer.Argument(metavar="ELEMENT", help="Id of the element.")],
    output: context.OutputOption = Output.TABLE,
) -> None:
    """Show one element: properties with their times, health, relationships in both directions."""
    found = context.run(_read(context.settings(ctx), element))
    if output is Output.JSON:
        print_fields(found, output=output)
        return
    twin = found["twin"]
    health = twin.get("health") or {}
    state = health.get("state", "unknown")
    score = f", score {health['score']:.0f}" if "score" in health else ""
    why = f": {health['explanation']}" if health.get("explanation") else ""
    print_line(f"{element} ({reading.type_name(model_of(twin))}) is {state}{score}{why}")
    print_line("")
    print_rows(list(_properties(twin, "")), _PROPERTIES, output=output)
    edges = [_edge("->", e, e["$targetId"]) for e in found["outgoing"]]
    edges += [_edge("<-", e, e["$sourceId"]) for e in found["incoming"]]
    if edges:
        print_line("")
        print_rows(edges, _RELATIONSHIPS, output=output)


async def _read(settings: Settings, element: str) -> dict[str, Any]:
    """Return the twin's document and its relationships both ways.

    Raises:
        NotFoundError: there is no such twin.
        ServiceError: it cannot be read.
    """
    from sync_agent.runs.observe import quoted

    # Incoming ones are asked for by query, because the list of them lacks their properties.
    incoming = f"SELECT * FROM relationships R WHERE R.$targetId = {quoted(element)}"  # noqa: S608
    async with reading.reading(settings) as store:
        twin = await store.get_twin(element)
        if twin is None:
            raise NotFoundError(
                f"there is no element {element}",
                status=404,
                remedy="check the id (ids are case-sensitive); sync-agent query lists them:"
                ' "SELECT T.$dtId FROM digitaltwins T"',
            )
        outgoing = []
        async for edge in store.relationships_of(element):
            outgoing.append(edge.to_document())
            if len(outgoing) == RELATIONSHIPS_MAX:
                break
        arriving = []
        async for row in store.query(incoming):
            arriving.append({k: v for k, v in row.items() if k != "$etag"})
            if len(arriving) == RELATIONSHIPS_MAX:
                break
    document = {"$dtId": twin.id, "$etag": twin.etag, **twin.properties, "$metadata": twin.metadata}
    return {"twin": document, "outgoing": outgoing, "incoming": arriving}


def _properties(bag: Mapping[str, Any], prefix: str) -> Iterator[dict[str, Any]]:
    """Yield a row per property, those of components with the component's name in front."""
    metadata = bag.get("$metadata") or {}
    for name, value in bag.items():
        if name.startswith("$"):
            continue
        if isinstance(value, Mapping) and "$metadata" in value:
            yield from _properties(value, f"{name}.")
        else:
            times = metadata.get(name) or {}
            time = times.get("sourceTime") or times.get("lastUpdateTime")
            yield {"property": f"{prefix}{name}", "value": value, "time": time}


def _edge(direction: str, document: Mapping[str, Any], element: str) -> dict[str, Any]:
    properties = {k: v for k, v in document.items() if not k.startswith("$")}
    return {
        "direction": direction,
        "name": document["$relationshipName"],
        "element": element,
        "properties": properties or None,
        "id": document["$relationshipId"],
    }
