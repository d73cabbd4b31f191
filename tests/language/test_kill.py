"""A run killed at random instants and resumed ends in the bits of one that was left alone."""

import subprocess
import sys
import time

import numpy as np
import pytest

from jaxembed.language import saved_steps, verify

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from jaxembed.corpus import corpus_of
from jaxembed.language import Pretraining, parameter_hash, on_host, pretrain
from jaxembed.models import Decoder

ids = np.cumsum(np.random.default_rng(0).integers(0, 3, 20_000)) % 50
settings = Pretraining(steps=900, batch=8, length=16, warmup=10, save_steps=(0, 3, 400, 900))
model, corpus = Decoder(width=16, layers=1, heads=2, mlp_width=32), corpus_of(ids, np.array([20_000]), 50)
run = pretrain(model, corpus, settings, out=Path(sys.argv[1]), resume=True, remember_every=15)
print(parameter_hash(on_host(run.params)), run.losses.sum().hex())
"""


def start(out):
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(out)], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_kills_at_random_instants_change_no_bit(tmp_path):
    whole, _ = start(tmp_path / "whole").communicate(timeout=1200)
    out, draws, before = tmp_path / "killed", np.random.default_rng(1), []
    for _ in range(3):
        process, deadline, first = start(out), time.monotonic() + 1200, newest(out)
        while newest(out) == first and process.poll() is None and time.monotonic() < deadline:  # every life advances
            time.sleep(0.01)
        time.sleep(draws.uniform(0, 1))
        process.kill()
        process.communicate()
        before.append(newest(out))
    assert 0 < before[0] < before[1]
    killed, _ = start(out).communicate(timeout=1200)
    assert killed == whole != ""
    assert saved_steps(out) == (0, 3, 400, 900) and all(verify(out).values())


def newest(out):
    return max((int(path.name) for path in (out / "recovery").glob("*") if path.name.isdigit()), default=0)
