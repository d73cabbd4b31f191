"""The same run on devices in several ways, in a process of its own: `sharded_run.py OUT [COORDINATOR PROCESSES I]`.

Alone it has eight devices and trains on one of them, on all with whole parameters, and on all with parameters shared
out; as one of several processes it has two and trains with shared out parameters on those of all processes.
"""

import sys
from pathlib import Path

import jax

out, *hosts = sys.argv[1:]
jax.config.update("jax_num_cpu_devices", 2 if hosts else 8)
if hosts:
    jax.distributed.initialize(hosts[0], int(hosts[1]), int(hosts[2]))

import numpy as np  # noqa: E402

from jaxembed.corpus import corpus_of  # noqa: E402
from jaxembed.language import Pretraining, data_mesh, pretrain  # noqa: E402
from jaxembed.models import Decoder  # noqa: E402

ids = (np.cumsum(np.random.default_rng(0).integers(0, 3, 20_000)) % 50).astype(np.uint16)
corpus = corpus_of(ids, np.array([700, 20_000]), 50)
model = Decoder(width=16, layers=1, heads=2, mlp_width=32)
settings = Pretraining(steps=20, batch=16, length=16, learning_rate=1e-2, warmup=3, accumulate=2, save_steps=(0, 20))

for way in ("full",) if hosts else ("alone", "data", "full"):
    run = pretrain(
        model,
        corpus,
        settings,
        held=corpus.select([0]),
        save=lambda params: {"embed": params["embed"]},
        mesh=None if way == "alone" else data_mesh(),
        shard="full" if way == "full" else "data",
        out=Path(out) / way,
        remember_every=10,
    )
    found = {"losses": run.losses, "held_losses": run.held_losses, "embed": run.trajectory.ys["embed"]}
    shares = [leaf.addressable_shards[0].data.size / leaf.size for leaf in jax.tree.leaves(run.params)]
    if jax.process_index() == 0:
        np.savez(Path(out) / f"{way}.npz", shares=shares, **found)
