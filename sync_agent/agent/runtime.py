"""The agent as one asyncio process: what it is made of, how it starts, drains and stops.

Start: the state file is locked, the service is reached and its models are read; whatever is wrong by then
ends the process with one message. Then four loops run side by side: inventory, telemetry,
health, flags. A stop request (SIGTERM, SIGINT) ends receiving, lets the batch under way be written
and committed, shows the health that is still to be shown, and returns. Nothing depends on that
drain: a process killed instead goes on from its last commit.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
