from __future__ import annotations

from pathlib import Path

import pytest

import sync_agent
from sync_agent.dtdl.parse import parse_models
from sync_agent.dtdl.registry import ModelRegistry
from sync_agent.errors import InputError
from sync_agent.health.flag import changed, parse_flags
from sync_agent.health.profile import Profiles
from sync_agent.sources.model_folder import read_models
from sync_agent.telemetry.binding import parse_bindings

KPI = 'name = "k"\nproperties = ["p"]\ngood = 1\ndegraded = 2\ncritical = 3\n'
ROOT = Path(sync_agent.__file__).parent


def profile(head: str = "", kpi: str = KPI) -> str:
    return f'[[profile]]\nmodel = "dtmi:t:A;1"\n{head}\n[[profile.kpi]]\n{kpi}'


def test_the_nearest_ancestor_with_a_profile_gives_it() -> None:
    chain = ["dtmi:t:A;1", "dtmi:t:B;1", "dtmi:t:C;1"]
    registry = ModelRegistry(
        parse_models(
            {
                "@context": "dtmi:dtdl:context;3",
                "@id": model,
                "@type": "Interface",
                "extends": chain[number - 1 : number],
            }
            for number, model in enumerate(chain)
        ).interfaces
    )
    text = profile() + profile().replace("dtmi:t:A;1", "dtmi:t:B;1")
    profiles = Profiles.parse(text, place="h.toml")
    found = [profiles.for_model(model, registry) for model in chain]
    assert [p.model if p else None for p in found] == ["dtmi:t:A;1", "dtmi:t:B;1", "dtmi:t:B;1"]
    assert profiles.for_model("dtmi:t:Other;1", registry) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (profile(kpi=KPI.replace("degraded = 2", "degraded = 5")), "rise or fall"),
        (profile(kpi=KPI.replace('["p"]', "[]")), "names no property"),
        (profile(kpi=KPI + 'references = ["a", "b"]'), "one entry for each"),
        (profile(kpi=KPI + "weight = 0"), "weight"),
        (profile(kpi=KPI + "cap = 2"), "cap"),
        (profile(kpi=KPI.replace("good = 1", "good = -1") + "log = true"), "log scale"),
        (profile("enter = { breaches = 4, of = 3 }"), "breaches"),
        (profile("leave = { clean = 0 }"), "clean"),
        (profile("period_s = 0"), "period_s"),
        (profile(kpi=KPI + 'colour = "red"'), "colour"),
        ("[[profile", "Expected"),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused_with_a_sentence(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Profiles.parse(text, place="h.toml")


def test_the_shipped_rules_fit_the_shipped_models() -> None:
    registry = ModelRegistry(read_models(ROOT.parent / "dtdl_models").interfaces)
    defaults = ROOT / "defaults"
    profiles = Profiles.parse((defaults / "health.toml").read_text(), place="health.toml")
    for found in profiles.profiles:
        heirs = [model for model in registry.ids if registry.is_of_model(model, found.model)]
        assert heirs, f"no model is a {found.model}"
        known = {name for model in heirs for name in registry.contents(model)}
        for kpi in found.kpi:
            assert {*kpi.properties, *kpi.references} <= known, (found.model, kpi.name)
    for binding in parse_bindings((defaults / "bindings.toml").read_text(), place="b"):
        assert binding.property in registry.contents(binding.model)
    assert parse_flags((defaults / "flags.toml").read_text(), place="flags.toml")


def test_a_flag_query_that_cannot_run_is_refused_by_its_name() -> None:
    text = '[[flag]]\nname = "bad"\nquery = "SELEC * FROM digitaltwins"'
    with pytest.raises(InputError, match="bad"):
        parse_flags(text, place="f.toml")
    twice = '[[flag]]\nname = "a"\nquery = "SELECT * FROM digitaltwins"\n' * 2
    with pytest.raises(InputError, match="twice"):
        parse_flags(twice, place="f.toml")


def test_what_enters_and_leaves_an_answer_is_its_difference() -> None:
    entered, left = changed(frozenset("ab"), frozenset("bc"))
    assert (entered, left) == (frozenset("c"), frozenset("a"))
