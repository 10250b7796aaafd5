"""What is wrong with a model, for people and for machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Report = Callable[[str, str, str], None]
"""Takes the code, the JSON pointer and the message of a finding about what is being read."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a code, where it is, what it is, and what to do.

    ``model`` is the interface's id ("" when it has none), ``source`` the file or request part it
    came from, ``pointer`` the JSON pointer inside it, ``line`` and ``column`` where that is in its
    text (0: not known).
    """

    code: str
    message: str
    model: str = ""
    pointer: str = ""
    source: str = ""
    remedy: str = ""
    line: int = 0
    column: int = 0

    @property
    def place(self) -> str:
        """Return the file with line and column, as far as they are known."""
        if not self.line:
            return self.source
        return f"{self.source}:{self.line}" + (f":{self.column}" if self.column else "")

    def __str__(self) -> str:
        place = " ".join(part for part in (self.place, self.model, self.pointer) if part)
        return (
            f"{place}: {self.message} [{self.code}]" if place else f"{self.message} [{self.code}]"
        )
