"""Claims on the basis of a binary operation: found from the data, taken by training, and absent where there is none."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _basis(full: bool) -> Any:
    from ..studies.pairs.xor_basis import xor_basis

    return xor_basis("normal" if full else "tiny", seeds=5 if full else 3)


STUDIES: dict[str, Callable[[bool], Any]] = {"basis": _basis}


def _overlap(name: str) -> Callable[[Any], Evidence]:
    def measure(result: Any) -> Evidence:
        from ..studies.pairs.xor_basis import fourier, worst_overlap

        operation = getattr(result, name)
        other = (fourier if name == "xor" else _random)(operation.size)
        null = worst_overlap(operation.basis, other)
        return Evidence(np.array([operation.overlap]), np.array([null]), "1", least=0.999)

    def _random(size: int) -> np.ndarray:
        return np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))[0]

    return measure


def _none(result: Any) -> Evidence:
    """The residual of the random table; XOR's is what a table with a basis has."""
    residual, xor = (np.array([float(operation.basis.residual)]) for operation in (result.random, result.xor))
    return Evidence(residual, xor, "1", least=result.random.basis.threshold)


def _agreement(name: str) -> Callable[[Any], Evidence]:
    def measure(result: Any) -> Evidence:
        operation = getattr(result, name)
        # The control: all units, for in random bases next to none is sparse.
        null = operation.random.agreement_of_all
        return Evidence(operation.trained.agreement, null, "1", least=0.99)

    return measure


def _sparse(result: Any) -> Evidence:
    return Evidence(result.xor.trained.sparse_share, result.xor.random.sparse_share, "1", least=0.2)


_SOURCE = "wang2026modular"

CLAIMS = (
    Claim("basis-xor", "XOR on 64 symbols (quick: 16): data alone give the Walsh-Hadamard basis (worst overlap)",
          _SOURCE, "Walsh-Hadamard, no number", "basis", _overlap("xor")),
    Claim("basis-addition", "addition modulo 13 (quick: 7): data alone give the Fourier basis (worst overlap)", _SOURCE,
          "Fourier, no number", "basis", _overlap("addition")),
    Claim("basis-none", "a random table has no such basis (residual; null: XOR's)", _SOURCE, "not covered", "basis",
          _none),
    Claim("basis-xor-neurons", "XOR: trained units with sparsity > 0.7 have one dominant index in all three matrices",
          _SOURCE, "agree for sparsity > 0.7, no number", "basis", _agreement("xor")),
    Claim("basis-addition-neurons", "modular addition: the same, in the basis found", _SOURCE,
          "agree for sparsity > 0.7, no number", "basis", _agreement("addition")),
    Claim("basis-xor-sparse", "XOR: share of the trained units with sparsity > 0.7", _SOURCE, "no number", "basis",
          _sparse),
)  # fmt: skip
