"""Tables, markdown, figure and animation of a small made-up result, undefined numbers included."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import keep
from jaxembed.base import Trajectory
from jaxembed.compare import Comparison, compare, frozen
from jaxembed.observables import cosine
from jaxembed.runs.folder import report
from jaxembed.runs.result import Agreement, ExperimentResult, _names, horizon_text
from jaxembed.tables import margin

TS = np.linspace(0.0, 4.0, 5)


def line(seeds: int, growth: float, clock: str = "flow") -> Trajectory:
    start = jax.random.normal(jax.random.key(0), (seeds, 3, 4), dtype=float)
    push = jax.random.normal(jax.random.key(1), (3, 4), dtype=float)
    times = jnp.asarray(TS, float)
    embed = start[:, None] + growth * times[None, :, None, None] * push[None, None]
    return Trajectory(jnp.broadcast_to(times[None], (seeds, 5)), {"embed": embed}, {}, clock)


def compared(reference, prediction, lines) -> Comparison:
    pair = jax.vmap(lambda r, p: compare(r, p, lambda state: cosine(state["embed"])))
    guess = jax.vmap(frozen)(lines[reference]) if prediction == "frozen" else lines[prediction]
    return pair(lines[reference], guess)


def result(seeds: int = 2, flow: bool = True) -> ExperimentResult:
    lines = {"training": line(seeds, 1.0, "flow" if flow else "step")}
    comparisons = {}
    if flow:
        lines |= {"exact flow": line(seeds, 1.0), "rung 1": line(seeds, 0.6), "rung 1, shuffled labels": line(seeds, 0)}
        names = [("training", "exact flow")]
        names += [("exact flow", name) for name in ("rung 1", "rung 1, shuffled labels", "frozen")]
        comparisons = {(*pair, "cosines"): compared(*pair, lines) for pair in names}
    values, nan = np.linspace(0.8, 0.9, seeds), np.full(seeds, np.nan)
    return ExperimentResult(
        title="Toy",
        caption="2 init seeds, float64",
        tokens=("a", "b", "c"),
        pairs=((0, 1), (0, 2)),
        trajectories=lines,
        comparisons=comparisons,
        controls=("rung 1, shuffled labels", "frozen"),
        agreements=(
            Agreement("R_cos(embed, label)", values, values - 0.8, np.full(seeds, 0.001), np.stack([values] * 5, 1)),
            Agreement("R_cos(embed, context)", nan, nan, nan, np.stack([nan] * 5, 1)),
        ),
        signature=("label signature", np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])),  # the last has no direction
        plateau=2.0 if flow else None,
        facts={"examples": 16},
    )


def test_comparisons_show_skill_horizon_and_controls():
    rows = result().tables()[0].rows
    assert rows[0] == ("training, by exact flow", "cosines", "0 ± 0", "1 ± 0", "beyond the end", "", "")
    assert rows[1][:2] == ("exact flow, by rung 1", "cosines")
    assert rows[1][2].startswith("0.") and rows[1][5:] != ("", "")
    assert rows[2][0] == "exact flow, by rung 1, shuffled labels (control)"
    assert rows[3][0] == "exact flow, by frozen (control)"
    assert rows[3][3:] == ("0 ± 0", "at the first save", "", "")


def test_undefined_agreement_says_so_and_is_never_a_number():
    rows = result().tables()[1].rows
    assert rows[0] == ("R_cos(embed, label)", "0.85 ± 0.64", "0.05 ± 0.64", "0.001")
    assert rows[1] == ("R_cos(embed, context)", "undefined", "undefined", "undefined")


def test_one_seed_has_no_interval():
    assert result(seeds=1).tables()[1].rows[0][1] == "0.8 (1 seed)"


def test_the_interval_is_that_of_student_over_seeds():
    values = np.array([0.1, 0.4, 0.6, 0.9])
    half = 3.182446 * values.std(ddof=1) / 2  # the 97.5 % point of Student's t with 3 degrees of freedom
    assert margin(values) == f"{values.mean():.3g} ± {half:.2g}"


@pytest.mark.parametrize(
    "horizons, said",
    [
        ([np.nan, 1.0], "undefined"),
        ([np.inf, np.inf], "beyond the end"),
        ([np.inf, 1.0], "1 of 2 seeds before the end"),
        ([1.0, 0.5], "at the first save"),
        ([3.0, 3.0], "3 ± 0 = 1.50 t1"),
    ],
)
def test_horizons_in_words(horizons, said):
    numbers = result().comparisons["exact flow", "rung 1", "cosines"]
    assert horizon_text(replace(numbers, horizon=jnp.array(horizons, float)), 2.0) == said


def test_markdown_holds_every_row_and_the_facts():
    shown = result()
    text = report(shown)
    for table in shown.tables():
        for row in table.rows:
            assert "| " + " | ".join(row) + " |" in text
    assert "- examples: 16" in text
    assert shown.caption in text


@pytest.mark.parametrize("shown", [result(), result(seeds=1, flow=False)], ids=["flow clock", "step clock"])
def test_figure_and_animation_are_written(shown, tmp_path):
    shown.figure(tmp_path / "figure.png")
    shown.animate(tmp_path / "figure.gif")
    assert (tmp_path / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    gif = (tmp_path / "figure.gif").read_bytes()
    assert gif[:6] == b"GIF89a"
    assert gif.count(b"\x21\xf9\x04") == len(TS)  # one graphic control block for every frame


def test_without_a_flow_clock_there_is_no_comparison_table():
    assert len(result(flow=False).tables()) == 1


def test_what_is_written_is_read_back_to_the_same_tables_and_arrays():
    shown = replace(result(), tokens=("a", "infinite", "undefined"))  # words that a file also has for numbers
    record = keep.from_json(json.loads(json.dumps(keep.to_json(shown.record()))))
    again = ExperimentResult.read(record, shown.arrays())
    assert again.tables() == shown.tables() and again.tokens == shown.tokens and again.controls == shown.controls
    assert again.arrays().keys() == shown.arrays().keys()
    for name, array in shown.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name], err_msg=name)


def test_words_without_a_font_stand_by_their_numbers_and_the_figure_is_whole(tmp_path):
    """A warning of the drawing library is an error here; a dollar in two words is no formula."""
    names, note = _names(("王", "why?", "$x$", "नमस्ते", "naïve"))
    assert names == ("#0", "why?", r"\$x\$", "#3", "naïve") and "tokens by their place in result.json" in note
    assert _names(("a", "b")) == (("a", "b"), "")
    replace(result(), tokens=("王", "$a$", "$"), caption="words of 王.txt").figure(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
