"""Claims on words made of attributes: analogies by decomposition and by training."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .evidence import Claim, Evidence


def _attributes(full: bool) -> Any:
    from ..studies.words.attributes import attributes_study

    return attributes_study("normal", seeds=5 if full else 3)


STUDIES: dict[str, Callable[[bool], Any]] = {"attributes": _attributes}


def _rank(result: Any) -> Evidence:
    extra = [rank - result.count for rank in result.rank.values()]
    return Evidence(np.array([max(extra, key=lambda x: abs(x - 1))], float), None, "1", least=1.0, most=1.0)


def _eigenvalues(result: Any) -> Evidence:
    return Evidence(np.array([result.eigenvalue_error]), None, "0", most=1e-10)


def _decomposed(matrix: str) -> Callable[[Any], Evidence]:
    def measure(result: Any) -> Evidence:
        cells = [result.cell(kind, matrix, result.count) for kind in ("even", "uneven")]
        lowest = min(x for cell in cells for x in (cell.accuracy, cell.unit_accuracy))
        return Evidence(np.array([lowest]), np.array([result.chance]), "1", least=1.0)

    return measure


def _short(result: Any) -> Evidence:
    """The lost attribute makes twins of words, and a tie is not won."""
    accuracy = result.cell("even", "PMI", result.count - 1).accuracy
    return Evidence(np.array([accuracy]), np.array([result.chance]), "1", most=0.999)


def _trained(result: Any) -> Evidence:
    found = result.trained()
    return Evidence(found.values, found.null, f"{result.ceiling:.2f} (decomposition of M*)", least=0.99)


def _arrival(result: Any) -> Evidence:
    return Evidence(np.abs(result.arrival - 1).max(axis=1), None, "0", most=0.05)


_ANALOGIES = "korchinski2025linear"

CLAIMS = (
    Claim("attributes-rank", "the PMI of words made of d attributes has rank d + 1 (rank - d)", _ANALOGIES, "1",
          "attributes", _rank),
    Claim("attributes-eigenvalues", "its eigenvalues at even attributes are 2^d gamma_k (largest error)", _ANALOGIES,
          "identity", "attributes", _eigenvalues),
    Claim("attributes-analogies-pmi", "d eigenvectors of the PMI solve all analogies (accuracy)", _ANALOGIES, "1.0",
          "attributes", _decomposed("PMI")),
    Claim("attributes-analogies-target", "so do d eigenvectors of M* (accuracy)", _ANALOGIES, "1.0",
          "attributes", _decomposed("M*")),
    Claim("attributes-one-short", "d - 1 eigenvectors do not, at even attributes (accuracy, ties lost)", _ANALOGIES,
          "not stated", "attributes", _short),
    Claim("attributes-trained", "word embeddings trained on the pairs solve them too (accuracy)", _ANALOGIES,
          "not trained there", "attributes", _trained),
    Claim("attributes-arrival", "attributes are learnt at ln(lam / s0^2) / lam (largest |ratio - 1|)",
          "karkada2025closed", "tau_k, no number", "attributes", _arrival),
)  # fmt: skip
