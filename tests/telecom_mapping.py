"""The shipped models and a short way to map records against them, for tests of the inventory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.inventory.mapping import MappedGraph, Reading, map_sources, parse_mapping
from sync_agent.inventory.record import Coverage, Record

MODELS_FOLDER = Path(__file__).parents[1] / "dtdl_models"
SITE = "dtmi:telecom:place:Site;1"
DEVICE = "dtmi:telecom:equipment:Device;1"
ROUTER = "dtmi:telecom:transport:Router;1"
LINK = "dtmi:telecom:transport:IpLink;1"
ENTITY = "dtmi:telecom:core:ManagedEntity;1"
RACK = "dtmi:telecom:place:Rack;1"


@cache
def telecom_models() -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(f.read_text()) for f in sorted(MODELS_FOLDER.rglob("*.json")))


@cache
def telecom() -> ModelRegistry:
    return ModelRegistry(parse_models(telecom_models()).interfaces)


Rows = Mapping[str, Iterable[Mapping[str, Any]]]


def reading(
    mapping: str,
    rows: Rows,
    *,
    name: str = "",
    incomplete: Iterable[str] = (),
    gone: Iterable[str] = (),
    partial: Iterable[str] = (),
    gone_rows: Rows | None = None,
) -> Reading:
    """Return a source's reading: rows by scope; scopes in ``incomplete`` were not read whole."""
    rules = parse_mapping(mapping, place=f"{name or 'mapping'}.toml")
    missing = set(incomplete)
    coverage = tuple(
        Coverage(scope, scope not in missing, "cut off" if scope in missing else "")
        for scope in rules.scopes
    )
    return Reading(
        rules,
        _records(rows),
        name,
        coverage,
        gone=frozenset(gone),
        gone_records=tuple(_records(gone_rows or {})),
        partial_kinds=frozenset(partial),
    )


def _records(rows: Rows) -> list[Record]:
    return [
        Record(kind, str(number), row, f"{kind}:{number}")
        for kind, of_kind in rows.items()
        for number, row in enumerate(of_kind, 1)
    ]


def mapped(*readings: Reading) -> MappedGraph:
    return map_sources(readings, telecom())


def twin_rule(scope: str, model: str, *lines: str, id_: str = "{id}") -> str:
    return "\n".join(
        ["[[twin]]", f'from = "{scope}"', f'id = "{id_}"', f'model = "{model}"', *lines, ""]
    )


def edge_rule(scope: str, name: str, target: str, *lines: str, source: str = "{id}") -> str:
    return "\n".join(
        [
            "[[relationship]]",
            f'from = "{scope}"',
            f'source = "{source}"',
            f'name = "{name}"',
            f'target = "{target}"',
            *lines,
            "",
        ]
    )
