"""The whole job on one machine: a stub, commands and the agent, each a process of its own.

The demo and the storm example run on this. Nothing here is a short cut: models, inventory and
agent go through the same commands and the same sockets as in production, only that the addresses
lead to the stub. All processes write their logs to the rehearsal's folder.

Whoever leaves the ``async with`` by any way - done, failed, Ctrl-C - leaves no process behind,
unless ``leave`` said so. The processes have sessions of their own, so that a Ctrl-C in the terminal
reaches the rehearsal alone and they are ended in order: agent before stub.

Bounds: ``START_MAX_S`` for a process to come up, ``STOP_MAX_S`` to go before it is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sync_agent.agent.state import StateStore
from sync_agent.azure.hub_address import HubAddress
from sync_agent.errors import InputError, StoreError, SyncAgentError
from sync_agent.telemetry.tally import Tally

START_MAX_S = 30.0
STOP_MAX_S = 45.0
POLL_S = 0.2
QUIET_S = 2.0  # longer than the agent's health loop takes to turn
CONSUMER_GROUP = "$Default"
LOG_TAIL_LINES = 5

SettingsTree = Mapping[str, Mapping[str, str | int | float | bool]]


@dataclass(frozen=True, slots=True)
class StubPlace:
    """Where the stub answers."""

    adt_url: str
    event_hub_connection_string: str


class Rehearsal:
    """Processes and files of one rehearsal, all under ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stub: subprocess.Popen[bytes] | None = None
        self._agent: subprocess.Popen[bytes] | None = None
        self._left = False
        self._stream = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._left:
            # Shielded: a second Ctrl-C must not leave a process behind.
            await asyncio.shield(self._end())

    @property
    def settings_path(self) -> Path:
        """Return where the settings file is; hand it to ``--config``."""
        return self.folder / "sync-agent.toml"

    @property
    def state_path(self) -> Path:
        """Return where the agent keeps its state."""
        return self.folder / "state.db"

    @property
    def agent_log(self) -> Path:
        """Return where the agent writes its log."""
        return self.folder / "agent.log"

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Return the ids of the processes that run, the agent first."""
        return tuple(p.pid for p in (self._agent, self._stub) if p and p.poll() is None)

    async def start_stub(self, hub: str, *, partitions: int) -> StubPlace:
        """Start the stub on free ports with one hub.

        Raises:
            SyncAgentError: it does not come up.
        """
        log, said = self.folder / "stub.log", self.folder / "stub.json"
        hubs = ("--hub", f"{hub}:{partitions}")
        data = ("--data-dir", str(self.folder / "stub"))
        self._stub = _start(("stub", *hubs, *data, "--output", "json"), said=said, log=log)
        with suppress(TimeoutError):
            async with asyncio.timeout(START_MAX_S):
                while self._stub.poll() is None:
                    line = said.read_text(encoding="utf-8")
                    if line.endswith("\n"):
                        answer = json.loads(line)
                        return StubPlace(answer["adt_url"], answer["event_hub_connection_string"])
                    await asyncio.sleep(POLL_S)
        raise _failure("the stub did not start", log)

    def write_settings(self, place: StubPlace, hub: str, more: SettingsTree) -> Path:
        """Write the settings file that leads every command to the stub."""
        address = HubAddress(connection_string=place.event_hub_connection_string, name=hub)
        self._stream = f"{address.place}/{CONSUMER_GROUP}"
        tree: dict[str, Mapping[str, str | int | float | bool]] = {
            "adt": {"url": place.adt_url, "auth": "none"},
            "event_hub": {
                "connection_string": place.event_hub_connection_string,
                "name": hub,
                "consumer_group": CONSUMER_GROUP,
            },
            "state": {"path": str(self.state_path)},
            **more,
        }
        lines = []
        for section, keys in tree.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
            lines.append("")
        self.settings_path.touch(mode=0o600)
        self.settings_path.write_text("\n".join(lines), encoding="utf-8")
        return self.settings_path

    async def command(self, *arguments: str, wait_s: float) -> str:
        """Run one ``sync-agent`` command to its end and return what it printed; progress shows.

        Raises:
            SyncAgentError: it failed or took longer than ``wait_s``; its own message went to
                standard error.
        """
        process = await asyncio.create_subprocess_exec(
            *_command("--config", str(self.settings_path), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), wait_s)
        except TimeoutError as error:
            raise SyncAgentError(
                f"`sync-agent {' '.join(arguments)}` took longer than {wait_s:g} s",
                remedy="see whether the machine is overloaded and try again",
            ) from error
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        if process.returncode != 0:
            raise SyncAgentError(
                f"`sync-agent {' '.join(arguments)}` ended with exit code {process.returncode}",
                remedy="its message stands above",
            )
        return printed.decode()

    async def start_agent(self, *options: str) -> None:
        """Start ``sync-agent run``; ``options`` are options of the root command."""
        arguments = ("--config", str(self.settings_path), *options, "run")
        self._agent = _start(arguments, said=self.folder / "agent.out", log=self.agent_log)

    async def stop_agent(self) -> int | None:
        """Ask the agent to drain and stop; return its exit code."""
        if self._agent is None:
            return None
        await _stop(self._agent)
        return self._agent.returncode

    async def kill_agent(self) -> None:
        """Kill the agent as a power cut would: no warning, no drain."""
        if self._agent is not None:
            self._agent.kill()
            await asyncio.to_thread(self._agent.wait)

    async def settled(
        self,
        rows: int,
        *,
        wait_s: float,
        windows_closed: bool = False,
        on_tally: Callable[[Tally], None] | None = None,
    ) -> Tally:
        """Wait until the agent has counted ``rows`` rows and every twin shows its health.

        Nothing may have changed for ``QUIET_S``: the agent still looks for elements that fell
        silent after it has counted the last row. With ``windows_closed`` it also waits until
        idleness has closed the last period of every element.

        Raises:
            SyncAgentError: the agent ended, or it took longer than ``wait_s``.
        """
        try:
            async with asyncio.timeout(wait_s):
                quiet_s = 0.0
                while quiet_s < QUIET_S:
                    tally, behind = self._progress(windows_closed=windows_closed)
                    if on_tally is not None:
                        on_tally(tally)
                    quiet_s = 0.0 if behind or tally.rows < rows else quiet_s + POLL_S
                    self.check_agent()
                    await asyncio.sleep(POLL_S)
                return tally
        except TimeoutError as error:
            raise _failure(
                f"the agent did not finish within {wait_s:g} s", self.agent_log
            ) from error

    def check_agent(self) -> None:
        """Raise SyncAgentError when the agent is not running any more."""
        if self._agent is not None and self._agent.poll() is not None:
            raise _failure("the agent ended unexpectedly", self.agent_log)

    def rows(self) -> int:
        """Return how many rows the agent has counted so far."""
        return self._progress(windows_closed=False)[0].rows

    def state(self) -> StateStore:
        """Open the agent's state to read it.

        Raises:
            StoreError: there is none yet.
        """
        return StateStore(self.state_path, stream=self._stream, readonly=True)

    def leave(self) -> None:
        """Let the processes go on when the rehearsal ends."""
        self._left = True

    def _progress(self, *, windows_closed: bool) -> tuple[Tally, bool]:
        """Return what the agent has counted, and whether anything of that is still to be done."""
        try:
            with self.state() as state:
                behind = state.unwritten_health_count() > 0
                if windows_closed and not behind:
                    behind = any(r.window.get("open_period") is not None for r in state.health())
                return state.tally(), behind
        except StoreError:
            return Tally(), True  # the agent has only just been started

    async def _end(self) -> None:
        for process in (self._agent, self._stub):
            if process is not None:
                await _stop(process)


def make_folder(path: Path) -> Path:
    """Make the folder of a rehearsal.

    Raises:
        InputError: it cannot be made or holds something already.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise InputError("the folder is not empty", place=str(path), remedy="name another one")
    except OSError as error:
        raise InputError(
            f"cannot be made: {error.strerror}", place=str(path), remedy="name another folder"
        ) from error
    return path


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sync_agent", *arguments]


def _environment() -> dict[str, str]:
    # A person's own settings must not reach into the rehearsal.
    return {k: v for k, v in os.environ.items() if not k.upper().startswith("SYNC_AGENT")}


def _start(arguments: Sequence[str], *, said: Path, log: Path) -> subprocess.Popen[bytes]:
    # Not asyncio's subprocess: that kills what still runs when its loop is gone, and ``leave``
    # promises otherwise.
    with said.open("wb") as printed, log.open("ab") as errors:
        return subprocess.Popen(  # noqa: S603 - our own command, no shell
            _command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=errors,
            env=_environment(),
            start_new_session=True,
        )


async def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, STOP_MAX_S)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)


def _failure(what: str, log: Path) -> SyncAgentError:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    said = " | ".join(line.strip() for line in lines[-LOG_TAIL_LINES:])
    return SyncAgentError(f"{what}: {said or 'it said nothing'}", remedy=f"its log is {log}")
