"""Bounds, nulls, intervals and the verdict they give at each size."""

import numpy as np
import pytest

from jaxembed.studies import Bound, Evidence, evidence_table, short, unmet, verdict

SIZES = ("tiny", "quick", "published")
PAPER = Bound("paper", least=0.9, source="Table 1")
STRICT = Bound("paper", least=0.0, source="the sign", strict=True)
MINE = Bound("expectation", least=0.5)
MACHINE = Bound("machinery", most=0.1)
HIGH = [0.95, 0.96, 0.97]
HOLDS = ("in the direction of", "in the direction of", "reproduced")
AGAINST = ("against", "against", "contradicted")
NONE = ("no evidence",) * 3
OPEN = ("undecided",) * 3
ONE = ("undecided (one value)",) * 3


def row(values, bound=PAPER, null=0.0, **more):
    null = None if null is None else np.atleast_1d(null).astype(float)
    return Evidence("a", "a claim", np.array(values, float), bound, null=null, no_null="a test", **more)


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (row(HIGH), HOLDS),
        (row([0.50, 0.51, 0.52]), AGAINST),
        (row([0.50, 0.51, 0.52], null=0.95), AGAINST),  # a claim that misses its bound needs no null
        (row([0.50, 0.90, 0.99]), OPEN),
        (row([0.50, 0.90, 0.99], null=0.95), NONE),
        (row(HIGH, null=0.93), NONE),
        (row([np.nan, 1.0, 1.0]), OPEN),
        (row(HIGH, null=np.nan), OPEN),
        (row([0.95, 0.80], every=True), OPEN),
        (row([0.95, 0.96], interval=(0.85, 0.99)), OPEN),
        (row([0.9, 0.9, 0.9], Bound("paper", least=0.9, strict=True)), AGAINST),
        # zeros against zeros
        (row([0.0, 0.0], STRICT, null=[0.0, 0.0]), AGAINST),
        (row([0.0, 0.0], Bound("paper", least=0.0), null=[0.0, 0.0]), NONE),
        # equal lengths: the interval of the paired difference, whose seeds share what makes them noisy
        (row([1.0, 2.0, 3.0, 4.0], STRICT, null=[-0.5, 0.5, 1.5, 2.5][::-1], every=True), NONE),
        (row([1.0, 1.1, 0.9], MINE, null=[0.0, 0.1, -0.1]), ("holds",) * 3),
        (row([1.0, 1.1, 0.9], MINE, null=[0.45, 1.0, -0.5]), NONE),
        (row([1.0, 1.1, 0.9], MINE, null=[0.45, 1.0, -0.5], difference=(0.1, 0.9)), ("holds",) * 3),
        (row([1.0, 1.1, 0.9], MINE, null=[0.0, 0.1, -0.1], difference=(-0.1, 0.9)), NONE),
        # other lengths: Welch, or the number outside the interval
        (row([1.0, 1.1, 0.9], MINE, null=[0.0, 0.1, -0.1, 0.05]), ("holds",) * 3),
        (row([1.0, 1.1, 0.9], MINE, null=[0.45, 1.3, -0.5, 0.1]), NONE),
        (row([0.7, 1.0, 1.3], MINE, null=0.45, interval=(0.51, 1.2)), ("holds",) * 3),
        # the right side: an error has to be smaller
        (row([0.01, 0.02, 0.015], Bound("expectation", most=0.1), null=[0.5, 0.6, 0.4]), ("holds",) * 3),
        (row([0.1, 0.11, 0.12], Bound("expectation", -0.3, 0.3), null=1.0), ("holds",) * 3),
        (row([0.5, 0.51, 0.52], Bound("machinery", -0.3, 0.3), null=1.0), ("fails",) * 3),
        # one value
        (row([0.95]), ONE),
        (row([0.5], MINE), ONE),
        (row([0.95], interval=(0.93, 0.97)), HOLDS),
        (row([0.95], null=None, interval=(0.95, 0.95)), HOLDS),  # an exact number
        (row([0.01], MACHINE, null=1.0), ("holds",) * 3),
        (row([0.01], MACHINE, null=0.05), NONE),
        # machinery: every pair has to lie on the right side, however few there are
        (row([0.01, 0.02], MACHINE, null=[0.5, 5.0], every=True), ("holds",) * 3),
        (row([1e-7, 2e-7], MACHINE, null=[1.4, 0.4]), ("holds",) * 3),
        (row([0.01, 0.02], MACHINE, null=[0.5, 0.01], every=True), NONE),
    ],
)
def test_a_verdict_is_that_of_interval_bound_null_and_size(evidence, expected):
    assert tuple(verdict(evidence, size) for size in SIZES) == expected


def test_only_machinery_decides_an_exit_code_and_the_others_are_told():
    rows = (row([0.5, 0.51, 0.52]), row([1.0, 2.0], MACHINE, every=True), row([0.9], MINE), row(HIGH))
    assert short(rows) == ["a"]
    assert unmet(rows, "quick") == ["a (paper: against)", "a (expectation: undecided (one value))"]


@pytest.mark.parametrize("bound", [{"least": -np.inf}, {"most": np.inf}, {"least": np.nan}, {"least": 1, "most": 0}])
def test_a_bound_that_decides_nothing_is_refused(bound):
    with pytest.raises(ValueError, match="least, most: "):
        Bound("paper", **bound)


def test_evidence_without_a_null_says_why():
    with pytest.raises(ValueError, match="no_null: a has no null; say why"):
        Evidence("a", "a claim", np.ones(2), PAPER)


@pytest.mark.parametrize("values", [np.ones((2, 2)), np.ones(0)])
def test_values_are_one_a_seed(values):
    with pytest.raises(ValueError, match="values: a needs one number a seed"):
        Evidence("a", "a claim", values, PAPER, no_null="a test")


@pytest.mark.float64_only("a rate of 5 % is counted")
def test_a_value_that_equals_its_null_is_told_apart_in_one_of_forty():
    """Student's and Welch's intervals at 95 %, on the one side that counts: 2.5 % of 4,000 rows of noise."""
    rng, bound = np.random.default_rng(0), Bound("expectation", least=-9.0)
    for nulls in (5, 8):
        draws, others = rng.normal(size=(2000, 5)), rng.normal(size=(2000, nulls))
        apart = [row(x, bound, null=y).apart(1) for x, y in zip(draws, others, strict=True)]
        assert np.mean(apart) == pytest.approx(0.025, abs=0.01)


def test_the_table_says_what_each_verdict_was_made_of():
    table = evidence_table("t", (row(HIGH, null=[0.1, 0.2, 0.3], ceiling="1"),), "quick", "three seeds")
    (cells,) = table.rows
    assert cells[1] == ">= 0.9 (paper: Table 1)" and cells[2].endswith("over 3 init seeds")
    assert cells[3] == "0.95, 0.96, 0.97" and cells[4].startswith("0.2 [-0.0484, 0.448] over 3 init seeds")
    assert cells[5:] == ("1", "in the direction of") and table.note == "size quick: three seeds"
