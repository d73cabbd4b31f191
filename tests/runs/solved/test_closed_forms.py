"""Solved settings, deep linear and soft label: the last theory follows the exact flow, the controls do not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed import gradient_flow, integrate
from jaxembed.runs.solved import DeepLinearModes, SoftLabelSteps

SETTINGS = {
    "deep linear": DeepLinearModes(width=8, init_scale=1e-4),
    "soft label": SoftLabelSteps(repeats=1, width=10, init_scale=1e-4),
}


def gram(rows):
    return jnp.einsum("tik,tjk->tij", rows, rows)


@pytest.mark.slow
@pytest.mark.float64_only("needs float64 resolution")
@pytest.mark.parametrize("name", SETTINGS)
def test_the_last_theory_is_the_flow_and_controls_are_not(name):
    setting = SETTINGS[name]
    start, ts = setting.start(jax.random.key(0)), jnp.linspace(0.0, setting.end(), 12)
    flow = integrate(gradient_flow(setting.loss()), start, ts, save=setting.rows).ys
    size, errors = float(jnp.linalg.norm(gram(flow)[-1])), {}
    for label, theory in (setting.theories() | setting.controls()).items():
        rows = jax.jit(theory)(ts, start)
        assert rows.shape[:2] == flow.shape[:2]
        errors[label] = float(jnp.linalg.norm(gram(rows) - gram(flow), axis=(1, 2)).max()) / size
    assert errors["closed form"] < 1e-4
    assert list(setting.theories())[-1] == "closed form"
    assert min(errors[label] for label in setting.controls()) > 0.3
    assert errors["growth alone"] > 1
    final, wanted = gram(flow)[-1], setting.signature()[1] @ setting.signature()[1].T
    assert np.corrcoef(np.asarray(final).ravel(), wanted.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("name", SETTINGS)
def test_names_pairs_and_rows_belong_together(name):
    setting = SETTINGS[name]
    rows = setting.rows(setting.start(jax.random.key(0)))
    assert len(rows) == len(setting.names()) == len(setting.signature()[1]) <= 20
    assert 1 <= len(setting.pairs()) <= 3 and all(a != b and max(a, b) < len(rows) for a, b in setting.pairs())


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(("field", "value"), [("length", 0.0), ("branching", (1,)), ("init_scale", -1.0), ("width", 0)])
def test_bad_settings_are_refused(name, field, value):
    with pytest.raises(ValueError, match=f"{field}: "):
        dataclasses.replace(SETTINGS[name], **{field: value})


@pytest.mark.parametrize("setting", [DeepLinearModes, SoftLabelSteps])
@pytest.mark.parametrize("length", [0.0, -1.0, np.inf, np.nan])
def test_a_run_has_a_finite_length(setting, length):
    with pytest.raises(ValueError, match="length"):
        setting(length=length)


def test_noise_of_a_rank_deficient_support_is_no_concept():
    repeated, single = (SoftLabelSteps(repeats=repeats).end() for repeats in (8, 1))
    assert repeated < single  # more contexts of a support make it a stronger concept, and no spurious slow one
