"""Reading models: the official parser's cases (the half that is here), and a whole ontology."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sync_agent.dtdl.adt_profile import check_adt
from sync_agent.dtdl.parse import parse_documents
from sync_agent.dtdl.registry import ModelRegistry
from tests.conformance import dtdl_cases

ONTOLOGY = Path(__file__).parents[2] / "dtdl_models/telecom"
INTERFACES = 100

pytestmark = [pytest.mark.bench, pytest.mark.timeout(600)]


def documents() -> list[tuple[str, Any]]:
    """Return the ontology, and copies of models under other ids up to the number wanted."""
    texts = [(path.name, path.read_text("utf-8")) for path in sorted(ONTOLOGY.rglob("*.json"))]
    own = [(name, json.loads(text)) for name, text in texts]
    copies = [
        (f"copy {name}", json.loads(text.replace("dtmi:telecom:", "dtmi:copy:")))
        for name, text in texts
    ]
    return [*own, *copies][:INTERFACES]


def test_a_hundred_interfaces(benchmark: Any) -> None:
    models = documents()

    def validate() -> int:
        parsed = parse_documents(models)
        registry = ModelRegistry(parsed.interfaces)
        found = [d for i in parsed.interfaces for d in check_adt(registry, i)]
        return len(parsed.interfaces) - len(found)

    assert benchmark(validate) == INTERFACES


@pytest.mark.skipif(dtdl_cases.ARCHIVE is None, reason=dtdl_cases.MISSING)
def test_the_cases(benchmark: Any) -> None:
    assert dtdl_cases.ARCHIVE is not None
    cases = list(dtdl_cases.cases(dtdl_cases.ARCHIVE))

    judged = benchmark.pedantic(
        lambda: sum(bool(dtdl_cases.findings(case)) is not case.valid for case in cases), rounds=3
    )

    assert judged > 0.99 * len(cases)
