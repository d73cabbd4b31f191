"""Dependencies point one way, and `import jaxembed` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxembed

ROOT = Path(jaxembed.__file__).parent
FLOOR = {"base", "machine", "keep", "records", "text"}
DATA = {"tasks", "processes", "corpus", "statistics"}
BELOW = FLOOR | DATA | {"models", "losses", "observables", "probes", "tables"}
EVOLUTION = {"train", "flow", "ensemble", "compare"}
MIDDLE = BELOW | EVOLUTION | {"theory", "words", "language", "decoding"}
ROOMS = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()} - {"__init__"}
ALLOWED = {room: FLOOR for room in (*DATA, "models", "losses", "observables", "probes", *EVOLUTION)}
ALLOWED |= {
    "base": set(),
    "machine": set(),
    "keep": set(),
    "records": set(),
    "text": {"keep"},
    "tables": FLOOR | {"observables"},
}
ALLOWED |= {"theory": FLOOR | {"statistics"}}
ALLOWED |= {"words": BELOW | {"train", "flow"}, "language": BELOW | {"words"}}
ALLOWED |= {"decoding": BELOW | {"train", "ensemble"}}
ALLOWED |= {"analysis": BELOW | {"words", "language"}, "runs": MIDDLE}
ALLOWED |= {
    "studies": MIDDLE | {"analysis", "runs"},
    "ledger": FLOOR | {"claims", "studies", "tables"},
    "claims": set(),
}
ALLOWED |= {"commands": ROOMS - {"studies", "__main__"}, "__main__": ROOMS - {"studies"}}
"""What each room may import; nothing but the ledger imports `studies`."""


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
    assert set(ALLOWED) >= ROOMS


def test_nothing_but_the_ledger_imports_studies():
    inside = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in ("studies", "__init__.py")]
    found = sorted(str(path.relative_to(ROOT)) for path in inside if "studies" in imported_rooms(path))
    assert found == ["ledger.py"]


def test_the_reader_of_imports_sees_every_form(tmp_path):
    file = tmp_path / "theory" / "x.py"
    file.parent.mkdir()
    file.write_text("from .. import models\nfrom ..train import start\ndef f():\n    import jaxembed.flow\n")
    assert imported_rooms(file, tmp_path) == {"models", "train", "flow"}


def test_import_jaxembed_loads_no_numerical_drawing_command_line_or_network_library():
    heavy = "jax numpy matplotlib tyro flax rich torch tokenizers numba dask pyarrow sklearn dynamax gensim"
    code = f"import sys, jaxembed; print(sorted(set('{heavy}'.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"


def test_a_verb_stands_in_front_of_the_module_of_its_name():
    code = "import jaxembed.train, jaxembed as je; print(callable(je.train), callable(je.compare), je.train.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["True", "True", "train"]
