"""The class probe: weights that count rare classes as much, its own optimum, its limits."""

import numpy as np
import pytest

from jaxembed.probes import class_probe
from jaxembed.probes.classes import _objective


def made(seed=0, counts=(90, 10), dimension=3):
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(len(counts)), counts)
    return rng.normal(size=(len(classes), dimension)) + classes[:, None], classes


def test_the_gradient_is_that_of_the_objective():
    x, classes = made()
    line = np.random.default_rng(1).normal(size=8)
    arguments = (x, classes, np.linspace(0.5, 1.5, len(x)), 0.3)
    _, gradient = _objective(line, *arguments)
    steps = 1e-6 * np.eye(8)
    slopes = [(_objective(line + s, *arguments)[0] - _objective(line - s, *arguments)[0]) / 2e-6 for s in steps]
    np.testing.assert_allclose(gradient, slopes, atol=1e-8)


@pytest.mark.parametrize("whiten", [True, False])
def test_balanced_weights_are_as_if_the_rare_class_were_as_common(whiten):
    x, classes = made()
    often = np.concatenate([np.arange(90), np.repeat(np.arange(90, 100), 9)])
    options = {"penalties": (1e-2,), "whiten": False}
    one = class_probe(x, classes, x, classes, **options)
    other = class_probe(x[often], classes[often], x, classes, balanced=False, **options)
    np.testing.assert_allclose(one.predict(x), other.predict(x), atol=1e-3)
    plain = class_probe(x, classes, x, classes, balanced=False, whiten=whiten)
    balanced = class_probe(x, classes, x, classes, whiten=whiten)
    recalls = [np.mean(np.argmax(np.asarray(probe.predict(x[classes == 1])), axis=1)) for probe in (plain, balanced)]
    assert recalls[1] > recalls[0]


def test_what_never_varies_is_not_read():
    x, classes = made(counts=(30, 20, 10))
    same = np.ones_like(x) * np.float32(0.1)
    probe = class_probe(same, classes, same, classes)
    assert len(np.unique(np.argmax(probe.predict(same), axis=1))) == 1
    mixed = np.concatenate([x, same], axis=1)
    one, other = (class_probe(part, classes, part, classes).predict(part) for part in (x, mixed))
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_classes_that_do_not_fit_are_one_line():
    x, classes = made()
    for labels, said in ((classes * 2, "numbered from 0"), (classes * 0, "at least two")):
        with pytest.raises(ValueError, match=said):
            class_probe(x, labels, x, classes)
    with pytest.raises(ValueError, match="x_val, classes_val: need one class per row"):
        class_probe(x, classes, x, classes[:5])
