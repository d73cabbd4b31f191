"""One rule of arrival on curves whose arrival is known."""

import numpy as np
import pytest

from jaxembed.observables.arrival import Arrival, arrival, before

TIMES = np.array([0.0, 1.0, 10.0, 100.0, 1000.0])


def rows(*curves):
    return np.array(curves, float)


def test_a_step_is_halfway_in_log_time():
    found = arrival(TIMES, rows([0, 0, 0, 1, 1]))
    np.testing.assert_allclose(found.times, [10 * 10**0.5])
    assert found.everywhere and not found.at_once.any()


def test_a_sigmoid_in_log_time_is_found_at_its_middle():
    times = np.geomspace(1, 1e6, 40)
    curves = rows(*(1 / (1 + (at / times) ** 2) for at in (30.0, 1e3, 2e4)))
    np.testing.assert_allclose(arrival(times, curves).times, [30, 1e3, 2e4], rtol=0.02)


def test_null_and_scale_do_not_matter():
    curve = rows([0.0, 0.1, 0.4, 0.9, 1.0])
    plain, moved = arrival(TIMES, curve), arrival(TIMES, 7 * curve - 3, null=-3.0)
    np.testing.assert_allclose(plain.times, moved.times)


def test_never_where_the_end_does_not_exceed_the_null_by_its_margin():
    curves = rows([0, 0.5, 0.9, 0.3, 0.02], [0, 0, 0, 0, 0], [0, -1, -2, -3, -4], [0, 0, 0.1, 0.2, 0.3])
    found = arrival(TIMES, curves, margin=0.05)
    assert np.isnan(found.times[:3]).all() and found.arrived[3]
    assert str(found) == "not arrived in 3 of 4 seeds" and np.isnan(found.interval()[0])


def test_at_once_is_the_first_save():
    found = arrival(TIMES, rows([0.9, 1, 1, 1, 1]))
    assert found.times[0] == 0 and found.at_once.all() and "at or before the first save" in str(found)


def test_some_seeds_at_once_and_others_later_is_said_without_nan():
    found = arrival(TIMES, rows([0.9, 1, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1]))
    assert str(found) == "at the first save, 0, in 1 of 3 seeds; in the others at 31.6 to 316"


@pytest.mark.parametrize("name", ["null", "margin", "final"])
def test_what_a_score_is_held_against_must_be_finite(name):
    with pytest.raises(ValueError, match=f"{name}: must be finite"):
        arrival(TIMES, rows([0, 0, 0, 1, 1]), **{name: np.array([np.nan])})


def test_only_the_last_crossing_counts():
    found = arrival(TIMES, rows([0, 0.9, 0.1, 0.9, 1.0]))
    assert 10 < found.times[0] < 100
    np.testing.assert_allclose(found.times, arrival(TIMES, rows([0, 0, 0.1, 0.9, 1.0])).times)


def test_from_a_save_at_zero_it_is_straight_in_time():
    np.testing.assert_allclose(arrival(TIMES, rows([0, 1, 1, 1, 1])).times, [0.5])


def test_a_known_final_score_keeps_half_grown_curves_out():
    curves = rows([0, 0, 0.1, 0.2, 0.3], [0, 0, 0.1, 0.9, 0.8])
    assert arrival(TIMES, curves).everywhere
    known = arrival(TIMES, curves, final=1.0)
    assert np.isnan(known.times[0]) and 10 < known.times[1] < 100


def test_interval_is_over_seeds_in_log_time():
    found = Arrival(np.array([10.0, 1000.0]), np.zeros(2, bool))
    mean, low, high = found.interval()
    np.testing.assert_allclose(mean, 100, rtol=1e-5)
    np.testing.assert_allclose(low * high, mean**2, rtol=1e-4)
    assert low < 10 and high > 1000
    assert np.isnan(Arrival(np.array([5.0]), np.zeros(1, bool)).interval()[1])


def test_before_counts_seeds_and_never_is_last():
    first = Arrival(np.array([1.0, 5.0, np.nan, np.nan]), np.zeros(4, bool))
    second = Arrival(np.array([2.0, 4.0, 3.0, np.nan]), np.zeros(4, bool))
    assert before(first, second) == 0.25 and before(second, first) == 0.5


@pytest.mark.parametrize(
    ("ts", "scores", "share", "message"),
    [
        (TIMES[::-1], np.zeros((1, 5)), 0.5, "ts: need"),
        (TIMES, np.full((1, 5), np.nan), 0.5, "scores: all must be finite"),
        (TIMES, np.zeros((1, 5)), 1.5, "share"),
    ],
)
def test_bad_input_is_refused(ts, scores, share, message):
    with pytest.raises(ValueError, match=message):
        arrival(np.ascontiguousarray(ts), scores, share=share)
