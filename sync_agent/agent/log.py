"""The agent's log: one line an event on standard error, as text or as JSON."""

from __future__ import annotations

import logging
import sys

import structlog

from sync_agent.agent.presence import Absence, Presence
from sync_agent.twins.time import duration, format_time_ms

_log = structlog.get_logger("sync_agent")


def configure(level: str, style: str) -> None:
    """Write events of ``level`` and above; ``style`` is ``text`` or ``json``.

    The Azure SDKs log through the standard library; of theirs only errors are shown, since each
    failure is reported once by the agent itself.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(stream=sys.stderr, level=logging.ERROR, format="%(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.CRITICAL)
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def logged(service: str, meanwhile: str) -> Presence:
    """Return a watch that writes to the agent's log, with what the agent does ``meanwhile``."""

    def away(absence: Absence) -> None:
        _log.warning(
            f"{service} does not answer",
            since=format_time_ms(absence.since_ms),
            reason=absence.reason,
            meanwhile=meanwhile,
        )

    def back(absence: Absence) -> None:
        _log.info(
            f"{service} answers again",
            since=format_time_ms(absence.since_ms),
            away_for=duration(absence.lasted_s),
        )

    return Presence(service, away=away, back=back)
