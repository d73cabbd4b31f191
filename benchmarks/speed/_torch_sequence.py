"""The other side of `latent.py`: the same network, start, batches and rule in PyTorch, with its fused attention."""

from typing import Any

import jax
import numpy as np
import torch
import torch.nn.functional as F

from jaxembed.decoding import TrainingRecipe


class TorchSequence:
    """A pre-normalised sequence transformer over tokens from a tree of ours, under clipped AdamW (fused)."""

    def __init__(
        self, recipe: TrainingRecipe, params: Any, positions: np.ndarray, *, threads: int, device: str
    ) -> None:
        self.recipe, self.threads, self.device, self.updates = recipe, threads, device, 0
        self.params = jax.tree.map(lambda leaf: torch.tensor(np.array(leaf), device=device, requires_grad=True), params)
        self.leaves = jax.tree.leaves(self.params)
        self.positions = torch.tensor(positions, dtype=torch.float32, device=device)
        self.optimizer = torch.optim.AdamW(self.leaves, lr=1.0, eps=1e-8, weight_decay=0.0, fused=True)

    def advance(self, tokens: np.ndarray) -> float:
        """One update on `[sequence, T]` tokens; returns the loss before it."""
        torch.set_num_threads(self.threads)
        self.optimizer.param_groups[0]["lr"] = float(np.asarray(self.recipe.schedule(self.updates)))
        self.updates += 1
        self.optimizer.zero_grad()
        ids = torch.tensor(tokens, device=self.device).long()
        logits = self._answers(ids[:, :-1])
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.leaves, self.recipe.clip)
        self.optimizer.step()
        return loss.item()

    def _answers(self, ids: Any) -> Any:
        p, width = self.params, self.recipe.model.width  # pyright: ignore[reportAttributeAccessIssue]
        x = p["embed"][ids] * width**0.5 + self.positions[: ids.shape[1]]
        for block in p["blocks"].values():
            x = x + _affine(block["out"], self._attended(_affine(block["mix"], _norm(block["attention_norm"], x))))
            x = x + _affine(block["down"], F.relu(_affine(block["up"], _norm(block["mlp_norm"], x))))
        return _norm(p["norm"], x) @ p["head"] + p["head_bias"]

    def _attended(self, parts: Any) -> Any:
        sequences, length, _ = parts.shape
        heads = self.recipe.model.heads  # pyright: ignore[reportAttributeAccessIssue]
        query, key, value = (x.reshape(sequences, length, heads, -1).transpose(1, 2) for x in parts.chunk(3, dim=-1))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return mixed.transpose(1, 2).reshape(sequences, length, -1)


def _norm(part: Any, x: Any) -> Any:
    return F.layer_norm(x, (x.shape[-1],), part["gain"], part["bias"])


def _affine(part: Any, x: Any) -> Any:
    return x @ part["matrix"] + part["bias"]
