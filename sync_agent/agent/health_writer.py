"""Shows each element's health on its twin: the ``health`` component follows what was decided.

What is to be shown stands in the state file with a revision; a twin is patched with the newest one
and the revision is marked as written only after the service accepted it. A kill in between repeats
a patch that the twin already shows, and such a patch is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog

from sync_agent.agent.directory import TwinDirectory
from sync_agent.agent.outcomes import HealthRecord
from sync_agent.agent.state import StateStore
from sync_agent.errors import NotFoundError, ServiceError
from sync_agent.ports.twin_store import TwinWriter
from sync_agent.runs.bounded import each
from sync_agent.twins.twin import Document, JsonValue

BATCH_MAX = 2_000

_log = structlog.get_logger("sync_agent")


class HealthWriter:
    """Brings the twins up to the health the state file holds."""

    def __init__(
        self, writer: TwinWriter, directory: TwinDirectory, state: StateStore, *, at_once: int
    ) -> None:
        self._writer = writer
        self._directory = directory
        self._state = state
        self._at_once = at_once

    async def flush(self) -> int:
        """Patch every twin whose health is not yet shown; return how many records were settled.

        Raises:
            ServiceError: see ``write_some``.
        """
        settled = 0
        while count := await self.write_some():
            settled += count
        return settled

    async def write_some(self) -> int:
        """Patch at most ``BATCH_MAX`` twins; return how many records were settled.

        Raises:
            ServiceError: the service could not be reached or throttled for too long; what was
                written until then is marked, the rest stays to be written.
        """
        records = self._state.unwritten_health(BATCH_MAX)
        entries = await self._directory.find(record.element for record in records)
        done: list[tuple[str, int]] = []

        async def show(record: HealthRecord) -> None:
            entry = entries[record.element]
            if entry is not None:
                await self._show(record, entry.attributes)
            done.append((record.element, record.revision))

        try:
            await each(records, show, at_once=self._at_once)
        finally:
            if done:
                self._state.mark_health_written(done)
        return len(done)

    async def _show(self, record: HealthRecord, attributes: dict[str, JsonValue]) -> None:
        patch = _patch(record, attributes)
        if not patch:
            return
        try:
            await self._writer.patch_twin(record.element, patch)
        except NotFoundError:
            self._directory.forget([record.element])
        except ServiceError as error:
            if error.retryable or error.status != 400:
                raise
            # A patch repeated after a lost answer: its `remove` found nothing the second time.
            self._directory.forget([record.element])
            entry = (await self._directory.find([record.element]))[record.element]
            if entry is not None and _patch(record, entry.attributes) != patch:
                await self._show(record, entry.attributes)
                return
            # The twin's model has no such component: nothing to show it on, and no later try helps.
            _log.error("health not shown", element=record.element, reason=error.message)
        else:
            shown = attributes.get("health") or {}
            attributes["health"] = {**shown, **record.published}


def _patch(record: HealthRecord, attributes: Mapping[str, JsonValue]) -> Sequence[Document]:
    return component_patch("health", attributes.get("health") or {}, record.published)


def component_patch(
    name: str, shown: Mapping[str, JsonValue], wanted: Mapping[str, JsonValue]
) -> Sequence[Document]:
    """Return the JSON Patch that makes a component show ``wanted``; empty when it already does.

    A value of None removes the property. ``add`` is used throughout: it replaces what is there and,
    unlike ``replace``, does not fail on a property that was never set.
    """
    patch: list[Document] = []
    for key, value in wanted.items():
        path = f"/{name}/{key}"
        if value is None:
            if key in shown:
                patch.append({"op": "remove", "path": path})
        elif shown.get(key) != value:
            patch.append({"op": "add", "path": path, "value": value})
    return patch
