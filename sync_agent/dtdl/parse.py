"""DTDL JSON to interfaces, with every diagnostic in one pass.

Documents are interfaces of DTDL v2 or v3. An interface with an error gives diagnostics and no
element, so what comes out is sound in itself; what spans interfaces is told by ``inheritance``.
Codes are the official parser's where it has one. Azure Digital Twins' restrictions stand apart, in
``adt_profile``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sync_agent.dtdl.build import interface_of
from sync_agent.dtdl.diagnostics import Diagnostic
from sync_agent.dtdl.elements import Interface
from sync_agent.dtdl.inheritance import check_inheritance
from sync_agent.dtdl.reader import Reader
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.dtdl.remedies import remedy_of
from sync_agent.dtdl.structure import check_structure


@dataclass(frozen=True, slots=True)
class ParseResult:
    """The sound interfaces and all findings, both in the documents' order."""

    interfaces: tuple[Interface, ...]
    diagnostics: tuple[Diagnostic, ...]


def parse_models(
    documents: Iterable[Any], *, source: str = "", undefined_extensions: bool | None = None
) -> ParseResult:
    """Read documents, each an interface or an array of them; ``source`` says where they come from.

    ``undefined_extensions``: whether types of unknown extensions are let through; by default as the
    language version has it, which is yes in DTDL v2 and no in v3.
    """
    named = ((source or f"[{number}]", item) for number, item in enumerate(documents))
    return parse_documents(named, undefined_extensions=undefined_extensions)


def parse_documents(
    documents: Iterable[tuple[str, Any]], *, undefined_extensions: bool | None = None
) -> ParseResult:
    """Read documents with the name of each one's source; they may refer to each other."""
    reader = Reader(undefined=undefined_extensions)
    for source, document in documents:
        reader.document(document, source)
    found = [*reader.found, *check_structure(reader.interfaces)]
    faulty = {finding.model for finding in found}
    sound = {n.id: interface_of(n) for n in reader.interfaces if n.id and n.id not in faulty}
    registry = ModelRegistry(sound.values())
    sources = {node.id: node.source for node in reader.interfaces}
    for model_id in sound:
        found += check_inheritance(registry, model_id, sources[model_id])
    faulty = {finding.model for finding in found}
    advised = (f if f.remedy else replace(f, remedy=remedy_of(f.code)) for f in found)
    return ParseResult(tuple(i for i in sound.values() if i.id not in faulty), tuple(advised))
