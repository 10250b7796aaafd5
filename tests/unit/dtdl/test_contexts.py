from __future__ import annotations

from typing import Any

import pytest

from sync_agent.dtdl.contexts import Context, read_context

V2, V3 = "dtmi:dtdl:context;2", "dtmi:dtdl:context;3"
QUANTITATIVE = "dtmi:dtdl:extension:quantitativeTypes;1"
CENTRAL = "dtmi:iotcentral:context;2"
STRANGE = "dtmi:example:strange;1"


def read(
    value: Any, outer: Context | None = None, *, undefined: bool | None = None
) -> tuple[Context | None, list[str]]:
    codes: list[str] = []
    context = read_context(
        value, outer, "", lambda code, *_: codes.append(code), undefined=undefined
    )
    return context, codes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (V3, Context(3)),
        ([V2], Context(2)),
        ([V3, QUANTITATIVE], Context(3, frozenset({QUANTITATIVE}))),
        ([CENTRAL, V2], Context(2, frozenset({CENTRAL}))),
    ],
)
def test_a_context_says_version_and_extensions(value: Any, expected: Context) -> None:
    assert read(value) == (expected, [])


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ([], "emptyContext"),
        (QUANTITATIVE, "missingDtdlContext"),
        (None, "invalidContext"),
        ([QUANTITATIVE, V3], "missingDtdlContext"),
        ("dtmi:dtdl:context;9", "unrecognizedContextVersion"),
        ("dtmi:dtdl:context", "missingDtdlContext"),
        ("dtmi:dtdl:context;03", "invalidContextSpecifier"),
        ("dtmi:dtdl:context;2.1", "invalidContextSpecifierForVersion"),
        ("dtmi:dtdl:context;3#", "invalidContextFragment"),
        ([V2, "dtmi:dtdl:context"], "invalidContextSpecifierForVersion"),
        ([V3, "dtmi:_a:b;1"], "invalidContextSpecifierForVersion"),
        ([V3, "dtmi:dtdl:limits:onvif;1"], "misplacedLimitContext"),
        ([V3, {"a": 5}], "termDefinitionNotStringOrObject"),
        ([V3, {"a": {}}], "termDefinitionMissingIdProperty"),
        ([V3, {"a": {"@id": 5}}], "termDefinitionIdPropertyNotString"),
        ("dtmi:dtdl:context;3#limits", "disallowedContextFragment"),
        ([V3, QUANTITATIVE, V3], "dtdlContextFollowsAffiliate"),
        ([V3, "http://example.com"], "nonDtmiContextSpecifier"),
        ([V3, "dtmi:not valid;1"], "invalidContextSpecifier"),
        ([V3, "dtmi:example:strange"], "missingContextVersion"),
        ([V2, "dtmi:example:strange;1.2"], "invalidContextSpecifierForVersion"),
        ([V3, "dtmi:example:strange;1#x"], "invalidContextSpecifier"),
        ([V3, {"term": "dtmi:a;1", "other": None}], "disallowedLocalContext"),
        ([V3, 5], "invalidContext"),
        ([V3, STRANGE], "unresolvableContextSpecifier"),
        ([V3, "dtmi:dtdl:extension:annotation;9"], "unresolvableContextVersion"),
    ],
)
def test_a_context_that_cannot_be_is_named_by_its_code(value: Any, code: str) -> None:
    assert read(value)[1] == [code]


def test_iot_central_may_stand_before_the_language_inside_too() -> None:
    assert read([CENTRAL, V2], Context(3)) == (Context(2, frozenset({CENTRAL})), [])
    assert read([V2, CENTRAL, V3], Context(3))[1] == ["dtdlContextFollowsAffiliate"]


def test_an_unknown_extension_makes_the_context_incomplete_where_it_is_allowed() -> None:
    assert read([V2, STRANGE]) == (Context(2, incomplete=True), [])
    assert read([V3, STRANGE], undefined=True) == (Context(3, incomplete=True), [])
    assert read([V2, STRANGE], undefined=False)[1] == ["unresolvableContextSpecifier"]


def test_an_inner_context_adds_to_the_outer_one() -> None:
    outer = Context(3, frozenset({QUANTITATIVE}))

    assert read([], outer) == (outer, [])
    assert read(V2, outer) == (Context(2, frozenset({QUANTITATIVE})), [])
