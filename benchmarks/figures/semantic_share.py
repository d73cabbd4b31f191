"""Topics amid grammar: how well the mixture of a document is read, by the share of semantic words.

`python benchmarks/figures/semantic_share.py` trains on documents whose words come from topics or from three classes of
a hidden Markov chain (200 words, 3 seeds; about 8 minutes on one core), writes table and figure, and exits non-zero
where a figure falls short; `--size tiny` takes seconds, `--size full` the published length (hours).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from _drawing import COLOURS, plt, save
from _generated import note_on, stamped_markdown, study_arguments
from common import finish, show

from jaxembed.studies.sequences.semantic_share import HEADER, PUBLISHED, SemanticShareStudy, semantic_share

CURVES = {
    "ceiling": ("black", "ceiling: posterior mean, parameters known"),
    "model": (COLOURS[0], "network"),
    "untrained": (COLOURS[3], "untrained network"),
    "last item": (COLOURS[4], "last word alone"),
    "shuffled targets": ("#999999", "shuffled targets"),
    "constant": ("#cccccc", "constant"),
}


def main() -> None:
    args = study_arguments(__doc__.splitlines()[0])
    seeds = {"tiny": 2, "quick": 3, "full": 5}[args.study]
    result = semantic_share(args.study, seeds, args.keep, lambda line: print(line, flush=True))
    show("the mixture of a document, 95 % intervals over seeds (network, world, documents)", HEADER, result.rows())
    note = note_on(args.study, seeds, result.setting)
    stamped_markdown(args.out / f"semantic_share{args.suffix}.md", HEADER, result.rows(), args.command, note)
    draw(result, args.out / f"semantic_share{args.suffix}.png", note)
    finish("semantic share", result.checks())


def draw(result: SemanticShareStudy, path: Path, note: str) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.06, 1, 0.94))
    shares = sorted(result.found)
    for panel, metric in zip(axes, ("accuracy", "L2"), strict=True):
        for source, (colour, label) in CURVES.items():
            values = np.array([result.values(share, source, metric) for share in shares])
            panel.plot(shares, values.mean(axis=1), "o-", color=colour, label=label, linewidth=1.5, markersize=4)
            panel.fill_between(shares, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.2, linewidth=0)
        panel.axvline(PUBLISHED, color="grey", linestyle=":", label="recoverable from here on, as published")
        panel.set(xlabel="share of semantic words", title=f"{metric} against the generating mixture")
        panel.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    save(figure, path, f"{note}; lines: mean, bands: smallest to largest seed.")


if __name__ == "__main__":
    main()
