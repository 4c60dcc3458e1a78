"""The RNA phases on one store: prepare, train, evaluate, draw; and what is refused on the way."""

import dataclasses
import io
import os
import re
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread
from safetensors.torch import load_file
from tests.pipelines.workplace import Workplace
from tests.reference.loops import loop_types
from tests.reference.structures import strict
from tests.rna.made import hairpins, joined

from priorwise.phases import rna_evaluate, rna_pretrain
from priorwise.rna.checkpoint import kept_weights
from priorwise.rna.history import METRICS_FILE
from priorwise.rna.module import RnaModule
from priorwise.rna.predict import predict
from priorwise.rna.read_rows import load_rows
from priorwise.rna.rows import RnaRows
from priorwise.rna.saved_model import load_saved_model
from priorwise.rna.schema import RNA_SCHEMA, TABLE
from priorwise.rna.structure import LOOP_NAMES
from priorwise.rna.table import batches, inspect
from priorwise.store.tables import write_table

#: byte for byte that of the published training script
HEADER = (
    b"epoch,step,phase,loss,mlm_loss,structure_loss,pair_loss,mlm_accuracy,structure_accuracy,"
    b"pair_precision,pair_recall,pair_f1,learning_rate,activation_rate\n"
)
PICTURES = ["accuracies.png", "losses.png", "lr_activation.png", "summary.png"]
EPOCHS, BATCH = 2, 8
RECIPE = f"""
rna_prepare: {{n_train: 40, n_validation: 10, n_test: 6, n_new: 6, max_length: 45}}
rna_pretrain: {{model_size: tiny, num_epochs: {EPOCHS}, pair_channels: 8, pair_dilations: "1,2",
               warmup_steps: 2, learning_rate: 0.004, batch_size: {BATCH}, ema_decay: 0.9,
               max_len: 64}}
rna_evaluate: {{resamples: 20}}
"""


def started(empty_store, folder) -> Workplace:
    (folder / "rna.yaml").write_text(RECIPE)
    return Workplace.copy_of(empty_store, folder / "work", folder)


@pytest.fixture
def place(empty_store, tmp_path) -> Workplace:
    return started(empty_store, tmp_path)


def phase(place, name, **parameters):
    given = {"config": place.data / "rna.yaml"}
    if name in ("rna_pretrain", "rna_evaluate"):
        given["data"] = place.data / "table"
    return place.phase(name, **given | parameters)


def ok(done):
    assert done.code == 0, done.out + done.err
    return done


def refused(place, *words, **parameters):
    """`rna_pretrain` ends with 2 and one line, before anything is trained."""
    done = phase(place, "rna_pretrain", **parameters)
    assert done.code == 2, done.out + done.err
    assert len(done.err.strip().splitlines()) == 1, done.err
    for word in words:
        assert word in done.err
    for run in place.runs("rna_pretrain"):
        assert "train_loss" not in run.data.metrics and "model.id" not in run.data.tags
    return done.err


def table(place, rows, name="table"):
    """Write rows where the phases look for them."""
    uri = str(place.data / name / TABLE)
    write_table(uri, RNA_SCHEMA, batches(rows.records()))
    return place.data / name


def unknown(rows):
    return RnaRows.build(dataclasses.replace(r, pairs=None) for r in rows.records())


@pytest.fixture
def no_figures(monkeypatch):
    """Figures take longer than these trainings."""
    monkeypatch.setattr(rna_pretrain, "FIGURES", {})
    monkeypatch.setattr(rna_evaluate, "figures", lambda *arguments: iter(()))


@pytest.fixture(scope="module")
def walked(empty_store, tmp_path_factory):
    """Prepare, train, evaluate; nobody writes into it."""
    place = started(empty_store, tmp_path_factory.mktemp("walked"))
    ok(phase(place, "rna_prepare", out=place.data / "table"))
    said = {
        "trained": ok(phase(place, "rna_pretrain")),
        "judged": ok(phase(place, "rna_evaluate", partitions="VL0,NEW")),
    }
    return place, said


# --- training -------------------------------------------------------------------------------------


def test_the_run_says_what_it_is(walked):
    place, said = walked
    run = place.run("rna_pretrain")
    _, facts = inspect(str(place.data / "table"))
    tags, params = run.data.tags, run.data.params
    assert run.info.status == "FINISHED" and tags["complete"] == "true"
    assert (tags["model_size"], tags["pair_head"]) == ("tiny", "conv")
    assert params["cfg.num_epochs"] == str(EPOCHS) and params["cfg.focal_alpha"] == "0.75"
    assert params["contract.schema"] == "rna/1"
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.digest in (facts.digest, facts.digest[:36])
    metrics = run.data.metrics
    cut = facts.n_rows("CUT")
    assert metrics["n_train"] == 40 - cut and metrics["n_validation"] == 10 + cut
    assert metrics["epochs_run"] == EPOCHS
    for name in ("val_strict_f1", "cut_strict_f1", "selection_f1", "val_ap", "val_loss_seed"):
        assert np.isfinite(metrics[f"best.{name}"]), name
    assert re.search(rf"epoch 1/{EPOCHS}  .*val_pair_f1 .*learning_rate ", said["trained"].err)
    assert "synthetic" not in said["trained"].err


def test_csv_and_ui_say_the_same(walked):
    place, _ = walked
    run = place.run("rna_pretrain")
    path = place.artifact(run, METRICS_FILE)
    assert path.read_bytes().startswith(HEADER)
    rows = pd.read_csv(path)
    assert rows["phase"].tolist() == ["train", "val"] * EPOCHS
    steps = -(-int(run.data.metrics["n_train"]) // BATCH)
    assert rows["epoch"].tolist() == [0, 0, 1, 1]
    assert rows["step"].tolist() == [0, 0, steps, steps]
    measured = rows.columns.drop(["epoch", "step", "phase", "activation_rate"])
    assert rows[measured].notna().all(axis=None)  # of validation, too
    assert rows.loc[rows["phase"] == "train", "activation_rate"].eq(1.0).all()
    history = pd.read_csv(place.artifact(run, "history.csv")).set_index("epoch")
    for row in rows.to_dict("records"):
        for name in measured:
            metric = name if name == "learning_rate" else f"{row['phase']}_{name}"
            logged = place.client.get_metric_history(run.info.run_id, metric)
            (value,) = [m.value for m in logged if m.step == row["epoch"]]
            assert value == pytest.approx(row[name], rel=1e-12), metric
            assert history.loc[row["epoch"], metric] == pytest.approx(row[name], rel=1e-12)
    for name in ("val_strict_f1", "selection_f1", "val_loss_seed", "samples_per_second"):
        assert len(place.client.get_metric_history(run.info.run_id, name)) == EPOCHS


def test_what_a_training_leaves(walked):
    place, _ = walked
    run = place.run("rna_pretrain")
    for name in PICTURES:
        image = imread(place.artifact(run, f"figures/{name}"))
        assert image.shape[0] > 300 and np.ptp(image[..., :3]) > 0.9
    best, last = place.checkpoint(run), place.artifact(run, "checkpoints/last.ckpt")
    assert best.name.startswith("best_model-epoch=0") and last.exists()
    epoch = torch.load(best, weights_only=True)["epoch"]
    assert run.data.metrics["best_epoch"] == epoch
    history = pd.read_csv(place.artifact(run, "history.csv"))
    assert history["selection_f1"].idxmax() == epoch
    for name in ("selection_f1", "val_ap", "val_loss"):
        assert run.data.metrics[f"best.{name}"] == pytest.approx(history[name][epoch], rel=1e-12)


def test_the_model_holds_the_kept_weights_and_the_best_threshold(walked):
    place, _ = walked
    run = place.run("rna_pretrain")
    folder = place.network_folder(run)
    weights, kept = load_file(folder / "model.safetensors"), kept_weights(place.checkpoint(run))
    assert weights.keys() == kept.keys() and "pairs.out.weight" in kept
    assert all(torch.equal(weights[name], kept[name]) for name in kept)
    trained = torch.load(place.checkpoint(run), weights_only=True)["state_dict"]
    assert not torch.equal(weights["pairs.out.weight"], trained["network.pairs.out.weight"])
    curve = pd.read_csv(place.artifact(run, "threshold_curve.csv"))
    best = curve.loc[curve["f1"] >= curve["f1"].max() - 1e-12, "threshold"].max()
    model, metrics = load_saved_model(folder), run.data.metrics
    assert model.threshold == metrics["threshold"] == best
    assert metrics["val_strict_f1_at_threshold"] == pytest.approx(curve["f1"].max())
    said = model.description
    assert said["training_run"] == run.info.run_id and said["rule"] == "best strict F1 on VL0"
    assert said["schema"] == "rna/1" and said["train_partition"] == "TR0"
    assert said["training_digest"] == inspect(str(place.data / "table"))[1].digest
    assert model.longest == 0 and model.features == () and model.decoder.method == "nested"
    # the curve again, at one threshold
    rows = rows_of(place, "VL0")
    assert mean_f1(model, rows, best) == pytest.approx(curve["f1"].max())


def rows_of(place, partition):
    pinned, _ = inspect(str(place.data / "table"))
    return load_rows(pinned, [partition])[0]


def mean_f1(model, rows, threshold):
    decoder = dataclasses.replace(model.decoder, threshold=threshold)
    found = []
    for p in predict(model.network, rows):
        pairs = decoder.decode(p.pairs, rows.tokens_of_row(p.row), p.stems)
        sets = [set(map(tuple, x.tolist())) for x in (pairs, rows.pairs_of_row(p.row))]
        found.append(strict(*sets)[2])
    return float(np.mean(found))


def right_loops(model, rows):
    """Bases whose loop type is right; the decoded structure decides between likely ones."""
    right = 0
    for p in predict(model.network, rows):
        pairs = model.decoder.decode(p.pairs, rows.tokens_of_row(p.row), p.stems)
        following = loop_types(len(p.loops), list(map(tuple, pairs.tolist())))
        score = np.log(np.maximum(p.loops, 1e-6))
        score += 0.25 * np.eye(5)[[LOOP_NAMES.index(name) for name in following]]
        right += int((score.argmax(1) == rows.loops_of_row(p.row)).sum())
    return right


# --- evaluation -----------------------------------------------------------------------------------


def test_metrics_of_the_evaluation_are_those_of_the_model(walked):
    place, said = walked
    trained, run = place.run("rna_pretrain"), place.run("rna_evaluate")
    model = load_saved_model(place.network_folder(trained))
    metrics = run.data.metrics
    for partition in ("VL0", "NEW"):
        rows = rows_of(place, partition)
        assert metrics[f"n.{partition}"] == len(rows)
        wanted = mean_f1(model, rows, model.threshold)
        assert metrics[f"f1.{partition}"] == pytest.approx(wanted)
        low, high = (metrics[f"f1.{partition}.{end}"] for end in ("low", "high"))
        assert low <= wanted <= high
        share = right_loops(model, rows) / rows.lengths.sum()
        assert metrics[f"structure_accuracy.{partition}"] == pytest.approx(share)
        assert metrics[f"leak_exact.{partition}"] == 0
        assert 0 <= metrics[f"copy_f1.{partition}"] <= 1
    tags = run.data.tags
    assert tags["threshold.source"] == "stored"
    assert tags["upstream.training"] == trained.info.run_id
    table = pd.read_csv(io.StringIO(place.artifact(run, "evaluation.csv").read_text()))
    assert table["part"].tolist() == ["VL0", "NEW"]
    np.testing.assert_allclose(table["f1"], [metrics["f1.VL0"], metrics["f1.NEW"]])
    assert "copy F1" in said["judged"].out


def test_they_are_bound_to_the_model_and_to_the_table(walked):
    place, _ = walked
    trained, run = place.run("rna_pretrain"), place.run("rna_evaluate")
    digest = inspect(str(place.data / "table"))[1].digest
    model = place.client.get_logged_model(trained.data.tags["model.id"])
    assert run.data.tags["upstream.model"] == model.model_id
    bound = {m.key: m for m in model.metrics if m.run_id == run.info.run_id}
    assert bound["f1.NEW"].value == run.data.metrics["f1.NEW"]
    assert {m.dataset_digest for m in bound.values()} == {digest}


def test_predictions_and_figures_of_each_partition(walked):
    place, _ = walked
    run = place.run("rna_evaluate")
    for partition in ("VL0", "NEW"):
        found = pd.read_csv(place.artifact(run, f"predictions_{partition}.csv"))
        rows = rows_of(place, partition)
        assert found["id"].tolist() == rows.ids
        assert (found["predicted"].str.len() == rows.lengths).all()
        assert (found["predicted"].str.count(r"\(") == found["predicted_pairs"]).all()
        assert found["f1"].mean() == pytest.approx(run.data.metrics[f"f1.{partition}"])
        families = pd.read_csv(place.artifact(run, f"by_family_{partition}.csv"))
        own = families[families["method"] == "model"]
        assert own["n"].sum() == len(rows)
        assert (own["n"] * own["f1"]).sum() / len(rows) == pytest.approx(found["f1"].mean())
        for name in ("reliability", "precision_recall", "median_sequence", "by_family"):
            assert place.artifact(run, f"figures/{name}_{partition}.png").exists()


@pytest.fixture
def trained_place(walked, tmp_path) -> Workplace:
    """A copy of the store in which a model is trained and judged."""
    place, _ = walked
    return Workplace.copy_of(place.folder, tmp_path / "work", place.data)


def test_at_another_threshold_the_numbers_are_of_the_run_only(trained_place, no_figures):
    place = trained_place
    done = ok(phase(place, "rna_evaluate", partitions="VL0", threshold=0.99, rnafold="false"))
    assert "these numbers stay with this run" in done.out
    run = place.run("rna_evaluate")
    assert run.data.tags["threshold.source"] == "given"
    model = place.client.get_logged_model(run.data.tags["upstream.model"])
    assert not [m for m in model.metrics if m.run_id == run.info.run_id]
    wanted = mean_f1(
        load_saved_model(place.network_folder(place.run("rna_pretrain"))),
        rows_of(place, "VL0"),
        0.99,
    )
    assert run.data.metrics["f1.VL0"] == pytest.approx(wanted)
    assert not [name for name in run.data.metrics if name.startswith("rnafold")]


def test_sequences_that_were_trained_on_are_told(trained_place, no_figures):
    place = trained_place
    done = ok(phase(place, "rna_evaluate", partitions="TR0,CUT", rnafold="false", max_length=44))
    run = place.run("rna_evaluate")
    short = (rows_of(place, "TR0").lengths <= 44).sum()
    assert run.data.metrics["leak_exact.TR0"] == run.data.metrics["n.TR0"] == short
    assert run.data.metrics["copy_f1.TR0"] == 1.0
    assert run.data.metrics["leak_exact.CUT"] == 0
    assert "warning: " not in done.out  # of the training partition that is no news
    assert "sequences of more than 44 bases are left out" in done.out


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"partitions": "TS1,XX"}, "no sequence with a structure in TS1, XX"),
        ({"model": "0" * 32}, "0" * 32),
        ({"data": "nowhere"}, "nowhere"),
        ({"partitions": "VL0", "max_length": 3, "rnafold": "false"}, "no sequence is short enough"),
    ],
)
def test_evaluations_that_are_refused(trained_place, parameters, said):
    done = phase(trained_place, "rna_evaluate", **parameters)
    assert done.code == 2 and said in done.err, done.err
    assert len(done.err.strip().splitlines()) == 1


def test_pictures_of_the_run_are_drawn_again(trained_place, tmp_path):
    run = trained_place.run("rna_pretrain").info.run_id
    ok(trained_place.phase("plot_metrics", config="", run=run, output_dir=tmp_path / "plots"))
    assert sorted(path.name for path in (tmp_path / "plots").glob("*.png")) == PICTURES


# --- other trainings ------------------------------------------------------------------------------


def test_the_published_form_with_a_threshold_that_was_given(place, no_figures):
    """Bilinear pairs, learned positions, no average, sparse: and what the model says of it."""
    table(place, joined(hairpins(30), hairpins(8, 1, "VL0")))
    given = {"pair_head": "bilinear", "positions": "learned", "max_len": 24, "ema_decay": 0.0}
    given |= {"threshold": 0.35, "use_ast": "true", "num_epochs": 1, "decoding": "greedy"}
    done = ok(phase(place, "rna_pretrain", **given))
    run = place.run("rna_pretrain")
    model = load_saved_model(place.network_folder(run))
    assert model.threshold == 0.35 and model.description["rule"] == "given"
    assert model.longest == 22 and model.decoder.method == "greedy"
    assert "0 cut out by similarity" in done.out
    rows = pd.read_csv(place.artifact(run, METRICS_FILE))
    assert rows["activation_rate"][0] == pytest.approx(0.4, abs=0.01)
    assert run.data.metrics["ast_unseen"] == 18
    assert "cut_strict_f1" not in run.data.metrics


def test_sequences_without_structures_teach_nucleotides(place, no_figures):
    table(place, unknown(joined(hairpins(24), hairpins(8, 1, "VL0"))))
    done = ok(
        phase(
            place,
            "rna_pretrain",
            pair_loss_weight=0,
            structure_loss_weight=0,
            monitor="val_loss",
            num_epochs=1,
        )
    )
    run = place.run("rna_pretrain")
    model = load_saved_model(place.network_folder(run))
    assert model.threshold == 0.35 and model.description["rule"] == "given"
    assert run.data.metrics["val_mlm_loss"] > 0 and run.data.metrics["val_pair_loss"] == 0
    assert not place.artifact(run, "threshold_curve.csv").exists()
    assert "(0 pairs)" in done.out


# --- refused --------------------------------------------------------------------------------------


def test_missing_data_are_an_error_and_never_made_up(place):
    for data in (place.data / "nowhere", place.folder, "rna.yaml"):
        refused(place, str(data), data=data)
    assert not list(place.folder.rglob(TABLE))


def test_partitions_that_are_missing(place):
    table(place, hairpins(9))
    refused(place, "no sequence of partition VL0 (val_partition; there are: TR0)")
    refused(place, "no sequence of partition TS0 (train_partition", train_partition="TS0")


def test_pairs_that_are_missing(place):
    train, validation = hairpins(9), hairpins(4, 1, "VL0")
    table(place, joined(unknown(train), validation), "untold")
    table(place, joined(train, unknown(validation)), "unchecked")
    straight = RnaRows.build(
        dataclasses.replace(r, pairs=np.zeros((0, 2), np.int32)) for r in train.records()
    )
    table(place, joined(straight, validation), "straight")
    for name, partition, what, parameter in (
        ("untold", "TR0", "structure", "structure_loss_weight is 0.8"),
        ("unchecked", "VL0", "structure", "structure_loss_weight is 0.8"),
        ("straight", "TR0", "base pair", "pair_loss_weight is 1.5"),
    ):
        said = f"no sequence of partition {partition} has a {what}, but {parameter}"
        refused(place, said, data=place.data / name)
    said = "no sequence of partition TR0 has a base pair, but pair_loss_weight is 1.5"
    refused(place, said, data=place.data / "untold", structure_loss_weight=0)


def test_sequences_that_are_all_too_long(place):
    table(place, joined(hairpins(9), hairpins(4, 1, "VL0")))
    refused(place, "train_partition: no sequence of TR0 has at most 5 bases", max_len=7)


def test_parameters_that_are_wrong(place):
    table(place, joined(hairpins(9), hairpins(4, 1, "VL0")))
    refused(
        place, "unknown parameter --learning_rat=1 (did you mean learning_rate?)", learning_rat=1
    )
    refused(place, "focal_alpha: 2.0", focal_alpha=2)
    refused(place, "monitor: cut_strict_f1", monitor="cut_strict_f1")
    refused(place, "ast_target_activation: 0.01", use_ast="true", ast_target_activation=0.01)


# --- interrupted ----------------------------------------------------------------------------------


def left_by(place, run):
    """History and weights, without the speed."""
    history = pd.read_csv(place.artifact(run, "history.csv")).drop(columns="samples_per_second")
    published = place.artifact(run, METRICS_FILE).read_bytes()
    last = torch.load(place.artifact(run, "checkpoints/last.ckpt"), weights_only=True)
    return history, published, last, load_file(place.network_folder(run) / "model.safetensors")


@pytest.mark.parametrize("lost", ["the working folder", "the last checkpoint"])
def test_an_interrupted_training_is_taken_up_again(place, monkeypatch, no_figures, lost):
    """As the same run, bit for bit, from what it kept."""
    table(place, joined(hairpins(30), hairpins(8, 1, "VL0"), hairpins(4, 2, "CUT")))
    sparse = {"use_ast": "true", "batch_size": 4}
    ok(phase(place, "rna_pretrain", **sparse))
    whole = place.run("rna_pretrain")
    original, calls = RnaModule.training_step, iter(range(1000))

    def training_step(self, batch, batch_idx):
        if next(calls) == 4:  # 12 of 30 rows, 3 batches an epoch
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(RnaModule, "training_step", training_step)
        done = phase(place, "rna_pretrain", **sparse)
    assert done.code == 143, done.err
    run = place.run("rna_pretrain")
    assert f"resume={run.info.run_id}" in done.out and run.info.status == "KILLED"
    runs = place.folder / ".priorwise" / "runs"
    if lost == "the working folder":
        shutil.rmtree(runs)
    else:
        (last,) = runs.glob(f"{run.info.run_id}/checkpoints/last.ckpt")
        last.write_bytes(last.read_bytes()[:-1])
    done = phase(place, "rna_pretrain", resume=run.info.run_id, **sparse)
    ok(done)
    assert ("going on from" in done.out) == (lost == "the last checkpoint")
    again = place.client.get_run(run.info.run_id)
    assert again.info.status == "FINISHED" and again.data.tags["complete"] == "true"
    found, expected = left_by(place, again), left_by(place, whole)
    pd.testing.assert_frame_equal(found[0], expected[0], check_exact=True)
    assert found[1] == expected[1]
    losses = [np.array(left[2]["selection"]["loss"]) for left in (found, expected)]
    np.testing.assert_array_equal(*losses)  # nan of a row that was not seen
    for state in ((found[2]["state_dict"], expected[2]["state_dict"]), (found[3], expected[3])):
        assert all(torch.equal(value, state[0][name]) for name, value in state[1].items())
    steps = [m.step for m in place.client.get_metric_history(run.info.run_id, "val_loss")]
    assert steps == list(range(EPOCHS))
