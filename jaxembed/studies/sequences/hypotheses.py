"""Discrete hypotheses: do networks that predict the next item carry the posterior over what generates the items?

Networks are trained on points of rectangles (edges of an even and of an uneven grid, by squared error; the even ones by
a density too) and on the number game; a softmax probe of the state names the hypothesis. Published: agreement with the
posterior's likeliest rectangle.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ...decoding import Decoded, DecodingScore, DecodingSetting, Probing, Trained, train_models
from ...decoding.reading import losses, read_states
from ...decoding.scores import joined
from ...keep import kept_json
from ...models import Mixture
from ...probes import gap_closed, scores
from ...runs.presets import find_setting
from ...tables import Table, interval
from .. import Bound, Evidence, Run, Size, Study
from ._shared import gain_evidence, margin, part, score_evidence
from .hypothesis_scores import (
    CEILING,
    METRICS,
    MODEL,
    NULLS,
    UNTRAINED,
    HypothesisDraw,
    draw_hypotheses,
    fitted_on,
    on_ridge,
    source_scores,
)

EASY, HARD, DENSITY, NUMBERS = EVERY = ("rectangles", "rectangles-hard", "rectangles, density", "number-game")
OWN, RETRAINED, CARRIED = PRIORS = ("own prior", "shifted prior", "shifted prior, probe carried over")
PUBLISHED = {20: 0.873, 50: 0.995}
"""Agreement after so many points; which axis it was, and against which hypothesis, is not known."""
EXAMPLES = {
    "16, 8, 2, 64": (16, 8, 2, 64),
    "12, 18, 3, 9": (12, 18, 3, 9),
    "16, 23, 19, 20": (16, 23, 19, 20),
    "7, 11, 9, 8": (7, 11, 9, 8),
}
"""Examples whose generalisation is drawn, where the game has their numbers: of rules, and of magnitude."""


@dataclass(frozen=True)
class HypothesesSetting:
    """Networks by run, and what is asked of them.

    Attributes:
        runs: process, training and probing by name.
        share: of the gap between the best null and certainty; None asks for more than none.
        published: agreement by points seen, where the process is the published one.
    """

    runs: dict[str, DecodingSetting]
    share: float | None = 0.7
    published: dict[int, float] = field(default_factory=dict)


def of_run(name: str, size: Size) -> DecodingSetting:
    """The setting of a run: the catalogue's, or its rectangles with a density for a head; "tiny" reads one position."""
    setting = find_setting(EASY if name == DENSITY else name, size)
    if size == "tiny":
        setting = replace(setting, probing=replace(setting.probing, positions=setting.probing.positions[:1]))
    return setting if name != DENSITY else replace(setting, recipe=replace(setting.recipe, head=Mixture(8)))


SETTINGS: dict[Size, HypothesesSetting] = {
    "tiny": HypothesesSetting({name: of_run(name, "tiny") for name in (EASY, NUMBERS)}, share=None),
    "quick": HypothesesSetting({name: of_run(name, "quick") for name in EVERY}),
    "published": HypothesesSetting({name: of_run(name, "published") for name in EVERY}, published=PUBLISHED),
}


@dataclass(frozen=True)
class Hypotheses:
    """What networks carry of the posterior.

    Attributes:
        setting: what ran.
        decoded: by run, scores by prior, position and source; of rectangles also R2 of posterior means, by a ridge
            probe. The loss "excess" is that above exact inference.
        curves: of the number game, by examples: exact and read probabilities that a number belongs, the latter by seed.
    """

    setting: HypothesesSetting
    decoded: dict[str, Decoded]
    curves: dict[str, dict[str, np.ndarray]]

    def places(self, name: str) -> list[int]:
        """Positions that are read; after later ones hypotheses are nearly certain, and the nulls too."""
        return sorted({score.position for score in self.decoded[name].scores if score.target == OWN})

    def values(self, name: str, position: int, source: str, metric: str, prior: str = OWN) -> np.ndarray:
        """One score of every seed."""
        return self.decoded[name].values(prior, metric, source, position=position)

    def null(self, name: str, position: int) -> Float[np.ndarray, " seed"]:
        """The agreement of the best null of every seed."""
        return np.max([self.values(name, position, source, "agreement") for source in NULLS], axis=0)

    def share(self, name: str, position: int) -> Float[np.ndarray, " seed"]:
        """The share of the gap between the best null and certainty that is closed, in agreement with the posterior."""
        return gap_closed(self.values(name, position, MODEL, "agreement"), self.null(name, position), 1.0)

    def curve_errors(self, source: str) -> Float[np.ndarray, " seed"]:
        """Mean absolute error over numbers and examples, by seed."""
        errors = [np.abs(curve[source] - curve["exact"][None]).mean(axis=1) for curve in self.curves.values()]
        return np.mean(errors, axis=0)


def run(setting: HypothesesSetting, run: Run) -> Hypotheses:
    """Train on rectangles and the number game, and read the posterior over hypotheses from the networks.

    A seed is a network with draws of its own.
    """
    decoded, curves = {}, {}
    for name, one in setting.runs.items():
        own = part(run, name)
        trained = train_models(one.process, one.recipe, range(run.seeds), keep=own.keep, progress=own.progress)
        identity = (one.process, one.recipe, one.probing)
        members = [
            kept_json(own.keep, "hypotheses", (identity, seed), partial(_member, name, one, trained, seed))
            for seed in range(run.seeds)
        ]
        decoded[name] = joined([Decoded.of_record(member["decoded"]) for member in members])
        for examples, curve in members[0]["curves"].items():
            by_seed = {source: np.array([member["curves"][examples][source] for member in members]) for source in curve}
            curves[examples] = by_seed | {"exact": by_seed["exact"][0]}
        own.progress("scored")
    return Hypotheses(setting, decoded, curves)


def tables(result: Hypotheses) -> tuple[Table, ...]:
    """Every score; then losses, posterior means and shares of the gap."""
    rows, more = [], []
    for name, decoded in result.decoded.items():
        for prior, n, source in dict.fromkeys((s.target, s.position, s.source) for s in decoded.scores):
            if prior in PRIORS:
                texts = (interval(result.values(name, n, source, metric, prior)) for metric in METRICS)
                rows.append((name, f"{n + 1}", prior, source, *texts))
        more.append((name, "loss above exact inference", interval(np.array(decoded.losses["excess"])), ""))
        for target in (target for target in decoded.targets if target not in PRIORS):
            texts = (interval(decoded.values(target, "R2", source)) for source in (MODEL, UNTRAINED))
            more.append((name, f"R2 of the posterior mean: {target}", *texts))
        for n in result.places(name):
            more.append((name, f"share of the gap closed after {n + 1}", interval(result.share(name, n)), ""))
    title = "which hypothesis, by a softmax probe (95 % interval over seeds: network and draws)"
    return (
        Table(title, ("process", "after", "prior", "read from", *METRICS), rows),
        Table("losses, posterior means and shares", ("process", "quantity", MODEL, UNTRAINED), more, name="more"),
    )


SHARES = {
    EASY: ("rectangles-posterior", "trained to predict points: share of the gap in agreement with the posterior",
           "agreement 0.873 after 20 points", ""),
    HARD: ("rectangles-hard-posterior", "the same on an uneven grid", "no number", ""),
    DENSITY: ("rectangles-density-posterior", "the same on an even grid, trained by a density", "no number", ""),
    NUMBERS: ("number-game-posterior", "trained to predict numbers: share of the gap, of rules and intervals",
              "no number", "tenenbaum1999bayesian"),
}  # fmt: skip
"""By run: id, claim, what is published, and its source."""


def evidence(result: Hypotheses) -> tuple[Evidence, ...]:
    """Shares of the gap, published agreements, a shifted prior, and drawn generalisation."""
    rows = [_share(result, name) for name in result.decoded]
    for points, agreement in result.setting.published.items():
        values, null = result.values(EASY, points - 1, MODEL, "agreement"), result.null(EASY, points - 1)
        bound = Bound("paper", least=agreement, source=f"{agreement} after {points} points")
        claim = f"easy rectangles: agreement after {points}"
        rows.append(score_evidence(f"rectangles-agreement-{points}", claim, values, null, bound, f"{agreement:.1%}"))
    return (*rows, _shifted(result), _generalisation(result))


def _share(result: Hypotheses, run: str) -> Evidence:
    """A network before training is at 0, or below another null."""
    name, claim, published, source = SHARES[run]
    place = (run, result.places(run)[0])
    untrained = result.values(*place, UNTRAINED, "agreement") - result.null(*place)
    possible = result.values(*place, CEILING, "generating").mean()
    share, generating = result.setting.share, result.values(*place, MODEL, "generating").mean()
    bound = None if share is None else Bound("expectation", least=share, source="expected at sequences of 51 or 17")
    ceiling = f"1 (exact posterior); generating one named {generating:.3f}, possible {possible:.3f}"
    return score_evidence(name, claim, result.share(*place), untrained, bound or margin("expected at size tiny"),
                          published, ceiling=ceiling, source=source)  # fmt: skip


def _shifted(result: Hypotheses) -> Evidence:
    """A network that only knew its own prior would fall to the nulls of its own."""
    place = result.places(EASY)[0]
    after, before = (result.values(EASY, place, source, "agreement", RETRAINED) for source in (MODEL, UNTRAINED))
    own, carried = (result.values(EASY, place, MODEL, "agreement", prior).mean() for prior in (OWN, CARRIED))
    ceiling = f"1; agreement {after.mean():.3f}, own prior {own:.3f}, probe carried over {carried:.3f}"
    claim = "easy rectangles, small ones favoured, probe fitted anew: agreement beyond the untrained network's"
    return gain_evidence("rectangles-shifted", claim, after - before, ceiling=ceiling)


def _generalisation(result: Hypotheses) -> Evidence:
    after, before = result.curve_errors(MODEL), result.curve_errors(UNTRAINED)
    claim, ceiling = "number game: error of drawn generalisation below the untrained network's", f"{before.mean():.3g}"
    source = "tenenbaum1999bayesian"
    return gain_evidence("number-game-generalisation", claim, before - after, ceiling=ceiling, source=source)


def caption(result: Hypotheses) -> str:
    recipes = {name: one.recipe for name, one in result.setting.runs.items()}
    sizes = (f"{name}: {recipe.steps} steps of {recipe.batch} x {recipe.length}" for name, recipe in recipes.items())
    return f"{'; '.join(sizes)}; bars: mean over seeds, points: seeds."


AGREEMENTS = tuple(f"rectangles-agreement-{points}" for points in PUBLISHED)
STUDY = Study(
    name="hypotheses",
    source="zhang2024embed",
    settings=SETTINGS,
    seeds={"tiny": 1, "quick": 3, "published": 5},
    run=run,
    tables=tables,
    evidence=evidence,
    caption=caption,
    ids=(*(row[0] for row in SHARES.values()), *AGREEMENTS, "rectangles-shifted", "number-game-generalisation"),
    takes={"tiny": "30 s", "quick": "15 min", "published": "half an hour a network"},
    smaller={
        "tiny": "36 rectangles for 784, 20 numbers for 100, width 32 for 128, 300 steps for 30000",
        "quick": "100 rectangles for 784, width 64 for 128, 3000 to 9000 steps for 30000",
    },
    needs=("float64",),
    ledger="tiny",
    beyond_tiny=(SHARES[HARD][0], SHARES[DENSITY][0], *AGREEMENTS),
)


def _member(name: str, setting: DecodingSetting, trained: Trained, seed: int) -> dict[str, Any]:
    """All that is read of one network, as JSON data."""
    process, recipe, probing = setting.process, setting.recipe, setting.probing
    places, count = probing.places(recipe.length), probing.sequences
    keys = jax.random.split(jax.random.fold_in(jax.random.key(seed), 2000), 2)
    more = ("generalisation",) if name == NUMBERS else ("centre", "extent")
    own, other = draw_hypotheses(process, keys[0], count, recipe.length, places, more), None
    parts = [own.items]
    if name == EASY:
        other = draw_hypotheses(process.shifted(), keys[1], count, recipe.length, places, more)
        parts.append(other.items)
    examples = _examples(process, recipe.length) if name == NUMBERS else {}
    if examples:
        parts.append(np.stack([np.asarray(items, own.items.dtype) for items in examples.values()]))
    read = _read(setting, trained, seed, parts)
    states = {source: rows[0] for source, rows in read.items()}
    rows = source_scores(OWN, states, own, probing, places[:1] if name == DENSITY else places, process.size)
    if other is not None:
        moved = {source: rows[1] for source, rows in read.items()}
        rows += source_scores(RETRAINED, moved, other, probing, places[:1], 2, (MODEL, UNTRAINED, CEILING))
        both = (fitted_on(states, moved, probing), fitted_on(own, other, probing))
        rows += source_scores(CARRIED, *both, probing, places[:1], 2, (MODEL, CEILING))
    rows += [] if examples else _moments(states, own, probing, places[0])
    params, tested = {"trained": trained.at(seed)}, jnp.asarray(own.items[-probing.loss_draws :])
    loss = losses(process, {}, recipe.model, recipe.head, params, tested)
    decoded = Decoded(tuple(rows), {"excess": (loss["trained"] - loss["floor"],)}, (seed,))
    return {"decoded": decoded.record(), "curves": _curves(setting, read, own, examples) if examples else {}}


def _read(
    setting: DecodingSetting, trained: Trained, seed: int, parts: list[np.ndarray]
) -> dict[str, list[np.ndarray]]:
    """States of the model and the untrained network at all places, of every part; read in one go, compiled once."""
    items, cuts = jnp.asarray(np.concatenate(parts)), np.cumsum([len(part) for part in parts])[:-1]
    parted = {}
    for source, time in ((MODEL, -1), (UNTRAINED, 0)):
        states = read_states(setting.recipe.model, trained.at(seed, time), items, setting.probing)[1][0]
        parted[source] = np.split(states, cuts)
    return parted


def _moments(states: dict[str, np.ndarray], own: HypothesisDraw, probing: Probing, place: int) -> list[DecodingScore]:
    """R2 of the posterior means of centre and extent at the first place, by a ridge probe."""
    rows = []
    for name in ("centre", "extent"):
        truth, tested = own.exact[name][:, 0], own.exact[name][probing.fitted :, 0]
        for source, read in states.items():
            answers = on_ridge(read[:, 0], truth, read[probing.fitted :, 0], probing)
            r2 = scores("real", answers, tested)["R2"]
            rows.append(DecodingScore(name, place, None, None, source, "R2", (r2,)))
    return rows


def _examples(process: Any, length: int) -> dict[str, list[int]]:
    """Examples as sequences: what follows them is not read, and repeats the last."""
    fitting = {name: numbers for name, numbers in EXAMPLES.items() if max(numbers) <= process.numbers}
    return {name: [n - 1 for n in (*numbers, *numbers[-1:] * (length - 4))] for name, numbers in fitting.items()}


def _curves(
    setting: DecodingSetting, read: dict[str, list[np.ndarray]], own: HypothesisDraw, examples: dict[str, list[int]]
) -> dict[str, dict[str, list[float]]]:
    """How likely every number belongs after four examples: exact, and read by a ridge probe fitted on other draws."""
    items = jnp.asarray(list(examples.values()))[:, :4]
    exact = np.asarray(setting.process.exact({}, items, ("generalisation",), (3,))["generalisation"][:, 0])
    curves, target = {"exact": exact}, own.exact["generalisation"][:, 0]
    for source, (rows, asked) in read.items():
        curves[source] = on_ridge(rows[:, 0], target, asked[:, 0], setting.probing)
    return {name: {source: rows[i].tolist() for source, rows in curves.items()} for i, name in enumerate(examples)}
