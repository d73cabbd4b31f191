"""Training many networks on a process: learns, is traced once, saves, goes on after a kill bit for bit."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxembed.decoding import TrainingRecipe, memory_estimate, train_models
from jaxembed.decoding import training as room
from jaxembed.decoding.reading import losses
from jaxembed.models import Categorical, Gaussian, Recurrent, SequenceTransformer, SquaredError
from jaxembed.processes import Draw, GammaExponential, GaussianGamma, HiddenMarkov, LinearGaussian

PROCESS = HiddenMarkov(states=2, vocab=3)
NETWORK = SequenceTransformer(width=8, layers=1, heads=2, mlp_width=8)
RECIPE = TrainingRecipe(
    NETWORK, Categorical(), batch=8, length=12, steps=40, learning_rate=1e-2, warmup=4, save_steps=(10,)
)


@dataclass(frozen=True)
class Clock:
    """Tokens that stay or move one on, with a probability of the world's own; compiles in no time."""

    size: int = 3
    reads: str = "tokens"

    def world(self, key):
        return {"moves": jax.random.uniform(key)}

    def sample(self, key, world, sequences, length):
        CALLS.append(length)
        moves = jax.random.bernoulli(key, world["moves"], (sequences, length))
        return Draw(jnp.cumsum(moves.astype(jnp.int32), axis=1) % self.size, {})


@dataclass(frozen=True)
class Table:
    """An answer for every token, and one for a masked item."""

    reads: str = "tokens"
    causal: bool = True

    def init(self, key, size, outputs, dtype=float):
        return {"table": 0.1 * jax.random.normal(key, (size + 1, outputs), dtype)}

    def outputs(self, params, items, key=None, masked=None):
        return params["table"][items if masked is None else jnp.where(masked, params["table"].shape[0] - 1, items)]

    def states(self, params, items, masked=None):
        raise NotImplementedError


SMALL = replace(RECIPE, model=Table())


CALLS = []
"""Every trace of a draw."""


@pytest.fixture(scope="module")
def trained():
    return train_models(Clock(), SMALL, (0, 1))


def same(one, other):
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), one, other)))


def test_training_saves_learns_and_stays_in_single_precision(trained):
    assert trained.steps.tolist() == [0, 10, 40] and trained.params["table"].shape == (2, 3, 4, 3)
    assert {leaf.dtype for leaf in jax.tree.leaves(trained.params)} == {np.dtype("float32")}
    assert trained.losses.shape == (2, len(trained.loss_steps)) and trained.loss_steps[-1] == 40
    assert (trained.losses[:, -5:].mean(axis=1) < trained.losses[:, :3].mean(axis=1)).all()
    start = SMALL.model.init(jax.random.fold_in(jax.random.key(1), room.INIT), 3, 3, jnp.float32)
    assert same(trained.at(1, 0), start) and not same(trained.at(1, 0), trained.at(1, 1))


def test_a_seed_is_the_same_in_any_company(trained):
    alone = train_models(Clock(), SMALL, (1,))
    np.testing.assert_allclose(alone.losses[0], trained.losses[1], rtol=1e-4)
    assert not np.allclose(trained.losses[0], trained.losses[1], rtol=1e-2)
    own = Clock().world(jax.random.fold_in(jax.random.key(1), room.WORLD))
    assert same(trained.world(1), own) and same(alone.world(0), own) and not same(trained.world(0), own)


def test_all_pieces_seeds_and_later_calls_share_one_trace(trained):
    traces = len(CALLS)
    for seeds in ((0, 1), (5, 6)):
        train_models(Clock(), SMALL, seeds)
    assert traces >= 1 and len(CALLS) == traces, "pieces, seeds or a second call were traced again"
    assert len(trained.loss_steps) == 20 and traces < 12, "every piece was traced"


def test_a_stopped_run_goes_on_bit_for_bit_and_a_finished_one_is_read(tmp_path, trained):
    class Stop(Exception):
        pass

    lines = []

    def note(line, share=None, /):
        lines.append(line)

    def stop(line, share=None, /):
        lines.append(line)
        if len(lines) == 7:
            raise Stop

    with pytest.raises(Stop):
        train_models(Clock(), SMALL, (0, 1), keep=tmp_path, progress=stop)
    resumed = train_models(Clock(), SMALL, (0, 1), keep=tmp_path, progress=note)
    assert same(resumed.params, trained.params) and np.array_equal(resumed.losses, trained.losses)
    assert len(lines) == len(trained.loss_steps) and "items/s" in lines[0] and "of 40" in lines[0]
    read = train_models(Clock(), SMALL, (0, 1), keep=tmp_path, progress=note)
    assert same(read.params, trained.params) and len(lines) == len(trained.loss_steps)
    with pytest.raises(ValueError, match="was made with another seeds"):
        train_models(Clock(), SMALL, (0, 2), keep=tmp_path)


LONG = """
import sys
from pathlib import Path
from jaxembed.decoding import TrainingRecipe, train_models
from jaxembed.models import Categorical, SequenceTransformer
from jaxembed.processes import HiddenMarkov
recipe = TrainingRecipe(SequenceTransformer(8, 1, 2, 8), Categorical(), batch=4, length=6, steps=4000)
train_models(HiddenMarkov(states=2, vocab=3), recipe, (0, 1), keep=Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_killed_process_goes_on_bit_for_bit(tmp_path):
    env = {**os.environ, "JAX_ENABLE_X64": str(jnp.result_type(float) == jnp.float64)}
    runs = {name: [sys.executable, "-c", LONG, str(tmp_path / name)] for name in ("killed", "whole")}
    victim = subprocess.Popen(runs["killed"], env=env)
    while not (tmp_path / "killed" / "state.npz").exists():
        assert victim.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    assert not (tmp_path / "killed" / "step_4000.npz").exists()
    for command in runs.values():
        subprocess.run(command, env=env, check=True, timeout=1200)
    states = [arrays(tmp_path / name / "state.npz") for name in runs]
    assert all(np.array_equal(one, other) for one, other in zip(*states, strict=True))


def arrays(path: Path):
    with np.load(path) as found:
        return [found[name] for name in sorted(found)]


@pytest.mark.slow
def test_a_masked_network_trains_by_the_same_call():
    recipe = replace(SMALL, model=Table(causal=False), steps=3, warmup=1, save_steps=(), masked=3)
    trained = train_models(Clock(), recipe, (0,))
    assert np.isfinite(trained.losses).all() and not same(trained.at(0, 0), trained.at(0))
    assert recipe.predicted == 8 * 3 and RECIPE.predicted == 8 * 11


@pytest.mark.slow
def test_a_recurrent_network_learns_a_likelihood_of_reals():
    """Of one lingering coordinate in noise, whose best predictive needs a memory."""
    process = LinearGaussian(states=1, dimension=1, radius=0.95)
    recipe = TrainingRecipe(
        Recurrent(6, 1, "reals"), Gaussian(), batch=32, length=10, steps=150, learning_rate=2e-2, warmup=5
    )
    trained = train_models(process, recipe, (0,))
    items = jax.jit(lambda key: process.sample(key, trained.world(0), 500, 10).items)(jax.random.key(1))
    params = {"trained": trained.at(0), "untrained": trained.at(0, 0)}
    found = losses(process, trained.world(0), recipe.model, recipe.head, params, items)
    assert 0 < found["trained"] - found["floor"] < 0.2 * (found["untrained"] - found["floor"])


def test_memory_grows_with_seeds_and_batch():
    one = memory_estimate(PROCESS, RECIPE, (0,))
    weights = 4 * NETWORK.parameter_count(3, 3)
    assert one > 7 * weights
    assert memory_estimate(PROCESS, replace(RECIPE, batch=16), (0,)) > 1.5 * (one - 7 * weights)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"steps": 0}, "steps: must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate: must be positive"),
        ({"save_steps": (41,)}, "save_steps: must lie in 0..40"),
        ({"length": 600}, "length: 600 items, but max_positions is 512; cut or raise it"),
    ],
)
def test_bad_recipes_are_one_line(changes, line):
    with pytest.raises(ValueError, match=line):
        replace(RECIPE, **changes)


def test_what_does_not_fit_the_process_is_one_line():
    with pytest.raises(ValueError, match="model: reads tokens, but the process makes reals"):
        train_models(GaussianGamma(), SMALL, (0,))
    reals = replace(SMALL, model=Table(reads="reals"), head=SquaredError())
    with pytest.raises(ValueError, match="squared error has infinite risk"):
        train_models(GammaExponential(shape=2.0, rate=4.0), reals, (0,))
    with pytest.raises(ValueError, match="learning_rate: the loss of seed 7 is not finite by step 1"):
        train_models(Clock(), replace(SMALL, model=Broken(), steps=2, save_steps=()), (7,))


@dataclass(frozen=True)
class Broken(Table):
    """A network whose answers are not numbers."""

    def init(self, key, size, outputs, dtype=float):
        return {"table": jnp.full((size + 1, outputs), jnp.nan, dtype)}
