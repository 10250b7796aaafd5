"""A term and its DTMI are the same thing: ``Property`` and ``dtmi:dtdl:class:Property;3``."""

from __future__ import annotations

import re

from sync_agent.dtdl.contexts import IOT_CENTRAL, Context

_CORE = re.compile(
    r"dtmi:dtdl:(?:class|property|instance:Schema|instance:CommandType):(\w+);(\d+)"
    r"|dtmi:standard:schema:geospatial:(\w+);(\d+)"
)
_STANDARD_2 = re.compile(r"dtmi:standard:(?:class|unit|unitprefix):(\w+);2")
_EXTENSION = re.compile(r"(dtmi:dtdl:extension:\w+):v(\d+):(?:(?:\w+:)?)(\w+)")
_CENTRAL = re.compile(r"dtmi:iotcentral:(?:class|schema):(\w+);2")


def term_of(text: str, context: Context) -> str:
    """Return the term that a DTMI spells out in a context; any other text as it is."""
    if not text.startswith("dtmi:"):
        return text
    core = _CORE.fullmatch(text)
    if core is not None:
        name, version = (core[1], core[2]) if core[1] else (core[3], core[4])
        return name if int(version) == context.version else text
    if context.version == 2 and (standard := _STANDARD_2.fullmatch(text)):
        return standard[1]
    extension = _EXTENSION.fullmatch(text)
    if extension is not None:
        known = f"{extension[1]};{extension[2]}" in context.extensions
        return extension[3] if known else text
    central = _CENTRAL.fullmatch(text) if IOT_CENTRAL in context.extensions else None
    return central[1] if central else text
