"""Findings in models as SARIF, which code hosting sites show at the lines they are about.

Source: OASIS SARIF 2.1.0; what GitHub asks of a rule beyond it: "SARIF support for code scanning".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from sync_agent import __version__
from sync_agent.dtdl.diagnostics import Diagnostic

ORIGINS = {
    "adt": "A rule of Azure Digital Twins beyond those of DTDL.",
    "json": "What any JSON file has to keep.",
    "": "A rule of DTDL, by the name the official parser has for it.",
}
"""Whose rule a code is, by what stands before its colon."""
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Iterable[Diagnostic], folder: Path, here: Path) -> dict[str, object]:
    """Return a log of one run; ``folder`` is where the findings' files are.

    A file below ``here``, the working folder, is named from there, as code hosting sites want it;
    any other by its whole address.
    """
    base = _address(folder, here)
    results = []
    rules: dict[str, dict[str, object]] = {}
    for finding in findings:
        rules.setdefault(finding.code, _rule(finding))
        results.append(_result(finding, base))
    driver = {"name": "sync-agent", "version": __version__, "rules": list(rules.values())}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _address(folder: Path, here: Path) -> str:
    """Return what goes before a file's name: "", or the folder's address and a slash."""
    whole = here / folder
    if not whole.resolve().is_relative_to(here.resolve()):
        return f"{whole.resolve().as_uri()}/"
    relative = whole.resolve().relative_to(here.resolve())
    return "" if relative == Path() else f"{quote(relative.as_posix())}/"


def _rule(finding: Diagnostic) -> dict[str, object]:
    origin, _, name = finding.code.rpartition(":")
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    return {
        "id": finding.code,
        "shortDescription": {"text": f"{words.capitalize()}."},
        "fullDescription": {"text": ORIGINS[origin]},
        "help": {"text": finding.remedy or finding.message},
    }


def _result(finding: Diagnostic, base: str) -> dict[str, object]:
    text = f"{finding.message}; {finding.remedy}" if finding.remedy else finding.message
    location: dict[str, object] = {}
    if finding.source:
        place: dict[str, object] = {"artifactLocation": {"uri": base + quote(finding.source)}}
        if finding.line:
            region = {"startLine": finding.line}
            place["region"] = region | ({"startColumn": finding.column} if finding.column else {})
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
