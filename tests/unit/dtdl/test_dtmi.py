from __future__ import annotations

import pytest

from sync_agent.dtdl.dtmi import is_dtmi, is_user_dtmi, path_of, version_of


@pytest.mark.parametrize(
    ("text", "user_2", "user_3", "system"),
    [
        ("dtmi:a;1", True, True, True),
        ("dtmi:a:b_c:D9;123456789", True, True, True),
        ("dtmi:a:b;1.2", False, True, True),
        ("dtmi:a:b", False, True, True),
        ("dtmi:a:_contents:__b;1", False, False, True),
        ("dtmi:a;0", False, False, False),
        ("dtmi:a;1.0", False, False, False),
        ("dtmi:a;01", False, False, False),
        ("dtmi:a;1234567890", False, False, False),
        ("dtmi:9a;1", False, False, False),
        ("dtmi:a_;1", False, False, False),
        ("dtmi:a::b;1", False, False, False),
        ("dtmi:;1", False, False, False),
        ("dtmi:a;1\n", False, False, False),
        ("dtmi:é;1", False, False, False),
        ("DTMI:a;1", False, False, False),
        ("", False, False, False),
    ],
)
def test_an_identifier_is_told_from_what_is_none(
    text: str, *, user_2: bool, user_3: bool, system: bool
) -> None:
    assert (is_user_dtmi(text, 2), is_user_dtmi(text, 3), is_dtmi(text)) == (
        user_2,
        user_3,
        system,
    )


def test_versions_compare_as_numbers() -> None:
    order = sorted(["dtmi:a;10", "dtmi:a;2", "dtmi:a", "dtmi:a;2.11", "dtmi:a;2.2"], key=version_of)

    assert order == ["dtmi:a", "dtmi:a;2", "dtmi:a;2.2", "dtmi:a;2.11", "dtmi:a;10"]
    assert {path_of(dtmi) for dtmi in order} == {"dtmi:a"}


def test_what_is_no_identifier_has_no_version() -> None:
    with pytest.raises(ValueError, match="is not a DTMI"):
        version_of("urn:a;1")
