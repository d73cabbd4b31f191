"""The other side of `ensemble.py`: the same training as a plain PyTorch loop over seeds."""

import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, gelu

from jaxembed.base import Dataset

ADAMW = {"loop": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


class Feedforward(nn.Module):
    """Sum of embeddings, hidden matrix, exact GELU, unembedding; normal weights of scale fan_in^(-gamma)."""

    def __init__(self, vocab: int, width: int, hidden: int, gamma: float) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.hidden = nn.Linear(width, hidden, bias=False)
        self.unembed = nn.Linear(hidden, vocab, bias=False)
        for layer, fan_in in ((self.embed, vocab), (self.hidden, width), (self.unembed, hidden)):
            nn.init.normal_(layer.weight, std=fan_in**-gamma)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.unembed(gelu(self.hidden(self.embed(tokens).sum(1))))


class TorchLoop:
    """A few seeds trained one after the other, with the quickest of AdamW's three implementations."""

    def __init__(
        self, data: Dataset, sizes: dict[str, float], batch: int, adamw: dict[str, float], *, seeds: int, threads: int
    ) -> None:
        torch.manual_seed(threads)
        self.tokens, self.targets = torch.tensor(data.tokens).long(), torch.tensor(data.targets).long()
        self.sizes, self.batch, self.adamw, self.threads = sizes, batch, adamw, threads
        self.flavour = self._quickest()
        self.seeds = [self._seed(self.flavour) for _ in range(seeds)]
        self.losses = np.zeros(seeds)

    def advance(self, steps: int) -> int:
        """Train every seed for `steps` more steps; returns the seed-steps taken."""
        torch.set_num_threads(self.threads)
        self.losses = np.asarray([self._train(*seed, steps) for seed in self.seeds])
        return steps * len(self.seeds)

    def _seed(self, flavour: str) -> tuple[Feedforward, torch.optim.AdamW]:
        model = Feedforward(**self.sizes)
        return model, torch.optim.AdamW(model.parameters(), **self.adamw, **ADAMW[flavour])

    def _train(self, model: Feedforward, optimizer: torch.optim.AdamW, steps: int) -> float:
        total = torch.zeros(())
        for _ in range(steps):
            rows = torch.randint(len(self.tokens), (self.batch,))
            loss = cross_entropy(model(self.tokens[rows]), self.targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        return float(total) / steps

    def _quickest(self, steps: int = 20) -> str:
        torch.set_num_threads(self.threads)
        seconds = dict.fromkeys(ADAMW, float("inf"))
        for _ in range(3):
            for flavour in ADAMW:
                seed = self._seed(flavour)
                self._train(*seed, 2)
                clock = time.perf_counter()
                self._train(*seed, steps)
                seconds[flavour] = min(seconds[flavour], time.perf_counter() - clock)
        return min(seconds, key=seconds.__getitem__)
