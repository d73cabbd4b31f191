"""The house in numbers: how large the rooms are, who imports whom, how long the way from a command to its picture is.

`python benchmarks/house.py` reads the code, carries out two small presets to see which files they enter, prints every
figure beside the bound the design sets, and leaves with 1 where one that is enforced falls short. About a minute.
"""

import ast
import contextlib
import inspect
import io
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import jax
from common import Check, finish

import jaxembed
import jaxembed.commands.run
import jaxembed.runs.presets.named  # making the table of presets is not on the way
from jaxembed.__main__ import main as command_line
from jaxembed.studies import REGISTRY, study

PACKAGE = Path(jaxembed.__file__).parent
PROJECT = Path(__file__).parents[1]
UPPER = ("__main__", "commands", "runs")
"""Rooms that carry a command to its picture; what lies below is the library that they use."""
FORMS = (*UPPER, "decoding", "compare", "base", "tables")
"""Rooms whose classes count as forms of the value on that way."""
ADDITION = "addition --task.keys 4 --task.anchors 3 --model.width 4 --seeds 1 --steps 4 --saves 2"
HMM = "hmm --size tiny --seeds 1 --steps 4 --save-steps 2 --probing.train 64 --probing.validation 32 --probing.test 32"
LATER = "the plan's size is not reached yet"
NUMBERS = re.compile(
    r"^(float|int|Any|Values|Number|Summary|np\.ndarray|Array|(Float|Int)\[.*|tuple\[float.*)( \| .*)?$"
)


def sources(*rooms: str) -> Iterator[tuple[Path, ast.Module]]:
    """Every file of the package, or of some rooms, parsed."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if not rooms or room_of(path) in rooms:
            yield path.relative_to(PACKAGE), ast.parse(path.read_text(encoding="utf-8"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def lines_by_room() -> Counter[str]:
    """Lines of every room."""
    found: Counter[str] = Counter()
    for path in PACKAGE.rglob("*.py"):
        found[room_of(path)] += len(path.read_text(encoding="utf-8").splitlines())
    return found


def imports_of(tree: ast.Module, path: Path) -> Iterator[str]:
    """Modules of ours that a file imports, as dotted names below the package."""
    package = list(path.parent.parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = (node.module or "").removeprefix("jaxembed").lstrip(".")
            for name in node.names:
                yield ".".join([*base, *([module] if module else []), name.name])


def importers(*rooms: str, of: tuple[str, ...]) -> list[str]:
    """Files of some rooms that import others."""
    every = ((path, {name.split(".")[0] for name in imports_of(tree, path)}) for path, tree in sources(*rooms))
    return [str(path) for path, names in every if names & set(of)]


def shared_class_names() -> list[str]:
    """Public class names that stand for more than one thing."""
    found = Counter(
        node.name
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    return sorted(name for name, count in found.items() if count > 1)


def functions(*rooms: str, but: tuple[str, ...] = ()) -> Iterator[tuple[Path, ast.FunctionDef]]:
    for path, tree in sources(*rooms):
        if str(path) not in but:
            yield from ((path, node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def number_formatters() -> list[str]:
    """Functions outside `tables` and `text` that only turn numbers into text, with digits of their own choice."""
    return [f"{path}:{node.name}" for path, node in functions(but=("tables.py", "text.py")) if formats_numbers(node)]


def formats_numbers(node: ast.FunctionDef) -> bool:
    arguments = [argument for argument in node.args.args if argument.arg != "self"]
    kinds = [ast.unparse(argument.annotation) if argument.annotation else "" for argument in arguments]
    text = node.returns is not None and ast.unparse(node.returns) == "str"
    rounds = any(isinstance(part, ast.FormattedValue) and rounding(part.format_spec) for part in ast.walk(node))
    return text and rounds and bool(kinds) and all(NUMBERS.match(kind.strip("'\"")) for kind in kinds)


def rounding(spec: ast.expr | None) -> bool:
    """Whether a format decides how many digits a reader gets, as ".2f" does.

    "g" writes a setting as it was given, and "05d" counts files in the order of their names.
    """
    parts = spec.values if isinstance(spec, ast.JoinedStr) else []
    return any("." in str(part.value) if isinstance(part, ast.Constant) else True for part in parts)


def table_makers() -> list[str]:
    """Functions outside `tables` that write a markdown table or build one for the terminal."""
    found = []
    for path, node in functions(but=("tables.py", "text.py")):
        constants = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}
        imports = {part.module for part in ast.walk(node) if isinstance(part, ast.ImportFrom)}
        if constants & {"---", "| --- |", " --- |"} or "rich.table" in imports:
            found.append(f"{path}:{node.name}")
    return found


def atomic_writers() -> list[str]:
    """Functions that move a finished file or folder into its place."""
    found = []
    for path, node in functions():
        for call in (part for part in ast.walk(node) if isinstance(part, ast.Call)):
            if not isinstance(call.func, ast.Attribute):
                continue
            on_os = isinstance(call.func.value, ast.Name) and call.func.value.id in ("os", "shutil")
            moves = on_os and call.func.attr in ("replace", "rename", "move")
            by_path = call.func.attr in ("replace", "rename") and len(call.args) == 1 and not call.keywords
            if moves or (by_path and not on_os):
                found.append(f"{path}:{node.name}")
    return sorted(set(found))


def crossing_functions() -> list[str]:
    """Functions that find by themselves when a curve first reaches a level; formulas of theory are none."""
    named = re.compile(
        r"^_?(crossing|crossings|crossed|first_(at|fall|rise|time|crossing)|half_(rise|fall|of_maximum)s?)$"
    )
    found = []
    for path, node in functions():
        calls = {
            part.func.id for part in ast.walk(node) if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)
        }
        if named.match(node.name) and path.parts[0] != "theory" and not calls & {"crossing", "crossings"}:
            found.append(f"{path}:{node.name}")
    return found


def way(words: str) -> tuple[list[str], list[str]]:
    """Files of the upper rooms that a run enters, and classes of ours that its value takes on the way."""
    files: dict[str, None] = {}
    forms: dict[str, None] = {}

    def watch(frame: Any, event: str, _: Any) -> None:
        code = frame.f_code
        if code.co_name == "__init__":
            kind = type(frame.f_locals.get("self"))
            module = kind.__module__.split(".")
            if module[0] == "jaxembed" and len(module) > 1 and module[1] in FORMS and not kind.__name__.startswith("_"):
                forms[kind.__name__] = None
        elif code.co_name != "<module>" and (name := upper_file(code.co_filename)):
            files[name] = None

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        sys.settrace(watch)
        try:
            command_line(["run", *words.split(), "--out", f"{folder}/run"])
        finally:
            sys.settrace(None)
    return list(files), list(forms)


@cache
def upper_file(file: str) -> str | None:
    """The name of a file in the upper rooms; None for another file."""
    path = Path(file)
    return str(path.relative_to(PACKAGE)) if path.is_relative_to(PACKAGE) and room_of(path) in UPPER else None


def own_question_lines() -> int:
    """Lines of the README's block in which a user's own task, model and theory are run."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## Your own question.*?```python\n(.*?)```", text, re.DOTALL)
    return len([line for line in block.group(1).splitlines() if line.strip()]) if block else 10**6


def check(
    name: str, got: int | float, most: float, shown: str = "", detail: list[str] | None = None, unenforced: str = ""
) -> Check:
    text = (shown or f"{got:,}") + (f": {', '.join(detail)}" if detail else "")
    return Check(name, f"<= {most:g}" if most else "0", text, got <= most, unenforced)


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    rooms = lines_by_room()
    total, (biggest, size) = sum(rooms.values()), rooms.most_common(1)[0]
    share = f"{size / total:.1%} ({biggest}, {size:,} lines)"
    into = importers("commands", "analysis", "runs", of=("studies",))
    shared, numbers, makers = shared_class_names(), number_formatters(), table_makers()
    orders = {tuple(inspect.signature(study(name).run).parameters) for name in REGISTRY}
    files, forms = way(ADDITION)
    other, _ = way(HMM)
    systems = sorted({Path(path).parts[0] for path in other if Path(path).parts[0] in ("runs", "decoding")})
    climbs = importers("decoding", of=("runs", "commands", "studies"))
    studies = [study(name) for name in REGISTRY]
    beyond, claims = sum(len(s.beyond_tiny) for s in studies), sum(len(s.ids) for s in studies)
    silent = [s.name for s in studies if set(s.ids) <= set(s.beyond_tiny)]
    named = {path.stem for path in (PACKAGE / "studies").rglob("*.py")
             if "STUDY = Study(" in path.read_text(encoding="utf-8")}  # fmt: skip
    unregistered = sorted(named - {name.rsplit(".", 1)[-1] for name in REGISTRY})
    finish(
        "the house",
        [
            check("lines of jaxembed/", total, 44_000, unenforced=LATER),
            check("share of the biggest room", size / total, 0.28, share, unenforced=LATER),
            check("arrows from commands, analysis and runs into studies", len(into), 0, detail=into),
            check("class names that stand for more than one thing", len(shared), 5, detail=shared),
            check("orders of arguments of study entry points", len(orders), 1, detail=[str(x) for x in orders]),
            check("files of the upper rooms on the way of `run addition`", len(files), 8, detail=files),
            check("forms of the value on the way of `run addition`", len(forms), 8, detail=forms),
            check("run systems on the way of `run hmm`", len(systems), 1, detail=systems),
            check("climbs from decoding to what lies above it", len(climbs), 0, detail=climbs),
            check("functions outside tables that write numbers", len(numbers), 0, detail=numbers),
            check("functions outside tables that make tables", len(makers), 0, detail=makers),
            check("files that move what is written into place", *atomic(), detail=atomic_writers()),
            check("functions that find a first crossing", len(crossing_functions()), 2, detail=crossing_functions()),
            check("studies whose evidence no test applies to a tiny result", len(unregistered), 0, detail=unregistered),
            check("studies without any claim that a tiny result speaks to", len(silent), 0, detail=silent),
            Check("claims at settings that no tiny result has", "", f"{beyond} of {claims}", True, "for information"),
            check("lines of a user's own task, model and theory", own_question_lines(), 40),
        ],
    )


def atomic() -> tuple[int, int]:
    return len({place.split(":")[0] for place in atomic_writers()}), 1


if __name__ == "__main__":
    main()
