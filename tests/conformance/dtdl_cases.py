"""The labelled DTDL cases as the tests read them: what goes in, and what should come out."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync_agent.dtdl.elements import Primitive, Schema, Telemetry
from sync_agent.dtdl.parse import parse_documents, parse_models
from sync_agent.dtdl.registry import ModelRegistry

ARCHIVE = next(
    (
        path
        for folder in Path(__file__).resolve().parents
        if (path := folder / "shared/conformance/dtdl/cases.tar.xz").is_file()
    ),
    None,
)
MISSING = "../shared/conformance/dtdl/cases.tar.xz is not here"
VERSIONED = re.compile(r"test-cases/(\w[\w-]*)/((?:.*)V([23]))\.json")
VALUES = re.compile(r"test-cases/(generated)/(.*(?:V([23])|InstancesV4))\.json")
MODELS = ("specification", "generated", "doc-examples", "solecisms")
UNDEFINED = {"AllowUndefinedExtensions": True, "DisallowUndefinedExtensions": False}
REFERENCES_UNMET = "nothing here defines what it depends on"


@dataclass(frozen=True, slots=True)
class Case:
    """A case: its folder, the file's name (with a number where a file has several), DTDL version.

    ``codes`` are the official parser's ValidationIDs (their last part), where the case has them.
    """

    folder: str
    name: str
    version: str
    content: dict[str, Any]

    @property
    def valid(self) -> bool:
        return bool(self.content["valid"])

    @property
    def codes(self) -> set[str]:
        expected = self.content.get("expect")
        errors = expected.get("parsingErrors", []) if isinstance(expected, dict) else []
        return {error["ValidationID"].rsplit(":", 1)[-1] for error in errors}


def cases(archive: Path) -> Iterator[Case]:
    """Yield the cases of DTDL v2 and v3 that hold models."""
    for folder, name, version, content in _files(archive):
        listed = content if isinstance(content, list) else [content]
        for number, case in enumerate(listed):
            if folder in MODELS and "input" in case:
                full = f"{name} [{number}]" if len(listed) > 1 else name
                yield Case(folder, full, version, case)


def instances(archive: Path) -> Iterator[tuple[str, Schema, str, bool]]:
    """Yield name, schema, submitted JSON text and verdict of the cases that hold values.

    Those of DTDL v4 are among them: the primitive schemas that v4 took over have not changed.
    """
    for _, name, _, content in _files(archive, VALUES):
        for item in (content.get("instances") or ()) if isinstance(content, dict) else ():
            schema = _schema(item["subject"], content["input"])
            if schema is not None and "conforms" in item:
                yield name, schema, item["submit"], item["conforms"]


def _schema(subject: str, documents: list[dict[str, Any]]) -> Schema | None:
    """Return the schema of an id; None when it is that of something else, or of DTDL v4's own."""
    primitive = re.fullmatch(r"dtmi:dtdl:instance:Schema:(\w+);\d", subject)
    if primitive is not None:
        return Primitive(primitive[1]) if primitive[1] in set(Primitive) else None
    for document in documents:
        probe = {"@type": "Telemetry", "name": "probe", "schema": subject}
        probed = {**document, "contents": [*document.get("contents", []), probe]}
        for interface in parse_models([probed]).interfaces:
            found = interface.contents.get("probe")
            if isinstance(found, Telemetry):
                return found.schema
    return None


def identifiers(archive: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the cases about the syntax of identifiers."""
    with tarfile.open(archive, "r:xz") as opened:
        for member in opened:
            if member.isfile() and member.name.startswith("test-cases/dtmis/"):
                yield Path(member.name).stem, _json(opened, member)


def findings(case: Case) -> list[str]:
    """Return the codes our parser has for a case; none means it takes the models.

    Where the case has answers of a model repository, the models are parsed with those answers.
    """
    options = case.content.get("options") or ()
    undefined = next((UNDEFINED[o] for o in options if o in UNDEFINED), None)
    documents = [(str(number), item) for number, item in enumerate(case.content["input"])]
    parsed = parse_documents(documents, undefined_extensions=undefined)
    if not parsed.diagnostics and ModelRegistry(parsed.interfaces).missing():
        answers = case.content.get("resolution") or ()
        documents += [("answer", item) for answer in answers for item in answer["response"] or ()]
        parsed = parse_documents(documents, undefined_extensions=undefined)
        if not parsed.diagnostics and ModelRegistry(parsed.interfaces).missing():
            return [REFERENCES_UNMET]
    return [finding.code for finding in parsed.diagnostics]


def _files(
    archive: Path, pattern: re.Pattern[str] = VERSIONED
) -> Iterator[tuple[str, str, str, Any]]:
    with tarfile.open(archive, "r:xz") as opened:
        for member in opened:
            named = pattern.fullmatch(member.name)
            if named is not None:
                yield named[1], named[2], named[3], _json(opened, member)


def _json(opened: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    file = opened.extractfile(member)
    assert file is not None
    return json.loads(file.read().decode("utf-8-sig"))
