"""Pictures of a training, from a file or a run."""

import json
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from priorwise.learn.recorder import CsvHistory
from priorwise.phases import plot_metrics
from priorwise.phases.plot_metrics import HISTORIES, outcome, read_history
from priorwise.phases.spectra_fit import HISTORY
from priorwise.plots.metrics_figures import lr_activation
from priorwise.rna.history import MEASURES, METRICS_FILE, PublishedHistory

ALL = ["accuracies.png", "losses.png", "lr_activation.png", "summary.png"]


def write_metrics(path, n=3):
    history = PublishedHistory(path, 10)
    for epoch in range(n):
        values = {f"{p}_{m}": 1 / (epoch + 2) for p in ("train", "val") for m in MEASURES}
        history.epoch({**values, "learning_rate": 1e-4, "activation_rate": 0.4}, epoch)
    return path


def write_history(path, **extra):
    history = CsvHistory(path)
    for epoch in range(3):
        history.epoch(
            {"train_loss": 1.0, "val_loss": 0.9, "val_recall": 0.5, "q": 0.2} | extra, epoch
        )
    return path


def pictures(folder):
    found = sorted(path.name for path in folder.glob("*.png"))
    for name in found:
        image = imread(folder / name)
        assert image.shape[0] > 300 and np.ptp(image[..., :3]) > 0.9
    return found


def add_run(place, phase, path=None, params=(), **tags):
    """A run of `phase` that has `path` among its artifacts."""
    run = place.client.create_run("0", run_name=f"{phase} one", tags={"phase": phase, **tags})
    if path:
        place.client.log_artifact(run.info.run_id, str(path))
    for key, value in params:
        place.client.log_param(run.info.run_id, key, value)
    return run.info.run_id


def test_the_four_pictures_of_a_metrics_file(workplace, tmp_path):
    path = write_metrics(tmp_path / "run_7" / METRICS_FILE)
    folder = tmp_path / "deep" / "plots"
    done = workplace.phase("plot_metrics", metrics_file=path, output_dir=folder, out="elsewhere")
    assert done.code == 0, done.err
    assert pictures(folder) == ALL and not (workplace.folder / "elsewhere").exists()
    run = workplace.run("plot_metrics")
    assert run.data.tags["complete"] == "true"
    logged = workplace.artifact(run, "figures")
    assert pictures(logged) == ALL
    for name in ALL:
        assert (logged / name).read_bytes() == (folder / name).read_bytes()
        assert f"wrote {folder / name}" in done.out
    assert "val_pair_f1 0.5000 0.2500 0.5000" in done.out and "3 epochs" in done.out


def test_out_is_another_name_of_output_dir(workplace, tmp_path):
    path = write_metrics(tmp_path / METRICS_FILE)
    assert workplace.phase("plot_metrics", metrics_file=path, out=tmp_path / "here").code == 0
    assert pictures(tmp_path / "here") == ALL
    assert workplace.phase("plot_metrics", metrics_file=path).code == 0
    own = workplace.folder / ".priorwise" / "runs" / workplace.run("plot_metrics").info.run_id
    assert pictures(own) == ALL


def test_the_published_spelling(workplace, project, tmp_path):
    path = write_metrics(tmp_path / METRICS_FILE)
    words = ["--metrics_file", path, "--output_dir", tmp_path / "plots"]
    done = subprocess.run(
        [sys.executable, project / "entry_points" / "plot_metrics.py", *words],
        cwd=workplace.folder,
        env=workplace.shell() | {"PYTHONPATH": str(project / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert pictures(tmp_path / "plots") == ALL


def test_a_run_of_each_kind(workplace, tmp_path):
    assert HISTORIES["bce_pretrain"] == HISTORIES["nnpu_train"] == HISTORY
    rna = add_run(
        workplace,
        "rna_pretrain",
        write_metrics(tmp_path / METRICS_FILE),
        [("cfg.ast_target_activation", "0.3")],
    )
    nnpu = add_run(workplace, "nnpu_train", write_history(tmp_path / HISTORY, clamp_rate=0.1))
    bce = add_run(workplace, "bce_pretrain", write_history(tmp_path / "b" / HISTORY))
    for run_id, expected in ((rna, ALL), (nnpu, ALL), (bce, [*ALL[:2], ALL[3]])):
        done = workplace.phase("plot_metrics", run=run_id, output_dir=tmp_path / run_id)
        assert done.code == 0, done.err
        assert pictures(tmp_path / run_id) == expected
        assert workplace.run("plot_metrics").data.tags["upstream.plotted"] == run_id
    assert (
        "lr_activation.png: left out, there is no learning rate, activation rate or clamp rate on "
        "record" in done.out
    )


def test_the_target_is_that_of_the_training(workplace, tmp_path, monkeypatch):
    seen = []

    def watched(history, title, target):
        seen.append((title, target))
        return lr_activation(history, title, target)

    monkeypatch.setattr(plot_metrics, "FIGURES", {"lr_activation": watched})
    path = write_metrics(tmp_path / "runs" / METRICS_FILE)
    run_id = add_run(workplace, "rna_pretrain", path, [("cfg.ast_target_activation", "0.3")])
    assert workplace.phase("plot_metrics", run=run_id).code == 0
    published = json.dumps({"training": {"ast_target_activation": 0.6}})
    for config in ("not JSON", "[]", '{"ast_target_activation": 0.2}', published):
        (path.parent / "config.json").write_text(config)
        assert workplace.phase("plot_metrics", metrics_file=path).code == 0
    assert [target for _, target in seen] == [0.3, 0.4, 0.4, 0.2, 0.6]
    assert seen[0][0] == f"rna_pretrain one ({run_id[:8]})" and seen[1][0] == f"runs/{METRICS_FILE}"


def test_a_half_written_line_is_said_and_a_left_out_picture_does_not_pass_for_new(
    workplace, tmp_path
):
    path = write_history(tmp_path / HISTORY)
    path.write_bytes(path.read_bytes()[:-4])
    (tmp_path / "lr_activation.png").write_bytes(b"old")
    done = workplace.phase("plot_metrics", metrics_file=path, output_dir=tmp_path)
    assert done.code == 0, done.err
    assert done.out.count("the last line is incomplete") == 1 and "2 epochs" in done.out
    assert f"{tmp_path / 'lr_activation.png'} is of an earlier time" in done.out
    half = write_metrics(tmp_path / METRICS_FILE)
    half.write_bytes(half.read_bytes()[:-4])
    done = workplace.phase("plot_metrics", metrics_file=half, output_dir=tmp_path)
    assert done.out.count("the last line is incomplete") == 1


def refused(place, *words, **parameters):
    done = place.phase("plot_metrics", **parameters)
    assert done.code == 2, done.err
    assert done.err.startswith("priorwise plot_metrics: ") and done.err.count("\n") == 1, done.err
    for word in words:
        assert str(word) in done.err, done.err


def test_what_is_refused(workplace, tmp_path):
    path = write_metrics(tmp_path / METRICS_FILE)
    refused(workplace, "metrics_file, run: neither given")
    refused(workplace, "metrics_file, run: both given", metrics_file=path, run="0" * 32)
    refused(workplace, "none.csv: cannot be read", metrics_file=tmp_path / "none.csv")
    refused(workplace, f"{tmp_path}: cannot be read", metrics_file=tmp_path)
    refused(workplace, "output_dir", "cannot be made", metrics_file=path, output_dir=path / "x")
    for content, said in (
        ("epoch,train_loss\n", "holds no epoch yet"),
        ("", "is empty"),
        ("a,b\n1,2\n", "has no column epoch"),
        ("epoch,a\n0,1\n", "nothing to draw, no column is known (found epoch, a)"),
        ("epoch,phase,loss\n0,train,1\n", "column step, mlm_loss"),
        ("epoch,train_loss\n0,high\n", "line 2, column train_loss: expected a number"),
    ):
        other = tmp_path / "other.csv"
        other.write_text(content)
        refused(workplace, "other.csv", said, metrics_file=other)


def test_runs_that_are_refused(workplace):
    refused(workplace, "run: 123 does not exist", run="123")
    gone = add_run(workplace, "bce_pretrain")
    workplace.client.delete_run(gone)
    refused(workplace, f"run: {gone} does not exist or is deleted", run=gone)
    other = add_run(workplace, "simulate")
    refused(workplace, "is of phase simulate", "expected bce_pretrain, nnpu_train", run=other)
    empty = add_run(workplace, "rna_pretrain")
    refused(workplace, f"run: {empty} has no {METRICS_FILE} (status RUNNING", run=empty)


@pytest.mark.parametrize("n", [1, 2])
def test_outcome(tmp_path, n):
    history = read_history(write_metrics(tmp_path / METRICS_FILE, n))
    assert outcome(history).startswith("1 epoch\n" if n == 1 else "2 epochs\n")
    assert outcome(history[["epoch"]]) == ("1 epoch" if n == 1 else "2 epochs")
