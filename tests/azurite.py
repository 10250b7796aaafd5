"""Azurite, the storage emulator, for tests: from the npm registry, started once a session."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from azure.storage.blob import BlobServiceClient, ContainerClient

from tests.npm import installed

VERSION = "3.37.0"
START_S = 60.0
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class Azurite:
    """A running blob service."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self.url};"
        )

    @contextmanager
    def container(self, name: str) -> Iterator[ContainerClient]:
        """Make an empty container for the time of the context."""
        with BlobServiceClient.from_connection_string(self.connection_string) as service:
            container = service.create_container(name)
            try:
                yield container
            finally:
                container.delete_container()

    def uri(self, container: str, blob: str) -> str:
        return f"{self.url}/{container}/{blob}"


@contextmanager
def running_azurite(folder: Path) -> Iterator[Azurite]:
    """Install and start Azurite; skip the test where that is not possible."""
    home = folder / "azurite"
    modules = installed(home, f"azurite@{VERSION}")
    port = _free_port()
    command = [str(modules / ".bin/azurite-blob"), "--blobPort", str(port)]
    command += ["--location", str(home / "data"), "--silent", "--skipApiVersionCheck"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=dict(os.environ)) as process:
        try:
            _wait_for(port)
            yield Azurite(port)
        finally:
            process.kill()  # its data is a test's
            process.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < end, "Azurite did not start"
            time.sleep(0.1)
        else:
            return
