from sync_agent.toml_file.key_lines import key_lines

TEXT = '''# a comment with = and [brackets]
owner = "x"

[[twin]]
from = "a = b"
columns = [
  "one",  # ] not the end
  "two",
]

[twin.properties]
"tags.kind" = """
model = "no key"
"""
plain = { column = "c", when = { zone = "z" } }

[[twin]]
from = 'b'
properties.label = "x"

[[relationship]]
[relationship.placeholder]
source = "m"
'''


def test_keys_have_their_lines_through_arrays_strings_and_comments() -> None:
    lines = key_lines(TEXT)
    assert lines.line_of("owner") == 2
    assert lines.line_of("twin[1]") == 4
    assert lines.line_of("twin[1].columns") == 6
    assert lines.line_of("twin[1].properties.tags.kind") == 12
    assert lines.line_of("twin[1].properties.plain.when.zone") == 15
    assert lines.line_of("twin[2].from") == 18
    assert lines.line_of("twin[2].properties.label") == 19
    assert lines.line_of("relationship[1].placeholder.source") == 23


def test_what_stands_inside_a_string_is_no_key() -> None:
    assert key_lines(TEXT).line_of("twin[1].properties.model") == 11


def test_a_key_that_is_missing_has_the_line_of_what_should_hold_it() -> None:
    assert key_lines(TEXT).line_of("twin[2].model") == 17
    assert key_lines(TEXT).line_of("marker") == 0
