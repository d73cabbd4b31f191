"""The solved setting of first steps: its theory follows training, shuffled sequences do not."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxembed import train
from jaxembed.runs.solved import AttentionFirstSteps

SMALL = AttentionFirstSteps(corpus="markov", vocab=24, positions=6, examples=32, layers=1, length=2.0)


def test_the_leading_term_is_what_training_does_and_the_control_is_not():
    start, dt = SMALL.start(jax.random.key(0)), SMALL.end() / 20
    trained = train(SMALL.loss(), start, optax.sgd(dt), dt=dt, save_steps=[0, 10, 20], save=SMALL.rows)
    assert trained.ys.shape == (3, 20, 24) and float(jnp.abs(trained.ys[0]).max()) == 0
    (right,), (wrong,) = (list(found.values()) for found in (SMALL.theories(), SMALL.controls()))
    for theory, least, most in ((right, 0.0, 2e-2), (wrong, 0.5, 2.0)):
        gap = theory(trained.ts, start)[-1] - trained.ys[-1]
        assert least < float(jnp.linalg.norm(gap) / jnp.linalg.norm(trained.ys[-1])) < most


def test_names_pairs_signature_and_rows_belong_together(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("the cat sat on the mat and the dog sat on the log and the cat saw the dog " * 4, encoding="utf-8")
    text = AttentionFirstSteps(text=str(file), vocab=5, positions=3, examples=6, layers=1)
    for setting, drawn in ((SMALL, 20), (text, 5)):
        rows = setting.rows(setting.start(jax.random.key(0)))
        name, matrix = setting.signature()
        assert name == "bigram B" and len(rows) == len(setting.names()) == len(matrix) == drawn
        assert all(a != b and max(a, b) < drawn for a, b in setting.pairs()) and len(setting.pairs()) == 3
        np.testing.assert_allclose(matrix.sum(axis=1), 0, atol=1e-6)
    assert text.names()[0] == "the"


BAD = [("corpus", "poem"), ("vocab", 2), ("positions", 0), ("length", 0.0), ("layers", 0)]


@pytest.mark.parametrize(("field", "value"), BAD)
def test_bad_settings_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(SMALL, **{field: value})
