from sync_agent.sample.geography import Place, distance_km
from sync_agent.sample.network import Element, Kind
from sync_agent.sample.weather import RainCell

HERE = Place(47.0, -38.0)
CELL = RainCell(HERE, 1.0, 0.0, 8.0, 50.0, 60)


def link(frequency: float, hop_km: float, place: Place = HERE) -> Element:
    attributes = {"frequencyAtoZ": frequency, "hopLength": hop_km, "fadeMarginDb": 35.0}
    return Element(Kind.MICROWAVE, "L", "NOR", place.latitude, place.longitude, attributes)


def test_rain_is_heaviest_in_the_middle_at_the_height_of_its_life() -> None:
    middle = HERE.moved(30.0, 0.0)
    assert CELL.rate_mm_h(middle, 30) > 49.0
    assert CELL.rate_mm_h(middle, 30) > CELL.rate_mm_h(middle.moved(0.0, 8.0), 30) > 25.0
    assert CELL.rate_mm_h(HERE, 0) < 5.0


def test_it_is_dry_far_away() -> None:
    assert CELL.fade_db(link(23.0, 6.0, HERE.moved(0.0, 200.0)), 30) == 0.0


def test_higher_bands_and_longer_hops_fade_more() -> None:
    place = HERE.moved(30.0, 0.0)
    fades = [CELL.fade_db(link(f, 5.0, place), 30) for f in (13.0, 18.0, 23.0)]
    assert fades == sorted(fades)
    assert CELL.fade_db(link(18.0, 3.0, place), 30) < CELL.fade_db(link(18.0, 6.0, place), 30)


def test_a_fade_never_goes_far_beyond_the_margin() -> None:
    assert CELL.fade_db(link(38.0, 14.0, HERE.moved(30.0, 0.0)), 30) == 40.0


def test_distances_and_moves_agree() -> None:
    for bearing in range(0, 360, 30):
        assert abs(distance_km(HERE, HERE.towards(bearing, 25.0)) - 25.0) < 0.1
