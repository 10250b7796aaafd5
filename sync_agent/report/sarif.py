"""Findings in models as SARIF, which code hosting sites show at the lines they are about.

Source: OASIS SARIF 2.1.0.
"""

from __future__ import annotations

from collections.abc import Iterable

from sync_agent import __version__
from sync_agent.dtdl.diagnostics import Diagnostic

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Iterable[Diagnostic], folder: str) -> dict[str, object]:
    """Return a log of one run; ``folder`` is where the findings' files are, "" when they are here.

    A file's address is relative to where the log is used, as code hosting sites want it.
    """
    results = []
    rules: dict[str, dict[str, object]] = {}
    for finding in findings:
        rules.setdefault(
            finding.code, {"id": finding.code, "help": {"text": finding.remedy or finding.message}}
        )
        results.append(_result(finding, folder))
    driver = {"name": "sync-agent", "version": __version__, "rules": list(rules.values())}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(finding: Diagnostic, folder: str) -> dict[str, object]:
    text = f"{finding.message}: {finding.remedy}" if finding.remedy else finding.message
    location: dict[str, object] = {}
    if finding.source:
        uri = f"{folder}/{finding.source}" if folder else finding.source
        place: dict[str, object] = {"artifactLocation": {"uri": uri}}
        if finding.line:
            place["region"] = {"startLine": finding.line}
        location["physicalLocation"] = place
    if finding.model:
        name = {"name": finding.model, "fullyQualifiedName": finding.model + finding.pointer}
        location["logicalLocations"] = [name]
    return {
        "ruleId": finding.code,
        "level": "error",
        "message": {"text": text},
        "locations": [location] if location else [],
    }
