"""JSON Patch held to its laws on documents and patches nobody thought of."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sync_agent.twins.patch import PatchError, apply_patch, segments_of

NAMES = st.text(st.sampled_from("ab/~01-"), min_size=1, max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=4)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(
    lambda names: "".join(f"/{escaped(name)}" for name in names)
)
OPERATIONS = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove", "move", ""]), "path": PATHS},
    optional={"value": VALUES},
)
NONSENSE = st.dictionaries(st.sampled_from(["op", "path", "value"]), VALUES | PATHS)


def escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_a_path_reads_back_as_the_names_it_was_made_of(names: list[str]) -> None:
    assert segments_of("".join(f"/{escaped(name)}" for name in names)) == tuple(names)


@given(DOCUMENTS, st.lists(OPERATIONS | NONSENSE, max_size=4))
def test_a_patch_applies_or_is_refused_and_never_touches_what_it_was_given(
    document: dict[str, Any], patch: list[dict[str, Any]]
) -> None:
    before = copy.deepcopy((document, patch))
    with suppress(PatchError):
        apply_patch(document, patch)
    assert (document, patch) == before


@given(DOCUMENTS, NAMES, VALUES)
def test_what_was_added_can_be_replaced_and_removed(
    document: dict[str, Any], name: str, value: Any
) -> None:
    path = f"/{escaped(name)}"
    added = apply_patch(document, [{"op": "add", "path": path, "value": value}])
    assert added == {**document, name: value}
    replaced = apply_patch(added, [{"op": "replace", "path": path, "value": 1}])
    assert replaced[name] == 1
    removed = apply_patch(replaced, [{"op": "remove", "path": path}])
    assert removed == {k: v for k, v in document.items() if k != name}


@given(DOCUMENTS, st.lists(OPERATIONS, max_size=3), st.lists(OPERATIONS, max_size=3))
def test_two_patches_in_a_row_are_one_patch(
    document: dict[str, Any], first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> None:
    try:
        step_by_step = apply_patch(apply_patch(document, first), second)
    except PatchError:
        return
    assert apply_patch(document, [*first, *second]) == step_by_step
