"""The memory a run takes, told beforehand: against XLA's own account, and against what a process really took."""

import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxembed.language import Pretraining, memory_estimate, pretrain
from jaxembed.language.memory import check_memory, memory_parts
from jaxembed.language.step import advance, start
from jaxembed.machine import device_memory
from jaxembed.models import gpt2, qwen2

FACTOR = 1.5
"""What the estimate may be off by, either way."""
BASE = Pretraining(batch=8, length=256)
FLOW = {"optimizer": "sgd", "clip": 0.0, "weight_decay": 0.0}
CASES = {
    "ten million": (qwen2(256, 6, 4, 2, 1024), BASE, 8192),
    "many tokens": (qwen2(256, 2, 4, 2, 768, tied=False), replace(BASE, batch=2, length=128), 32_768),
    "learned positions": (gpt2(192, 3, 4, max_positions=256), BASE, 4096),
    "accumulated": (qwen2(256, 3, 4, 2, 1024), replace(BASE, batch=32, accumulate=8), 8192),
    "long": (qwen2(128, 2, 8, 8, 384), replace(BASE, batch=2, length=1024), 2048),
    "half": (qwen2(256, 3, 4, 2, 1024), replace(BASE, compute_dtype="bfloat16"), 8192),
    "gradient descent": (qwen2(256, 2, 4, 2, 1024, tied=False), replace(BASE, **FLOW), 16_384),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_estimate_is_what_the_compiler_asks_for(case):
    model, settings, vocab = CASES[case]
    with jax.enable_x64(False):
        state = jax.eval_shape(lambda: start(model.init(jax.random.key(0), vocab, settings.length), settings.update))
        pieces = settings.accumulate, settings.batch // settings.accumulate, settings.length + 1
        tokens, rate = jax.ShapeDtypeStruct(pieces, np.int32), jax.ShapeDtypeStruct((), np.float32)
        options = {"model": model, "update": settings.update, "compute_dtype": settings.compute_dtype}
        found = advance.lower(state, tokens, rate, **options).compile().memory_analysis()
    needed = found.argument_size_in_bytes + found.temp_size_in_bytes
    ratio = memory_estimate(model, settings, vocab) / needed
    assert 1 / FACTOR < ratio < FACTOR


SCRIPT = """
from pathlib import Path
import numpy as np
from jaxembed.corpus import corpus_of
from jaxembed.language import Pretraining, memory_estimate, pretrain
from jaxembed.models import qwen2

def taken():
    # Not getrusage: its peak is handed down from the process that started this one.
    return 1024.0 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

corpus = corpus_of(np.arange(50_000) % 8192, np.array([50_000]), 8192)
small, model = qwen2(16, 1, 1, 1, 32), qwen2(256, 6, 4, 2, 1024)
pretrain(small, corpus, Pretraining(steps=2, batch=1, length=8))
before, settings = taken(), Pretraining(steps=3, batch=8, length=256)
pretrain(model, corpus, settings, save=lambda params: {})
print(memory_estimate(model, settings, 8192) / (taken() - before))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks /proc what a process took")
def test_the_estimate_is_what_a_process_takes():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=1200, check=True)
    assert 1 / FACTOR < float(done.stdout) < FACTOR


def test_shares_add_up_and_shrink_with_devices():
    model, settings, vocab = CASES["ten million"]
    one = memory_parts(model, settings, vocab)
    assert sum(one.values()) == memory_estimate(model, settings, vocab)
    assert one["parameters"] == 4 * model.parameter_count(vocab)
    copies, shares = (memory_parts(model, settings, vocab, devices=8, shared_out=out) for out in (False, True))
    assert copies["moments"] == one["moments"] == 8 * shares["moments"]
    assert copies["activations"] == shares["activations"] == one["activations"] / 8


def test_a_run_that_does_not_fit_is_refused_before_it_starts(model, corpus):
    assert 2**28 < device_memory() < float("inf")
    check_memory(1.0)
    with pytest.raises(ValueError, match=r"batch: needs about .* GiB on each device, which has 0.00; raise accumulate"):
        pretrain(model, corpus, Pretraining(steps=1), memory_limit=1e5)
    with pytest.raises(ValueError, match="batch: needs about"):
        pretrain(model, corpus, Pretraining(steps=1, batch=10_000_000))
