"""The stub does every operation in every version that has it: so says the support matrix."""

from __future__ import annotations

from sync_agent.stub.adt.operation import API_VERSIONS, OPERATIONS
from tools.stub_matrix import LIMITED, outcomes, table


def test_every_operation_is_done_in_exactly_the_versions_that_have_it() -> None:
    found = outcomes()
    assert found == {
        (operation.name, version): operation.is_in(version)
        for operation in OPERATIONS
        for version in API_VERSIONS
    }


def test_an_operation_that_fails_is_shown_as_not_supported() -> None:
    found = {(o.name, v): o.is_in(v) for o in OPERATIONS for v in API_VERSIONS}
    found["DigitalTwins_Add", "2023-10-31"] = False
    (row,) = (r for r in table(found).splitlines() if r.startswith("| DigitalTwins_Add |"))
    assert row == "| DigitalTwins_Add | yes | yes | yes | yes | yes | no |  |"
    assert LIMITED.keys() <= {operation.name for operation in OPERATIONS}
