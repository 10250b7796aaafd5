"""What must hold for every inventory, graph and order: found by search, not by example."""

from __future__ import annotations

import asyncio
import copy
import json
from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sync_agent.errors import UnavailableError
from sync_agent.inventory.mapping import MappedGraph
from sync_agent.inventory.record import Coverage, Record
from sync_agent.reconcile.change import Action
from sync_agent.reconcile.diff import diff
from sync_agent.reconcile.plan import Plan, make_plan
from sync_agent.runs.apply_plan import apply_plan
from sync_agent.runs.observe import observe
from tests.memory_service import MemoryService
from tests.small_network import MODELS, mapped, records

WHOLE = [Coverage(scope, True) for scope in ("sites.csv", "routers.csv", "links.csv")]

IDS = st.integers(0, 5)
LABELS = st.sampled_from(["", "a", "b", "ä'\\x"])
NUMBERS = st.sampled_from(["", "1", "2.5", "-3"])


@st.composite
def inventories(draw: st.DrawFn) -> list[Record]:
    """Records of a network without faults: any subset of sites, routers between them, and links."""
    sites = draw(st.sets(IDS, min_size=1))
    routers = draw(st.dictionaries(IDS, st.sampled_from(sorted(sites))))
    site_rows = [
        {"id": f"S{n}", "label": draw(LABELS), "latitude": draw(NUMBERS), "floors": ""}
        for n in sorted(sites)
    ]
    router_rows = [
        {
            "id": f"R{n}",
            "label": draw(LABELS),
            "role": draw(st.sampled_from(["", "core", "edge"])),
            "managed": "",
            "installed": "",
            "site": f"S{site}" if draw(st.booleans()) else "",
        }
        for n, site in routers.items()
    ]
    ends = [f"R{n}" for n in routers]
    link_rows = []
    if len(ends) > 1:
        for n in draw(st.sets(IDS, max_size=3)):
            a, z = draw(st.permutations(ends))[:2]
            for channel in draw(st.sets(st.sampled_from(["near-far", "far-near"]), min_size=1)):
                row = {"link": f"L{n}", "channel": channel, "ghz": draw(NUMBERS), "a": a, "z": z}
                link_rows.append(row)
    return records(site_rows, router_rows, link_rows)


@dataclass(frozen=True)
class Foreign:
    """What others put into the graph: twins, edges on managed twins, and values on them."""

    twins: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    levels: tuple[tuple[str, float], ...]


names = st.sampled_from([f"{kind}{n}" for kind in "SRL" for n in range(6)])
foreign = st.builds(
    Foreign,
    twins=st.lists(names | st.sampled_from(["X1", "X2"]), max_size=3).map(tuple),
    edges=st.lists(st.tuples(names, names), max_size=4).map(tuple),
    levels=st.lists(st.tuples(names, st.floats(-90, 0)), max_size=4).map(tuple),
)


def service() -> MemoryService:
    return MemoryService(MODELS)


def put_foreign(twins: MemoryService, others: Foreign) -> None:
    for id_ in others.twins:
        if twins.graph.twin(id_) is None:
            model = {"$model": "dtmi:test:Site;1"}
            twins.graph.put_twin(
                {"$dtId": id_, "$etag": 'W/"x"', "$metadata": model, "label": "theirs"}
            )
    for number, (source, target) in enumerate(others.edges):
        if source != target and None not in (twins.graph.twin(source), twins.graph.twin(target)):
            edge = {"$relationshipId": f"x{number}", "$relationshipName": "dependsOn"}
            ends = {"$sourceId": source, "$targetId": target, "$etag": 'W/"x"'}
            twins.graph.put_relationship({**edge, **ends, "weight": number})
    for id_, level in others.levels:
        document = twins.graph.twin(id_)
        if document is not None:
            document["levelDbm"] = level
            document["health"] = {"score": level, "$metadata": {}}
            document.setdefault("tags", {})["team"] = "north"


def foreign_bytes(twins: MemoryService) -> str:
    """Return all that is not the inventory's, of what the inventory does not delete."""
    owned = {"label", "latitude", "floors", "role", "managed", "installed", "$etag", "$metadata"}
    owned |= {"frequencyAtoZ", "frequencyZtoA"}
    rest: dict[str, Any] = {}
    for document in twins.graph.twins():
        left = copy.deepcopy(document)
        if left.get("tags", {}).pop("managedBy", None) == "inventory":
            left = {k: v for k, v in left.items() if k not in owned}
        rest[document["$dtId"]] = left
    for edge in twins.graph.relationships():
        if not edge["$relationshipId"].startswith("inventory."):
            rest[f"{edge['$sourceId']}/{edge['$relationshipId']}"] = edge
    return json.dumps(rest, sort_keys=True)


async def plan_for(twins: MemoryService, wanted: MappedGraph, coverage: Any = WHOLE) -> Plan:
    observed = await observe(twins, wanted.desired)
    return make_plan(wanted.desired, observed, coverage, records=1)


async def sync(twins: MemoryService, wanted: MappedGraph) -> Plan:
    plan = await plan_for(twins, wanted)
    result = await apply_plan(plan, twins, at_once=4)
    assert result.complete, result.failures
    return plan


@settings(max_examples=50, deadline=None)
@given(inventories())
def test_equal_graphs_make_no_change(rows: list[Record]) -> None:
    async def run() -> None:
        twins = service()
        await sync(twins, mapped(rows))
        assert diff(mapped(rows).desired, twins.graph) == ()

    asyncio.run(run())


@settings(max_examples=50, deadline=None)
@given(inventories(), inventories(), foreign)
def test_after_a_plan_was_applied_there_is_nothing_left_to_do(
    before: list[Record], after: list[Record], others: Foreign
) -> None:
    async def run() -> None:
        twins = service()
        await sync(twins, mapped(before))
        put_foreign(twins, others)
        await sync(twins, mapped(after))
        assert (await plan_for(twins, mapped(after))).changes == ()

    asyncio.run(run())


@settings(max_examples=50, deadline=None)
@given(st.lists(inventories(), min_size=1, max_size=4), foreign)
def test_what_belongs_to_others_is_the_same_byte_for_byte(
    passes: list[list[Record]], others: Foreign
) -> None:
    async def run() -> None:
        twins = service()
        await sync(twins, mapped(passes[0]))
        put_foreign(twins, others)
        for rows in passes[1:]:
            before = json.loads(foreign_bytes(twins))
            plan = await sync(twins, mapped(rows))
            after = json.loads(foreign_bytes(twins))
            made = {c.element for c in plan.changes if c.action is Action.CREATE}
            gone = {c.element for c in plan.changes if c.action is Action.DELETE}
            kept = {k: v for k, v in before.items() if k not in gone}
            assert {k: v for k, v in after.items() if k not in made} == kept
            assert all(element in before for element in gone if "/" not in element)

    asyncio.run(run())


@settings(max_examples=50, deadline=None)
@given(inventories(), inventories(), st.randoms(use_true_random=False))
def test_the_order_of_records_and_documents_does_not_matter(
    before: list[Record], after: list[Record], chance: Random
) -> None:
    async def run() -> None:
        shuffled = list(after)
        chance.shuffle(shuffled)
        twins = service()
        await sync(twins, mapped(before))
        one = await plan_for(twins, mapped(after))
        other = await plan_for(twins, mapped(shuffled))
        assert one == other

    asyncio.run(run())


@settings(max_examples=50, deadline=None)
@given(inventories(), inventories(), st.sets(st.integers(0, 2), min_size=1))
def test_a_scope_that_was_not_read_whole_never_deletes(
    before: list[Record], after: list[Record], gaps: set[int]
) -> None:
    async def run() -> None:
        twins = service()
        await sync(twins, mapped(before))
        coverage = [Coverage(c.scope, n not in gaps) for n, c in enumerate(WHOLE)]
        plan = await plan_for(twins, mapped(after), coverage)
        kinds = [("Site",), ("Router", "locatedIn"), ("Link", "aEnd", "zEnd")]
        silent = {kind for n in gaps for kind in kinds[n]}
        for change in plan.changes:
            if change.action is Action.DELETE:
                name = change.kind.rpartition(":")[2].removesuffix(";1")
                assert name not in silent

    asyncio.run(run())


@settings(max_examples=50, deadline=None)
@given(inventories(), inventories(), st.integers(0, 20))
def test_a_run_that_ends_anywhere_is_finished_by_the_next(
    before: list[Record], after: list[Record], writes: int
) -> None:
    async def run() -> None:
        twins = service()
        await sync(twins, mapped(before))
        plan = await plan_for(twins, mapped(after))
        if plan.changes:
            change = plan.changes[writes % len(plan.changes)]
            operation = {"+": "put", "~": "patch", "-": "delete"}[change.action]
            twins.fail[operation, change.element].append(UnavailableError("down", status=503))
            result = await apply_plan(plan, twins, at_once=2)
            assert result.stopped is not None
        await sync(twins, mapped(after))
        assert (await plan_for(twins, mapped(after))).changes == ()
        fresh = service()
        await sync(fresh, mapped(after))
        assert _without_etags(twins) == _without_etags(fresh)

    asyncio.run(run())


def _without_etags(twins: MemoryService) -> list[str]:
    documents = [*twins.graph.twins(), *twins.graph.relationships()]
    return sorted(
        json.dumps({k: v for k, v in d.items() if k != "$etag"}, sort_keys=True) for d in documents
    )
