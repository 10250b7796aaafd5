"""On which line of a TOML text each key stands, which ``tomllib`` does not tell.

Only for messages: the text is known to be valid TOML, so keys are found by a scan that skips
strings, brackets and comments. A key inside an inline table has the line of the key that holds the
table, unless it begins a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([A-Za-z0-9_-]+)')
_HEADER = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?")
_TOKEN = re.compile(
    r'"""|\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|[\[\]{}]|[^"\'#\[\]{}]+', re.DOTALL
)


@dataclass(frozen=True, slots=True)
class KeyLines:
    """The lines of keys, written as messages write them: ``twin[2].properties.label``."""

    lines: Mapping[str, int] = field(default_factory=dict)

    def line_of(self, key: str) -> int:
        """Return the line of a key, or of the nearest key that holds it; 0 when there is none."""
        while key:
            if key in self.lines:
                return self.lines[key]
            cut = max(key.rfind("."), key.rfind("["))
            key = key[:cut] if cut > 0 else ""
        return 0


def key_lines(text: str) -> KeyLines:
    """Return the lines of all keys and tables of a valid TOML text."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in _statements(text):
        header = _HEADER.fullmatch(line) if line.lstrip().startswith("[") else None
        if header is not None:
            names = _names(header[2])
            table = _placed(names[:-1], counts)
            table = f"{table}.{names[-1]}" if table else names[-1]
            if header[1] == "[[":
                counts[table] = counts.get(table, 0) + 1
                table = f"{table}[{counts[table]}]"
            lines.setdefault(table, number)
            continue
        key = ".".join(_names(line.split("=", 1)[0] if '"' not in line else _before_equals(line)))
        if key:
            lines.setdefault(f"{table}.{key}" if table else key, number)
    return KeyLines(lines)


def _placed(names: list[str], counts: Mapping[str, int]) -> str:
    """Return the path of a table's parents, each array with the number of its last item."""
    path = ""
    for name in names:
        path = f"{path}.{name}" if path else name
        if path in counts:
            path = f"{path}[{counts[path]}]"
    return path


def _names(text: str) -> list[str]:
    return [double or single or bare for double, single, bare in _PART.findall(text)]


def _before_equals(line: str) -> str:
    taken = ""
    for token in _TOKEN.findall(line):
        if token[0] not in "\"'" and "=" in token:
            return taken + str(token.split("=", 1)[0])
        taken += token
    return taken


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines on which a header or a key begins, with their numbers from 1."""
    depth = 0
    quote = ""
    for number, line in enumerate(text.split("\n"), 1):
        if not depth and not quote and line.strip() and not line.lstrip().startswith("#"):
            yield number, line
        depth, quote = _after(line, depth, quote)


def _after(line: str, depth: int, quote: str) -> tuple[int, str]:
    """Return how many brackets, and which long quote, are open behind a line."""
    at = 0
    while at < len(line):
        if quote:
            end = line.find(quote, at)
            if end < 0:
                return depth, quote
            at, quote = end + 3, ""
            continue
        found = _TOKEN.match(line, at)
        if found is None:
            return depth, quote
        part, at = found[0], found.end()
        if part in ('"""', "'''"):
            quote = part
        elif part in "[{":
            depth += 1
        elif part in "]}":
            depth -= 1
    return depth, quote
