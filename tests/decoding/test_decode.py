"""The engine on a network that is written down: what it holds is found, its nulls and its ceiling are what they are."""

import json
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.decoding import (
    NULLS,
    Decoded,
    DecodingResult,
    DecodingScore,
    DecodingSetting,
    Probing,
    Trained,
    TrainingRecipe,
    decode,
)
from jaxembed.decoding.probing import last_item
from jaxembed.decoding.reading import losses
from jaxembed.decoding.scores import joined
from jaxembed.keep import from_json, to_json
from jaxembed.models import Categorical, SequenceTransformer, SquaredError
from jaxembed.processes import BetaBernoulli, Draw, GammaExponential
from jaxembed.processes.process import Target

LENGTH = 12
PROBING = Probing(("statistics",), (5, -2), train=300, validation=60, test=200, loss_draws=200)


@dataclass(frozen=True)
class Coins(BetaBernoulli):
    """Beta(k, 1) or Beta(1, k), drawn by a power of a uniform number, which compiles faster than Beta draws do."""

    def sample(self, key, world, sequences, length):
        of_coin, of_items = jax.random.split(key)
        power = jax.random.uniform(of_coin, (sequences, 1)) ** (1 / max(self.ones, self.zeros))
        share = power if self.zeros == 1 else 1 - power
        items = jax.random.uniform(of_items, (sequences, length)) < share
        return Draw(items.astype(jnp.int32), {"parameters": share})

    def shifted(self):
        return Coins(self.zeros, self.ones)


PROCESS = Coins(3.0, 1.0)


@dataclass(frozen=True)
class Average:
    """A network that holds the share of ones so far, as well as its only parameter lets it."""

    reads: str = "tokens"
    causal: bool = True
    layers: int = 0

    def init(self, key, size, outputs, dtype=float):
        return {"clear": jnp.zeros((), dtype)}

    def states(self, params, items, masked=None):
        ones = items.astype(params["clear"].dtype)
        average = jnp.cumsum(ones, axis=1) / jnp.arange(1, items.shape[1] + 1, dtype=ones.dtype)[None, :]
        return jnp.stack(
            [ones[..., None], params["clear"] * average[..., None] + (1 - params["clear"]) * ones[..., None]]
        )

    def outputs(self, params, items, key=None, masked=None):
        """The exact predictive of the process, once trained; the prior's before."""
        seen = jnp.arange(1, items.shape[1] + 1, dtype=params["clear"].dtype)[None, :]
        ones = jnp.cumsum(items.astype(seen.dtype), axis=1)
        share = params["clear"] * (3 + ones) / (4 + seen) + (1 - params["clear"]) * 0.75
        return jnp.log(jnp.stack([1 - share, share], axis=-1))


RECIPE = TrainingRecipe(Average(), Categorical(), length=LENGTH, steps=5)
TRAINED = Trained(
    {"clear": jnp.tile(jnp.array([0.0, 1.0], jnp.float32), (2, 1))},
    np.array([0, 5]),
    np.zeros((2, 1)),
    np.array([5]),
    {},
    (0, 7),
)


@pytest.fixture(scope="module")
def found():
    return decode(PROCESS, RECIPE, TRAINED, PROBING)


def test_what_the_network_holds_is_found_beside_its_nulls(found):
    assert found.seeds == (0, 7)
    assert found.places("statistics") == [(5, 1, 5), (10, 1, 5)]
    assert found.values("statistics", "R2").min() > 1 - 1e-9
    # Items are exchangeable, so that the newest explains Var(mean of 11) / Var(item) of their mean.
    within = 4 / 5  # E[p (1 - p)] / Var(x) under Beta(3, 1)
    for null in ("untrained", "last item"):
        np.testing.assert_allclose(found.values("statistics", "R2", null), within / 11 + 1 - within, atol=0.12)
    for null in ("shuffled targets", "constant"):
        assert np.abs(found.values("statistics", "R2", null)).max() < 0.1
    assert found.values("statistics", "R2", "ceiling").tolist() == [1.0, 1.0]
    np.testing.assert_allclose(found.share("statistics", "R2"), 1.0, atol=1e-8)
    assert found.null("statistics", "R2")[1] in ("untrained", "last item")
    # The ranks of a nearly constant probe have a random sign.
    assert np.isnan(found.values("statistics", "rank correlation", "shuffled targets")).all()
    assert np.isfinite(found.null("statistics", "rank correlation")[0]).all()


def test_the_loss_stands_above_the_floor_of_exact_inference(found):
    np.testing.assert_allclose(found.excess, 0.0, atol=1e-6)
    assert np.min(np.asarray(found.losses["untrained"]) - np.asarray(found.losses["floor"])) > 0.02


def test_decoding_is_kept_and_words_stand_for_what_is_undefined(found, tmp_path, monkeypatch):
    short = replace(PROBING, positions=(-2,))
    once = decode(PROCESS, RECIPE, TRAINED, short, keep=tmp_path)
    (path, _) = sorted(tmp_path.glob("probed_*.json"))
    assert "undefined" in path.read_text() and "NaN" not in path.read_text()
    monkeypatch.setattr(Coins, "sample", None)  # nothing is drawn again
    again = decode(PROCESS, RECIPE, TRAINED, short, keep=tmp_path)
    assert repr(again) == repr(once)
    written = json.loads(path.read_text())
    assert written["value"]["seeds"] in ([0], [7])
    path.write_text(json.dumps(written | {"made by": {"jax": "0.1"}}))
    with pytest.raises(TypeError):  # computed anew, which needs draws
        decode(PROCESS, RECIPE, TRAINED, short, keep=tmp_path)
    assert once.varied == "seeds (network, draws)"
    named = replace(once, varied="years")
    result = DecodingResult("x", "", ("statistics", "R2"), named, {"steps": [5]}, {"training": 0.0}, 10)
    loaded = DecodingResult.of_record(from_json(json.loads(json.dumps(to_json(result.record())))))
    assert loaded.rows() == result.rows() and loaded.judged == 10 and loaded.decoded.varied == "years"
    assert result.rows()[0][:6] == ("statistics", "R2", "10", "1", "5", "1")
    brief = result.tables()[0]
    assert "best null" in brief.header and "R2 of statistics after item 10" in brief.note and result.share.mean() >= 0.7
    with pytest.raises(ValueError, match="trained: this result was read back without its networks"):
        loaded.arrays()


def test_a_process_of_ones_own_has_the_tables_figure_and_files_of_a_preset(tmp_path):
    short = replace(PROBING, positions=(-2,))
    result = DecodingSetting(PROCESS, RECIPE, short, ("statistics", "R2"), seeds=(0, 7)).result(keep=tmp_path)
    assert result.title == "Coins" and "2 seeds (network, draws)" in result.caption
    assert [table.name for table in result.tables()] == ["", "", "all"]
    assert {"untrained", "last item", "shuffled targets", "constant", "ceiling"} <= set(result.tables()[2].header)
    result.figure(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    setting = DecodingSetting(PROCESS, RECIPE, short, ("statistics", "R2"), seeds=(0, 7))
    assert setting.memory() > 0 and setting.stages() == 5 + 2
    again = setting.read(from_json(to_json(result.record())), result.arrays())
    assert again.rows() == result.rows() and again.caption == result.caption
    np.testing.assert_array_equal(again.arrays()["params/clear"], result.arrays()["params/clear"])


def test_flags_change_the_recipe_and_keep_the_head_and_what_is_judged():
    setting = DecodingSetting(PROCESS, RECIPE, PROBING, ("statistics", "R2"), judged=5)
    flags = setting.flags()
    assert setting.with_flags(flags) == setting
    changed = setting.with_flags(
        replace(flags, steps=7, head="squared-error", probing=replace(PROBING, positions=(6,)))
    )
    assert changed.recipe == replace(RECIPE, steps=7, head=SquaredError()) and changed.judged is None


def test_a_generating_latent_has_the_posterior_mean_for_its_ceiling():
    probing = Probing(("parameters",), (-2,), train=300, validation=60, test=200)
    found = decode(PROCESS, RECIPE, TRAINED, probing)
    ceiling, model = (found.values("parameters", "R2", source) for source in ("ceiling", "model"))
    np.testing.assert_allclose(ceiling, 11 / 15, atol=0.15)  # Var(E[p | x]) / Var(p) after 11 items under Beta(3, 1)
    np.testing.assert_allclose(model, ceiling, atol=0.03)
    assert np.abs(found.share("parameters", "R2") - 1).max() < 0.2


def test_data_of_another_prior_with_and_without_another_probe(found):
    short = replace(PROBING, positions=(-2,))
    shifted = PROCESS.shifted()
    assert shifted != PROCESS
    own, kept = (decode(PROCESS, RECIPE, TRAINED, short, process_of_data=shifted, transfer=t) for t in (False, True))
    assert own.values("statistics", "R2").min() > 1 - 1e-9 and kept.values("statistics", "R2").min() > 1 - 1e-9
    # The network is exact under its own prior: all its excess is the price of that.
    np.testing.assert_allclose(own.losses["trained"], own.losses["own prior"], atol=1e-6)
    assert own.excess.min() > 0.01 and "own prior" not in found.losses
    # A constant of the own prior says less than nothing about data of the other one.
    assert kept.values("statistics", "R2", "constant").max() < -0.1 < own.values("statistics", "R2", "constant").min()


def test_draws_of_ones_own_are_read_and_short_ones_refused():
    short = replace(PROBING, positions=(-2,))
    draws = [PROCESS.sample(jax.random.key(i), {}, 560, LENGTH) for i in (1, 1)]
    first = decode(PROCESS, RECIPE, TRAINED, short, draws=draws)
    assert first.values("statistics", "R2", "last item")[0] == first.values("statistics", "R2", "last item")[1]
    assert first.varied == "seeds (network, given draws)"
    with pytest.raises(ValueError, match="draws: 9 sequences, but the probing asks for 560"):
        decode(PROCESS, RECIPE, TRAINED, short, draws=[jax.tree.map(lambda leaf: leaf[:9], d) for d in draws])
    with pytest.raises(ValueError, match="draws: sequences of 11 items, but the recipe's are 12 long"):
        decode(PROCESS, RECIPE, TRAINED, short, draws=[d._replace(items=d.items[:, :-1]) for d in draws])
    with pytest.raises(ValueError, match="draws: 1 sets of sequences for 2 seeds"):
        decode(PROCESS, RECIPE, TRAINED, short, draws=draws[:1])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"targets": ("belief",)}, "targets: no target 'belief'; there are"),
        ({"positions": (12,)}, "positions: 12 is outside a sequence of 12 items"),
        ({"positions": (-1,)}, "positions: a causal network's answer to the last item is never trained"),
    ],
)
def test_what_is_not_there_is_refused_before_any_training(change, match, monkeypatch):
    with pytest.raises(ValueError, match=match):
        decode(PROCESS, RECIPE, TRAINED, replace(PROBING, **change))
    probing = replace(PROBING, **change)
    monkeypatch.setattr("jaxembed.decoding.setting.train_models", None)
    with pytest.raises(ValueError, match=match):
        DecodingSetting(PROCESS, RECIPE, probing, (probing.targets[0], "R2"), seeds=(0,)).result()


def test_a_setting_refuses_what_it_cannot_probe():
    def setting(process, network=RECIPE.model, judged=None, **probing):
        named = replace(PROBING, **probing)
        return DecodingSetting(process, replace(RECIPE, model=network), named, (named.targets[0], "R2"), judged=judged)

    with pytest.raises(ValueError, match="targets: 'transform' has 8 numbers, more probe targets than the 5 training"):
        setting(Wide(), targets=("transform",), train=5)
    with pytest.raises(ValueError, match="targets: 'statistics' has infinite variance, since"):
        setting(GammaExponential(shape=2.0), targets=("statistics",))
    with pytest.raises(ValueError, match="layers: 4 is outside the 3 depths"):
        setting(PROCESS, SequenceTransformer(8, 1, 2, 8), layers=(4,))
    with pytest.raises(ValueError, match="judged: 3 is not among the probed positions"):
        setting(PROCESS, judged=3)
    assert setting(PROCESS, judged=5).judged == 5


class Wide(Coins):
    """Asked for more numbers than there are."""

    @property
    def targets(self):
        return {"transform": Target("real", 8)}


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="test: must be at least 2"):
        Probing(("statistics",), test=1)
    with pytest.raises(ValueError, match="name at least one"):
        Probing(())


def test_the_last_item_is_given_whole():
    tokens = np.array([[0, 2], [1, 0]])
    np.testing.assert_array_equal(last_item(tokens, 1, 3, 2), [[0, 0, 1], [1, 0, 0]])
    reals = np.random.default_rng(0).normal(size=(500, 3, 2))
    columns = last_item(reals, 1, 2, 400)
    np.testing.assert_array_equal(columns[:, :2], reals[:, 1])
    target = np.abs(reals[:, 1, :1]) * reals[:, 1, 1:]  # a curve in both coordinates
    line = np.linalg.lstsq(columns[:400], target[:400], rcond=None)[0]
    missed = target[400:] - columns[400:] @ line
    assert 1 - (missed**2).sum() / (target[400:] ** 2).sum() > 0.9


def scored(**values) -> Decoded:
    places = {source: (1, 0 if source == "untrained" else 9) for source in ("model", "untrained", "shuffled targets")}
    scores = [
        DecodingScore("z", 3, *places.get(source, (None, None)), source, "KL", tuple(v)) for source, v in values.items()
    ]
    return Decoded(tuple(scores), {}, (0, 1))


def test_the_best_null_is_taken_seed_by_seed():
    names = dict(zip(("untrained", "last item", "shuffled targets", "constant"), NULLS, strict=True))
    values = {"model": [0.1, 0.1], "ceiling": [0.0, 0.0]} | dict(
        zip(names.values(), ([0.5, 0.2], [0.4, 0.4], [0.9, 0.9], [0.8, 0.8]), strict=True)
    )
    found = scored(**values)
    null, name = found.null("z", "KL")
    assert null.tolist() == [0.4, 0.2] and name == "untrained"
    np.testing.assert_allclose(found.share("z", "KL"), [0.75, 0.5])
    with pytest.raises(ValueError, match="no 'R2' of 'z'"):
        found.values("z", "R2")
    with pytest.raises(ValueError, match="other scores"):
        joined([found, Decoded(found.scores[:2], {}, (2,))])


def test_a_ceiling_below_the_best_null_leaves_no_gap_to_close():
    values = {"model": [0.1, 0.3], "ceiling": [0.0, 0.5]} | {name: [0.4, 0.4] for name in NULLS}
    share = scored(**values).share("z", "KL")
    np.testing.assert_allclose(share[0], 0.75)
    assert np.isnan(share[1])


def test_a_place_that_is_not_named_is_the_last_in_whatever_order_it_was_probed():
    scores = tuple(
        DecodingScore("z", position, layer, 9, "model", "KL", (float(i),))
        for i, (position, layer) in enumerate([(7, 1), (7, 2), (3, 1), (3, 2)])
    )
    found = Decoded(scores, {}, (0,))
    assert found.values("z", "KL").tolist() == [1.0] and found.values("z", "KL", position=3).tolist() == [3.0]


class Estimating(Coins):
    """Exact inference with noise of spread 0.1 over its mean, told by the key."""

    def log_predictive(self, world, items, key=None):
        noise = 0.1 * jax.random.normal(jax.random.key(0) if key is None else key, ())
        return super().log_predictive(world, items) + noise


def test_an_estimated_floor_comes_with_its_error():
    items = PROCESS.sample(jax.random.key(0), {}, 560, LENGTH).items
    params = {"trained": TRAINED.at(0), "untrained": TRAINED.at(0, 0)}
    found = losses(Estimating(3.0, 1.0), {}, Average(), Categorical(), params, items)
    noise = [float(jax.random.normal(jax.random.key(seed), ())) for seed in (0, 1)]
    np.testing.assert_allclose(found["floor error"], 0.1 * abs(noise[0] - noise[1]) / 2**0.5, rtol=1e-6)
    assert "floor error" not in losses(PROCESS, {}, Average(), Categorical(), params, items)
    decoded = Decoded((), {name: (value, value) for name, value in found.items()}, (0, 1))
    row = DecodingResult("x", "", ("z", "KL"), decoded, {}, {}).loss_row()
    assert row[2].endswith(f"± {found['floor error'] / 2**0.5:.3g} (estimated)")
