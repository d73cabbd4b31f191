"""The tree of items: its covariance by enumeration of all features, its draws, its levels."""

import itertools

import jax
import numpy as np
import pytest

from jaxembed.tasks import Tree


def enumerated(branching, flip):
    """E[f f^T] over every assignment of flips to edges."""
    nodes, parents = [0], [None]
    for children in branching:
        level = [parent for parent in nodes for _ in range(children)]
        nodes = list(range(len(parents), len(parents) + len(level)))
        parents += level
    total = np.zeros((len(nodes), len(nodes)))
    for flips in itertools.product([False, True], repeat=len(parents) - 1):
        values, probability = [1.0], 1.0
        for node, flipped in enumerate(flips, start=1):
            values.append(-values[parents[node]] if flipped else values[parents[node]])
            probability *= flip if flipped else 1 - flip
        leaves = np.array(values)[nodes]
        total += probability * np.outer(leaves, leaves)
    return total


@pytest.mark.parametrize(("branching", "flip"), [((2, 2), 0.1), ((3, 2), 0.3), ((2, 2, 2), 0.1)])
def test_covariance_is_that_of_every_feature(branching, flip):
    np.testing.assert_allclose(Tree(branching, flip).covariance(), enumerated(branching, flip), rtol=0, atol=1e-12)


def test_population_features_have_the_covariance_exactly():
    tree = Tree((2, 3), 0.2)
    outputs = tree.outputs()
    np.testing.assert_allclose(outputs @ outputs.T / tree.items, tree.covariance(), rtol=0, atol=1e-12)


def test_drawn_features_approach_it():
    drawn = Tree((2, 3), 0.2, features=40_000).outputs()
    assert set(np.unique(drawn)) == {-1.0, 1.0}
    assert np.abs(drawn @ drawn.T / 40_000 - Tree((2, 3), 0.2).covariance()).max() < 0.02
    assert np.abs(drawn.mean(axis=1)).max() < 0.02
    np.testing.assert_array_equal(drawn, Tree((2, 3), 0.2, features=40_000).outputs())


def test_levels_split_the_leaves_and_diagonalise_the_covariance():
    tree = Tree((2, 2, 3), 0.1)
    levels = tree.level_projections()
    np.testing.assert_allclose(levels.sum(axis=0), np.eye(12), atol=1e-12)
    assert np.trace(levels, axis1=1, axis2=2).round(9).tolist() == [1, 1, 2, 8]
    for level in levels:
        np.testing.assert_allclose(level @ level, level, atol=1e-12)
        np.testing.assert_allclose(level @ tree.covariance(), tree.covariance() @ level, atol=1e-12)
    assert tree.names[0] == "0.0.0" and tree.ancestors(1).tolist() == [0] * 6 + [1] * 6


def test_extremes_and_refusals():
    assert np.all(Tree((2, 2), 0.0).covariance() == 1.0)
    np.testing.assert_array_equal(Tree((2, 2), 0.5).covariance(), np.eye(4))
    for settings, name in (
        ({"branching": (2, 1)}, "branching"),
        ({"flip": 0.6}, "flip"),
        ({"features": 0}, "features"),
    ):
        with pytest.raises(ValueError, match=f"{name}: "):
            Tree(**settings)


def test_a_deep_linear_network_is_its_product(tolerance):
    from jaxembed.models import DeepLinear, SquaredLoss

    tree, model = Tree(), DeepLinear(width=5, layers=3, init_scale=0.3)
    params = model.init(jax.random.key(0), 8, 8)
    x, y = (jax.numpy.asarray(part, float) for part in (tree.inputs(), tree.outputs()))
    values = x @ (params["w3"] @ params["w2"] @ params["w1"]).T
    expected = 0.5 * ((y - values) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(SquaredLoss(x, y)(params), expected, rtol=10 * tolerance)
    with pytest.raises(ValueError, match="layers: "):
        DeepLinear(layers=0)
