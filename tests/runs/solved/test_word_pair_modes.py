"""The preset of word pairs: its theories follow the flow of its loss, its control does not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxembed as je
from jaxembed.runs.solved import WordPairModes

SETTING = {"strengths": (0.6, 0.4), "probabilities": (0.5, 0.4), "width": 2}


@pytest.mark.slow
@pytest.mark.float64_only("a start of 1e-5")
def test_theories_follow_the_flow_and_the_control_does_not():
    setting = WordPairModes(**SETTING)
    state = setting.start(jax.random.key(0))
    ts = jnp.linspace(0.0, setting.end(), 6)
    flow = je.integrate(je.gradient_flow(setting.loss()), state, ts, rtol=1e-8).ys
    truth = grams(jax.vmap(setting.rows)(flow))[1:]

    def error(solution):
        found = grams(jax.jit(solution)(ts, state))[1:]
        return float(jnp.linalg.norm(found - truth) / jnp.linalg.norm(truth))

    *others, best = (error(solution) for solution in setting.theories().values())
    assert best < 1e-6 and max(others) < 1e-3
    assert min(error(solution) for solution in setting.controls().values()) > 0.3


def grams(rows):
    return jnp.einsum("tik,tjk->tij", rows, rows)


def test_names_pairs_and_signature_describe_the_drawn_rows():
    for setting in (WordPairModes(**SETTING), WordPairModes((0.5,) * 5, (), 5)):
        drawn = len(setting.names())
        assert drawn <= 20 and setting.rows(setting.start(jax.random.key(0))).shape == (drawn, setting.width)
        assert all(0 <= i < j < drawn for i, j in setting.pairs()) and 1 <= len(setting.pairs()) <= 3
        name, rows = setting.signature()
        assert "M*" in name and rows.shape[0] == drawn and np.isfinite(rows).all()


@pytest.mark.parametrize(
    "wrong", [{"width": 5}, {"width": 4}, {"window": 0.0}, {"init_scale": -1.0}, {"strengths": (1.5, 0.1)}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WordPairModes(**{**SETTING, **wrong})
