"""Ids nobody had before, whatever the program around the stub does with its random numbers."""

from __future__ import annotations

import random
import uuid

from sync_agent.stub.adt.random_ids import new_hex, new_uuid


def test_a_program_that_seeds_its_random_numbers_gets_no_id_twice() -> None:
    found = set()
    for _ in range(3):
        random.seed(0)
        found |= {new_uuid(), new_hex(16)}
    assert len(found) == 6


def test_a_uuid_is_a_random_one_of_rfc_9562() -> None:
    for _ in range(100):
        text = new_uuid()
        known = uuid.UUID(text)
        assert (str(known), known.version, known.variant) == (text, 4, uuid.RFC_4122)
