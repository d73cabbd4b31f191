"""If it is in the repository it runs: every docstring's example and every Python block of the derivations."""

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxembed

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(jaxembed.__path__, "jaxembed.") if "__main__" not in module.name
)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{i}")
    for page in sorted((ROOT / "theory").glob("*.md"))
    for i, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]


@pytest.mark.slow
@pytest.mark.float64_only("examples show numbers of float64")
@pytest.mark.parametrize("name", ["jaxembed", *MODULES])
def test_docstring_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples of {name}; see the output above"


def test_there_are_docstring_examples():
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(name) for name in MODULES]
    assert sum(bool(test.examples) for module in modules for test in finder.find(module)) > 20


@pytest.mark.slow
@pytest.mark.float64_only("a page's block chooses its own dtype; once is enough")
@pytest.mark.parametrize("block", BLOCKS)
def test_python_blocks_of_the_derivations(block, tmp_path):
    assert "assert" in block, "a block that asserts nothing checks nothing"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    command = [sys.executable, "-W", "error", "-c", block]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_every_source_is_in_the_bibliography():
    keys = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "theory" / "references.bib").read_text(), re.MULTILINE))
    cited = {
        key.split(";")[0].strip(" .")
        for path in (ROOT / "jaxembed").rglob("*.py")
        for line in re.findall(r"^\s*Source: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        for key in line.split(",")
    }
    assert cited and cited <= keys, f"not in theory/references.bib: {sorted(cited - keys)}"
