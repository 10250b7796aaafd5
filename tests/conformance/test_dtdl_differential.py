"""Thousands of mutated models, judged by our library and by the official parser beside it.

The official parser is the npm package ``@digicatapult/dtdl-parser``, the .NET parser 1.1.3 as
WebAssembly. What is left of the differences is explained in ``docs/dtdl-conformance.md``.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from tests.conformance.dtdl_mutations import SOUND, mutations
from tests.npm import locked

ROOT = Path(__file__).parents[2]
JUDGE_S = 240
COUNT = 4_000
SEED = 20261127
UNRESOLVED = {"unresolved"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which Node.js finds the official parser."""
    return locked(ROOT / "tools" / "witness", tmp_path_factory.mktemp("parser"))


def official(parser: Path, models: list[Any]) -> list[set[str] | None]:
    """Return the ValidationIDs the official parser gives each model, None where it broke down."""
    asked = parser / "models.jsonl"
    asked.write_text("\n".join(json.dumps(json.dumps(m)) for m in models), encoding="utf-8")
    answer = subprocess.run(
        ["node", "verdicts.mjs", asked.name],
        cwd=parser,
        capture_output=True,
        text=True,
        timeout=JUDGE_S,
        check=True,
    )
    answers = [json.loads(line) for line in answer.stdout.splitlines()[-len(models) :]]
    return [None if ids is None else set(ids) for ids in answers]


def ours(models: list[Any]) -> set[str]:
    """Return the codes our library gives, and one where a model is not there."""
    parsed = parse_models(models)
    if parsed.diagnostics or not ModelRegistry(parsed.interfaces).missing():
        return {
            "unresolved" if f.code == "unresolvedReference" else f.code for f in parsed.diagnostics
        }
    return UNRESOLVED


def test_the_models_the_mutations_start_from_are_sound(parser: Path) -> None:
    assert official(parser, SOUND) == [set()] * len(SOUND)
    assert [ours(models) for models in SOUND] == [set()] * len(SOUND)


def test_mutated_models_get_the_official_verdict_and_id(parser: Path) -> None:
    models = list(mutations(SEED, COUNT))
    judged = [
        (theirs, ours(model))
        for model, theirs in zip(models, official(parser, models), strict=True)
        if theirs is not None
    ]
    invalid = [(theirs, mine) for theirs, mine in judged if theirs and theirs != UNRESOLVED]

    assert len(judged) > 0.95 * COUNT
    assert len(invalid) > 0.5 * COUNT
    assert sum(bool(theirs) is bool(mine) for theirs, mine in judged) >= 0.995 * len(judged)
    assert sum(bool(theirs & mine) for theirs, mine in invalid) >= 0.95 * len(invalid)
