"""Eight devices, parameters whole or shared out, and two processes: the losses of one device."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxembed.language import data_mesh, meter, saved_steps, verify
from jaxembed.language.placement import Placement

SCRIPT = Path(__file__).with_name("sharded_run.py")
BOUND = 1e-5


def launch(out, *hosts):
    clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-W", "error", str(SCRIPT), str(out), *map(str, hosts)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean)


def finish(*processes):
    errors = [process.communicate(timeout=1200)[1] for process in processes]
    assert not any(process.returncode for process in processes), "".join(errors)[-3000:]


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """The folder of the three runs of a process with eight devices."""
    out = tmp_path_factory.mktemp("eight")
    finish(launch(out))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("way", ["data", "full"])
def test_eight_devices_give_the_losses_of_one(eight, way):
    found = np.load(eight / f"{way}.npz")
    compare(found, np.load(eight / "alone.npz"), eight / way)
    shares = found["shares"]
    assert np.all(shares == 1) if way == "data" else np.mean(shares < 1) > 0.8 and shares.min() == 1 / 8


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one_device(eight, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    finish(*(launch(tmp_path, coordinator, 2, i) for i in range(2)))
    found = np.load(tmp_path / "full.npz")
    compare(found, np.load(eight / "alone.npz"), tmp_path / "full")
    assert found["shares"].min() == 1 / 4


def compare(found, wanted, out):
    assert found["losses"][-1] < found["losses"][0] - 0.3  # it learned, so the losses could have parted
    for name in ("losses", "held_losses", "embed"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=BOUND, atol=BOUND, err_msg=name)
    assert saved_steps(out) == (0, 20)
    assert all(verify(out).values())


def test_more_devices_than_there_are_and_uneven_batches_are_refused():
    with pytest.raises(ValueError, match=rf"devices: {jax.device_count() + 1} asked for and JAX sees"):
        data_mesh(jax.device_count() + 1)
    with pytest.raises(ValueError, match="batch: 5 sequences at once cannot be divided over 2 devices"):
        TwoDevices().check(5)


class TwoDevices(Placement):
    devices = 2


def test_the_devices_that_a_processor_poses_as_have_one_peak(monkeypatch):
    monkeypatch.setattr(meter, "peak_flops", lambda dtype: 1e9)
    for backend, peak in (("cpu", 1e9), ("gpu", 2e9)):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        assert meter.peak_of_all(TwoDevices()) == peak
