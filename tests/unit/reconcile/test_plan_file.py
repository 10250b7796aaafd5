import json

import pytest

from sync_agent.errors import InputError
from sync_agent.reconcile.cost import Rates, cost_of
from sync_agent.reconcile.plan import make_plan
from sync_agent.reconcile.plan_file import PlanFile, to_document
from sync_agent.reconcile.way import decide
from tests.small_network import ROUTERS, SITES, mapped, records
from tests.unit.reconcile.test_diff import as_documents
from tests.unit.reconcile.test_plan import WHOLE


def a_file() -> PlanFile:
    routers = [{**ROUTERS[0], "site": "S2", "label": "ä\x00"}, ROUTERS[1]]
    rows = records([*SITES, {**SITES[0], "id": "S3"}], routers, [])
    graph = as_documents(mapped().desired)
    plan = make_plan(mapped(rows).desired, graph, WHOLE, records=6, digest="d")
    rates = Rates(10, 1000, 500)
    way = decide(plan, rates, storage=True)
    return PlanFile(plan, "https://a.test", 5, cost_of(plan, rates), ("too many",), way)


def test_a_plan_comes_back_from_its_file_as_it_was() -> None:
    file = a_file()
    assert PlanFile.from_bytes(file.to_bytes()) == file
    assert PlanFile.from_bytes(file.to_bytes()).to_bytes() == file.to_bytes()


def test_a_plan_as_json_has_everything_by_name() -> None:
    document = to_document(a_file())
    assert document["instance"] == "https://a.test"
    assert document["plan"]["changes"][0]["twin"]["id"] == "S3"
    assert document["way"]["way"] == "operations"
    assert document["way"]["twins"] == 1
    assert json.dumps(document)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "this is no plan"),
        (b"\xff\xfe", "this is no plan"),
        (b"[1]", "this is no plan"),
        (b"{}", "this is something else version 0"),
        (b'{"format":"sync-agent-plan","version":99,"content":{}}', "version 99, not"),
        (b'{"format":"sync-agent-plan","version":1,"content":{}}', "changed or cut off"),
        (b'{"format":"sync-agent-plan","version":1,"content":{"plan":', "this is no plan"),
    ],
)
def test_what_is_no_plan_is_refused_with_its_place(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        PlanFile.from_bytes(data, place="my.plan")
    assert "my.plan" in raised.value.message
    assert "sync-agent plan --out" in raised.value.remedy


def test_a_plan_that_was_edited_by_hand_is_refused() -> None:
    with pytest.raises(InputError, match="changed or cut off"):
        PlanFile.from_bytes(a_file().to_bytes().replace(b"S3", b"S4"))
