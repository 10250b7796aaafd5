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
    came from, ``pointer`` the JSON pointer inside it, ``line`` its line there (0: not known).
    """

    code: str
    message: str
    model: str = ""
    pointer: str = ""
    source: str = ""
    remedy: str = ""
    line: int = 0

    def __str__(self) -> str:
        file = f"{self.source}:{self.line}" if self.line else self.source
        place = " ".join(part for part in (file, self.model, self.pointer) if part)
        return (
            f"{place}: {self.message} [{self.code}]" if place else f"{self.message} [{self.code}]"
        )
