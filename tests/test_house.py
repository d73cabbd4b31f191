"""What `benchmarks/house.py` measures: the way of a run, functions that write numbers, and which figures decide."""

import ast
import importlib.util
from pathlib import Path

import pytest

import jaxembed

HOUSE = Path(__file__).parents[1] / "benchmarks" / "house.py"


@pytest.fixture(scope="module")
def house():
    spec = importlib.util.spec_from_file_location("house", HOUSE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_way_has_at_most_eight_files_and_as_many_forms(house):
    import jax

    wide = jax.config.jax_enable_x64
    files, forms = house.way(house.ADDITION)
    jax.config.update("jax_enable_x64", wide)
    assert 4 < len(files) <= 8 and 4 < len(forms) <= 8, (files, forms)
    way = (Path(jaxembed.__file__).parent / "commands/run.py").read_text(encoding="utf-8").split('"""')[1]
    assert all(name.removesuffix(".py") in way for name in files), files


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        ("def f(x: float) -> str: return f'{x:.2f}'", True),
        ("def f(self, x: np.ndarray) -> str: return f'sd {x.std():.1e}'", True),
        ("def f(x: float) -> str: return f'{x:{SPEC}}'", True),
        ("def f(i: int, n: int) -> str: return f'{i:05d}-of-{n:05d}'", False),
        ("def f(x: float) -> str: return f'-{x:g}'", False),
        ("def f(x: float) -> str: return number(x, '.2f')", False),
        ("def f(x: float, name: str) -> str: return f'{name} {x:.2f}'", False),
        ("def f(x: float) -> float: return float(f'{x:.2f}')", False),
    ],
)
def test_functions_that_choose_the_digits_of_numbers_are_found(house, text, writes):
    assert house.formats_numbers(ast.parse(text).body[0]) == writes


def test_only_enforced_figures_decide_the_exit_code(house, capsys):
    good, bad = house.check("good", 1, 2), house.check("bad", 3, 2)
    late = house.check("late", 3, 2, unenforced="not yet")
    for checks, code in (([good, late], 0), ([good, bad, late], 1)):
        with pytest.raises(SystemExit) as stop:
            house.finish("title", checks)
        assert stop.value.code == code
        assert "SHORT, not enforced: not yet" in capsys.readouterr().out
