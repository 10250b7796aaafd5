"""What an import job reads and writes: its input line by line, and what its log says was refused.

The input is NDJSON: a header, then the twins, then the relationships, each line the body of the PUT
that would create it, with ``$dtId``: the twin's id, or the source of the relationship. The service
publishes the frame of its log, but not how it names an entry it refused, so any value that is the
name of something that was sent is taken for it. What is not understood is only not explained: what
did not arrive is found by looking.

Source: Azure Digital Twins, "Bulk import with the Import Jobs API".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from sync_agent.reconcile.change import Change

FILE_VERSION = "1.0.0"
AUTHOR = "sync-agent"
_encode = msgspec.json.Encoder().encode


def import_lines(changes: Iterable[Change]) -> Iterator[bytes]:
    """Yield the lines of a job's input, ends included; ``changes`` are creations, twins first."""
    yield _line({"Section": "Header"})
    yield _line({"fileVersion": FILE_VERSION, "author": AUTHOR, "organization": AUTHOR})
    section = ""
    for change in changes:
        wanted = "Twins" if change.twin is not None else "Relationships"
        if wanted != section:
            section = wanted
            yield _line({"Section": section})
        if change.twin is not None:
            yield _line({"$dtId": change.twin.id, **change.twin.to_document()})
        else:
            body = change.edge.to_document()
            yield _line({"$dtId": body.pop("$sourceId"), **body})


def refused(entry: Mapping[str, Any], sent: Collection[str]) -> tuple[str, str] | None:
    """Return which of the elements ``sent`` an entry of the log says was refused, and why."""
    details = entry.get("details")
    if entry.get("logType") != "Error" or not isinstance(details, Mapping):
        return None
    names = (v for k, v in details.items() if k not in ("section", "status"))
    element = next((name for name in names if isinstance(name, str) and name in sent), None)
    if element is None:
        return None
    error = details.get("error")
    said = error if isinstance(error, Mapping) else details
    reason = " ".join(str(said[part]) for part in ("code", "message") if said.get(part))
    return element, reason or "the import job refused it"


def _line(content: Mapping[str, Any]) -> bytes:
    return _encode(content) + b"\n"
