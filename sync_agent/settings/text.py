"""The settings in words: the commented TOML file, and one row a setting for tables.

All of it comes from the descriptions in ``settings_sections``, so that the file ``config init``
writes and the page in ``docs`` cannot fall behind the settings.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from sync_agent.settings.layers import ENVIRONMENT_PREFIX
from sync_agent.settings.settings import sections, table_model, value_types

COMMENT_COLUMNS = 98
MASK = "********"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting in words; ``default`` is TOML text, or prose in parentheses when it has none."""

    section: str
    key: str
    type: str
    default: str
    description: str
    secret: bool

    @property
    def is_value(self) -> bool:
        """Tell whether ``default`` is a value, and not words about one."""
        return not self.default.startswith("(")

    @property
    def variable(self) -> str:
        """Return the environment variable that sets it."""
        return f"{ENVIRONMENT_PREFIX}{self.section}__{self.key}".upper()


def setting_rows() -> Iterator[SettingRow]:
    """Yield every setting, section by section."""
    for section, model in sections().items():
        for key, field in model.model_fields.items():
            yield _row(section, key, field)


def table_rows() -> Iterator[tuple[str, str, list[SettingRow]]]:
    """Yield every list of tables: ``section.key``, its summary, and a row for each of its keys."""
    for section, model in sections().items():
        for key, field in model.model_fields.items():
            if (table := table_model(field)) is not None:
                name = f"{section}.{key}"
                rows = [_row(name, inner, part) for inner, part in table.model_fields.items()]
                yield name, " ".join((table.__doc__ or "").split()), rows


def _row(section: str, key: str, field: FieldInfo) -> SettingRow:
    return SettingRow(
        section=section,
        key=key,
        type="list of tables" if table_model(field) else _type_text(value_types(field)),
        default="(must be set)" if field.is_required() else _default_text(field),
        description=" ".join((field.description or "").split()),
        secret=SecretStr in value_types(field),
    )


def section_summaries() -> dict[str, str]:
    """Return each section's one-line summary."""
    return {name: (model.__doc__ or "").strip() for name, model in sections().items()}


def settings_toml() -> str:
    """Return a settings file that sets nothing and explains everything."""
    lines = [
        "# Settings of sync-agent. Every line is commented out and shows the default;",
        "# remove the # of what you change. Paths are relative to this file.",
        f"# The environment ({ENVIRONMENT_PREFIX}SECTION__KEY) wins over this file,",
        "# and --set section.key=value over both.",
    ]
    rows = list(setting_rows())
    for section, summary in section_summaries().items():
        lines += ["", f"# {summary}", f"[{section}]"]
        for row in (row for row in rows if row.section == section):
            lines += [f"# {line}" for line in textwrap.wrap(row.description, COMMENT_COLUMNS)]
            if not row.is_value:
                lines.append(f"# Default: {row.default[1:-1]}.")
            if row.secret:
                lines.append(f"# Secret: better set as {row.variable} than written here.")
            lines.append(f"#{row.key} = {row.default}" if row.is_value else f'#{row.key} = ""')
    return "\n".join(lines) + "\n"


def value_text(value: Any) -> Any:
    """Return a setting's value as ``config show`` prints it: secrets masked, paths as text."""
    match value:
        case SecretStr():
            return MASK
        case Path():
            return str(value)
        case tuple():
            return [
                {key: value_text(getattr(table, key)) for key in sorted(table.model_fields_set)}
                for table in value
            ]
        case _:
            return value


def _type_text(kinds: tuple[Any, ...]) -> str:
    names = {str: "text", bool: "true or false", int: "whole number", float: "number"}
    if kinds[0] in names:
        return names[kinds[0]]
    if kinds[0] is Path:
        return "path"
    if kinds[0] is SecretStr:
        return "secret text"
    return " or ".join(f'"{kind}"' for kind in kinds)


def _default_text(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default" in extra:
        return f"({extra['default']})"
    default = field.default
    if default is None:
        return "(not set)"
    return json.dumps(str(default) if isinstance(default, Path) else default)
