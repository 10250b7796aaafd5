"""The settings as one value, loaded from its layers, each key with its origin.

This is where pydantic comes in, and only here, so it is imported by commands that need settings
and not by ``--help``. A bad value is reported under the name the person gave it: file and key,
variable or flag. No message repeats a value, since it may be a secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from sync_agent.errors import SettingsError
from sync_agent.settings.guards import GuardSettings
from sync_agent.settings.import_job import ImportJobSettings
from sync_agent.settings.layers import (
    ENVIRONMENT_PREFIX,
    Entry,
    Origin,
    OriginKind,
    environment_entries,
    file_entries,
    flag_entries,
    unknown_key,
)
from sync_agent.settings.sections import (
    AdtSettings,
    EventHubSettings,
    FlagSettings,
    HealthSettings,
    InventorySettings,
    LimitSettings,
    LogSettings,
    ModelsSettings,
    Section,
    SourceSettings,
    StateSettings,
    TelemetrySettings,
)

T = TypeVar("T")


class Settings(Section):
    """All settings, section by section."""

    adt: AdtSettings = Field(default_factory=AdtSettings)
    event_hub: EventHubSettings = Field(default_factory=EventHubSettings)
    state: StateSettings = Field(default_factory=StateSettings)
    models: ModelsSettings = Field(default_factory=ModelsSettings)
    inventory: InventorySettings = Field(default_factory=InventorySettings)
    guards: GuardSettings = Field(default_factory=GuardSettings)
    import_job: ImportJobSettings = Field(default_factory=ImportJobSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)
    health: HealthSettings = Field(default_factory=HealthSettings)
    flags: FlagSettings = Field(default_factory=FlagSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    log: LogSettings = Field(default_factory=LogSettings)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings and, for every ``section.key``, where its value came from."""

    settings: Settings
    origins: Mapping[str, Origin]


def sections() -> dict[str, type[Section]]:
    """Return the model of each section, in the order they are documented."""
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }


def load_settings(
    path: Path | None, flags: Mapping[str, str], environ: Mapping[str, str]
) -> Loaded:
    """Read the settings: the file (if any), over it the environment, over it the flags.

    Relative paths start from the file's folder when they stand in the file, else from the working
    folder.

    Raises:
        SettingsError: the file cannot be read, a key is unknown, or a value is out of range.
    """
    known = {name: tuple(section.model_fields) for name, section in sections().items()}
    origins = {f"{s}.{k}": Origin(OriginKind.DEFAULT) for s, keys in known.items() for k in keys}
    values: dict[str, dict[str, Any]] = {name: {} for name in known}
    layers = [*(file_entries(path, known) if path else ())]
    layers += [*environment_entries(environ, known), *flag_entries(flags, known)]
    for entry in layers:
        field = sections()[entry.section].model_fields[entry.key]
        values[entry.section][entry.key] = _read(entry, field)
        origins[f"{entry.section}.{entry.key}"] = entry.origin
    values["state"].setdefault("path", StateSettings().path.absolute())
    try:
        return Loaded(Settings.model_validate(values), origins)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise _refusal(first["loc"], first["msg"], origins) from None


def required(value: T | None, key: str) -> T:
    """Return a setting's value, or raise what tells how to set it.

    >>> required("https://example.test", "adt.url")
    'https://example.test'

    Raises:
        SettingsError: the value is None.
    """
    if value is None:
        section, _, name = key.partition(".")
        variable = f"{ENVIRONMENT_PREFIX}{section}__{name}".upper()
        raise SettingsError(
            f"{key} is not set",
            remedy=f"Set it in the settings file, as {variable}, or with --set {key}=VALUE.",
        )
    return value


def value_types(field: FieldInfo) -> tuple[Any, ...]:
    """Return the types a setting's value may have, without None and without their bounds."""
    parts = get_args(field.annotation) or (field.annotation,)
    bare = (get_args(part)[0] if get_origin(part) is Annotated else part for part in parts)
    return tuple(part for part in bare if part is not type(None))


def _read(entry: Entry, field: FieldInfo) -> Any:
    """Return a layer's value ready for its model: paths absolute, TOML types as they must be."""
    kinds = value_types(field)
    if (table := table_model(field)) is not None:
        return _read_tables(entry, table)
    if not entry.is_text and not _has_type(entry.value, kinds):
        raise SettingsError(
            f"{entry.origin.place} must be {_type_name(kinds)}, "
            f"but it is {_toml_name(entry.value)}",
            remedy="See docs/configuration.md.",
        )
    if Path in kinds:
        return entry.base / Path(entry.value).expanduser()
    return entry.value


def table_model(field: FieldInfo) -> type[Section] | None:
    """Return the model of a setting that is a list of tables, None of any other."""
    kinds = get_args(field.annotation)
    is_model = kinds and isinstance(kinds[0], type) and issubclass(kinds[0], Section)
    return kinds[0] if is_model else None


def _read_tables(entry: Entry, model: type[Section]) -> list[dict[str, Any]]:
    """Return a layer's tables, their paths absolute and their keys known."""
    value = entry.value
    if entry.is_text:
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise SettingsError(
            f"{entry.origin.place} must be a list of tables",
            remedy=f"Write [[{entry.section}.{entry.key}]] and its keys on the lines below it.",
        )
    tables = []
    for number, item in enumerate(value, 1):
        table = {}
        for key, part in item.items():
            place = f"{entry.origin.place}[{number}].{key}"
            if key not in model.model_fields:
                raise unknown_key(place, key, model.model_fields)
            inner = Entry(entry.section, key, part, Origin(entry.origin.kind, place), entry.base)
            if entry.is_text:  # JSON has types as TOML has
                inner = Entry(entry.section, key, part, Origin(OriginKind.FILE, place), entry.base)
            table[key] = _read(inner, model.model_fields[key])
        tables.append(table)
    return tables


def _has_type(value: object, kinds: tuple[Any, ...]) -> bool:
    if bool in kinds:
        return isinstance(value, bool)
    if int in kinds:
        return isinstance(value, int) and not isinstance(value, bool)
    if float in kinds:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str) and value != ""


def _type_name(kinds: tuple[Any, ...]) -> str:
    if bool in kinds:
        return "true or false"
    if int in kinds:
        return "a whole number"
    return "a number" if float in kinds else "text that is not empty"


def _toml_name(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case "":
            return "empty"
        case str():
            return "text"
        case dict():
            return "a table"
        case list():
            return "a list"
        case _:
            return "a date or time"


def _refusal(
    loc: tuple[int | str, ...], message: str, origins: Mapping[str, Origin]
) -> SettingsError:
    key = ".".join(str(part) for part in loc[:2])
    origin = origins.get(key)
    place = origin.place if origin else f"section {key}"
    for part in loc[2:]:
        place += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    message = message.removeprefix("Value error, ")
    return SettingsError(f"{place}: {message}", remedy=f"Correct {key}; see docs/configuration.md.")


__all__ = [
    "AdtSettings",
    "EventHubSettings",
    "FlagSettings",
    "HealthSettings",
    "ImportJobSettings",
    "InventorySettings",
    "LimitSettings",
    "Loaded",
    "LogSettings",
    "ModelsSettings",
    "Origin",
    "SecretStr",
    "Settings",
    "SourceSettings",
    "StateSettings",
    "TelemetrySettings",
    "load_settings",
    "required",
    "sections",
    "table_model",
]
