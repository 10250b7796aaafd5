import pytest

from sync_agent.inventory.template import Template
from sync_agent.twins.twin import JsonValue


def test_columns_are_put_between_the_texts() -> None:
    assert Template.parse("{a}/{ b }!").fill({"a": "x", "b": 2}) == "x/2!"


def test_double_braces_stand_for_themselves() -> None:
    assert Template.parse("{{{a}}}").fill({"a": "x"}) == "{x}"


@pytest.mark.parametrize("attributes", [{}, {"a": ""}, {"a": None}])
def test_an_empty_column_leaves_no_text(attributes: dict[str, object]) -> None:
    assert Template.parse("id-{a}").fill(attributes) is None


@pytest.mark.parametrize("text", ["{", "a}", "{}", "{ }", "{a{b}}"])
def test_a_brace_that_encloses_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="brace"):
        Template.parse(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("A", "A"), (3, "3"), (1.5, "1.5"), (True, "true"), (False, "false"),
        (["a", 1], '["a",1]'), ({"b": "ü", "a": None}, '{"a":null,"b":"ü"}'),
    ],
)  # fmt: skip
def test_what_is_no_text_is_written_as_json_has_it(value: JsonValue, text: str) -> None:
    assert Template.parse("{x}").filler()({"x": value}) == text
    assert Template.parse("<{x}>").filler()({"x": value}) == f"<{text}>"
