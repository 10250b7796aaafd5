"""The policy the settings say: limits, grace, lease, and where the journal is."""

from __future__ import annotations

import os
import socket
import time
from functools import partial

from sync_agent.agent.import_service import import_service
from sync_agent.reconcile.cost import Rates
from sync_agent.reconcile.guard import GuardLimits
from sync_agent.runs.import_jobs import ImportAccess, Say, silent
from sync_agent.runs.reconciler import Policy, Reconciler
from sync_agent.settings.settings import Settings, required


def reconciler_of(settings: Settings, say: Say = silent) -> Reconciler:
    """Return who plans and applies under these settings; ``say`` tells what is waited for.

    Raises:
        SettingsError: ``adt.url`` is missing.
    """
    inventory, guards, limits = settings.inventory, settings.guards, settings.limits
    names = (name.strip() for name in guards.never_delete.split(","))
    policy = Policy(
        instance=required(settings.adt.url, "adt.url"),
        journal=settings.state.journal_path,
        limits=GuardLimits(
            max_delete_count=inventory.max_delete_count,
            max_delete_percent=inventory.max_delete_percent,
            max_change_count=guards.max_change_count,
            max_change_percent=guards.max_change_percent,
            kind_max_delete_count=guards.kind_max_delete_count,
            kind_max_delete_percent=guards.kind_max_delete_percent,
            kind_max_change_count=guards.kind_max_change_count,
            kind_max_change_percent=guards.kind_max_change_percent,
            skip_deletes=guards.on_exceeded == "skip-deletes",
        ),
        rates=Rates(limits.twin_ops_per_s, limits.patches_per_s, limits.create_delete_per_s),
        at_once=limits.requests_in_flight,
        grace_s=guards.delete_grace_s,
        never_delete=frozenset(name for name in names if name),
        paused=guards.paused,
        lease=guards.lease,
        lease_s=guards.lease_s,
        holder=f"{socket.gethostname()}/{os.getpid()}",
    )
    imports = ImportAccess(
        partial(import_service, settings), storage=settings.import_job.container is not None
    )
    return Reconciler(policy, lambda: time.time_ns() // 1_000_000, imports, say)
