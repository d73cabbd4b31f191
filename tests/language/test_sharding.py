"""Eight devices, parameters whole or shared out, and two processes: the losses of one device."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxembed.language import data_mesh, saved_steps, verify
from jaxembed.language.placement import Placement

SCRIPT = Path(__file__).with_name("sharded_run.py")
BOUND = 1e-5


def launch(out, devices, shard, *hosts):
    out.mkdir(exist_ok=True)
    command = [sys.executable, "-W", "error", str(SCRIPT), str(devices), shard, str(out), *map(str, hosts)]
    clean = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=clean)


def finish(*processes):
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert not any(process.returncode for process in processes), "".join(errors)[-3000:]


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    out = tmp_path_factory.mktemp("one")
    finish(launch(out, 1, "data"))
    return np.load(out / "result.npz")


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["data", "full"])
def test_eight_devices_give_the_losses_of_one(one_device, tmp_path, shard):
    finish(launch(tmp_path, 8, shard))
    compare(np.load(tmp_path / "result.npz"), one_device, tmp_path)
    shares = np.load(tmp_path / "result.npz")["shares"]
    assert np.all(shares == 1) if shard == "data" else np.mean(shares < 1) > 0.9 and shares.min() == 1 / 8


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["data", "full"])
def test_two_processes_give_the_losses_of_one_device(one_device, tmp_path, shard):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        coordinator = f"127.0.0.1:{free.getsockname()[1]}"
    finish(*(launch(tmp_path, 4, shard, coordinator, 2, i) for i in range(2)))
    compare(np.load(tmp_path / "result.npz"), one_device, tmp_path)


def compare(found, wanted, out):
    assert found["losses"][-1] < found["losses"][0] - 0.3  # it learned, so the losses could have parted
    for name in ("losses", "held_losses", "embed"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=BOUND, atol=BOUND, err_msg=name)
    assert saved_steps(out / "run") == (0, 10, 20)
    assert all(verify(out / "run").values())


def test_more_devices_than_there_are_and_uneven_batches_are_refused():
    with pytest.raises(ValueError, match=rf"devices: {jax.device_count() + 1} asked for and JAX sees"):
        data_mesh(jax.device_count() + 1)
    with pytest.raises(ValueError, match="batch: 5 sequences at once cannot be divided over 2 devices"):
        TwoDevices().check(5)


class TwoDevices(Placement):
    devices = 2
