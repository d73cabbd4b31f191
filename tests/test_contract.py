"""Protocols of every task, model and theory: a new one is a row of a table here, and is missed where it has none."""

import inspect
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxembed as je
from jaxembed import theory
from jaxembed.base import Dataset, Field, Model, Task, Trajectory, checked_dataset
from jaxembed.losses.sequences import SequenceModel
from jaxembed.models import ACTIVATIONS, AttentionOnly, Decoder, Feedforward, Linear, TwoPosition, gpt2

ROOT = Path(__file__).parents[1]
TEXT = "the cat sat on the mat and the dog sat on the log and the cat saw the dog " * 4


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return str(path)


SIZES = {"keys": 4, "anchors": 3}
TASKS = {
    "Addition": lambda text: je.tasks.Addition(**SIZES),
    "LabelNeutral": lambda text: je.tasks.LabelNeutral(**SIZES),
    "Modular": lambda text: je.tasks.Modular(**SIZES),
    "Memory": lambda text: je.tasks.Memory(**SIZES),
    "MixedAnchors": lambda text: je.tasks.MixedAnchors(keys=4, memory_anchors=3, reasoning_anchors=3, noise_tokens=1),
    "BinaryTable": lambda text: je.tasks.BinaryTable(4, "xor", label_noise=0.3, train_share=0.7),
    "TextBigram": lambda text: je.corpus.TextBigram(text=text, vocab_size=8),
    "Attributes": lambda text: je.tasks.Attributes((0.5, 0.3), (0.5, 0.4)),
    "RandomPairs": lambda text: je.tasks.RandomPairs(words=8, rank=2),
}
MODELS = {
    "Linear": (Linear(5), ["embed", "unembed"]),
    "Linear, gamma": (Linear(5, gamma=0.8), ["embed", "unembed"]),
    **{f"Feedforward, {name}": (Feedforward(5, None, name), ["embed", "unembed"]) for name in ACTIVATIONS},
    "Feedforward, hidden": (Feedforward(5, 6), ["embed", "unembed", "hidden"]),
    "TwoPosition": (TwoPosition(5), ["embed", "second", "unembed"]),
}
LENGTHS = {"TwoPosition": 2}
"""Of the sequences that a model reads, where it does not take any length."""
SEQUENCE_MODELS = {
    "AttentionOnly": (AttentionOnly(2), ["attention", "value", "position", "output"]),
    "AttentionOnly, Gaussian": (AttentionOnly(1, 0.1), ["attention", "value", "position", "output"]),
    "Decoder": (Decoder(8, 1, 2, 6, init_scale=0.3), ["blocks", "embed", "norm", "unembed"]),
    "Decoder, tied": (Decoder(8, 1, 2, 6, tied=True, init_scale=0.3), ["blocks", "embed", "norm"]),
    "Decoder, GPT-2": (gpt2(8, 1, 2, 6, max_positions=4, init_scale=0.3), ["blocks", "embed", "norm", "positions"]),
}
THEORIES = {
    "linear, rung 0": theory.linear.rung0,
    "linear, rung 1": theory.linear.rung1,
    **{f"feedforward, F1..F{k}": theory.feedforward.field((0.5, 0.8, 0.1), k) for k in (1, 2, 3)},
    **{f"two_position, F1..F{k}": theory.two_position.field((0.5, 0.8, 0.1), k, 0.1) for k in (1, 2, 3)},
    "next_token, rung 0": theory.next_token.rung0,
    "next_token, pair flow": theory.next_token.field,
    "next_token, sign flow": theory.next_token.sign_flow,
}


def public(room, kind) -> set[str]:
    return {name for name, value in vars(room).items() if inspect.isclass(value) and issubclass(value, kind)}


def test_every_task_and_model_has_a_row():
    every = {name for room in (je.tasks, je.corpus) for name in public(room, Task)}
    assert every == set(TASKS)
    assert public(je.models, Model) == {row.split(",")[0] for row in {**MODELS, **SEQUENCE_MODELS}}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_a_normalised_population(name, text):
    task = TASKS[name](text)
    data = task.dataset()
    assert isinstance(task, Task) and isinstance(data, Dataset)
    assert abs(data.weights.sum() - 1) < 1e-12 and data.weights.min() >= 0
    for ids in (data.tokens, data.targets):
        assert ids.dtype == np.int32 and ids.min() >= 0 and ids.max() < data.vocab
    assert data.tokens.shape == (data.size, data.length) and data.targets.shape == data.weights.shape == (data.size,)
    again = TASKS[name](text).dataset()
    np.testing.assert_array_equal(data.tokens, again.tokens)
    np.testing.assert_array_equal(data.targets, again.targets)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_names_orders_and_shapes_its_parameters(name):
    (model, names), length = MODELS[name], LENGTHS.get(name, 3)
    params = model.init(jax.random.key(0), 7, length)
    assert isinstance(model, Model) and list(params) == names
    assert params["embed"].shape == (7, model.width) and params["unembed"].shape[0] == 7
    assert {leaf.dtype for leaf in params.values()} == {jnp.zeros((), float).dtype}
    tokens = jnp.array([[1, 6, 1], [0, 2, 3]])[:, :length]
    logits = model.apply(params, tokens[0])
    assert logits.shape == (7,) and logits.dtype == params["embed"].dtype and np.isfinite(logits).all()
    batch = jax.vmap(model.apply, (None, 0))(params, tokens)
    np.testing.assert_allclose(batch[0], logits, rtol=1e-5, atol=1e-12)
    assert hash(model) == hash(type(model)(**vars(model)))


@pytest.mark.parametrize("name", SEQUENCE_MODELS)
def test_a_sequence_model_answers_at_every_position_from_the_past(name):
    model, names = SEQUENCE_MODELS[name]
    params = model.init(jax.random.key(0), 7, 4)
    assert isinstance(model, SequenceModel) and list(params) == names
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.zeros((), float).dtype}
    assert hash(model) == hash(type(model)(**vars(model)))
    loss = je.sequence_loss(model, np.array([[1, 6, 1, 2, 0], [0, 2, 3, 4, 5]]), 7)
    trained = jax.tree.map(lambda leaf: leaf[1], je.train(loss, params, optax.sgd(1.0), save_steps=[0, 20]).ys)
    assert float(loss(trained)) < float(loss(params))
    logits, changed = (model.apply(trained, jnp.array([1, 6, third, 2])) for third in (1, 3))
    assert logits.shape == (4, 7) and np.isfinite(logits).all()
    np.testing.assert_allclose(changed[:2], logits[:2], rtol=1e-5, atol=1e-12)
    assert np.abs(changed[2:] - logits[2:]).max() > 1e-2


@pytest.mark.parametrize("name", MODELS)
def test_training_and_flow_make_trajectories(name):
    model, _ = MODELS[name]
    data = je.tasks.Addition(keys=2, anchors=2).dataset()
    length = LENGTHS.get(name, 3)
    data = checked_dataset(data.tokens[:, :length], data.targets, data.weights, data.vocab)
    params, loss = model.init(jax.random.key(0), data.vocab, length), je.population_loss(model, data)
    trained = je.train(loss, params, optax.sgd(0.1), dt=0.1, save_steps=[0, 1, 3])
    flow = jax.jit(lambda p, ts: je.integrate(je.gradient_flow(loss), p, ts, rtol=1e-4))(params, trained.ts)
    for line, info in ((trained, {"mean_loss"}), (flow, {"steps", "accepted", "rejected"})):
        assert isinstance(line, Trajectory) and line.clock == "flow" and line.ts.shape == (3,)
        assert {key: leaf.shape for key, leaf in line.ys.items()} == {k: (3, *p.shape) for k, p in params.items()}
        assert set(line.info) == info | {"nonfinite_time"} and float(line.info["nonfinite_time"]) == np.inf
        for key, leaf in params.items():
            np.testing.assert_array_equal(line.ys[key][0], leaf)


@pytest.mark.parametrize("name", THEORIES)
def test_a_theory_returns_the_tree_of_its_state(name):
    if name.startswith("two_position"):
        data, model = je.tasks.BinaryTable(4, "xor").dataset(), TwoPosition(4)
        sig = je.position_signatures(data)
    elif name.startswith("next_token"):
        data, model = je.tasks.Addition(keys=2, anchors=2).dataset(), Linear(4)
        ids = data.tokens.ravel()
        sig = theory.next_token.next_token(je.statistics.count_neighbours(ids, np.array([len(ids)]), data.vocab))
    else:
        data, model = je.tasks.Addition(keys=2, anchors=2).dataset(), Linear(4)
        sig = je.signatures(je.count(data))
    state, field = model.init(jax.random.key(0), data.vocab, data.length), THEORIES[name]
    rate = field(jnp.asarray(0.0, float), state, sig)
    assert isinstance(field, Field) and jax.tree.structure(rate) == jax.tree.structure(state)
    assert {key: (leaf.shape, leaf.dtype) for key, leaf in rate.items()} == {
        key: (leaf.shape, leaf.dtype) for key, leaf in state.items()
    }


STEMS = sorted(path.stem for path in (ROOT / "jaxembed" / "theory").glob("[!_]*.py"))


@pytest.mark.parametrize("stem", STEMS)
def test_a_result_has_a_derivation_code_and_evidence_under_one_name(stem):
    for path in (f"theory/{stem}.md", f"jaxembed/theory/{stem}.py", f"tests/theory/test_{stem}.py"):
        assert (ROOT / path).is_file(), f"{stem} has no {path}"
    stated = [f for f in public_functions(getattr(theory, stem)) if "Equation:" in (f.__doc__ or "")]
    assert stated, f"{stem}: no public function states its Equation"
    fields = [f for f in public_functions(getattr(theory, stem)) if f.__name__ == "field" or is_field(f)]
    for function in {*stated, *fields}:
        missing = [
            line for line in ("Equation:", "Assumes:", "Valid while:", "Clock:") if line not in (function.__doc__ or "")
        ]
        assert not missing, f"{stem}.{function.__name__} does not say {missing}"


def public_functions(module) -> list:
    members = inspect.getmembers(module, inspect.isfunction)
    return [f for name, f in members if not name.startswith("_") and f.__module__ == module.__name__]


def is_field(function) -> bool:
    return list(inspect.signature(function).parameters)[:3] == ["t", "state", "sig"]
