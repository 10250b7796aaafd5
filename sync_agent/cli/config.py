"""``sync-agent config``: write a settings file, or show the settings in force and their origins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sync_agent.cli import context
from sync_agent.errors import SettingsError
from sync_agent.report.output import Column, Output, print_line, print_rows

config = typer.Typer(help="Write a settings file, or show the settings in force.")


@config.command()
def init(
    path: Annotated[Path, typer.Option(help="File to write.")] = context.DEFAULT_CONFIG,
) -> None:
    """Write a settings file that holds every setting, commented, at its default.

    A file that is there already is left as it is.
    """
    from sync_agent.settings.text import settings_toml

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(settings_toml())
    except FileExistsError:
        raise SettingsError(
            f"{path} exists; it was not touched",
            remedy="Name another file with --path, or remove that one first.",
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written: {error.strerror}",
            remedy="Name a file in a folder that exists and may be written.",
        ) from error
    print_line(f"Wrote {path}. Set adt.url in it, then: sync-agent --config {path} config show")


@config.command()
def show(
    ctx: typer.Context,
    origin: Annotated[
        bool, typer.Option("--origin", help="Show where each value came from.")
    ] = False,
    output: context.OutputOption = Output.TABLE,
) -> None:
    """Show every setting's value in force; secrets are masked."""
    from sync_agent.settings.text import value_text

    loaded = context.loaded(ctx)
    rows = []
    for key, source in loaded.origins.items():
        section, _, name = key.partition(".")
        value = getattr(getattr(loaded.settings, section), name)
        row = {"setting": key, "value": value_text(value)}
        rows.append({**row, "origin": str(source)} if origin else row)
    columns = [Column("setting", "Setting"), Column("value", "Value")]
    if origin:
        columns.append(Column("origin", "Origin"))
    print_rows(rows, columns, output=output)
