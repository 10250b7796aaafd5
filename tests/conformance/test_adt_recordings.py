"""Recorded exchanges with the real service, replayed against the stub session by session."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conformance.adt_replay import (
    Catalogue,
    Needs,
    Replayer,
    differences,
    sessions_of,
)
from tests.stubs import running_stub

ROOT = Path(__file__).resolve().parents[2]
FIDELITY = ROOT / "docs" / "stub-fidelity.md"
RECORDINGS = next(
    (
        folder / "shared" / "conformance" / "adt"
        for folder in Path(__file__).resolve().parents
        if (folder / "shared" / "conformance" / "adt").is_dir()
    ),
    None,
)
NAMES = ("python-2020-12", "python-2023-03")

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(RECORDINGS is None, reason="../shared/conformance/adt is not here"),
]


@dataclass
class Outcome:
    """What a replay found: exchanges and differences by operation."""

    replayed: Counter[str] = field(default_factory=Counter)
    different: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def replay(name: str) -> Outcome:
    assert RECORDINGS is not None
    sessions = sessions_of(RECORDINGS / f"{name}.jsonl.gz")
    catalogue = Catalogue.of(sessions)
    outcome = Outcome()
    with running_stub() as stub, closing(Replayer(stub.adt_url)) as replayer:
        for session in sessions:
            needs = Needs(catalogue).of(session)
            replayer.wipe()
            replayer.seed(needs)
            for exchange in session:
                if exchange["status"] == 429:
                    continue
                found = differences(exchange, needs, *replayer.send(exchange))
                outcome.replayed[exchange["op"]] += 1
                outcome.different[exchange["op"]] += bool(found)
                place = f"{exchange['session']} #{exchange['order']} {exchange['op']}"
                outcome.failures += [f"{place}: {text}" for text in found]
    return outcome


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    return {name: replay(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_stub_answers_as_the_service_was_recorded(
    outcomes: dict[str, Outcome], name: str
) -> None:
    outcome = outcomes[name]
    assert outcome.replayed.total() > 1_000
    assert not outcome.failures, "\n".join(outcome.failures[:20])


def test_the_fidelity_page_has_the_figures_of_this_replay(outcomes: dict[str, Outcome]) -> None:
    page = FIDELITY.read_text(encoding="utf-8")
    operations = sorted({op for outcome in outcomes.values() for op in outcome.replayed})
    rows = []
    for operation in operations:
        cells = [
            f"{outcome.replayed[operation] - outcome.different[operation]}"
            f" of {outcome.replayed[operation]}"
            for outcome in outcomes.values()
        ]
        rows.append(f"| {operation} | {' | '.join(cells)} |")
    missing = [row for row in rows if row not in page]
    assert not missing, "docs/stub-fidelity.md lacks these rows:\n" + "\n".join(rows)
