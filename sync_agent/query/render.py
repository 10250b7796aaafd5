"""A tree back to query text: for messages, for logs, and to prove that the parser loses nothing.

``parse(render(query)) == query`` for every tree the parser can make. Names are written in ``[[ ]]``
wherever they are not plain words.
"""

from __future__ import annotations

import re

from sync_agent.query.tokens import RESERVED
from sync_agent.query.tree import (
    And,
    ArrayContains,
    Comparison,
    Condition,
    Count,
    Direction,
    Everything,
    Match,
    Membership,
    Not,
    OfModel,
    Or,
    Path,
    Projected,
    Projection,
    Query,
    Scalar,
    Segment,
    TextCheck,
    TypeCheck,
)

_PLAIN = re.compile(r"[$A-Za-z_][$A-Za-z0-9_]*", re.ASCII)
_CLAUSES = frozenset(("JOIN", "MATCH"))  # no reserved words, but an alias of that name needs [[ ]]


def render(query: Query) -> str:
    """Return the text of a query, on one line, keywords in capitals."""
    parts = ["SELECT"]
    if query.top is not None:
        parts.append(f"TOP({query.top})")
    parts += [_projection(query.projection), "FROM", query.collection.value]
    if query.alias:
        parts.append(_name(query.alias))
    for join in query.joins:
        related = f"{_name(join.source)}.{_name(join.relationship)}"
        parts += ["JOIN", _name(join.target), "RELATED", related]
        if join.alias:
            parts.append(_name(join.alias))
    if query.match is not None:
        parts += ["MATCH", _match(query.match)]
    if query.where is not None:
        parts += ["WHERE", _condition(query.where)]
    return " ".join(parts)


def _name(name: str) -> str:
    plain = _PLAIN.fullmatch(name) and name.upper() not in RESERVED | _CLAUSES
    return name if plain else f"[[{name}]]"


def _path(path: Path) -> str:
    return ".".join(map(_name, path.segments))


def _projection(projection: Projection) -> str:
    match projection:
        case Everything():
            return "*"
        case Count():
            return "COUNT()"
        case items:
            return ", ".join(map(_projected, items))


def _projected(item: Projected) -> str:
    return f"{_path(item.path)} AS {_name(item.name)}" if item.name else _path(item.path)


def _match(match: Match) -> str:
    text = f"({_name(match.nodes[0]) if match.nodes[0] else ''})"
    for segment, node in zip(match.segments, match.nodes[1:], strict=True):
        text += f"{_segment(segment)}({_name(node) if node else ''})"
    return text


def _segment(segment: Segment) -> str:
    inner = _name(segment.alias) if segment.alias else ""
    if segment.names:
        inner += ":" + "|".join(map(_name, segment.names))
    low, high = segment.hops_min, segment.hops_max
    if low == high != 1:
        inner += f"*{low}"
    elif low != high:
        inner += f"*{low - 1}..{high}" if low > 1 else f"*..{high}"
    start = "<-" if segment.direction is Direction.IN else "-"
    end = "->" if segment.direction is Direction.OUT else "-"
    return f"{start}[{inner}]{end}"


def _condition(condition: Condition) -> str:
    match condition:
        case Or(operands=operands):
            return " OR ".join(
                _grouped(operand) if isinstance(operand, Or) else _condition(operand)
                for operand in operands
            )
        case And(operands=operands):
            return " AND ".join(map(_grouped, operands))
        case Not(operand=operand):
            return f"NOT {_grouped(operand)}"
        case Comparison(path=path, op=op, value=value):
            return f"{_path(path)} {op} {_literal(value)}"
        case Membership(path=path, values=values, negated=negated):
            word = "NIN" if negated else "IN"
            return f"{_path(path)} {word} [{', '.join(map(_literal, values))}]"
        case TypeCheck(test=type_test, path=path):
            return f"{type_test}({_path(path)})"
        case TextCheck(test=text_test, path=path, text=text):
            return f"{text_test}({_path(path)}, {_literal(text)})"
        case ArrayContains(path=path, value=value):
            return f"ARRAY_CONTAINS({_path(path)}, {_literal(value)})"
        case OfModel(model=model, alias=alias, exact=exact):
            given = [_name(alias)] if alias else []
            given += [_literal(model), "exact"] if exact else [_literal(model)]
            return f"IS_OF_MODEL({', '.join(given)})"


def _grouped(condition: Condition) -> str:
    text = _condition(condition)
    return f"({text})" if isinstance(condition, And | Or) else text


def _literal(value: Scalar) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).upper()
        case str():
            escaped = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"'{escaped}'"
        case _:
            return repr(value)
