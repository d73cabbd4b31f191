"""The way of `jaxembed run addition` from the words to the picture: at most 8 files of the upper rooms.

`python tests/runs/test_way.py` prints them in the order in which they are entered. What happens at import, such as
making the table of presets, is not on the way.
"""

import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import jaxembed
import jaxembed.commands.run
import jaxembed.runs.presets.named
from jaxembed.__main__ import main

PACKAGE = Path(jaxembed.__file__).parent
UPPER = ("__main__.py", "commands", "runs")
ADDITION = "addition --task.keys 4 --task.anchors 3 --model.width 4 --seeds 1 --steps 4 --saves 2"


def files_entered(words: str) -> list[str]:
    """Files of the upper rooms whose functions `jaxembed run` with these words calls, in order."""
    entered: dict[str, None] = {}

    def watch(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name != "<module>" and (name := _upper(frame.f_code.co_filename)):
            entered[name] = None

    with tempfile.TemporaryDirectory() as out:
        sys.setprofile(watch)
        try:
            main(["run", *words.split(), "--out", f"{out}/run"])
        finally:
            sys.setprofile(None)
    return list(entered)


@cache
def _upper(file: str) -> str | None:
    """The name of a file in the upper rooms; None for another file."""
    path = Path(file)
    name = path.relative_to(PACKAGE) if path.is_relative_to(PACKAGE) else Path()
    return str(name) if name.parts[:1] and name.parts[0] in UPPER else None


@pytest.mark.slow
def test_the_way_has_at_most_eight_files():
    import jax

    wide = jax.config.jax_enable_x64
    files = files_entered(ADDITION)
    jax.config.update("jax_enable_x64", wide)
    assert len(files) <= 8, files
    way = (PACKAGE / "commands/run.py").read_text(encoding="utf-8").split('"""')[1]
    assert all(name.removesuffix(".py") in way for name in files), files


if __name__ == "__main__":
    print("\n".join(files_entered(ADDITION)))
