"""`jaxembed run` of a setting of generated sequences: train, probe, print the table, keep everything in a folder."""

import shutil
from dataclasses import asdict, make_dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from .flags import parse

if TYPE_CHECKING:
    from ..decoding import DecodingSetting


def run(name: str, arguments: list[str], output: type) -> None:
    """Do `jaxembed run` of a setting with these arguments; `output` holds the flags of the run folder."""
    setting, out = _parsed(name, arguments, output)
    if out.animate:
        raise ValueError("animate: a decoding has no animation; leave --animate out")
    _run(name, setting, out)


def _parsed(name: str, arguments: list[str], output: type) -> tuple[Any, Any]:
    """The setting and the flags of its folder; the defaults of its flags are those of the size that is asked for."""
    from ..runs.presets.catalogue import SETTINGS, find_setting

    sizes = [word for flag, word in pairwise(arguments) if flag == "--size"]
    sizes += [word.split("=", 1)[1] for word in arguments if word.startswith("--size=")]
    size = sizes[-1] if sizes else "quick"
    setting = find_setting(name, size)
    flags, known = setting.flags(), (*SETTINGS[name], *(["full"] if size == "full" else []))
    unnamed = tyro.conf.arg(name="")
    every = [("size", Literal[known], size), ("setting", Annotated[type(flags), unnamed], flags)]
    every.append(("output", Annotated[output, unnamed], output()))
    parsed = parse(
        make_dataclass("Run", every, frozen=True),
        arguments,
        prog=f"jaxembed run {name}",
        description=setting.expect,
        config=(tyro.conf.AvoidSubcommands,),
    )
    return setting.with_flags(parsed.setting), parsed.output


def _run(name: str, setting: "DecodingSetting", output: Any) -> None:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from ..keep import write_arrays, write_text
    from ..machine import GIB
    from ..runs import folder as record

    console = Console()
    out = output.out or Path("runs") / name
    identity = (out, {"setting": asdict(setting)}, record.hashes(()))
    record.check_folder(*identity, overwrite=output.overwrite, resume=output.resume)
    if output.resume and record.finished(out):
        console.print(f"{out} is finished; --overwrite would run it again")
        return
    console.print(f"[bold]{name}[/]: about {setting.memory() / GIB:.2g} GiB of memory; writing to {out}")
    record.begin(*identity, resume=output.resume)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        line = bar.add_task("worlds and networks", total=None)
        keep = out / record.STAGES
        result = setting.result(keep=keep, progress=lambda text, share=None, /: bar.update(line, description=text))
    tables = result.tables()
    for table in tables:
        if not table.name:
            console.print(table.rich())
    write_arrays(out / result.arrays_file, result.arrays())
    write_text(
        out / record.TABLE, f"# {result.title}\n\n{result.caption}\n\n" + "\n".join(t.markdown() for t in tables)
    )
    result.figure(out / "figure.png")
    result.save(out / record.RESULT)
    console.print(f"{result.caption}\n{sum(result.facts.values()):.0f} s; figure, tables and networks are in {out}")
    shutil.rmtree(keep, ignore_errors=True)
