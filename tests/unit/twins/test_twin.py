from __future__ import annotations

from sync_agent.twins.twin import Relationship, Twin, key_of, model_of

SITE = Twin("S1", "dtmi:test:Site;1", {"label": "north", "health": {"$metadata": {}}}, 'W/"1"')
LINK = Relationship("locatedIn.S1", "R1", "locatedIn", "S1", {"since": "2026"}, 'W/"2"')


def test_what_the_service_has_of_a_twin_reads_as_the_twin() -> None:
    document = SITE.as_stored()
    assert Twin.from_document(document) == Twin(
        SITE.id, SITE.model, SITE.properties, SITE.etag, {"$model": SITE.model}
    )
    assert model_of(document) == SITE.model
    assert model_of(SITE.to_document()) == SITE.model


def test_a_document_without_metadata_has_no_model() -> None:
    assert model_of({"$dtId": "S1"}) == ""
    assert Twin.from_document({"$dtId": "S1"}) == Twin("S1", "")


def test_what_the_service_has_of_a_relationship_reads_as_the_relationship() -> None:
    document = LINK.as_stored()
    assert Relationship.from_document(document) == LINK
    assert key_of(document) == LINK.key == ("R1", "locatedIn.S1")
