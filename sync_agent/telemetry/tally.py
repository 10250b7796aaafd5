"""What became of the rows of telemetry: every row ends in exactly one count."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of samples ("rows") by what became of them; ``rows`` is always the sum of the rest.

    ``applied``: a reading of it stands on its twin. ``coalesced``: all its readings were
    superseded by newer ones before they were written. ``missing``: it held no value (a sentinel,
    an empty field). ``dead_lettered``: it could not be used and is kept with the reason.
    """

    rows: int = 0
    applied: int = 0
    coalesced: int = 0
    missing: int = 0
    dead_lettered: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.rows + other.rows,
            self.applied + other.applied,
            self.coalesced + other.coalesced,
            self.missing + other.missing,
            self.dead_lettered + other.dead_lettered,
        )
