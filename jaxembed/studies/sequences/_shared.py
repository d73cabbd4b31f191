"""What studies of generated sequences share: how training is described, and evidence from decoded scores."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from ...decoding import CEILING, MODEL, UNTRAINED, Decoded, DecodingResult, DecodingSetting, Trained, decode
from ...probes import gap_closed
from .. import Bound, Evidence, Run

VARIED = "seeds (network and draws)"
WORLDS = "seeds (network, world, draws)"


def training_note(setting: DecodingSetting) -> str:
    """Items, network and training of a setting, in words."""
    recipe, size = setting.recipe, setting.process.size
    network: Any = recipe.model
    items = f"{size} words" if setting.process.reads == "tokens" else f"{size} dimension{'s' if size > 1 else ''}"
    trained = f"{recipe.steps} steps of {recipe.batch} sequences of {recipe.length}"
    return f"{items}, width {network.width}, {network.layers} layers, {trained}"


def training_notes(settings: Mapping[str, DecodingSetting]) -> str:
    """The same of several settings by name, a clause for those that agree."""
    alike: dict[str, list[str]] = {}
    for name, setting in settings.items():
        alike.setdefault(training_note(setting), []).append(name)
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in alike.items())


def part(run: Run, name: str) -> Run:
    """A part of a run: in a subfolder of its name, which begins its lines too."""

    def progress(text: str, share: float | None = None, /) -> None:
        run.progress(f"{name}: {text}", share)

    keep = None if run.keep is None else run.keep / name.replace(", ", "-").replace(" ", "_")
    return Run(run.seeds, keep, progress)


def result_of(setting: DecodingSetting, run: Run) -> tuple[DecodingResult, Trained]:
    """Networks of a setting, trained and probed as a run says."""
    result = replace(setting, seeds=run.seeds).result(keep=run.keep, progress=run.progress)
    assert result.trained is not None
    return result, result.trained


def on_shifted_data(setting: DecodingSetting, trained: Trained, run: Run) -> tuple[Decoded, Decoded]:
    """Scores on data of the shifted process: the probe fitted anew, and that of own data carried over."""
    process, other = setting.process, setting.process.shifted()
    anew, carried = (
        decode(
            process,
            setting.recipe,
            trained,
            setting.probing,
            process_of_data=other,
            transfer=transfer,
            keep=run.keep,
        )
        for transfer in (False, True)
    )
    return anew, carried


def margin(source: str) -> Bound:
    """Of a margin over a control, whose own margin is zero."""
    return Bound("expectation", least=0.0, source=source, strict=True)


def gain_evidence(
    name: str,
    claim: str,
    gain: Float[np.ndarray, " seed"],
    published: str = "",
    *,
    no_null: str = "a difference from the untrained network, which is the null",
    bound: Bound | None = None,
    ceiling: str,
    varied: str = VARIED,
    source: str = "",
) -> Evidence:
    """A gain over a control: the control's own is zero by construction, so that the row has no null besides."""
    bound = bound or margin("expected")
    return Evidence(name, claim, gain, bound, published, no_null=no_null, ceiling=ceiling, varied=varied, source=source)


def share_evidence(
    name: str,
    claim: str,
    decoded: Decoded,
    target: str,
    metric: str,
    bound: Bound | None,
    published: str = "",
    *,
    varied: str = VARIED,
    source: str = "",
) -> Evidence:
    """The share of the gap from the best null to the ceiling; without a bound, as at size tiny, above zero.

    The null is the untrained network: at 0, or below where another null is better.
    """
    after, before, top = (decoded.values(target, metric, of) for of in (MODEL, UNTRAINED, CEILING))
    ceiling = f"1 ({metric}: trained {after.mean():.4f}, untrained {before.mean():.4f}, ceiling {top.mean():.4f})"
    null, share = gap_closed(before, decoded.null(target, metric)[0], top), decoded.share(target, metric)
    bound = bound or margin("expected at size tiny")
    return Evidence(name, claim, share, bound, published, null, ceiling=ceiling, varied=varied, source=source)


def score_evidence(
    name: str,
    claim: str,
    values: Float[np.ndarray, " seed"],
    null: Float[np.ndarray, " seed"],
    bound: Bound | None,
    published: str = "",
    *,
    ceiling: str = "1",
    varied: str = VARIED,
    source: str = "",
) -> Evidence:
    """A score beside its null; without a bound, as at size tiny, more than the null reaches."""
    above = Bound("expectation", least=float(null.mean()), source="expected at size tiny: above the null", strict=True)
    return Evidence(name, claim, values, bound or above, published, null, ceiling=ceiling, varied=varied, source=source)
