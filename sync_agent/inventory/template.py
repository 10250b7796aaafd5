"""Text with column names in braces: ``"{site}-{port}"``. ``{{`` and ``}}`` stand for braces."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sync_agent.twins.twin import JsonValue

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: texts and, between them, columns (``texts`` is one longer)."""

    texts: tuple[str, ...]
    columns: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Template:
        """Parse a template.

        Raises:
            ValueError: a brace is not closed, or holds no name.
        """
        texts, columns, at = [""], [], 0
        for found in _PART.finditer(text):
            texts[-1] += text[at : found.start()]
            at = found.end()
            if found[0] in ("{{", "}}"):
                texts[-1] += found[0][0]
            elif found[1] is None or not found[1].strip():
                raise ValueError(f"{text!r} has a brace that does not enclose a column name")
            else:
                columns.append(found[1].strip())
                texts.append("")
        texts[-1] += text[at:]
        return cls(tuple(texts), tuple(columns))

    @classmethod
    def of_column(cls, column: str) -> Template:
        """Return the template that is one column and nothing else."""
        return cls(("", ""), (column,))

    def fill(self, attributes: Mapping[str, JsonValue]) -> str | None:
        """Return the text for a record; None when one of its columns is empty or not there.

        >>> Template.parse("{site}-{port}").fill({"site": "A", "port": 3})
        'A-3'
        """
        text = self.texts[0]
        for column, after in zip(self.columns, self.texts[1:], strict=True):
            value = attributes.get(column)
            if value is None or value == "":
                return None
            text += (value if type(value) is str else _in_words(value)) + after
        return text

    @property
    def column(self) -> str | None:
        """Return the one column it is and nothing else, None when it is more."""
        return self.columns[0] if self.texts == ("", "") else None

    def filler(self) -> Callable[[Mapping[str, JsonValue]], str | None]:
        """Return ``fill``, or something quicker that does the same for a single column."""
        column = self.column
        if column is None:
            return self.fill

        def text_of(attributes: Mapping[str, JsonValue]) -> str | None:
            value = attributes.get(column)
            if type(value) is str:
                return value or None
            return None if value is None else _in_words(value)

        return text_of


def _in_words(value: JsonValue) -> str:
    """Return a value that is no text as JSON has it, the parts of an object in order of names."""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return str(value)
