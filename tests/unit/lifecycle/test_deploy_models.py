from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sync_agent.dtdl.adt_profile import ADT
from sync_agent.errors import ConflictError, ModelError
from sync_agent.lifecycle.deploy_models import (
    apply_models,
    check_models,
    compare_models,
    plan_models,
    refuse_conflicts,
)
from sync_agent.lifecycle.outdated_models import pairs_to_migrate
from sync_agent.lifecycle.retire_models import decommission, delete, plan_retirement
from sync_agent.migration.rules import Pair
from sync_agent.twins.twin import Document, Twin
from tests.memory_service import MemoryService
from tests.unit.dtdl.documents import component, interface, prop

A_CALL = ADT.models_per_call_max


def folder(path: Path, *models: Document) -> Path:
    for number, model in enumerate(models):
        (path / f"{number}.json").write_text(json.dumps(model, indent=1))
    return path


def second(*contents: Any, **more: Any) -> Document:
    return {**interface(*contents, **more), "@id": "dtmi:t:Thing;2"}


async def test_missing_models_are_created_bases_first_in_calls_of_limited_size(
    tmp_path: Path,
) -> None:
    many = [interface(id=f"M{n}", extends="dtmi:t:Thing;1") for n in range(A_CALL + 10)]
    service = MemoryService()
    plan = await plan_models(service, folder(tmp_path, *many, interface()))
    seen: list[int] = []

    await apply_models(service, plan, seen.append)

    assert [len(batch) for batch in plan.create] == [A_CALL, 11]
    assert plan.models[0].id == "dtmi:t:Thing;1"
    assert seen == [A_CALL, A_CALL + 11]
    assert (await plan_models(service, tmp_path)).create == ()


async def test_a_new_version_is_compared_with_the_deployed_one(tmp_path: Path) -> None:
    service = MemoryService([interface(prop("a"))])

    plan = await plan_models(service, folder(tmp_path, second(prop("b"))))

    assert plan.versions["dtmi:t:Thing;2"].verdict.word == "migratable"
    assert plan.elsewhere == ("dtmi:t:Thing;1",)


async def test_a_model_that_is_deployed_with_other_content_is_a_conflict(tmp_path: Path) -> None:
    service = MemoryService([interface(prop("a"))])

    plan = await plan_models(service, folder(tmp_path, interface(prop("b"))))

    assert plan.create == ()
    (conflict,) = plan.conflicts
    assert conflict.new == "dtmi:t:Thing;1"
    assert {(d.path, d.change) for d in conflict.differences} == {("a", "removed"), ("b", "added")}
    with pytest.raises(ModelError, match="other content: dtmi:t:Thing;1"):
        refuse_conflicts(plan, tmp_path)


async def test_a_call_that_was_answered_twice_is_no_failure(tmp_path: Path) -> None:
    model = interface()
    service = MemoryService([model])
    plan = await plan_models(MemoryService(), folder(tmp_path, model))

    await apply_models(service, plan, lambda _: None)  # a conflict with what is there already

    other = MemoryService([interface(prop("else"))])
    with pytest.raises(ConflictError):
        await apply_models(other, plan, lambda _: None)


def test_findings_name_the_file_and_line(tmp_path: Path) -> None:
    _, (finding,) = check_models(folder(tmp_path, interface(prop("9a"))))

    assert (finding.source, finding.code) == ("0.json", "stringInvalid")
    assert finding.line > 1


def test_what_the_service_refuses_and_what_is_missing_has_its_place_too(tmp_path: Path) -> None:
    command = {"@type": "Command", "name": "reboot"}
    contents = [prop("a"), component("part", "dtmi:t:Gone;1"), command]
    models = [interface(), interface(*contents, id="U", extends="dtmi:t:Lost;1")]
    text = json.dumps(models, indent=1)
    (tmp_path / "models.json").write_text(text)

    _, findings = check_models(tmp_path)

    assert {(f.code, f.message): f.pointer for f in findings} == {
        ("unresolvedReference", "dtmi:t:Lost;1 is nowhere"): "/1/extends",
        ("unresolvedReference", "dtmi:t:Gone;1 is nowhere"): "/1/contents/1/schema",
        ("adt:command", "reboot is a command"): "/1/contents",
    }
    lines = text.splitlines()
    for finding in findings:
        assert finding.source == "models.json"
        key = finding.pointer.rpartition("/")[2]
        assert f'"{key}"' in lines[finding.line - 1]


def test_nothing_is_said_to_be_missing_when_a_file_could_not_be_read(tmp_path: Path) -> None:
    folder(tmp_path, interface(extends="dtmi:t:Lost;1"))
    (tmp_path / "lost.json").write_text("{")

    _, findings = check_models(tmp_path)

    assert [finding.code for finding in findings] == ["json:syntax"]


def test_two_folders_compare_version_by_version(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old = folder(tmp_path / "old", interface(prop("a")), interface(id="Same"))
    new = folder(tmp_path / "new", second(prop("a"), prop("b")), interface(id="Same"))

    compared = compare_models(new, old)

    assert {c.new: len(c.differences) for c in compared} == {
        "dtmi:t:Thing;2": 1,
        "dtmi:t:Same;1": 0,
    }


BASE, USER = interface(), interface(component("part", "dtmi:t:Thing;1"), id="User")


async def test_models_go_in_reverse_order_when_nothing_uses_them() -> None:
    service = MemoryService([BASE, USER])
    plan = await plan_retirement(service, ["dtmi:t:Thing;1", "dtmi:t:User;1"])
    assert plan.order == ("dtmi:t:User;1", "dtmi:t:Thing;1")

    await delete(service, plan, lambda _: None, sleep=no_sleep)

    assert service.models == {}


async def test_twins_and_other_models_keep_a_model() -> None:
    service = MemoryService([BASE, USER])
    for number in range(5):
        await service.put_twin(Twin(f"t{number}", "dtmi:t:Thing;1"))

    plan = await plan_retirement(service, ["dtmi:t:Thing;1"])

    assert plan.blocked == (
        "dtmi:t:Thing;1 is the model of 5 twins (t0, t1, t2, ...)",
        "dtmi:t:Thing;1 is needed by dtmi:t:User;1",
    )
    with pytest.raises(ModelError, match="5 twins"):
        await delete(service, plan, lambda _: None, sleep=no_sleep)
    assert len(service.models) == 2


async def test_a_twin_made_at_the_last_moment_keeps_its_model() -> None:
    service = MemoryService([BASE])
    plan = await plan_retirement(service, ["dtmi:t:Thing;1"])
    await service.put_twin(Twin("late", "dtmi:t:Thing;1"))

    with pytest.raises(ModelError, match="late"):
        await delete(service, plan, lambda _: None, sleep=no_sleep)

    assert "dtmi:t:Thing;1" in service.models


async def test_decommissioning_keeps_twins_and_model() -> None:
    service = MemoryService([BASE])
    await service.put_twin(Twin("t", "dtmi:t:Thing;1"))

    await decommission(service, await plan_retirement(service, ["dtmi:t:Thing;1"]))

    again = await plan_retirement(service, ["dtmi:t:Thing;1"])
    assert again.decommissioned == {"dtmi:t:Thing;1"}


async def test_a_plan_names_models_that_take_no_new_twins(tmp_path: Path) -> None:
    service = MemoryService([BASE, USER])
    await service.decommission_model("dtmi:t:User;1")

    plan = await plan_models(service, folder(tmp_path, BASE, USER))

    assert plan.decommissioned == ("dtmi:t:User;1",)


async def test_the_remedy_is_about_what_stands_against_it() -> None:
    service = MemoryService([BASE, USER])
    await service.put_twin(Twin("u", "dtmi:t:User;1"))

    for model, said, unsaid in (
        ("dtmi:t:Thing;1", "name the other models", "twins"),
        ("dtmi:t:User;1", "migrate those twins", "other models"),
    ):
        with pytest.raises(ModelError) as caught:
            await delete(service, await plan_retirement(service, [model]), lambda _: None)
        assert said in caught.value.remedy
        assert unsaid not in caught.value.remedy


async def test_a_model_that_is_not_deployed_cannot_go() -> None:
    with pytest.raises(ModelError, match="not deployed: dtmi:t:Gone;1"):
        await plan_retirement(MemoryService(), ["dtmi:t:Gone;1"])


async def test_models_with_twins_and_a_newer_version_are_to_be_migrated() -> None:
    third = {**interface(), "@id": "dtmi:t:Thing;3"}
    service = MemoryService([BASE, second(), third, USER])
    await service.put_twin(Twin("a", "dtmi:t:Thing;1"))
    await service.put_twin(Twin("c", "dtmi:t:Thing;3"))

    assert await pairs_to_migrate(service, service.registry) == (
        Pair("dtmi:t:Thing;1", "dtmi:t:Thing;3"),
    )


async def no_sleep(_: float) -> None:
    return
