"""Protocols of all that can be added: a new one is a row of a table here, and is missed where it has none."""

import ast
import importlib
import inspect
from dataclasses import replace
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
PROCESSES = {
    "BetaBernoulli": je.processes.BetaBernoulli(),
    "DirichletCategorical": je.processes.DirichletCategorical((0.5, 1.0, 1.5)),
    "GammaExponential": je.processes.GammaExponential(shape=3.0),
    "GaussianGamma": je.processes.GaussianGamma(),
    "HiddenMarkov": je.processes.HiddenMarkov(states=3, vocab=6),
    "HmmLda": je.processes.HmmLda(topics=3, vocab=20, classes=2, sweeps=60, particles=100),
    "LatentDirichlet": je.processes.LatentDirichlet(topics=3, vocab=20, sweeps=60, particles=100),
    "LinearGaussian": je.processes.LinearGaussian(states=3),
    "NumberGame": je.processes.NumberGame(numbers=20),
    "Rectangles": je.processes.Rectangles(grid=4),
}
PROBES = {
    "class_probe": lambda x, y, x_val, y_val: je.probes.class_probe(x, y.argmax(1), x_val, y_val.argmax(1)),
    "mlp_probe": lambda *parts: je.probes.mlp_probe(*parts, kind="distribution", key=jax.random.key(0), steps=300),
    "ridge": je.probes.ridge,
    "softmax_probe": je.probes.softmax_probe,
}


def public(room, kind) -> set[str]:
    """Names of the classes of a kind that can be used as they are."""
    classes = {name: value for name, value in vars(room).items() if inspect.isclass(value)}
    return {name for name, value in classes.items() if issubclass(value, kind) and not inspect.isabstract(value)}


def test_every_task_and_model_has_a_row():
    every = {name for room in (je.tasks, je.corpus) for name in public(room, Task)}
    assert every == set(TASKS)
    assert public(je.models, Model) == {row.split(",")[0] for row in {**MODELS, **SEQUENCE_MODELS}}


def test_every_process_and_probe_has_a_row():
    classes = {name for name, value in vars(je.processes).items() if inspect.isclass(value)}
    assert {name for name in classes - {"Process"} if hasattr(getattr(je.processes, name), "log_predictive")} == set(
        PROCESSES
    )
    functions = {name for name, value in vars(je.probes).items() if inspect.isfunction(value)}
    assert {
        name for name in functions if {"x_val"} & set(inspect.signature(getattr(je.probes, name)).parameters)
    } == set(PROBES)


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


@pytest.fixture(scope="module", params=PROCESSES)
def drawn(request):
    """A process, its world, and sequences with all exact quantities."""
    process = PROCESSES[request.param]

    @jax.jit
    def draw(key):
        world = process.world(jax.random.fold_in(key, 0))
        sequences = process.sample(jax.random.fold_in(key, 1), world, 300, 8)
        items = sequences.items[:1]
        shapes = jax.eval_shape(lambda: process.exact(world, items, key=key))
        read = process.exact(world, sequences.items, key=jax.random.fold_in(key, 2))
        assert {name: leaf.shape[1:] for name, leaf in read.items()} == {n: x.shape[1:] for n, x in shapes.items()}
        return world, sequences, read

    return process, *jax.device_get(draw(jax.random.key(0)))


def test_a_process_samples_and_answers_for_every_target(drawn, tolerance):
    process, _, sequences, read = drawn
    assert isinstance(process, je.processes.Process) and hash(process) == hash(replace(process))
    assert sequences.items.shape[:2] == (300, 8) and np.isfinite(sequences.items).all()
    if process.reads == "tokens":
        assert sequences.items.min() >= 0 and sequences.items.max() < process.size
    else:
        assert sequences.items.shape[2:] == (process.size,)
    for name, target in process.targets.items():
        values = read[target.ceiling or name]
        assert values.shape == (300, 8, target.size) and len(target.names) in (0, target.size)
        if target.kind == "distribution":
            np.testing.assert_allclose(values.sum(axis=-1), 1, rtol=1e3 * tolerance)
    assert type(process.shifted()) is type(process) and process.shifted() != process


def test_the_exact_posterior_beats_every_null(drawn):
    process, _, sequences, read = drawn
    latent = {name: target for name, target in process.targets.items() if target.ceiling is not None}
    assert latent, "a process has a generating value to guess"
    for name, target in latent.items():
        truth, best = sequences.latents[name], read[target.ceiling][:, -1]
        truth = truth if truth.ndim == 2 else truth[:, -1]
        nulls = {"constant": truth.mean(axis=0)[None, :], "another sequence's": np.roll(best, 1, axis=0)}
        nulls |= {"before it read on": read[target.ceiling][:, 0]} if sequences.latents[name].ndim == 2 else {}
        for null, guess in nulls.items():
            assert np.mean((best - truth) ** 2) < np.mean((guess - truth) ** 2), (name, null)


def test_the_exact_predictive_beats_that_of_another_prior(drawn):
    process, world, sequences, _ = drawn
    items, other = sequences.items, process.shifted()
    own = process.log_predictive(world, items)
    assert own.shape == (300, 7) and np.isfinite(own).all()
    wrong = other.log_predictive(other.world(jax.random.key(9)), items)
    assert np.mean(own) > np.mean(wrong)


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_finds_what_is_there_and_nothing_where_targets_are_shuffled(name):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4))
    scores = np.exp(2 * x @ rng.normal(size=(4, 3)))
    y = scores / scores.sum(axis=1, keepdims=True)
    x, y = (values.astype(jnp.zeros((), float).dtype) for values in (x, y))
    fitted = {}
    for case, targets in {"planted": y, "shuffled": rng.permutation(y)}.items():
        probe = PROBES[name](x[:200], targets[:200], x[200:300], targets[200:300])
        assert isinstance(probe, je.probes.Probe)
        fitted[case] = np.asarray(probe.predict(x[300:]))
        assert fitted[case].shape == (100, 3) and np.isfinite(fitted[case]).all()
        alone = np.asarray(probe.predict(x[300:301]))
        np.testing.assert_allclose(alone, fitted[case][:1], rtol=1e-4, atol=1e-6)
    right = {case: np.mean(values.argmax(axis=1) == y[300:].argmax(axis=1)) for case, values in fitted.items()}
    assert right["planted"] > 0.85 and right["shuffled"] < 0.6
    with pytest.raises(ValueError, match="row"):
        PROBES[name](x[:200], y[:199], x[200:300], y[200:300])


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


ROOMS = [room for room in je.ROOMS if (ROOT / "jaxembed" / room / "__init__.py").exists()]


@pytest.mark.parametrize("room", ROOMS)
def test_what_other_rooms_use_of_a_room_is_reachable_from_it(room):
    """Classes and functions, from the room or a subroom; `theory` is reached by its modules, a study by its name."""
    top = importlib.import_module(f"jaxembed.{room}")
    for place, name, path in imported_from(room):
        assert not place.startswith("_") and "._" not in place, f"{path} imports {name} of the private {room}.{place}"
        module = importlib.import_module(f"jaxembed.{room}.{place}")
        value = getattr(module, name, module)
        if room not in ("theory", "studies") and (inspect.isclass(value) or inspect.isfunction(value)):
            inner = getattr(top, place.split(".")[0], None)
            exported = [getattr(each, name, None) for each in (top, inner) if hasattr(each, "__path__")]
            assert any(each is value for each in exported), f"{path} imports {name} of {room}.{place}; export it"


def test_the_reader_of_imports_sees_what_is_imported():
    assert ("tokenizers", "FILE") in {(place, name) for place, name, _ in imported_from("corpus")}


def imported_from(room: str) -> list[tuple[str, str, str]]:
    """(module, name, importing file) of all that the package takes from a room's modules outside of it."""
    package, used = ROOT / "jaxembed", []
    for path in package.rglob("*.py"):
        folder = path.relative_to(package).parent.parts
        if folder[:1] == (room,):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                place = [*folder[: len(folder) - node.level + 1], *(node.module or "").split(".")]
                if place[0] == room and len(place) > 1:
                    used += [(".".join(place[1:]), name.name, str(path)) for name in node.names]
    return used
