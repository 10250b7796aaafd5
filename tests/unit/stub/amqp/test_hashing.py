"""The partition key hash is the one the SDK's buffered producer uses."""

from __future__ import annotations

from typing import Any

import pytest
from azure.eventhub._buffered_producer._partition_resolver import (
    PartitionResolver,
    generate_hash_code,
)

from sync_agent.stub.amqp.hashing import key_hash, partition_for_key

KEYS = ["x" * length for length in range(1, 40)] + [f"link-{number}" for number in range(200)]


def test_the_hash_is_the_sdks() -> None:
    hash_of: Any = generate_hash_code
    assert [key_hash(key) for key in KEYS] == [hash_of(key) for key in KEYS]
    assert key_hash("") == 0


@pytest.mark.parametrize("count", [1, 3, 4, 32])
def test_the_partition_is_the_sdks(count: int) -> None:
    resolver: Any = PartitionResolver
    resolver = resolver([str(number) for number in range(count)])
    for key in KEYS:
        expected = resolver.get_partition_id_by_partition_key(key)
        assert str(partition_for_key(key, count)) == expected
