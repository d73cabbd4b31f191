"""`jaxembed run` of a setting of generated sequences: train, probe, print the table, keep everything in a folder."""

import shutil
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from .flags import parse

if TYPE_CHECKING:
    from ..runs.generated import Latent


def run(name: str, arguments: list[str], output: type) -> None:
    """Carry out `jaxembed run` of a setting with these arguments; `output` holds the flags of the run folder."""
    from ..runs.generated import of_flags

    found, out = _parsed(name, arguments, output)
    if out.animate:
        raise ValueError("animate: a decoding has no animation; leave --animate out")
    _carry_out(of_flags(name, found), out)


def _parsed(name: str, arguments: list[str], output: type) -> tuple[Any, Any]:
    """The flags; their defaults are those of the size that is asked for."""
    from dataclasses import make_dataclass
    from typing import Annotated

    from ..runs.generated import flags
    from ..runs.presets.catalogue import SETTINGS

    sizes = [word for flag, word in pairwise(arguments) if flag == "--size"]
    sizes += [word.split("=", 1)[1] for word in arguments if word.startswith("--size=")]
    default = flags(name, sizes[-1] if sizes else "quick")
    kinds = {"setting": (type(default), default), "output": (output, output())}
    every = [(key, Annotated[kind, tyro.conf.arg(name="")], value) for key, (kind, value) in kinds.items()]
    parsed = parse(
        make_dataclass("Run", every, frozen=True),
        arguments,
        prog=f"jaxembed run {name}",
        description=SETTINGS[name][default.size].expect,
        config=(tyro.conf.AvoidSubcommands,),
    )
    return parsed.setting, parsed.output


def _carry_out(experiment: "Latent", output: Any) -> None:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from ..machine import GIB
    from ..runs import folder as record
    from ..runs.generated import memory_estimate
    from ..runs.generated import run as computed

    console = Console()
    out = output.out or Path("runs") / experiment.name
    identity = (out, experiment.plain(), record.hashes(()))
    record.check_folder(*identity, overwrite=output.overwrite, resume=output.resume)
    if output.resume and record.finished(out):
        console.print(f"{out} is finished; --overwrite would run it again")
        return
    memory = memory_estimate(experiment) / GIB
    console.print(f"[bold]{experiment.name}[/]: about {memory:.2g} GiB of memory; writing to {out}")
    record.begin(*identity, resume=output.resume)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        line = bar.add_task("worlds and networks", total=None)
        result, trained = computed(experiment, out / record.STAGES, lambda text: bar.update(line, description=text))
    _report(experiment, result, trained, out, console)
    shutil.rmtree(out / record.STAGES, ignore_errors=True)


def _report(experiment: "Latent", result: Any, trained: Any, out: Path, console: Any) -> None:
    from ..runs import folder as record
    from ..runs import report
    from ..runs.generated import arrays, shown

    found = shown(experiment, result)
    console.print(report.decoding_table(found))
    for line in found.lines:
        console.print(line)
    record.write_arrays(out / record.NETWORKS, arrays(trained))
    (out / record.TABLE).write_text(report.decoding_markdown(found), encoding="utf-8")
    report.decoding_figure(found, out / "figure.png")
    result.save(out / record.RESULT)
    console.print(found.caption)
    seconds = sum(result.seconds.values())
    console.print(f"{seconds:.0f} s; figure, table, scores and networks are in {out}")
