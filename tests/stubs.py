"""A running stub for tests: in this process, in a thread and event loop of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sync_agent.stub.server import StubOptions, StubServer

START_MAX_S = 20.0


@contextmanager
def running_stub(options: StubOptions | None = None) -> Iterator[StubServer]:
    """Serve a stub on free ports of loopback until the context is left."""
    server = StubServer(options or StubOptions())
    loop = asyncio.new_event_loop()
    started = threading.Event()
    failure: list[BaseException] = []
    stop = asyncio.Event()

    async def serve() -> None:
        try:
            await server.start()
        except BaseException as error:  # noqa: BLE001 - it is raised where the stub was asked for
            failure.append(error)
            started.set()
            return
        started.set()
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(START_MAX_S), "the stub did not start"
    if failure:
        thread.join()
        loop.close()
        raise failure[0]
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_MAX_S)
        loop.close()
