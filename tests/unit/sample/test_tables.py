import csv
import random

from sync_agent.sample.network import Kind
from sync_agent.sample.operator import build_network
from sync_agent.sample.tables import DEPENDENCIES, RING_MEMBERS, csv_files


def test_there_is_a_file_for_each_kind_and_two_of_edges() -> None:
    files = csv_files(build_network(random.Random(1), 700))
    assert set(files) == {f"{kind.value}.csv" for kind in Kind} | {DEPENDENCIES, RING_MEMBERS}


def test_a_file_read_back_has_the_attributes_of_every_element() -> None:
    network = build_network(random.Random(1), 700)
    files = csv_files(network)
    for kind in Kind:
        rows = list(csv.DictReader(files[f"{kind.value}.csv"].splitlines()))
        assert [row["id"] for row in rows] == [element.id for element in network.by_kind[kind]]
        for row, element in zip(rows, network.by_kind[kind], strict=True):
            assert set(row) == {"id", *element.attributes}


def test_only_redundant_dependencies_say_how_many_must_work() -> None:
    rows = csv.DictReader(
        csv_files(build_network(random.Random(1), 700))[DEPENDENCIES].splitlines()
    )
    for row in rows:
        assert (row["protection"] == "redundant") == bool(row["group"]) == bool(row["min_required"])
