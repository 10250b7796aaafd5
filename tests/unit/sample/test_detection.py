from sync_agent.sample.detection import FLAGGED, GRACE_MS, Span, StateChange, compare, spans
from sync_agent.sample.faults import MINUTE_MS, Fault, FaultKind


def changes(*rows: tuple[str, int, str]) -> list[StateChange]:
    return [StateChange(element, minute * MINUTE_MS, state) for element, minute, state in rows]


def fault(element: str, start: int, end: int, kind: FaultKind = FaultKind.RAIN_FADE) -> Fault:
    return Fault(element, kind, start * MINUTE_MS, end * MINUTE_MS)


def test_a_span_runs_from_entering_any_of_the_states_to_leaving_all() -> None:
    found = spans(
        changes(("A", 1, "degraded"), ("A", 2, "critical"), ("A", 5, "healthy"), ("B", 7, "down")),
        FLAGGED,
    )
    assert found == {
        "A": [Span("A", 1 * MINUTE_MS, 5 * MINUTE_MS)],
        "B": [Span("B", 7 * MINUTE_MS, None)],
    }


def test_a_flag_during_the_fault_finds_it_and_is_right() -> None:
    result = compare([fault("A", 10, 20)], changes(("A", 12, "degraded"), ("A", 24, "healthy")))
    assert (result.recall, result.precision, result.missed) == (1.0, 1.0, ())
    assert result.kinds[0].delay_min == 2.0


def test_a_flag_on_another_element_is_false_and_the_fault_is_missed() -> None:
    result = compare([fault("A", 10, 20)], changes(("B", 12, "degraded")))
    assert (result.recall, result.precision) == (0.0, 0.0)
    assert result.missed == (fault("A", 10, 20),)
    assert result.false_elements == ("B",)
    assert result.kinds[0].delay_min is None


def test_a_flag_before_or_long_after_the_fault_does_not_count() -> None:
    late = 20 + GRACE_MS // MINUTE_MS + 1
    result = compare(
        [fault("A", 10, 20)],
        changes(("A", 2, "degraded"), ("A", 5, "healthy"), ("A", late, "degraded")),
    )
    assert (result.found, result.flaggings, result.right) == (0, 2, 0)


def test_silence_is_found_as_unknown_and_left_out_of_recall() -> None:
    result = compare(
        [fault("A", 10, 60, FaultKind.SILENCE), fault("B", 10, 20)],
        changes(("A", 13, "unknown"), ("B", 12, "degraded")),
    )
    assert (result.injected, result.found, result.precision) == (1, 1, 1.0)
    assert [(k.kind, k.found) for k in result.kinds] == [
        (FaultKind.RAIN_FADE, 1),
        (FaultKind.SILENCE, 1),
    ]


def test_without_faults_or_flags_nothing_is_wrong() -> None:
    result = compare([], [])
    assert (result.recall, result.precision, result.kinds) == (1.0, 1.0, ())
