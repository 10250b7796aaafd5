"""A term and its DTMI are the same thing: ``Property`` and ``dtmi:dtdl:class:Property;3``.

A term means something where a context in force defines it; a DTMI means the same everywhere, so it
may name a type or a schema of another version or of an extension that is not in force.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sync_agent.dtdl.contexts import IOT_CENTRAL, KNOWN, Context
from sync_agent.dtdl.extensions import vocabulary
from sync_agent.dtdl.metamodel import VERSIONS, metamodel

_CORE = re.compile(
    r"dtmi:dtdl:(?:class|property|meta|instance:Schema|instance:CommandType):(\w+);(\d+)"
    r"|dtmi:standard:schema:geospatial:(\w+);(\d+)"
)
_STANDARD_2 = re.compile(r"dtmi:standard:(?:class|unit|unitprefix):(\w+);2")
_EXTENSION = re.compile(r"(dtmi:dtdl:extension:\w+):v(\d+):(?:(?:\w+:)?)(\w+)")
_CENTRAL = re.compile(r"dtmi:iotcentral:(?:class|schema):(\w+);2")


def definition_of(text: str, context: Context) -> tuple[str, Context] | None:
    """Return the term that a text is or spells out, and the context that defines it.

    That is the context given where the text is a term of its own; None: nothing defines it.
    """
    found = _home(text) if text.startswith("dtmi:") else (text, context)
    return found if found is not None and defines(found[1], found[0]) else None


def term_of(text: str, context: Context) -> str:
    """Return the term that a DTMI spells out in a context; any other text as it is."""
    found = _home(text) if text.startswith("dtmi:") else None
    if found is None or not defines(found[1], found[0]):
        return text
    term, home = found
    if home.extensions:
        return term if home.extensions <= context.extensions else text
    return term if home.version == context.version else text


def defines(context: Context, term: str) -> bool:
    """Tell whether a term means anything in a context."""
    return term in metamodel(context.version).terms or term in vocabulary(context).terms


@lru_cache(maxsize=4096)
def _home(dtmi: str) -> tuple[str, Context] | None:
    """Return the term a DTMI spells out and the smallest context that would have it."""
    if core := _CORE.fullmatch(dtmi):
        name, version = (core[1], core[2]) if core[1] else (core[3], core[4])
        return (name, Context(int(version))) if int(version) in VERSIONS else None
    if standard := _STANDARD_2.fullmatch(dtmi):
        return standard[1], Context(2)
    if extension := _EXTENSION.fullmatch(dtmi):
        name = f"{extension[1]};{extension[2]}"
        return (extension[3], Context(3, frozenset({name}))) if name in KNOWN else None
    if central := _CENTRAL.fullmatch(dtmi):
        return central[1], Context(2, frozenset({IOT_CENTRAL}))
    return None
