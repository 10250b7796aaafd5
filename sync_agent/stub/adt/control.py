"""The stub's own addresses, under ``/stub``: faults, the request log, snapshots.

They are no part of Azure Digital Twins, need no api-version, and are guarded as the rest is.

- ``GET``, ``PUT``, ``DELETE /stub/faults``: the profile in force, another one, none
- ``GET /stub/requests?latest=N``, ``DELETE /stub/requests``: counts since the last reset
- ``GET``, ``PUT /stub/snapshot``: the whole store as one file; what is in another such file
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from sync_agent.errors import InputError, StoreError
from sync_agent.stub.adt.answers import Refusal, bad_request
from sync_agent.stub.adt.exchange import whole_number
from sync_agent.stub.adt.faults import FaultProfile
from sync_agent.stub.adt.guard import Guard
from sync_agent.stub.adt.request_log import LATEST, RequestLog
from sync_agent.stub.adt.store import TwinDb
from sync_agent.stub.adt.wire import Request, Response, json_response

PREFIX = "stub"
OCTETS = (b"content-type", b"application/octet-stream")

_SEAL = b"sync-agent stub snapshot 1\n"
"""Stands behind the store in a snapshot, before the digest of the store."""


class Control:
    """Answers requests to ``/stub/...`` of one instance."""

    def __init__(
        self,
        db: TwinDb,
        guard: Guard,
        log: RequestLog,
        on_profile: Callable[[FaultProfile], None],
        on_load: Callable[[], None],
    ) -> None:
        """Control these; others are told of a new profile and of another store."""
        self._db = db
        self._guard = guard
        self._log = log
        self._on_profile = on_profile
        self._on_load = on_load

    def respond(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            Refusal: there is no such address, or what was sent makes no sense.
        """
        match (request.method, *(part.lower() for part in request.parts[1:])):
            case ("GET", "faults"):
                return self._faults()
            case ("PUT", "faults"):
                return self._set(_profile(request))
            case ("DELETE", "faults"):
                return self._set(FaultProfile())
            case ("GET", "requests"):
                latest = whole_number(request.option("latest")) or 0
                return json_response(200, self._log.document(min(latest, LATEST)))
            case ("DELETE", "requests"):
                self._log.reset()
                return Response(204)
            case ("GET", "snapshot"):
                return Response(200, save(self._db), (OCTETS,))
            case ("PUT", "snapshot"):
                load(self._db, request.body)
                self._guard.set(self._guard.profile)
                self._on_load()
                return Response(204)
            case _:
                raise Refusal(404, "NotFound", f"The stub has nothing at {request.path}.")

    def _faults(self) -> Response:
        hits = {str(number): count for number, count in self._guard.hits.items()}
        return json_response(200, {"profile": self._guard.profile.document(), "hits": hits})

    def _set(self, profile: FaultProfile) -> Response:
        self._guard.set(profile)
        self._on_profile(profile)
        return Response(204)


def save(db: TwinDb) -> bytes:
    """Return a store as one file's bytes, consistent whatever is written meanwhile, and sealed."""
    with tempfile.TemporaryDirectory(prefix="sync-agent-stub-") as folder:
        path = Path(folder) / "snapshot.db"
        copy = TwinDb(path)
        try:
            db.copy_into(copy)
        finally:
            copy.close()
        content = path.read_bytes()
    return b"".join((content, _SEAL, sha256(content).digest()))


def load(db: TwinDb, data: bytes) -> None:
    """Replace all a store holds by what ``save`` returned.

    Raises:
        Refusal: it is no such file, or it is damaged; the store is as it was.
    """
    content = _unsealed(data)
    with tempfile.TemporaryDirectory(prefix="sync-agent-stub-") as folder:
        path = Path(folder) / "snapshot.db"
        path.write_bytes(content)
        try:
            copy = TwinDb(path)
        except StoreError as error:
            raise bad_request(f"The snapshot cannot be read: {error.message}.") from error
        try:
            copy.copy_into(db)
        finally:
            copy.close()


def _unsealed(data: bytes) -> memoryview:
    """Return the store in a snapshot. SQLite would not notice damage inside a document."""
    size = len(_SEAL) + sha256().digest_size
    content, seal = memoryview(data)[:-size], data[-size:]
    if not seal.startswith(_SEAL):
        raise bad_request("The file is no snapshot of a stub.")
    if seal.removeprefix(_SEAL) != sha256(content).digest():
        raise bad_request("The snapshot is damaged.")
    return content


def _profile(request: Request) -> FaultProfile:
    try:
        return FaultProfile.of(request.json(), place="the fault profile")
    except InputError as error:
        raise bad_request(f"{error.message}.") from error
