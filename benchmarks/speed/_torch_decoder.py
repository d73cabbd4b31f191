"""The other side of `training.py`: the same model, start, batches and rule in transformers on PyTorch."""

import time
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from jaxembed.language import Pretraining


class TorchDecoder:
    """A causal language model of transformers under AdamW (fused), its batch taken in some pieces."""

    def __init__(self, folder: Path, settings: Pretraining, *, attention: str, threads: int) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention)
        self.model.train()
        self.pieces, self.threads = settings.accumulate, threads
        named = [
            (name.startswith("model.layers") and leaf.ndim > 1, leaf) for name, leaf in self.model.named_parameters()
        ]
        groups = [
            {"params": [leaf for matrix, leaf in named if matrix], "weight_decay": settings.weight_decay},
            {"params": [leaf for matrix, leaf in named if not matrix], "weight_decay": 0.0},
        ]
        betas = settings.beta1, settings.beta2
        self.optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=betas, eps=1e-8, fused=True)

    def advance(self, tokens: np.ndarray) -> float:
        """One update on `[example, T + 1]` tokens; returns the loss before it."""
        torch.set_num_threads(self.threads)
        self.optimizer.zero_grad()
        total = 0.0
        for piece in torch.tensor(tokens).long().chunk(self.pieces):
            labels = piece[:, 1:].contiguous()
            seen = self.model(input_ids=piece[:, :-1], labels=labels, shift_labels=labels, use_cache=False)
            loss = seen.loss / self.pieces
            loss.backward()
            total += loss.item()
        self.optimizer.step()
        return total


def product_flops(threads: int, side: int = 1024, repeats: int = 5) -> float:
    """Floating-point operations per second of PyTorch's square float32 matrix product, the best of a few."""
    torch.set_num_threads(threads)
    square, best = torch.ones(side, side), float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        torch.matmul(square, square)
        best = min(best, time.perf_counter() - begin)
    return 2.0 * side**3 / best
