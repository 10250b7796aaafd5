"""DTDL parsers that are not ours read the whole ontology, and refuse it when it is broken.

``tools/witness`` runs two of them from the npm registry: ``@azure/dtdl-parser`` and
``@digicatapult/dtdl-parser`` (the .NET parser of the DTDL project, as WebAssembly).

They are skipped where npm is missing or cannot reach its registry, and fail there in CI.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.npm import locked

ROOT = Path(__file__).parents[2]
ONTOLOGY = ROOT / "dtdl_models" / "telecom"
PARSERS = ("@azure/dtdl-parser", "@digicatapult/dtdl-parser")
READ_S = 120

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], dict[str, Any]]:
    """Return what asks both parsers about a folder of models."""
    home = locked(ROOT / "tools" / "witness", tmp_path_factory.mktemp("witness"))

    def ask(folder: Path) -> dict[str, Any]:
        answer = subprocess.run(
            ["node", "witness.mjs", str(folder)],
            cwd=home,
            capture_output=True,
            text=True,
            timeout=READ_S,
            check=True,
        )
        verdicts: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
        return verdicts

    return ask


def broken(tmp_path: Path, text: str, instead: str) -> Path:
    """Copy the ontology, with one thing in MicrowaveLink said otherwise."""
    copy = tmp_path / "telecom"
    shutil.copytree(ONTOLOGY, copy)
    model = copy / "transport" / "MicrowaveLink.json"
    before = model.read_text(encoding="utf-8")
    assert text in before
    model.write_text(before.replace(text, instead, 1), encoding="utf-8")
    return copy


def test_both_parsers_accept_the_whole_ontology(witness: Callable[[Path], dict[str, Any]]) -> None:
    verdicts = witness(ONTOLOGY)
    assert verdicts["models"] == len(list(ONTOLOGY.rglob("*.json")))
    for parser in PARSERS:
        assert verdicts[parser]["accepted"], verdicts[parser]
        assert verdicts[parser]["elements"] > verdicts["models"]


def test_both_parsers_refuse_a_name_with_a_dot(
    witness: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    verdicts = witness(broken(tmp_path, '"name": "hopLength"', '"name": "hop.length"'))
    for parser in PARSERS:
        assert not verdicts[parser]["accepted"]


def test_both_parsers_miss_a_base_that_is_not_there(
    witness: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    verdicts = witness(broken(tmp_path, "telecom:core:Connection;1", "telecom:core:Nowhere;1"))
    for parser in PARSERS:
        assert not verdicts[parser]["accepted"]


def test_the_official_parser_knows_the_units(
    witness: Callable[[Path], dict[str, Any]], tmp_path: Path
) -> None:
    verdicts = witness(broken(tmp_path, '"unit": "gigahertz"', '"unit": "kilogram"'))
    assert not verdicts["@digicatapult/dtdl-parser"]["accepted"]
