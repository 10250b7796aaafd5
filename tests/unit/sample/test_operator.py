import random

import pytest

from sync_agent.errors import InputError
from sync_agent.sample.network import Kind, SampleNetwork
from sync_agent.sample.operator import ELEMENTS_DEFAULT, build_network

ENDS = ("site", "router", "a_end", "z_end", "carried_by", "poweredBy", "gnb", "du", "cell")
MORE_ENDS = ("f1c", "f1u", "e1", "n2", "n3", "region")


@pytest.fixture(scope="module")
def network() -> SampleNetwork:
    return build_network(random.Random(1))


def test_the_same_seed_builds_the_same_network() -> None:
    one, other = (build_network(random.Random(5), 700) for _ in range(2))
    assert list(one.elements()) == list(other.elements())
    assert one.dependencies == other.dependencies


def test_another_seed_builds_another_network(network: SampleNetwork) -> None:
    other = build_network(random.Random(2))
    assert list(network.elements()) != list(other.elements())


@pytest.mark.parametrize("elements", [600, ELEMENTS_DEFAULT, 9_000])
def test_the_network_has_the_size_asked_for_and_hardly_more(elements: int) -> None:
    size = len(build_network(random.Random(3), elements))
    assert elements <= size < elements + 30


@pytest.mark.parametrize("elements", [0, -5, 599, 10_000_000])
def test_a_size_out_of_bounds_is_refused_with_the_bounds(elements: int) -> None:
    with pytest.raises(InputError, match="cannot be made") as refusal:
        build_network(random.Random(1), elements)
    assert "600 to 500000" in refusal.value.remedy


def test_the_default_network_has_every_kind_in_four_regions(network: SampleNetwork) -> None:
    assert len(network) >= 2_000
    assert all(network.by_kind[kind] for kind in Kind)
    assert len({element.region for element in network.elements()}) == 4


def test_every_end_of_every_edge_is_an_element(network: SampleNetwork) -> None:
    ends = {
        str(element.attributes[name])
        for element in network.elements()
        for name in (*ENDS, *MORE_ENDS)
        if name in element.attributes
    }
    ends |= {end for edge in network.dependencies for end in (edge.source, edge.target)}
    ends |= {end for ring, router, _ in network.ring_members for end in (ring, router)}
    assert ends <= set(network.by_id)


def test_nothing_depends_on_itself_even_by_a_detour(network: SampleNetwork) -> None:
    series: dict[str, list[str]] = {}
    for edge in network.dependencies:
        if edge.protection == "series":
            series.setdefault(edge.source, []).append(edge.target)
    done: set[str] = set()

    def visit(element: str, path: tuple[str, ...]) -> None:
        assert element not in path
        if element not in done:
            for target in series.get(element, ()):
                visit(target, (*path, element))
            done.add(element)

    for element in series:
        visit(element, ())


def test_every_mast_reaches_a_hub_over_its_dependencies(network: SampleNetwork) -> None:
    targets: dict[str, list[str]] = {}
    for edge in network.dependencies:
        targets.setdefault(edge.source, []).append(edge.target)
    hubs = {
        element.id
        for element in network.by_kind[Kind.ROUTER]
        if element.attributes["role"] != "access"
    }
    for router in network.by_kind[Kind.ROUTER]:
        seen, ahead = set(), [router.id]
        while ahead:
            element = ahead.pop()
            if element not in seen:
                seen.add(element)
                ahead += targets.get(element, ())
        assert seen & hubs, router.id


def test_microwave_hops_have_customary_lengths(network: SampleNetwork) -> None:
    for link in network.by_kind[Kind.MICROWAVE]:
        assert 1.5 < link.number("hopLength") < 16.0
        assert 10.0 < link.number("frequencyAtoZ") < 42.0


def test_an_element_cannot_be_there_twice(network: SampleNetwork) -> None:
    with pytest.raises(ValueError, match="there already"):
        network.add(next(network.elements()))
