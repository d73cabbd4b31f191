"""The first saves of one tiny run, in numbers: what no other test asks for is not to change unnoticed."""

import jax
import numpy as np
import optax
import pytest

import jaxembed as je

GOLDEN = {
    "embed": [
        [-0.00057536705, -0.000370543534, 6.33525531e-05, -0.000460417328],
        [-0.0157148209, 0.00310057887, -0.00953832772, -0.0124455286],
        [-0.69153502, 0.133900245, -0.334101206, -0.498826994],
    ],
    "unembed": [
        [0.000247147611, 0.000524477101, 0.000861868644, 0.00122371455],
        [0.00804670218, -0.000996813998, 0.00408744704, 0.00659192962],
        [0.300898265, -0.0580104696, 0.138999477, 0.217304876],
    ],
    "mean_loss": [2.39783028, 2.27581301],
}
UPDATE = (
    "The first steps of training changed. If the change is meant (initialisation, order of the task's examples, the"
    " loss, a new generator of random numbers in JAX), put the printed numbers into GOLDEN and say why in CHANGELOG.md;"
    " otherwise it is a bug."
)


@pytest.mark.float64_only("the same key gives other normals in float32")
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="golden numbers belong to the CPU")
def test_the_first_saves_are_the_golden_ones():
    data, model = je.tasks.Addition(keys=4, anchors=2).dataset(), je.models.Linear(width=4)
    params = model.init(jax.random.key(0), data.vocab, data.length)
    run = je.train(je.population_loss(model, data), params, optax.sgd(1.0), dt=1.0, steps_per_save=10, num_saves=2)
    found = {name: [np.asarray(leaf[i, 1]).tolist() for i in range(3)] for name, leaf in run.ys.items()}
    found["mean_loss"] = np.asarray(run.info["mean_loss"])[1:].tolist()
    for name, expected in found.items():
        np.testing.assert_allclose(GOLDEN[name], expected, rtol=1e-6, err_msg=f"{UPDATE} Now: {found}")
