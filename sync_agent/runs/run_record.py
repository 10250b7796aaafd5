"""One run as it is written down: all its changes first, then outcome after outcome.

Outcomes are stored ``OUTCOMES_AT_ONCE`` at a time; a process killed in between leaves changes
without one, and whoever takes the run back looks at the twins.
"""

from __future__ import annotations

from collections.abc import Callable

from sync_agent.reconcile.change import Change
from sync_agent.reconcile.plan import Plan
from sync_agent.runs.journal import OUTCOMES_AT_ONCE, Journal


class RunRecord:
    """A run in the journal (``apply_plan.Record``)."""

    def __init__(self, journal: Journal, plan: Plan, kind: str, now_ms: Callable[[], int]) -> None:
        """Store the run and all changes of its plan.

        Raises:
            StoreError: the journal cannot be written; nothing was changed.
        """
        self._journal = journal
        self._now_ms = now_ms
        self._outcomes: list[tuple[int, str]] = []
        self.run = journal.begin(
            kind, plan.owner, plan.changes, digest=plan.digest, now_ms=now_ms()
        )

    def replan(self, number: int, change: Change) -> None:
        """Store what a change became."""
        self._journal.replace(self.run, number, change)

    def settle(self, number: int, outcome: str) -> None:
        """Note an outcome; it is stored with the next ones."""
        self._outcomes.append((number, outcome))
        if len(self._outcomes) >= OUTCOMES_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Store the outcomes so far."""
        outcomes, self._outcomes = self._outcomes, []
        self._journal.settle(self.run, outcomes)

    def end(self) -> None:
        """Store what is left, and that the run ended."""
        self.flush()
        self._journal.end(self.run, now_ms=self._now_ms())
