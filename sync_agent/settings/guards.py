"""The settings that keep a plan from doing harm: how much may change, how long is waited.

They are a section of the settings like the others; see ``settings_sections``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sync_agent.settings.sections import Section

Count = Annotated[int, Field(ge=0)]
Percent = Annotated[float, Field(ge=0, le=100)]


class GuardSettings(Section):
    """What keeps a plan from doing harm; see also `inventory.max_delete_count` and its percent."""

    max_change_count: Count | None = None
    """A plan that would edit or delete more twins and relationships than this is refused whole."""

    max_change_percent: Percent = 100
    """A plan that would edit or delete a larger share of what is managed is refused whole."""

    kind_max_delete_count: Count | None = None
    """The same for deletions of any one model or relationship name."""

    kind_max_delete_percent: Percent = 100
    """The same for deletions, as a share of what is managed of that model or name."""

    kind_max_change_count: Count | None = None
    """The same for edits and deletions of any one model or relationship name."""

    kind_max_change_percent: Percent = 100
    """The same for edits and deletions, as a share of what is managed of that model or name."""

    on_exceeded: Literal["refuse", "skip-deletes"] = "refuse"
    """`skip-deletes` makes a plan that exceeds its limits do the rest without any deletion."""

    delete_grace_s: Annotated[float, Field(ge=0, le=31_622_400)] = 0
    """How long an element must be absent from a source read whole before it is deleted."""

    never_delete: str = ""
    """Models whose twins are never deleted, with or without version, commas between them."""

    paused: bool = False
    """Whether inventory changes are held back altogether; plans are still made and shown."""

    lease: Literal["file", "twin", "none"] = "file"
    """How a second writer is kept out: `file` on this machine (a lock beside the journal), `twin`
    on all machines (a lease twin in the instance), `none`."""

    lease_s: Annotated[float, Field(ge=5, le=3600)] = 60
    """How long a lease twin holds without being renewed; a writer that died is waited for so
    long."""
