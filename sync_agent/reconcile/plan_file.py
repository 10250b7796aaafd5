"""A plan on file: what was reviewed is what is applied.

JSON of one version, with what is needed to tell that the plan no longer fits: the instance it was
made for, the digest of the source, the ETag and the values of everything it changes. A digest over
the plan itself tells a file that was cut off or edited from one that was not; it is no signature.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sync_agent.errors import InputError
from sync_agent.reconcile.cost import Cost
from sync_agent.reconcile.plan import Plan
from sync_agent.reconcile.way import Decision

FORMAT = "sync-agent-plan"
VERSION = 1
BYTES_MAX = 2 * 1024**3
"""A larger file is not read; a plan of a million changes is about a quarter of it."""


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan with its circumstances.

    ``instance`` is the address of the service it was made for, ``made_ms`` when. ``refusals`` is
    what the guards said of it; ``way`` says which way it goes, by single requests or by
    import job, and why.
    """

    plan: Plan
    instance: str
    made_ms: int
    cost: Cost = field(default_factory=Cost)
    refusals: tuple[str, ...] = ()
    way: Decision = field(default_factory=Decision)

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        content = msgspec.json.encode(self)
        head = {"format": FORMAT, "version": VERSION, "digest": _digest(content)}
        return msgspec.json.encode({**head, "content": msgspec.Raw(content)}) + b"\n"

    @classmethod
    def from_bytes(cls, data: bytes, *, place: str = "") -> PlanFile:
        """Read a file's content.

        Raises:
            InputError: it is no plan, of another version, cut off or edited.
        """
        remedy = "make a new plan with sync-agent plan --out FILE"
        try:
            envelope = msgspec.json.decode(data, type=_Envelope)
        except msgspec.DecodeError as error:
            raise InputError(f"this is no plan: {error}", place=place, remedy=remedy) from error
        if envelope.format != FORMAT or envelope.version != VERSION:
            what = f"{envelope.format or 'something else'} version {envelope.version}"
            message = f"this is {what}, not {FORMAT} version {VERSION}"
            raise InputError(message, place=place, remedy=remedy)
        content = bytes(envelope.content)
        if _digest(content) != envelope.digest:
            message = "the plan was changed or cut off since it was written"
            raise InputError(message, place=place, remedy=remedy)
        try:
            return msgspec.json.decode(content, type=cls)
        except msgspec.DecodeError as error:
            raise InputError(f"this is no plan: {error}", place=place, remedy=remedy) from error


class _Envelope(msgspec.Struct):
    format: str = ""
    version: int = 0
    digest: str = ""
    content: msgspec.Raw = msgspec.Raw(b"{}")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def to_document(file: PlanFile) -> dict[str, Any]:
    """Return a plan file as JSON values, for programs that read a command's output."""
    document: dict[str, Any] = msgspec.to_builtins(file)
    return document
