"""The notebooks run from top to bottom, and the committed outputs are those of the committed text.

A notebook is a jupytext percent script (the text to edit) and the .ipynb beside it (the same cells,
with outputs, for readers on the web). Write the second again after changing the first:

    .venv/bin/python tests/project/test_notebooks.py
"""

import os
import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
MAX_BYTES = 400_000
#: rows of the simulated training table in the test: enough for one labelled row in every stratum
TEST_ROWS = "600"
#: a line that each notebook must come to: the first one says that it has no store
SAYS = {
    "01_priors_on_simulated_spectra": "no complete runs yet",
    "02_from_runs_to_a_decision": "version 1 is the champion; decision: ",
    "03_rna_structures": "version 1 is the champion; decision: ",
}
# a folder of whoever executed the notebook has no place in what others read
MACHINE_PATH = re.compile(r"(?<![\w.])/(home|root|tmp|work|Users|var|opt|mnt)/")


def execute(script: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with outputs, run in `folder` by a kernel of this environment."""
    notebook = jupytext.read(script)
    client = NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "src"),
            "PYTHONWARNINGS": "ignore:IProgress not found",  # there are no widgets here
        }
    )
    return notebook


def text_of(output: nbformat.NotebookNode) -> str:
    data = {k: v for k, v in output.get("data", {}).items() if k.startswith("text/")}
    return "\n".join([output.get("text", ""), *map(str, data.values())])


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [out for cell in notebook.cells for out in cell.get("outputs", [])]


def source(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]


def test_there_is_a_notebook():
    assert SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(script, tmp_path, monkeypatch):
    monkeypatch.setenv("PRIORWISE_NOTEBOOK_ROWS", TEST_ROWS)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    notebook = execute(script, tmp_path)  # raises CellExecutionError if a cell does
    shown = "\n".join(text_of(out) for out in outputs(notebook))
    assert SAYS[script.stem] in shown
    assert sum("image/png" in out.get("data", {}) for out in outputs(notebook)) >= 2


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_committed_outputs_belong_to_the_committed_text(script):
    committed = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(committed)
    assert source(committed) == source(jupytext.read(script)), f"run: python {__file__}"
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [out for out in outputs(committed) if out.output_type == "error"]
    assert not [out for out in outputs(committed) if out.get("name") == "stderr"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_committed_outputs_are_small_and_name_no_machine(script):
    file = script.with_suffix(".ipynb")
    assert file.stat().st_size < MAX_BYTES
    committed = nbformat.read(file, as_version=4)
    shown = "\n".join(text_of(out) for out in outputs(committed))
    assert not MACHINE_PATH.search(shown)


def write_all() -> None:
    """Execute every notebook at full size, without a tracking store, and write the .ipynb."""
    import tempfile

    os.environ.pop("MLFLOW_TRACKING_URI", None)
    os.environ.pop("PRIORWISE_NOTEBOOK_ROWS", None)
    for script in SCRIPTS:
        with tempfile.TemporaryDirectory() as folder:
            notebook = execute(script, Path(folder))
        for cell in notebook.cells:
            cell.get("metadata", {}).pop("execution", None)  # when: differs at every run
        # the same text at every run: cell ids are random
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number:02d}"
        nbformat.write(notebook, script.with_suffix(".ipynb"))
        print(f"wrote {script.with_suffix('.ipynb').name}")


if __name__ == "__main__":
    write_all()
