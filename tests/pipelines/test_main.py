"""The whole workflow: through the real runner, then again from what it left."""

import json
import os
import re
import signal

import pandas as pd
import pytest
from tests.pipelines.workplace import RECIPE, Workplace

from priorwise.pu.priors import ESTIMATORS
from priorwise.spectra.checkpoint import load_network
from priorwise.spectra.facts import inspect
from priorwise.spectra.module import SpectraModule
from priorwise.spectra.read_rows import load_rows
from priorwise.spectra.scoring import score_rows
from priorwise.spectra.simulate import read_truth

TRAININGS = ("bce_pretrain", "nnpu_train")
#: phases on the training table, and on test sets
PHASES, JUDGING = ("bce_pretrain", "estimate_prior", "nnpu_train"), ("select_threshold", "evaluate")
SECONDS = 300


@pytest.fixture(scope="module")
def whole(empty_store, simulated, project, tmp_path_factory):
    """A workplace in which `mlflow run . -e main` is done; the tests here only read it."""
    place = Workplace.copy_of(empty_store, tmp_path_factory.mktemp("whole") / "work", simulated)
    started = place.mlflow_run(project, "main", out=place.folder / "results.csv")
    assert started.wait(SECONDS) == 0, place.stderr
    return place


@pytest.fixture
def again(whole, simulated, tmp_path):
    """A copy of it, to run on."""
    return Workplace.copy_of(whole.folder, tmp_path / "work", simulated)


def children(place):
    (parent,) = place.runs("main")
    return [r for r in place.runs() if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]


def prior_behind(place, training, mode):
    """The prior run that a training should have used: e1 as published, else the median."""
    wanted = "e1" if training.data.tags["scenario"] == "published" else "median"
    (run,) = [
        r
        for r in place.runs("estimate_prior")
        if (r.data.tags["polarity"], r.data.tags["estimator"]) == (mode, wanted)
    ]
    return run


def spoil(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def trained(done):
    """The phases that a `main` ran, by its own account."""
    blocks = done.out.split("\n=== ")[1:]
    ours = [block for block in blocks if "reused: run" not in block and "the same as" not in block]
    return [block.split("\n")[0] for block in ours]


def test_runs_are_nested_finished_and_complete(whole):
    (parent,) = whole.runs("main")
    assert len(whole.runs()) == 1 + len(children(whole)) == 13
    for run in whole.runs():
        assert run.info.status == "FINISHED"
        tags = run.data.tags
        assert tags["complete"] == "true"
        assert (tags["exit.code"], tags["exit.status"]) == ("0", "FINISHED")
        assert "exit.reason" not in tags
    assert parent.data.tags["mlflow.project.entryPoint"] == "main"


def test_run_names_say_what_they_are(whole):
    assert sorted(run.info.run_name for run in children(whole)) == [
        "bce_pretrain negative",
        "bce_pretrain positive",
        "estimate_prior negative e1",
        "estimate_prior negative median",
        "estimate_prior positive e1",
        "estimate_prior positive median",
        "evaluate both censoring",
        "evaluate both published",
        "nnpu_train both censoring",
        "nnpu_train both published",
        "select_threshold both censoring",
        "select_threshold both published",
    ]
    assert whole.run("main").info.run_name == "main both"


def test_tags_of_the_contract(whole):
    digests = {}
    for run in children(whole):
        tags, params = run.data.tags, run.data.params
        assert tags["phase"] in PHASES + JUDGING
        assert tags["polarity"] in ("positive", "negative", "both")
        assert tags["schema"] == "spectra/1"
        assert tags["data.version"] == "1"
        assert len(tags["fingerprint"]) == 32 and len(tags["source.digest"]) == 32
        assert tags["git.dirty"] in ("true", "false", "unknown")
        for name in ("phase", "polarity", "schema", "data.digest", "fingerprint"):
            assert params[f"contract.{name}"] == tags[name]
        digests.setdefault(tags["phase"], set()).add(tags["data.digest"])
    assert {len(found) for found in digests.values()} == {1}
    assert len(set.union(*(digests[phase] for phase in PHASES))) == 1
    assert len(set.union(*digests.values())) == 3  # the training table, Test Sets 2 and 3
    for run in whole.runs("nnpu_train"):
        for mode in ("positive", "negative"):
            prior = prior_behind(whole, run, mode)
            assert run.data.tags[f"upstream.prior.{mode}"] == prior.info.run_id
            bce = whole.run("bce_pretrain", mode).info.run_id
            assert prior.data.tags["upstream.bce"] == bce
            assert bce in run.data.tags["upstream.bce"]
            warned = f"warning.over_predicts.{mode}" in run.data.tags
            assert warned == (run.data.tags["scenario"] == "published")
        # more rows of positive mode are labelled: training starts from that network
        assert run.data.tags["upstream.init"] == whole.run("bce_pretrain", "positive").info.run_id


def judging(place, scenario):
    """Training, threshold and evaluation of a scenario."""
    return [
        next(r for r in place.runs(phase) if r.data.tags.get("scenario") == scenario)
        for phase in ("nnpu_train", *JUDGING)
    ]


@pytest.mark.parametrize("scenario", ["published", "censoring"])
def test_each_training_has_its_own_threshold_and_evaluation(whole, scenario):
    training, chosen, evaluated = (run.data for run in judging(whole, scenario))
    assert chosen.tags["upstream.model"] == training.tags["model.id"]
    assert evaluated.tags["upstream.model"] == chosen.tags["model.id"]
    for judged in (chosen, evaluated):
        assert judged.tags["upstream.training"] == judging(whole, scenario)[0].info.run_id
    assert evaluated.metrics["threshold"] == chosen.metrics["threshold"]
    assert evaluated.tags["threshold.source"] == "stored"


def test_evaluation_is_compared_with_the_true_classes(whole):
    """On Test Set 3, at the threshold, from the predictions of the training's model."""
    truth = whole.run("main").data.metrics
    place = whole.data
    training, _, evaluated = judging(whole, "censoring")
    network, threshold = load_network(whole.checkpoint(training)), evaluated.data.metrics
    pinned, _ = inspect(str(place), "test_3/test_data")
    for mode in ("positive", "negative"):
        rows = load_rows(pinned, mode)
        y = read_truth(str(place), "test_3/test_data")["y"].to_numpy()[rows.row.numpy()]
        kept = score_rows(network, rows) >= threshold["threshold"]
        name = f"truth.evaluate.censoring.{mode}"
        assert truth[f"{name}.recall"] == pytest.approx(kept[y == 1].mean())
        assert truth[f"{name}.precision"] == pytest.approx(y[kept].mean())


def test_effective_configuration_is_logged_once(whole):
    for run in whole.runs(TRAININGS[0]) + whole.runs(TRAININGS[1]):
        params = run.data.params
        assert (params["cfg.epochs"], params["cfg.batch_size"]) == ("4", "32")
        assert params["cfg.encoder_lr"] == "0.003"
        config = json.loads(whole.artifact(run, "config.json").read_text())
        assert config["d_model"] == 16 and config["patience"] == 4
    # what the runner logged itself stays beside it
    assert whole.run("main").data.params["config"] == str(RECIPE)


def test_every_estimator_is_on_every_prior_run(whole):
    for run in whole.runs("estimate_prior"):
        found, record = run.data.metrics, json.loads(whole.artifact(run, "prior.json").read_text())
        for name in ESTIMATORS:
            assert {f"c.{name}", f"pi.{name}", f"alpha.{name}"} <= found.keys()
        estimator = run.data.tags["estimator"]
        assert estimator == record["estimator"] == run.data.params["record.estimator"]
        assert found["pi"] == found[f"pi.{estimator}"] == record["estimates"][estimator]["pi"]
        middle = sorted(found[f"pi.{name}"] for name in ("bbe", "kde_em", "tice"))[1]
        assert found["pi.median"] == middle
        for name in ("e1", "median"):
            assert found[f"pi.{name}.row.low"] < found[f"pi.{name}.row.high"]
        assert ("variance only" in record["interval_of"]) == (estimator == "e1")


def test_metrics_of_the_contract(whole):
    for run in whole.runs("estimate_prior"):
        found = run.data.metrics
        for name in ("c", "s", "pi", "alpha"):
            assert found[f"{name}.low"] <= found[name] <= found[f"{name}.high"]
        assert found["pi"] == pytest.approx(found["s"] / found["c"])
        assert found["alpha"] == pytest.approx((found["pi"] - found["s"]) / (1 - found["s"]))
        assert found["n_labelled"] > 0 and 0 < found["s_test"] < 1
    for run in whole.runs("bce_pretrain"):
        assert {"train_loss", "val_loss", "val_recall", "q", "pu_f"} <= run.data.metrics.keys()
        history = whole.client.get_metric_history(run.info.run_id, "val_loss")
        assert [metric.step for metric in history] == list(range(4))
    for run in whole.runs("nnpu_train"):
        assert {"proxy_f1", "proxy_accuracy", "clamp_rate", "recall"} <= run.data.metrics.keys()
        for mode in ("positive", "negative"):
            prior = prior_behind(whole, run, mode).data.metrics
            for name in ("c", "s", "pi", "alpha"):
                assert run.data.metrics[f"prior.{mode}.{name}"] == prior[name]
            assert f"prior.{mode}.loss" in run.data.metrics
            assert f"recall.{mode}" in run.data.metrics


def test_artifacts_of_the_contract(whole):
    for phase in TRAININGS:
        for run in whole.runs(phase):
            (best,) = whole.artifact(run, "checkpoints").glob(
                "best_model-epoch=*-val_recall=*.ckpt"
            )
            assert best == whole.checkpoint(run)
            assert whole.artifact(run, "checkpoints/last.ckpt").exists()
            assert len(pd.read_csv(whole.artifact(run, "history.csv"))) == 4
            assert whole.artifact(run, "figures/training_curves.png").stat().st_size > 1000
            same, other = load_network(best), load_network(whole.network_folder(run))
            for ours, theirs in zip(same.parameters(), other.parameters(), strict=True):
                assert (ours == theirs).all()
    for run in whole.runs("estimate_prior"):
        record = json.loads(whole.artifact(run, "prior.json").read_text())
        assert record["pi"] == run.data.metrics["pi"]
        assert record["bce_run"] == run.data.tags["upstream.bce"]
        assert whole.artifact(run, "figures/score_histogram.png").exists()


def test_tables_read_are_dataset_inputs(whole):
    wanted = {
        "main": {"training"},
        "bce_pretrain": {"training", "validation"},
        "estimate_prior": {"training", "validation", "test_1"},
        "nnpu_train": {"training", "validation"},
        "select_threshold": {"test_2"},
        "evaluate": {"test_3"},
    }
    for phase, roles in wanted.items():
        for run in whole.runs(phase):
            inputs = {i.tags[0].value: i.dataset for i in run.inputs.dataset_inputs}
            assert inputs.keys() == roles
            for dataset in inputs.values():
                source = json.loads(dataset.source)
                assert dataset.source_type == "lance"
                assert source["version"] == 1 and len(dataset.digest) <= 36
            first = "training" if "training" in roles else min(roles)
            folder = {"training": "train_data"}.get(first, f"{first}/test_data")
            assert json.loads(inputs[first].source)["uri"].endswith(folder)
            assert inputs[first].digest == run.data.tags["data.digest"]


def test_table_of_results(whole):
    table = pd.read_csv(whole.folder / "results.csv")
    logged = pd.read_csv(whole.artifact(whole.run("main"), "results.csv"))
    assert table.equals(logged)
    assert len(table) == 18  # one line for each phase and polarity
    before = ["phase", "polarity", "run id", "c", "s", "pi", "truth", "recall"]
    assert list(table) == [*before, "threshold", "kept", "precision", "seconds"]
    assert set(table["run id"]) == {run.info.run_id for run in children(whole)}
    chosen = table["phase"].str.startswith("select_threshold")
    assert table.loc[~chosen, "truth"].notna().all()
    of_phase = table["phase"].str.split().str[0]
    assert (table["threshold"].notna() == of_phase.isin(JUDGING)).all()
    for line in table[of_phase.isin(JUDGING)].itertuples():
        found = whole.client.get_run(line._3).data.metrics
        assert line.recall == found[f"recall.{line.polarity}"]
        assert line.threshold == found["threshold"]
        assert line.kept == found[f"share_kept.{line.polarity}"]
        assert line.precision == found[f"precision.{line.polarity}"]
    for line in table[of_phase == "evaluate"].itertuples():
        assert re.fullmatch(r"recall [01]\.\d{4} precision [01]\.\d{4}", line.truth)
    for word in ("nnpu_train published", "nnpu_train censoring", "12 phases run now, 0 reused"):
        assert word in whole.stdout
    assert "epoch 4/4" in whole.stderr  # progress is seen


def test_over_prediction_is_said_once_and_with_the_way_out(whole):
    lines = [line for line in whole.stdout.splitlines() if "over-predicts" in line]
    assert len(lines) == 2  # the published scenario, in each polarity
    for line in lines:
        assert "pi = 0." in line and "alpha = 0." in line and "configs/recommended.yaml" in line


def test_second_main_trains_nothing(again):
    before = {run.info.run_id for run in again.runs()}
    done = again.phase("main")
    assert done.code == 0, done.err
    assert trained(done) == []
    assert "0 phases run now, 12 reused" in done.out
    (new,) = [run for run in again.runs() if run.info.run_id not in before]
    reused = {v for k, v in new.data.tags.items() if k.startswith("reused.")}
    assert reused == before - {again.runs("main")[1].info.run_id}


def test_where_and_how_fast_do_not_count_as_another_configuration(again, tmp_path):
    recipe = tmp_path / "moved.yaml"
    recipe.write_text(RECIPE.read_text().replace("patience: 4", "patience: 4\n  num_workers: 1"))
    done = again.phase("main", config=recipe)
    assert done.code == 0, done.err
    assert trained(done) == []


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_only_what_depends_on_a_damaged_checkpoint_runs_again(again, damage):
    path = again.checkpoint(again.run("bce_pretrain", "negative"))
    if damage == "gone":
        path.unlink()
    else:
        spoil(path)
    done = again.phase("main")
    assert done.code == 0, done.err
    assert [re.split(" bce_run| model", line)[0] for line in trained(done)] == [
        "bce_pretrain polarity=negative",
        "estimate_prior polarity=negative",
        "nnpu_train polarities=both scenario=published",
        *JUDGING,
        "estimate_prior polarity=negative",
        "nnpu_train polarities=both scenario=censoring",
        *JUDGING,
    ]
    new = again.run("bce_pretrain", "negative").info.run_id
    assert again.run("estimate_prior", "negative").data.tags["upstream.bce"] == new
    assert again.phase("main").out.count("reused: run") == 12


def test_damaged_final_model_is_trained_again(again):
    again.checkpoint(again.run("nnpu_train")).unlink()
    done = again.phase("main")
    assert done.code == 0, done.err
    assert [line.split()[0] for line in trained(done)] == ["nnpu_train", *JUDGING]


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_damaged_model_of_a_threshold_is_made_again(again, damage):
    weights = again.network_folder(again.run("select_threshold")) / "model.safetensors"
    if damage == "gone":
        weights.unlink()
    else:
        spoil(weights)
    done = again.phase("main")
    assert done.code == 0, done.err
    assert [line.split()[0] for line in trained(done)] == [*JUDGING]
    assert "its model is gone or has changed" in done.out
    assert "0 phases run now, 12 reused" in again.phase("main").out


def test_another_rule_leaves_the_training_as_it_is(again, tmp_path):
    recipe = tmp_path / "rule.yaml"
    threshold = "select_threshold:\n  min_labelled: 3\n"
    recipe.write_text(RECIPE.read_text().replace(threshold, f"{threshold}  rule: keep\n"))
    done = again.phase("main", config=recipe)
    assert done.code == 0, done.err
    assert [line.split()[0] for line in trained(done)] == [*JUDGING, *JUDGING]
    assert again.run("select_threshold").data.tags["rule"] == "keep 90"


def test_another_seed_runs_everything_again(again):
    done = again.phase("main", seed=2, scenarios="censoring", polarities="positive")
    assert done.code == 0, done.err
    assert len(trained(done)) == 5
    assert again.runs()[0].data.tags.get("complete") == "true"


def test_stopped_main_goes_on_where_it_was(workplace, monkeypatch):
    """Parent and child end KILLED; the next `main` reuses what was complete, and only that."""
    original, calls = SpectraModule.training_step, iter(range(10**6))

    def step(self, batch, batch_idx):
        if next(calls) == 40:  # in the second training: the first has 32 steps
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, batch_idx)

    monkeypatch.setattr(SpectraModule, "training_step", step)
    assert workplace.phase("main", scenarios="censoring").code == 143
    monkeypatch.undo()
    states = {run.info.run_name: run.info.status for run in workplace.runs()}
    assert states == {
        "main both": "KILLED",
        "bce_pretrain positive": "FINISHED",
        "bce_pretrain negative": "KILLED",
    }
    stopped = workplace.run("bce_pretrain", "negative")
    done = workplace.phase("main", scenarios="censoring")
    assert done.code == 0, done.err
    assert len(trained(done)) == 6
    assert not any("bce_pretrain polarity=positive" in line for line in trained(done))
    # the training that was stopped has gone on, below the new one
    assert f"going on in run {stopped.info.run_id}, which was stopped" in done.out
    (again,) = workplace.runs("bce_pretrain")[:1]
    assert again.info.run_id == stopped.info.run_id and again.info.status == "FINISHED"
    assert again.data.tags["mlflow.parentRunId"] == workplace.run("main").info.run_id
    assert workplace.phase("bce_pretrain", polarity="negative").code == 0
    whole = workplace.run("bce_pretrain", "negative")
    assert whole.info.run_id != again.info.run_id
    histories = [workplace.artifact(run, "history.csv").read_text() for run in (again, whole)]
    assert histories[0] == histories[1]


@pytest.mark.parametrize(("phase", "test"), [("estimate_prior", 1), ("select_threshold", 2)])
def test_test_set_that_is_too_small_is_found_before_any_training(workplace, tmp_path, phase, test):
    recipe = tmp_path / "many.yaml"
    section = f"{phase}:\n  min_labelled: "
    recipe.write_text(RECIPE.read_text().replace(f"{section}3", f"{section}1000"))
    done = workplace.phase("main", config=recipe, polarities="positive")
    assert done.code == 2
    assert "min_labelled=1000" in done.err and f"test_{test}" in done.err
    assert [run.info.run_name for run in workplace.runs()] == ["main"]


def without(folder, source, *tests):
    """A folder of the tables in which some test sets are missing."""
    folder.mkdir()
    for path in source.iterdir():
        if path.name not in tests:
            (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.parametrize(
    ("missing", "line", "phases"),
    [
        (("test_2", "test_3"), "no threshold is selected, and no model evaluated", 3),
        (("test_2",), "no threshold is selected, and no model evaluated", 3),
        (("test_3",), "no model is evaluated", 4),
    ],
)
def test_without_a_test_set_its_phases_are_left_out(workplace, tmp_path, missing, line, phases):
    data = without(tmp_path / "less", workplace.data, *missing)
    done = workplace.phase("main", data=data, polarities="positive", scenarios="censoring")
    assert done.code == 0, done.err
    assert f"no {missing[0]} in {data}: {line}" in done.out
    assert f"{phases} phases run now" in done.out
    assert len(workplace.runs("evaluate")) == 0


def test_test_set_that_was_named_must_be_there(workplace, tmp_path):
    data = without(tmp_path / "less", workplace.data, "test_2", "test_3")
    for name in ("test_2", "test_3"):
        done = workplace.phase("main", data=data, **{name: tmp_path / "nowhere"})
        assert done.code == 2
        (line,) = done.err.splitlines()
        assert "nowhere" in line
    assert {run.info.run_name for run in workplace.runs()} == {"main"}


@pytest.mark.parametrize(
    ("name", "other", "role"),
    [
        ("test_2", "validation_data", "validation"),
        ("test_3", "test_1/test_data", "test_1"),
        ("test_3", "test_2/test_data", "test_2"),
    ],
)
def test_test_set_used_before_is_found_before_any_training(workplace, tmp_path, name, other, role):
    (tmp_path / "test_data").symlink_to(workplace.data / other)
    done = workplace.phase("main", **{name: tmp_path})
    assert done.code == 2
    assert f"is the {role} table, too" in done.err
    assert [run.info.run_name for run in workplace.runs()] == ["main"]


def test_test_sets_elsewhere_are_used(again, tmp_path):
    """Named explicitly, they are the same tables: nothing runs again but what is new."""
    (tmp_path / "elsewhere").symlink_to(again.data / "test_2")
    done = again.phase("main", test_2=tmp_path / "elsewhere")
    assert done.code == 0, done.err
    assert trained(done) == []


def test_failure_of_a_phase_ends_the_whole(workplace, tmp_path):
    recipe = tmp_path / "init.yaml"
    recipe.write_text(RECIPE.read_text() + f"\nnnpu_train:\n  init_from: {'a' * 32}\n")
    done = workplace.phase("main", config=recipe, polarities="positive")
    assert done.code == 3
    assert "a" * 32 in done.err
    states = {run.info.run_name: run.info.status for run in workplace.runs()}
    assert states["bce_pretrain positive"] == "FINISHED"
    assert states["main positive"] == "FAILED"
    assert "RUNNING" not in states.values()


@pytest.fixture
def guide_monitor(tmp_path):
    """A recipe that leaves phase 1's monitor to the guide, so that the two recipes differ there."""
    recipe = tmp_path / "guide_monitor.yaml"
    recipe.write_text(RECIPE.read_text().replace("bce_pretrain:\n  monitor: val_loss\n", ""))
    return recipe


def test_each_recipe_starts_from_its_own_phase_1(workplace, guide_monitor):
    """Also when runs that are newer lie about, and a second time."""
    assert workplace.phase("bce_pretrain", pos_weight=3).code == 0
    stray = workplace.run("bce_pretrain").info.run_id
    done = workplace.phase("main", config=guide_monitor, polarities="positive")
    assert done.code == 0, done.err
    assert "10 phases run now" in done.out
    for run in workplace.runs("nnpu_train"):
        tags = run.data.tags
        assert tags["upstream.init"] == tags["upstream.bce"] != stray
    truth = workplace.run("main").data.metrics
    assert "truth.bce_pretrain.positive.auc" in truth
    assert "truth.bce_pretrain.positive.censoring.auc" in truth
    assert "bce_pretrain for censoring" in done.out
    again = workplace.phase("main", config=guide_monitor, polarities="positive")
    assert "0 phases run now, 10 reused" in again.out


def test_truth_of_an_estimator_is_that_of_the_run_it_is_the_record_of(workplace, guide_monitor):
    done = workplace.phase("main", config=guide_monitor, polarities="positive")
    assert done.code == 0, done.err
    truth = workplace.run("main").data.metrics
    for run in workplace.runs("estimate_prior"):
        error = run.data.metrics["pi"] - 0.454
        assert truth[f"truth.pi_error.{run.data.tags['estimator']}.positive"] == pytest.approx(
            error
        )


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, "recommended: config"),
        ("nnpu_train:\n  scenarioo: censoring\n", "scenarioo"),
        ("no yaml: [", "recommended: config"),
    ],
)
def test_bad_recommended_recipe_is_found_before_any_work(workplace, tmp_path, content, word):
    recipe = tmp_path / "recommended.yaml"
    if content is not None:
        recipe.write_text(content)
    done = workplace.phase("main", recommended=recipe)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1 and word in done.err
    assert [run.info.run_name for run in workplace.runs()] == ["main"]


def test_published_scenario_with_another_recipe_is_pointed_out(again, tmp_path):
    recipe = tmp_path / "mixed.yaml"
    recipe.write_text(RECIPE.read_text() + "\nnnpu_train:\n  monitor: pu_f\n")
    done = again.phase("main", config=recipe, polarities="positive", scenarios="published")
    assert done.code == 0, done.err
    assert (
        "warning: the published scenario is trained with estimator e1 and monitor pu_f" in done.out
    )
