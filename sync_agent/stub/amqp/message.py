"""Messages: taking events out of what a publisher sends, stamping them, and node requests.

An event is kept as the publisher encoded it. On arrival its sections are walked once: the header
and the bare message (properties, application properties, body, footer) stay bytes; delivery
annotations are dropped; message annotations lose the names the broker owns. Stamping puts sequence
number, offset and enqueued time in front: what is stored is exactly what every receiver is sent.

Every section is decoded on arrival, though only annotations are used: an event that does not decode
is refused here, where its sender can be told, and never reaches a receiver.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sync_agent.stub.amqp.codec import Described, Int, Symbol, ULong, decode, skip
from sync_agent.stub.amqp.condition import AmqpError, Condition
from sync_agent.stub.amqp.encoder import described_list, encode

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS = 0x70, 0x71, 0x72
PROPERTIES, APPLICATION_PROPERTIES = 0x73, 0x74
DATA, SEQUENCE, VALUE, FOOTER = 0x75, 0x76, 0x77, 0x78

PLAIN_FORMAT = 0
BATCH_FORMAT = 0x80013700
BATCH_EVENTS_MAX = 65_536

PARTITION_KEY = "x-opt-partition-key"
PARTITION_KEY_LENGTH_MAX = 128
OWNED_ANNOTATIONS = frozenset(
    ("x-opt-sequence-number", "x-opt-offset", "x-opt-enqueued-time", PARTITION_KEY)
)

_SECTION_TYPES: Mapping[int, tuple[type, ...]] = {
    HEADER: (list,),
    DELIVERY_ANNOTATIONS: (dict,),
    MESSAGE_ANNOTATIONS: (dict,),
    PROPERTIES: (list,),
    APPLICATION_PROPERTIES: (dict,),
    DATA: (bytes, type(None)),  # JavaScript's SDK puts null there
    SEQUENCE: (list,),
    VALUE: (object,),
    FOOTER: (dict,),
}


@dataclass(frozen=True, slots=True)
class IncomingEvent:
    """One event before it has a place: raw header, raw annotation entries, raw bare message."""

    header: bytes
    annotations: bytes
    annotation_count: int
    bare: bytes
    partition_key: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one transfer carried: events that belong together, and the key that routes them."""

    partition_key: str | None
    events: Sequence[IncomingEvent]


@dataclass(frozen=True, slots=True)
class Section:
    """One section of a message: its code, decoded value, and raw bytes."""

    code: int
    value: object
    raw: bytes


def sections(payload: bytes) -> list[Section]:
    """Cut a message into its sections.

    Raises:
        AmqpError: the payload is not a sequence of AMQP message sections.
    """
    found: list[Section] = []
    at = 0
    while at < len(payload):
        if payload[at] != 0 or payload[at + 1 : at + 2] not in (b"\x53", b"\x80"):
            raise AmqpError(Condition.DECODE_ERROR, "a message section has no descriptor")
        code, behind = decode(payload, at + 1)
        value, end = decode(payload, behind)
        wanted = _SECTION_TYPES.get(code) if isinstance(code, int) else None
        if wanted is None or not isinstance(value, wanted):
            raise AmqpError(Condition.DECODE_ERROR, f"section {code} does not belong in a message")
        assert isinstance(code, int)
        raw = bytes((0x00, 0x53, code)) + payload[behind:end]  # the form the SDK's decoder needs
        found.append(Section(code, value, raw))
        at = end
    return found


def read_delivery(payload: bytes, message_format: int) -> Delivery:
    """Take the events out of a transfer's payload: one, or the many of a batch.

    Raises:
        AmqpError: the payload does not decode, a batch is empty or too large, or a partition key is
            no text or longer than 128 characters.
    """
    if message_format != BATCH_FORMAT:
        event = _event(sections(payload), None)
        return Delivery(event.partition_key, (event,))
    envelope = sections(payload)
    key = next((_key(part.value) for part in envelope if part.code == MESSAGE_ANNOTATIONS), None)
    bodies = [part.value or b"" for part in envelope if part.code == DATA]
    if not bodies or len(bodies) > BATCH_EVENTS_MAX:
        raise AmqpError(
            Condition.DECODE_ERROR, f"a batch holds {len(bodies)} events, not 1..{BATCH_EVENTS_MAX}"
        )
    events = [_event(sections(body), key) for body in bodies if isinstance(body, bytes)]
    return Delivery(key if key is not None else events[0].partition_key, events)


def _event(parts: Sequence[Section], envelope_key: str | None) -> IncomingEvent:
    header = b""
    kept: list[bytes] = []
    bare: list[bytes] = []
    key: str | None = None
    for part in parts:
        if part.code == HEADER:
            header = part.raw
        elif part.code == MESSAGE_ANNOTATIONS:
            key = _key(part.value)
            kept.extend(_kept_entries(part.raw, part.value))
        elif part.code != DELIVERY_ANNOTATIONS:
            bare.append(part.raw)
    if not bare:
        raise AmqpError(Condition.DECODE_ERROR, "a message is empty")
    return IncomingEvent(
        header, b"".join(kept), len(kept), b"".join(bare), envelope_key if key is None else key
    )


def _key(annotations: object) -> str | None:
    key = annotations.get(PARTITION_KEY) if isinstance(annotations, dict) else None
    if key is None:
        return None
    if not isinstance(key, str) or len(key) > PARTITION_KEY_LENGTH_MAX:
        raise AmqpError(
            Condition.ARGUMENT_ERROR,
            f"a partition key must be text of at most {PARTITION_KEY_LENGTH_MAX} characters",
        )
    return key


def _kept_entries(raw: bytes, annotations: object) -> list[bytes]:
    """Return the raw key-value pairs of an annotations section that the broker does not own."""
    if not isinstance(annotations, dict) or not annotations.keys() - OWNED_ANNOTATIONS:
        return []
    at = skip(raw, 1)
    at += 3 if raw[at] == 0xC1 else 9
    entries: list[bytes] = []
    while at < len(raw):
        key, behind = decode(raw, at)
        end = skip(raw, behind)
        if key not in OWNED_ANNOTATIONS:
            entries.append(raw[at:end])
        at = end
    return entries


_ANNOTATIONS = struct.Struct(">4sII")
_SEQUENCE_ENTRY = b"\xa3\x15x-opt-sequence-number\x81"
_OFFSET_ENTRY = b"\xa3\x0cx-opt-offset\xa1"
_TIME_ENTRY = b"\xa3\x13x-opt-enqueued-time\x83"
_KEY_ENTRY = encode(Symbol(PARTITION_KEY))
_I64 = struct.Struct(">q")


def encode_message(body: bytes, properties: Mapping[str, str], content_type: str) -> bytes:
    """Encode a message as a publisher would: properties, application properties, data."""
    head = [None] * 6 + [Symbol(content_type)]
    described = bytes((0x00, 0x53, APPLICATION_PROPERTIES)) + encode(dict(properties))
    data = bytes((0x00, 0x53, DATA)) + encode(body)
    return described_list(PROPERTIES, [encode(value) for value in head]) + described + data


def stamp(event: IncomingEvent, sequence_number: int, offset: int, enqueued_ms: int) -> bytes:
    """Encode an event as receivers get it, with its place in the partition."""
    digits = b"%d" % offset
    entries = b"".join(
        (
            *(_SEQUENCE_ENTRY, _I64.pack(sequence_number)),
            *(_OFFSET_ENTRY, bytes((len(digits),)), digits),
            *(_TIME_ENTRY, _I64.pack(enqueued_ms)),
            event.annotations,
        )
    )
    count = 3 + event.annotation_count
    if event.partition_key is not None:
        entries += _KEY_ENTRY + encode(event.partition_key)
        count += 1
    head = _ANNOTATIONS.pack(b"\x00\x53\x72\xd1", len(entries) + 4, count * 2)
    return b"".join((event.header, head, entries, event.bare))


def with_delivery_annotations(payload: bytes, section: bytes) -> bytes:
    """Insert a delivery annotations section into a stamped event, behind its header."""
    behind_header = skip(payload, 0) if payload[:3] == b"\x00\x53\x70" else 0
    return payload[:behind_header] + section + payload[behind_header:]


def annotations_section(code: int, entries: Mapping[str, object]) -> bytes:
    """Encode a section that is a map with symbols as its keys."""
    return bytes((0x00, 0x53, code)) + encode({Symbol(name): v for name, v in entries.items()})


# --- requests and replies of nodes ----------------------------------------------------------------

MessageId = str | int | bytes | UUID


@dataclass(frozen=True, slots=True)
class Request:
    """A message to ``$cbs`` or ``$management``."""

    message_id: MessageId | None
    reply_to: str
    properties: Mapping[object, object]
    body: object

    def text(self, name: str) -> str:
        """Return an application property that should be text, empty when it is not."""
        value = self.properties.get(name)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a request; ``body`` is an AMQP value, ``condition`` says what failed."""

    status: int
    description: str
    body: object = None
    condition: Condition | None = None


def read_request(payload: bytes) -> Request:
    """Decode a request message.

    Raises:
        AmqpError: it does not decode.
    """
    properties: list[object] = []
    application: Mapping[object, object] = {}
    body: object = None
    for part in sections(payload):
        if part.code == PROPERTIES and isinstance(part.value, list):
            properties = part.value
        elif part.code == APPLICATION_PROPERTIES and isinstance(part.value, dict):
            application = part.value
        elif part.code == VALUE:
            body = part.value
    fields = [*properties, None, None, None, None, None]
    message_id, reply_to = fields[0], fields[4]
    if isinstance(message_id, int):  # the only number a message id may be
        message_id = ULong(message_id) if 0 <= message_id < 1 << 64 else None
    return Request(
        message_id if isinstance(message_id, MessageId) else None,
        reply_to if isinstance(reply_to, str) else "",
        application,
        body,
    )


def encode_reply(request: Request, reply: Reply) -> bytes:
    """Encode an answer; it correlates by the request's message id."""
    nulls = [encode(None)] * 13
    nulls[5] = encode(request.message_id)
    status: dict[object, object] = {
        "status-code": Int(reply.status),
        "status-description": reply.description,
    }
    if reply.condition is not None:
        status["error-condition"] = Symbol(reply.condition)
    return b"".join(
        (
            described_list(PROPERTIES, nulls),
            bytes((0x00, 0x53, APPLICATION_PROPERTIES)) + encode(status),
            encode(Described(ULong(VALUE), reply.body)),
        )
    )
