"""One run on some devices, in a process of its own: `sharded_run.py DEVICES SHARD OUT [COORDINATOR PROCESSES I]`."""

import sys
from pathlib import Path

import jax

devices, shard, out, *hosts = sys.argv[1:]
jax.config.update("jax_num_cpu_devices", int(devices) // (int(hosts[1]) if hosts else 1))
if hosts:
    jax.distributed.initialize(hosts[0], int(hosts[1]), int(hosts[2]))

import numpy as np  # noqa: E402

from jaxembed.corpus import corpus_of  # noqa: E402
from jaxembed.language import Pretraining, data_mesh, pretrain  # noqa: E402
from jaxembed.models import Decoder  # noqa: E402

ids = (np.cumsum(np.random.default_rng(0).integers(0, 3, 20_000)) % 50).astype(np.uint16)
corpus = corpus_of(ids, np.array([700, 20_000]), 50)
settings = Pretraining(
    steps=20, batch=16, length=16, learning_rate=1e-2, warmup=3, accumulate=2, save_steps=(0, 10, 20)
)
run = pretrain(
    Decoder(width=16, layers=1, heads=2, mlp_width=32),
    corpus,
    settings,
    held=corpus.select([0]),
    keep=lambda params: {"embed": params["embed"]},
    mesh=data_mesh() if int(devices) > 1 else None,
    shard=shard,
    out=Path(out) / "run",
    remember_every=10,
)
shares = [leaf.addressable_shards[0].data.size / leaf.size for leaf in jax.tree.leaves(run.params)]
if jax.process_index() == 0:
    np.savez(
        Path(out) / "result.npz",
        losses=run.losses,
        held_losses=run.held_losses,
        embed=run.trajectory.ys["embed"],
        shares=shares,
    )
