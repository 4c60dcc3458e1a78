"""Models that do not work alone are found out before they are registered."""

import json
import shutil

import pytest
import yaml
from tests.rna import tiny_network
from tests.serving.conftest import network_folder

from priorwise.errors import BadInput
from priorwise.serving import fresh_process
from priorwise.serving.fresh_process import works_alone
from priorwise.serving.rna_package import RNA


@pytest.fixture
def model(pyfunc, tmp_path):
    """A copy of the tiny model, to be spoilt."""
    return shutil.copytree(pyfunc, tmp_path / "model")


def entry(model):
    return model / "model_code.py"


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_good_model(model, monkeypatch, tmp_path):
    before = contents(model)
    # what it must do without
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "torch.py").write_text("raise ImportError('not the real torch')")
    monkeypatch.chdir(tmp_path)
    said = works_alone(model)
    assert said.startswith("loads and predicts in a fresh process (2 rows, at most ")
    assert contents(model) == before, "nothing is written where the model lies"


def test_code_that_fails(model):
    entry(model).write_text("raise RuntimeError('out of order')")
    with pytest.raises(
        BadInput,
        match=r"does not load or predict .* code from model/model_code.py. Error: out of order",
    ):
        works_alone(model)


def test_code_that_needs_what_is_not_shipped(model):
    text = entry(model).read_text()
    entry(model).write_text("from priorwise.store.tables import open_pinned\n" + text)
    with pytest.raises(BadInput, match="No module named 'priorwise.store'"):
        works_alone(model)


def test_code_that_asks_for_pickle(model):
    text = entry(model).read_text()
    # as MLflow's own check does
    entry(model).write_text(
        "from mlflow.environment_variables import MLFLOW_ALLOW_PICKLE_DESERIALIZATION as allowed\n"
        "assert allowed.get() is True, 'pickle is forbidden'\n" + text
    )
    with pytest.raises(BadInput, match="pickle is forbidden"):
        works_alone(model)


def test_an_answer_that_is_not_that_of_the_weights(model, tmp_path):
    code = model / "code" / "priorwise" / "serving" / "spectra_pyfunc.py"
    text = code.read_text()
    assert '"probability": probability,' in text
    code.write_text(text.replace('"probability": probability,', '"probability": probability / 2,'))
    with pytest.raises(BadInput, match="probability is not that of its weights: 0"):
        works_alone(model)


def test_an_answer_that_is_no_number(model):
    code = model / "code" / "priorwise" / "serving" / "spectra_pyfunc.py"
    text = code.read_text()
    code.write_text(text.replace('"probability": probability,', '"probability": np.nan,'))
    with pytest.raises(BadInput, match="probability is not that of its weights: None instead of 0"):
        works_alone(model)


def test_a_model_that_hangs(model):
    entry(model).write_text("import time\ntime.sleep(600)")
    with pytest.raises(BadInput, match="did not answer within 1 s"):
        works_alone(model, limit=1)


def test_a_process_that_dies_silently(model):
    entry(model).write_text("import os\nos._exit(7)")
    with pytest.raises(BadInput, match=r"\(exit 7\): "):
        works_alone(model)


@pytest.mark.parametrize("name", ["MLmodel", "input_example.json", "artifacts/network/model.json",
                                  "artifacts/network/model.safetensors"])  # fmt: skip
@pytest.mark.parametrize("how", ["gone", "garbage"])
def test_files_gone_or_damaged(model, name, how, monkeypatch):
    monkeypatch.setattr(fresh_process, "_ask", lambda *_: pytest.fail("found out before"))
    if how == "gone":
        (model / name).unlink()
    else:
        (model / name).write_bytes(b"\x00garbage{")
    with pytest.raises(BadInput) as refused:
        works_alone(model)
    assert len(str(refused.value).splitlines()) == 1


def test_no_model_at_all(tmp_path):
    with pytest.raises(BadInput, match="the model's files cannot be read"):
        works_alone(tmp_path / "nowhere")


def test_without_an_example(model):
    content = yaml.safe_load((model / "MLmodel").read_text())
    content.pop("saved_input_example_info")
    (model / "MLmodel").write_text(yaml.safe_dump(content))
    with pytest.raises(BadInput, match="has no input example to try it on"):
        works_alone(model)


def test_weights_and_package_of_other_models_are_told_apart(model, tmp_path):
    """The weights that are compared are the model's own, whatever this process has loaded."""
    other = network_folder(tmp_path / "other", threshold=0.5)
    assert json.loads((other / "model.json").read_text())["threshold"] == 0.5
    for name in ("model.json", "model.safetensors"):
        shutil.copy(other / name, model / "artifacts" / "network" / name)
    assert works_alone(model)


@pytest.fixture
def rna(rna_pyfunc, tmp_path):
    """A copy of the tiny RNA model, to be spoilt."""
    return shutil.copytree(rna_pyfunc, tmp_path / "rna")


def test_a_good_rna_model(rna):
    before = contents(rna)
    said = works_alone(rna)
    assert said.startswith("loads and predicts in a fresh process (2 rows, at most ")
    assert contents(rna) == before


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("(fold.pairs + 1)", "(fold.pairs + 2)", r"pairs is not that of its weights: \[\[4, "),
        (
            "[fold.confidence for",
            "[fold.confidence / 2 for",
            "confidence is not that of its weights",
        ),
        ("[fold.dot_bracket for", "['.' for", "dot_bracket is not that of its weights: . instead"),
        ('"confidence": [fold.confidence for fold in done],', "", "the model answers"),
        ('"confidence": float', '"confidence": str', "confidence is not that of"),
    ],
)
def test_an_answer_that_is_not_that_of_the_rna_weights(rna, was, now, said):
    code = rna / "code" / "priorwise" / "serving" / "rna_pyfunc.py"
    text = code.read_text()
    assert was in text
    text = text.replace(was, now)
    if not now:
        text = text.replace(', "confidence": float', "")
    code.write_text(text)
    with pytest.raises(BadInput, match=said):
        works_alone(rna)


def test_a_model_of_no_known_pipeline(rna):
    path = rna / "artifacts" / "network" / "model.json"
    path.write_text(path.read_text().replace("rna/1", "proteins/1"))
    with pytest.raises(BadInput, match="schema 'proteins/1'"):
        works_alone(rna)


def test_an_rna_model_with_features(tmp_path):
    pytest.importorskip("RNA", reason="the extra `rna` is not installed")
    folder = tiny_network.feature_folder(tmp_path / "network")
    RNA.write(folder, tmp_path / "model", "m-" + "3" * 32, "")
    assert works_alone(tmp_path / "model")
