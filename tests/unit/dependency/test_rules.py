"""The form of a file of dependency rules, and that the shipped one covers the ontology."""

from __future__ import annotations

import pytest

from sync_agent.dependency.rules import DependencyRules, Protection
from sync_agent.dtdl.elements import Relationship
from sync_agent.errors import InputError
from sync_agent.settings.shipped import shipped_default
from tests.telecom_mapping import telecom

CONNECTION = "dtmi:telecom:core:Connection;1"
RULE = f"""[[rule]]
name = "carrier"
relationship = "carriedBy"
model = "{CONNECTION}"
protection = "series"
because = "it needs it"
"""


def shipped() -> DependencyRules:
    path = shipped_default("dependencies.toml")
    return DependencyRules.parse(path.read_text(encoding="utf-8"), place=path.name)


def test_the_shipped_rules_name_only_what_the_ontology_has() -> None:
    assert shipped().check(telecom()) == ()
    assert shipped().idle(telecom()) == ()


def test_the_shipped_rules_speak_of_every_relationship_of_the_ontology() -> None:
    registry, rules = telecom(), shipped()
    silent = [
        f"{model} {content.name}"
        for model in registry.ids
        for content in registry.interface(model).contents.values()
        if isinstance(content, Relationship)
        and content.name != "dependsOn"
        and rules.rule_for(registry, content.name, model, content.target) is None
    ]
    assert silent == []


def test_every_shipped_rule_is_the_first_one_somewhere() -> None:
    registry, rules = telecom(), shipped()
    used = {
        rule
        for model in registry.ids
        for content in registry.contents(model).values()
        if isinstance(content, Relationship)
        for target in registry.ids
        if not content.target or registry.is_of_model(target, content.target)
        if (rule := rules.rule_for(registry, content.name, model, target)) is not None
    }
    assert [rule.name for rule in rules.rules if rule not in used] == []


def test_the_first_rule_that_fits_counts() -> None:
    rule = shipped().rule_for(
        telecom(), "carriedBy", "dtmi:telecom:transport:LagLink;1", "dtmi:telecom:core:Connection;1"
    )
    assert rule is not None
    assert (rule.name, rule.protection) == ("members", Protection.REDUNDANT)


def test_a_rule_with_a_target_fits_only_such_ends() -> None:
    rules = DependencyRules.parse(
        RULE + 'target = "dtmi:telecom:transport:IpLink;1"\n', place="d.toml"
    )
    ip, lag = "dtmi:telecom:transport:IpLink;1", "dtmi:telecom:transport:LagLink;1"
    assert rules.rule_for(telecom(), "carriedBy", lag, ip) is not None
    assert rules.rule_for(telecom(), "carriedBy", ip, lag) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[rule]", "Expected"),
        (RULE + "weight = 2\n", "unknown field `weight`"),
        (RULE.replace('"series"', '"sometimes"'), "Invalid enum value 'sometimes'"),
        (RULE.replace('"carriedBy"', '""'), "must not be empty"),
        (RULE + "min_required = 1\n", "mean nothing with protection series"),
        (RULE.replace("series", "redundant") + "min_required = 0\n", "must be at least 1"),
        (RULE.replace("series", "redundant") + "tolerates = -1\n", "must not be negative"),
        (
            RULE.replace("series", "redundant") + "tolerates = 1\nmin_required = 1\n",
            "say one of",
        ),
        (RULE.replace("series", "partial") + 'min_required_property = "x"\n', "is for protection"),
        (RULE + RULE.replace("series", "redundant"), "rules named carrier differ"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(InputError, match=r".") as raised:
        DependencyRules.parse(text, place="d.toml")
    assert says in str(raised.value)
    assert "d.toml" in str(raised.value)


def test_a_rule_for_what_the_model_does_not_have_is_a_fault() -> None:
    wrong = RULE.replace("carriedBy", "carryBy")
    (fault,) = DependencyRules.parse(wrong, place="d.toml").check(telecom())
    assert fault == f"rule 1 (carrier): no model that is a {CONNECTION} has a relationship carryBy"


def test_a_required_number_must_be_a_property() -> None:
    wrong = RULE.replace("series", "redundant") + 'min_required_property = "carriedBy"\n'
    (fault,) = DependencyRules.parse(wrong, place="d.toml").check(telecom())
    assert fault == f"rule 1 (carrier): {CONNECTION} has no property carriedBy"


def test_a_rule_for_a_model_that_is_not_there_is_idle() -> None:
    rules = DependencyRules.parse(RULE.replace("Connection;1", "Bond;1"), place="d.toml")
    assert rules.check(telecom()) == ()
    assert rules.idle(telecom()) == (
        "rule 1 (carrier) is about dtmi:telecom:core:Bond;1, which is not there",
    )
