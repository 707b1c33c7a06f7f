from bothways.models.rate_limit import Pace
from tests.fakes import Clock


def test_turns_lie_evenly_apart():
    pace = Pace(120, clock=Clock())
    assert [pace.turn() for _ in range(4)] == [0.0, 0.5, 1.0, 1.5]


def test_time_that_nobody_used_is_no_burst_later():
    clock = Clock()
    pace = Pace(120, clock=clock)
    pace.turn()
    clock.now += 60
    assert [pace.turn() for _ in range(3)] == [0.0, 0.5, 1.0]


def test_a_turn_that_comes_too_late_is_not_taken():
    pace = Pace(60, clock=Clock())
    assert pace.turn(0.0) == 0.0
    assert pace.turn(0.9) is None
    assert pace.turn(1.0) == 1.0
    assert pace.turn(1.5) is None
    assert pace.turn() == 2.0


def test_no_limit():
    pace = Pace(None, clock=Clock())
    assert [pace.turn(0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
