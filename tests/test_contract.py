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
from jaxembed.base import Dataset, Field, Model, Task, Trajectory
from jaxembed.models import ACTIVATIONS, Feedforward, Linear

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
}
MODELS = {
    "Linear": (Linear(5), ["embed", "unembed"]),
    "Linear, gamma": (Linear(5, gamma=0.8), ["embed", "unembed"]),
    **{f"Feedforward, {name}": (Feedforward(5, None, name), ["embed", "unembed"]) for name in ACTIVATIONS},
    "Feedforward, hidden": (Feedforward(5, 6), ["embed", "unembed", "hidden"]),
}
THEORIES = {
    "linear, rung 0": theory.linear.rung0,
    "linear, rung 1": theory.linear.rung1,
    **{f"feedforward, F1..F{k}": theory.feedforward.field((0.5, 0.8, 0.1), k) for k in (1, 2, 3)},
}


def public(room, kind) -> set[str]:
    return {name for name, value in vars(room).items() if inspect.isclass(value) and issubclass(value, kind)}


def test_every_task_and_model_has_a_row():
    every = {name for room in (je.tasks, je.corpus) for name in public(room, Task)}
    assert every == set(TASKS)
    assert public(je.models, Model) == {row.split(",")[0] for row in MODELS}


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
    model, names = MODELS[name]
    params = model.init(jax.random.key(0), 7, 3)
    assert isinstance(model, Model) and list(params) == names
    assert params["embed"].shape == (7, model.width) and params["unembed"].shape[0] == 7
    assert {leaf.dtype for leaf in params.values()} == {jnp.zeros((), float).dtype}
    logits = model.apply(params, jnp.array([1, 6, 1]))
    assert logits.shape == (7,) and logits.dtype == params["embed"].dtype and np.isfinite(logits).all()
    batch = jax.vmap(model.apply, (None, 0))(params, jnp.array([[1, 6, 1], [0, 2, 3]]))
    np.testing.assert_allclose(batch[0], logits, rtol=1e-5, atol=1e-12)
    assert hash(model) == hash(type(model)(**vars(model)))


@pytest.mark.parametrize("name", MODELS)
def test_training_and_flow_make_trajectories(name):
    model, _ = MODELS[name]
    data = je.tasks.Addition(keys=2, anchors=2).dataset()
    params, loss = model.init(jax.random.key(0), data.vocab, 3), je.population_loss(model, data)
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
    data = je.tasks.Addition(keys=2, anchors=2).dataset()
    state, sig = Linear(4).init(jax.random.key(0), data.vocab, 3), je.signatures(je.count(data))
    field = THEORIES[name]
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
