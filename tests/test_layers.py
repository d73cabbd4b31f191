"""Dependencies point one way, and `import jaxembed` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxembed

ROOT = Path(jaxembed.__file__).parent
FOUNDATION = {"base"}
LEAVES = {"report", "presets", "claims", "commands", "__main__"}
ALLOWED = {room: FOUNDATION for room in ("tasks", "corpus", "statistics", "models", "observables")}
ALLOWED |= {room: FOUNDATION for room in ("losses", "sequence_loss", "train", "flow", "ensemble", "compare")}
ALLOWED |= {room: FOUNDATION for room in ("processes", "probes", "prediction")}
SIMULATION = {"processes", "models", "probes", "prediction", "train", "ensemble", "observables"}
ALLOWED |= {"latent": FOUNDATION | SIMULATION}
ALLOWED |= {"base": set(), "theory": FOUNDATION | {"statistics"}}
ALLOWED |= {"words": FOUNDATION | {"corpus", "statistics", "models", "observables", "losses", "train", "flow"}}
ALLOWED |= {"language": FOUNDATION | {"corpus", "models", "statistics", "observables", "probes", "words"}}
ALLOWED |= {"record": FOUNDATION | {"compare", "results", "report"}}
ALLOWED |= {"report": FOUNDATION | {"compare", "results", "record"}, "results": FOUNDATION | {"compare"}}
ROOMS = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} - {"__init__"}
ALLOWED |= {room: ROOMS - LEAVES for room in ("experiment", "studies")} | {
    "solved": ROOMS - LEAVES - {"experiment", "studies"}
}


def imported_rooms(path: Path, root: Path = ROOT) -> set[str]:
    """The rooms of ours that a file imports, lazily or not."""
    package, found = ["jaxembed", *path.relative_to(root).parent.parts], set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            whole = [*base, *([node.module] if node.module else [])]
            found |= {".".join([*whole, name.name]) for name in node.names}
    return {name.split(".")[1] for name in found if name.startswith("jaxembed.")} & ROOMS


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_imports_only_what_lies_below_it(room):
    files = [ROOT / f"{room}.py"] if (ROOT / f"{room}.py").exists() else sorted((ROOT / room).rglob("*.py"))
    assert files, f"{room} is gone: take it out of this table"
    for path in files:
        wrong = imported_rooms(path) - ALLOWED[room] - {room}
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}; {room} may import {sorted(ALLOWED[room])}"


def test_every_room_has_a_rule():
    assert set(ALLOWED) | LEAVES >= ROOMS


def test_the_reader_of_imports_sees_every_form(tmp_path):
    file = tmp_path / "theory" / "x.py"
    file.parent.mkdir()
    file.write_text("from .. import models\nfrom ..train import start\ndef f():\n    import jaxembed.flow\n")
    assert imported_rooms(file, tmp_path) == {"models", "train", "flow"}


def test_import_jaxembed_loads_no_drawing_command_line_or_network_library():
    heavy = "matplotlib tyro flax rich torch tokenizers numba dask pyarrow sklearn dynamax gensim"
    code = f"import sys, jaxembed; print(sorted(set('{heavy}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
