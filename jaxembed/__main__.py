"""The command line: `jaxembed list | run | compare | claims`, generated from the library's own dataclasses."""

import sys
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from .commands.flags import known_word, parse

if TYPE_CHECKING:
    from .runs import AnyExperiment
    from .runs.results import Result


ON_TEXT = {
    "corpus": "text to a memory-mapped corpus of token ids",
    "count": "the pair counts of a corpus",
    "pretrain": "train a decoder on a corpus",
    "align": "do a model's embeddings follow a corpus's signatures?",
    "explain": "one token: its neighbours and what carries them",
    "topics": "do a model's states carry the topics of documents?",
    "words": "word vectors from the pair counts of a text",
    "analogy": "a is to b as c is to what? and the scores of word vectors",
    "senses": "does a model tell the senses of a word apart, and where?",
    "lens": "from vector to next word: what every layer would say",
}
"""Commands on corpora, word vectors and language models, each a file of `commands`."""

SHORT = {"--text": "text"}
"""Flags that have a shorter name: of the task, or of the setting that is solved."""


@dataclass(frozen=True)
class Output:
    """Where the run is written and how."""

    out: Path | None = None
    """Run folder; runs/NAME unless given. A non-empty folder is refused."""
    overwrite: bool = False
    """Replace an earlier run in that folder."""
    resume: bool = False
    """Go on with a stopped run in that folder."""
    animate: bool = False
    """Also write the figure as an animation (GIF)."""


@dataclass(frozen=True)
class Compare:
    """Compare two finished runs: the second as a prediction of the first."""

    reference: tyro.conf.Positional[Path]
    """Folder of the run that counts as what happened."""
    prediction: tyro.conf.Positional[Path]
    """Folder of the run that counts as prediction."""
    trajectory: str = "training"
    """Which trajectory of each: training, "exact flow", "rung 1", ..."""


@dataclass(frozen=True)
class Claims:
    """Run the presets behind every published claim and print the ledger."""

    full: bool = False
    """Also the claims that are too long for the quick set, which takes about ten minutes on two idle cores."""
    id: str | None = None
    """Only this claim."""
    json: Path | None = None
    """Write the ledger to this file too."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point; what a user can mend ends in one line and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _dispatch(arguments)
    except (ValueError, OSError, OverflowError, MemoryError) as error:
        print(f"jaxembed: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        goes_on = arguments[:1] in (["run"], ["pretrain"])
        hint = "the same command with --resume goes on where it was" if goes_on else "the same command starts anew"
        print(f"jaxembed: stopped; {hint}", file=sys.stderr)
        raise SystemExit(130) from None


def _dispatch(arguments: list[str]) -> None:
    commands = {"list": _list, "run": _run, "compare": _compare, "claims": _claims}
    commands |= {name: partial(_file_of, name) for name in ON_TEXT}
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        print(
            "\n  jaxembed list                  the named experiments\n  jaxembed run NAME [flags]      carry one out"
        )
        print("  jaxembed compare RUN_A RUN_B   two finished runs\n  jaxembed claims                the ledger")
        print("\non corpora, word vectors and language models:")
        for name, does in ON_TEXT.items():
            print(f"  jaxembed {name:21} {does}")
        print("\nEvery command takes --help.")
        return
    commands[known_word(arguments[0], list(commands), "command")](arguments[1:])


def _file_of(name: str, arguments: list[str]) -> None:
    import_module(f".commands.{name}", __package__).run(arguments)


def _list(arguments: list[str]) -> None:
    from rich.console import Console
    from rich.table import Table

    from .runs.presets.named import GENERATED, PRESETS

    parse(_Nothing, arguments, prog="jaxembed list", description="List the named experiments.")
    table = Table("name", "task", "model", "what to expect")
    for name, preset in PRESETS.items():
        table.add_row(name, *_subject(preset.experiment), preset.expect)
    for name, preset in GENERATED.items():
        table.add_row(name, preset.process, preset.model, preset.expect)
    Console().print(table)


def _subject(experiment: "AnyExperiment") -> tuple[str, str]:
    from .runs import Solved

    if isinstance(experiment, Solved):
        return type(experiment.setting).__name__, "closed form"
    return type(experiment.task).__name__, type(experiment.model).__name__


def _run(arguments: list[str]) -> None:
    from .runs.presets.named import GENERATED, PRESETS

    names = [*PRESETS, *GENERATED]
    if not arguments:
        raise ValueError(f"run: which experiment? name one of {', '.join(names)}")
    if arguments[0] in ("-h", "--help"):
        print("jaxembed run NAME [flags]; `jaxembed run NAME --help` lists the flags. Names:", ", ".join(names))
        return
    name = known_word(arguments[0], names, "experiment")
    _in_dtype("float64")  # settings are checked in full precision, whatever the run computes in
    if name in GENERATED:  # networks train in float32 all the same; posteriors are exact
        from .commands import generated

        generated.run(name, arguments[1:], Output)
        return
    experiment, output = _parsed(name, arguments[1:])
    _in_dtype(experiment.dtype)
    _carry_out(name, experiment, output)


def _parsed(name: str, arguments: list[str]) -> "tuple[AnyExperiment, Output]":
    """The preset's experiment with the flags' changes; unknown flags are refused with a suggestion."""
    from .runs.presets.named import PRESETS

    preset = PRESETS[name]
    kind = type(preset.experiment)

    @dataclass(frozen=True)
    class Run:
        experiment: Annotated[kind, tyro.conf.arg(name="")]  # pyright: ignore[reportInvalidTypeForm]
        output: Annotated[Output, tyro.conf.arg(name="")] = field(default_factory=Output)

    parsed = parse(
        Run,
        [_long(word, "setting" if hasattr(preset.experiment, "setting") else "task") for word in arguments],
        prog=f"jaxembed run {name}",
        description=preset.expect,
        default=Run(preset.experiment),
        config=(tyro.conf.AvoidSubcommands,),
    )
    return parsed.experiment, parsed.output


def _long(word: str, room: str) -> str:
    flag = word.split("=")[0]
    return word.replace(flag, f"--{room}.{SHORT[flag]}", 1) if flag in SHORT else word


def _in_dtype(dtype: str) -> None:
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")


def _carry_out(name: str, experiment: "AnyExperiment", output: Output) -> None:
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from .machine import GIB
    from .runs import data_of, memory_estimate, run, stage_count
    from .runs import folder as record

    console = Console()
    out = output.out or Path("runs") / name
    identity = (out, asdict(experiment), record.hashes(data_of(experiment)))
    record.check_folder(*identity, overwrite=output.overwrite, resume=output.resume)
    if output.resume and record.finished(out):
        console.print(f"{out} is finished; --overwrite would run it again")
        return
    memory = memory_estimate(experiment) / GIB
    _refuse_too_large(memory)
    console.print(f"[bold]{name}[/]: about {memory:.2g} GiB of memory; writing to {out}")
    columns = (SpinnerColumn(), TextColumn("{task.completed}/{task.total} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        shown = bar.add_task("data and signatures", total=stage_count(experiment))

        def on_stage(stage: str, cached: bool) -> None:
            bar.update(shown, advance=1, description=stage + (" (kept)" if cached else ""))

        stages = record.FolderStages(out, on_stage, partial(record.begin, *identity, resume=output.resume))
        result = run(experiment, stages)
    record.write_result(out, result)
    _report(result, out, output.animate, console)
    stages.clear()


def _refuse_too_large(memory: float) -> None:
    from .machine import GIB, device_memory

    there = device_memory() / GIB
    if memory > there:
        raise ValueError(
            f"seeds, saves, task: need about {memory:.3g} GiB and this machine has {there:.3g}; ask for less"
        )


def _report(result: "Result", out: Path, animate: bool, console) -> None:
    from .runs import report

    for table in report.tables(result):
        console.print(table)
    (out / "report.md").write_text(report.markdown(result), encoding="utf-8")
    report.figure(result, out / "figure.png")
    if animate:
        report.animate(result, out / "figure.gif")
    console.print(result.caption)
    console.print(f"{result.facts['seconds']:.0f} s; figure, tables and arrays are in {out}")


def _compare(arguments: list[str]) -> None:
    import jax

    from .compare import compare
    from .observables import cosine
    from .runs import folder as record

    command = parse(Compare, arguments, prog="jaxembed compare")
    jax.config.update("jax_enable_x64", True)
    (reference, names), (prediction, others) = (
        record.read_trajectory(folder, command.trajectory) for folder in (command.reference, command.prediction)
    )
    if names != others:
        raise ValueError(f"{command.prediction}: shows other tokens than {command.reference}; run the same task twice")
    seeds = min(reference.ts.shape[0], prediction.ts.shape[0])
    for seed in range(seeds):
        one, other = (jax.tree.map(lambda leaf, seed=seed: leaf[seed], line) for line in (reference, prediction))
        print(f"seed {seed} of {seeds}: cosines of {len(names)} tokens, {command.trajectory}")
        print(compare(one, other, lambda state: cosine(state["embed"])).table())


def _claims(arguments: list[str]) -> None:
    from .claims import print_ledger

    command = parse(Claims, arguments, prog="jaxembed claims")
    print_ledger(full=command.full, only=command.id, json_file=command.json)


@dataclass(frozen=True)
class _Nothing:
    pass


if __name__ == "__main__":
    main()
