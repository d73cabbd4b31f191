"""Run notebooks from start to end; an error in any cell is an error here.

python notebooks/execute.py [--write] [names]

Each runs in a fresh kernel of this Python. With --write the outputs are kept in the files, without times and paths.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).parent
LARGEST = 300_000
"""Bytes a notebook may have with its outputs."""


class ThisPython(AsyncKernelManager):
    """Kernels of the running interpreter, whatever kernels are registered on the machine."""

    @property
    def kernel_spec(self) -> KernelSpec:
        arguments = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=arguments, display_name="Python 3", language="python")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="keep the outputs in the files")
    parser.add_argument("names", nargs="*", help="notebooks to run, for example 001_addition; all by default")
    arguments = parser.parse_args()
    failed = [path.name for path in chosen(arguments.names) if not executed(path, arguments.write)]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    raise SystemExit(1 if failed else 0)


def chosen(names: list[str]) -> list[Path]:
    """The notebooks named, by file name or its beginning, in reading order."""
    every = sorted(FOLDER.glob("[0-9]*.ipynb"))
    unknown = [name for name in names if not any(path.name.startswith(Path(name).name) for path in every)]
    if unknown or not every:
        known = ", ".join(path.stem for path in every)
        print(f"names: no notebook {', '.join(unknown)}; choose from {known}", file=sys.stderr)
        raise SystemExit(2)
    return [path for path in every if not names or any(path.name.startswith(Path(name).name) for name in names)]


def executed(path: Path, write: bool) -> bool:
    notebook = nbformat.read(path, as_version=4)
    began, here = time.perf_counter(), {"metadata": {"path": str(FOLDER)}}
    client = NotebookClient(notebook, kernel_manager_class=ThisPython, timeout=600, resources=here)
    try:
        client.execute()
    except CellExecutionError as error:
        print(f"{path.name}: {error}", file=sys.stderr)
        return False
    size = len(json.dumps(cleaned(notebook)))
    print(f"{path.name}: {time.perf_counter() - began:.0f} s, {size / 1000:.0f} kB with its outputs")
    if size > LARGEST:
        print(f"{path.name}: larger than {LARGEST / 1000:.0f} kB; draw at a lower resolution", file=sys.stderr)
        return False
    if write:
        nbformat.write(notebook, path)
    return True


def cleaned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Without what differs between machines and runs but says nothing: times, kernel and warnings on stderr."""
    language = {"name": "python"}
    notebook.metadata = nbformat.NotebookNode(kernelspec=_kernel(), language_info=nbformat.NotebookNode(language))
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def _kernel() -> nbformat.NotebookNode:
    return nbformat.NotebookNode(display_name="Python 3", language="python", name="python3")


if __name__ == "__main__":
    main()
