"""When people are told that a service is away, and that it is back."""

from __future__ import annotations

from dataclasses import dataclass, field

from sync_agent.agent.presence import Absence, Presence, said
from sync_agent.errors import NotFoundError, ThrottledError, UnavailableError, UnreachableError

GONE = UnreachableError("no answer in time")
BROKEN = UnavailableError("answered 503")


@dataclass
class Scene:
    """A service, a clock, and what was told of it."""

    now_s: float = 1_000.0
    away: list[Absence] = field(default_factory=list)
    back: list[Absence] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.presence = Presence(
            "twins",
            away=self.away.append,
            back=self.back.append,
            clock_s=lambda: self.now_s,
            now_ms=lambda: round(self.now_s * 1000),
        )


def test_an_outage_is_told_once_and_its_end_once() -> None:
    scene = Scene()
    for _ in range(100):
        scene.presence.ended(scene.now_s, GONE)
        scene.now_s += 0.5
    (away,) = scene.away
    assert (away.since_ms, away.lasted_s, away.reason) == (1_000_000, 3.0, "no answer in time")
    assert scene.back == []
    for _ in range(3):
        scene.presence.ended(scene.now_s)
    (back,) = scene.back
    assert (back.since_ms, back.lasted_s) == (1_000_000, 50.0)


def test_a_hiccup_is_not_told() -> None:
    scene = Scene()
    scene.presence.ended(scene.now_s, BROKEN)
    scene.now_s += 2
    scene.presence.ended(scene.now_s, BROKEN)
    scene.presence.ended(scene.now_s)
    scene.now_s += 2
    scene.presence.ended(scene.now_s, BROKEN)
    assert (scene.away, scene.back) == ([], [])


def test_a_request_that_hung_counts_from_when_it_began_but_not_from_before_the_last_answer() -> (
    None
):
    scene = Scene()
    scene.presence.ended(scene.now_s - 60, GONE)
    assert [a.lasted_s for a in scene.away] == [60.0]
    scene.presence.ended(scene.now_s)
    scene.presence.ended(scene.now_s - 50, GONE)  # others were answered meanwhile
    assert len(scene.away) == 1


def test_a_refusal_is_an_answer() -> None:
    scene = Scene()
    scene.presence.ended(scene.now_s - 60, NotFoundError("no such twin", status=404))
    scene.presence.ended(scene.now_s - 60, ThrottledError("slow down", status=429))
    assert scene.away == []
    scene.presence.ended(scene.now_s - 60, BROKEN)
    scene.now_s += 10
    scene.presence.ended(scene.now_s, BROKEN)
    scene.presence.ended(scene.now_s, NotFoundError("no such twin", status=404))
    assert (len(scene.away), len(scene.back)) == (1, 1)


def test_somebody_who_waits_for_a_command_reads_a_sentence() -> None:
    told: list[str] = []
    presence = said("source dcim", told.append)
    presence.ended(-60, GONE)
    presence.ended(0)
    assert told[0] == "source dcim does not answer, it is asked again: no answer in time"
    assert told[1].startswith("source dcim answers again, after ")
