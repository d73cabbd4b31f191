"""`jaxembed run`: a preset, or an experiment of your own from a file, with all its settings as flags.

The way from the words to the picture, measured by `benchmarks/house.py`:

| file | what it does | the value is then |
| --- | --- | --- |
| `__main__` | finds the command | words |
| `commands/run` | looks the experiment up and sets its flags | `Experiment` |
| `commands/printing` | parses the flags; shows progress, tables and where everything is | |
| `runs/folder` | refuses or begins the folder, keeps the stages, writes everything | |
| `runs/experiment` | data, signatures, start and clock | `Dataset` |
| `runs/lines` | training, exact flow, theories | `Trajectory` |
| `runs/observed` | the tokens observed, agreement with signatures | `Agreement` |
| `runs/result` | compares, tabulates, draws | `Comparison`, `ExperimentResult`, `Table` |
"""

import sys
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from .printing import known_word, parse, say, show, shown_progress

if TYPE_CHECKING:
    from ..runs.presets.named import Preset

SHORT = {"--text": "text"}
"""Flags that have a shorter name: of the task, or of the setting that is solved."""


def run(arguments: list[str]) -> None:
    """Run an experiment with these arguments."""
    from ..runs.presets.named import PRESETS

    if not arguments:
        raise ValueError(f"run: which experiment? name one of {', '.join(PRESETS)}, or FILE.py:NAME of your own")
    if arguments[0] in ("-h", "--help"):
        print("jaxembed run NAME [flags], or FILE.py:NAME or MODULE:NAME of an experiment of your own")
        print("`jaxembed run NAME --help` lists the flags. Names:", ", ".join(PRESETS))
        return
    _in_dtype("float64")  # settings are checked in full precision, whatever the run computes in
    name, preset = lookup(arguments[0])
    experiment, out, options = parsed(name, preset, arguments[1:])
    _in_dtype(getattr(experiment, "dtype", "float64"))
    _run(name, experiment, out or Path("runs") / name, options)


def lookup(word: str) -> "tuple[str, Preset]":
    """The name and the preset that a word means: one of the table, or an experiment of a module or file.

    Raises:
        ValueError: saying what is there.
    """
    from ..runs.presets.named import PRESETS, Preset

    if ":" not in word:
        return word, PRESETS[known_word(word, list(PRESETS), "experiment")]
    from ..runs import Runnable

    where, _, name = word.rpartition(":")
    module = _module(where)
    named = getattr(module, name, None)
    experiment = getattr(named, "experiment", named)
    if not isinstance(experiment, Runnable):
        there = [
            key for key, value in vars(module).items() if isinstance(value, Runnable) and not isinstance(value, type)
        ]
        raise ValueError(f"{where}: has no experiment {name!r}; it has {', '.join(there) or 'none'}")
    name = f"{where.removesuffix('.py')}.{name}".split("/")[-1]
    return name, named if isinstance(named, Preset) else Preset(experiment, f"An experiment of {where}")


def parsed(name: str, preset: "Preset", arguments: list[str]) -> tuple[Any, Path | None, dict[str, bool]]:
    """The preset's experiment with the flags' changes, its folder and the folder's options.

    Unknown flags are refused with a suggestion.
    """
    experiment, expect = preset.experiment, preset.expect
    if preset.sizes:
        experiment, arguments = _sized(name, preset.sizes, arguments)
        expect = getattr(experiment, "expect", expect)
    flags = experiment.flags() if hasattr(experiment, "flags") else experiment
    unnamed = tyro.conf.arg(name="")

    def command(
        settings: Annotated[type(flags), unnamed] = flags,  # pyright: ignore[reportInvalidTypeForm]
        out: Path | None = None,
        overwrite: bool = False,
        resume: bool = False,
        animate: bool = False,
        sweep: tuple[str, ...] = (),
    ) -> tuple[Any, Path | None, dict[str, bool]]:
        """Settings and folder.

        Args:
            settings: of the experiment.
            out: Run folder; runs/NAME unless given. A non-empty folder is refused.
            overwrite: Replace an earlier run in that folder.
            resume: Go on with a stopped run in that folder.
            animate: Also write the figure as an animation (GIF).
            sweep: Run every combination of values, such as lr=0.1,0.2 init_scale=1e-3,1e-2.
        """
        if sweep:
            settings = _swept(settings, sweep)
        return settings, out, {"overwrite": overwrite, "resume": resume, "animate": animate}

    words = [_long(word, "setting" if hasattr(experiment, "setting") else "task") for word in arguments]
    options = {"prog": f"jaxembed run {name}", "description": expect, "config": (tyro.conf.AvoidSubcommands,)}
    settings, out, of_folder = parse(command, words, **options)
    return settings if flags is experiment else experiment.with_flags(settings), out, of_folder


def _module(where: str) -> Any:
    """A module by its dotted name, seen from here, or by its file."""
    file = Path(where)
    if file.suffix == ".py" and not file.is_file():
        raise ValueError(f"experiment: there is no file {where}")
    folder, name = (file.parent, file.stem) if file.suffix == ".py" else (Path(), where)
    sys.path.insert(0, str(folder.resolve()))
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0]:
            raise
        raise ValueError(f"experiment: there is no module {where} here; name a file, such as {where}.py") from None
    finally:
        sys.path.remove(str(folder.resolve()))
    if file.suffix == ".py" and not file.samefile(module.__file__ or ""):
        raise ValueError(f"experiment: Python has another module of the name {name}; rename {where}")
    return module


def _sized(name: str, sizes: Any, arguments: list[str]) -> tuple[Any, list[str]]:
    """The experiment of the size that is asked for, and the other arguments."""
    from ..runs.presets import of_size

    words = [
        word
        for argument in arguments
        for word in (argument.split("=", 1) if argument.startswith("--size=") else [argument])
    ]
    places = [i for i, (flag, _) in enumerate(pairwise(words)) if flag == "--size"]
    size = words[places[-1] + 1] if places else "quick" if "quick" in sizes else next(iter(sizes))
    return of_size(name, sizes, size), [word for i, word in enumerate(words) if i not in places and i - 1 not in places]


def _swept(settings: Any, words: tuple[str, ...]) -> Any:
    """The settings with the values to combine; a value that is no number is a text."""
    if not hasattr(settings, "sweep"):
        raise ValueError(f"sweep: {type(settings).__name__} has none; leave it out")
    values = {}
    for word in words:
        name, equals, listed = word.partition("=")
        if not (name and equals):
            raise ValueError(f"sweep: needs NAME=VALUE,VALUE, got {word!r}")
        values[name.replace("-", "_")] = [_number(value) for value in listed.split(",")]
    return replace(settings, sweep=values)


def _number(word: str) -> Any:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(word)
    return word


def _long(word: str, room: str) -> str:
    flag = word.split("=")[0]
    return word.replace(flag, f"--{room}.{SHORT[flag]}", 1) if flag in SHORT else word


def _in_dtype(dtype: str) -> None:
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")


def _run(name: str, experiment: Any, out: Path, options: dict[str, bool]) -> None:
    from time import perf_counter

    from rich.console import Console

    from ..runs import run as carry

    console, began, heading = Console(soft_wrap=True), perf_counter(), [name]
    with shown_progress(console) as shown:

        def progress(text: str, share: float | None = None, /) -> None:
            if heading:
                say(console, f"{heading.pop()}: {text}")
            shown(text, share)

        result = carry(experiment, out, **options, progress=progress)
    show(console, (table for table in result.tables() if not table.name))
    say(console, result.caption)
    say(console, f"{perf_counter() - began:.0f} s; figure, tables and arrays are in {out}")
