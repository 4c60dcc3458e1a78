"""A threshold chosen on Test Set 2 and the evaluation on Test Set 3, from trained models."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from tests.pipelines.workplace import RECIPE, Workplace

from priorwise.pu.proportions import wilson
from priorwise.spectra.facts import inspect
from priorwise.spectra.saved_model import read_description

MODES = ("positive", "negative")


@pytest.fixture(scope="module")
def judged(estimated, simulated, tmp_path_factory):
    """A store with a model, its threshold and its evaluation; the tests here only read it."""
    place = Workplace.copy_of(estimated, tmp_path_factory.mktemp("judged") / "work", simulated)
    for phase, parameters in (
        ("nnpu_train", {"scenario": "censoring"}),
        ("select_threshold", {}),
        ("evaluate", {}),
    ):
        done = place.phase(phase, **parameters)
        assert done.code == 0, done.err
        (place.folder / f"{phase}.txt").write_text(done.out)
    for table in ("test_2", "test_3"):  # the probabilities, by another way
        model = place.run("nnpu_train").info.run_id
        done = place.phase(
            "predict",
            model=model,
            data=simulated / table,
            table="test_data",
            polarity="both",
            out=place.folder / f"{table}.csv",
        )
        assert done.code == 0, done.err
    return place


@pytest.fixture
def again(judged, simulated, tmp_path):
    """A copy of it, to run on."""
    return Workplace.copy_of(judged.folder, tmp_path / "work", simulated)


@pytest.fixture(scope="module")
def spare(judged, simulated, tmp_path_factory):
    """A copy of it for phases that are refused: what they leave are failed runs."""
    folder = tmp_path_factory.mktemp("spare") / "work"
    return Workplace.copy_of(judged.folder, folder, simulated)


def scores(place, table):
    """Predictions of a test set, with the polarity and data set of each row."""
    import lance

    found = pd.read_csv(place.folder / f"{table}.csv")
    rows = lance.dataset(str(place.data / table / "test_data")).to_table()
    settings = np.array(rows["instrument_settings"].to_pylist())
    found["polarity"] = np.where(settings[:, 15] > 0.5, *MODES)
    found["dataset_id"] = rows["dataset_id"].to_pylist()
    return found


def refused(done, *words):
    assert done.code == 2, done.err
    (line,) = done.err.splitlines()
    for word in words:
        assert word in line


# --- select_threshold -----------------------------------------------------------------------


def test_threshold_is_the_percentile_of_the_labelled_rows(judged):
    found, run = scores(judged, "test_2"), judged.run("select_threshold")
    labelled = found[found["label"] == 1]
    threshold = run.data.metrics["threshold"]
    assert threshold == pytest.approx(np.percentile(labelled["probability"], 5), abs=1e-6)
    kept = found["probability"] >= threshold
    assert run.data.metrics["share_kept"] == pytest.approx(kept.mean())
    assert run.data.metrics["recall"] == pytest.approx(kept[found["label"] == 1].mean())
    for mode in MODES:
        here = found["polarity"] == mode
        assert run.data.metrics[f"share_kept.{mode}"] == pytest.approx(kept[here].mean())
        of_labelled = kept[here & (found["label"] == 1)]
        assert run.data.metrics[f"recall.{mode}"] == pytest.approx(of_labelled.mean())


def test_run_of_a_threshold(judged):
    run, training = judged.run("select_threshold"), judged.run("nnpu_train")
    tags = run.data.tags
    assert tags["upstream.model"] == training.data.tags["model.id"]
    assert tags["upstream.training"] == training.info.run_id
    assert (tags["rule"], tags["scenario"]) == ("percentile 5", "censoring")
    assert float(tags["threshold"]) == pytest.approx(run.data.metrics["threshold"], abs=1e-6)
    assert run.info.run_name == "select_threshold both censoring"
    assert tags["complete"] == "true"
    (table,) = run.inputs.dataset_inputs
    assert table.tags[0].value == "test_2" and table.dataset.digest == tags["data.digest"]
    curve = pd.read_csv(judged.artifact(run, "threshold_curve.csv"))
    assert list(curve) == ["threshold", "recall", "share_kept", "precision", "proxy_f1"]
    assert curve["recall"].is_monotonic_decreasing and curve["share_kept"].is_monotonic_decreasing
    assert judged.artifact(run, "figures/threshold_curve.png").stat().st_size > 1000


def test_threshold_is_bound_to_a_model_of_the_same_weights(judged):
    run, training = judged.run("select_threshold"), judged.run("nnpu_train")
    assert run.data.tags["model.id"] != training.data.tags["model.id"]
    assert run.data.tags["model.sha256"] == training.data.tags["model.sha256"]
    mine, before = (read_description(judged.network_folder(r)) for r in (run, training))
    assert mine == {
        **before,
        "threshold": run.data.metrics["threshold"],
        "rule": "percentile 5",
    }
    logged = judged.client.get_logged_model(run.data.tags["model.id"])
    assert logged.source_run_id == run.info.run_id


def test_what_is_said_of_a_threshold(judged):
    said, metrics = (
        (judged.folder / "select_threshold.txt").read_text(),
        judged.run("select_threshold").data.metrics,
    )
    line = (
        f"threshold {metrics['threshold']:.4f} (rule percentile 5): keeps "
        f"{100 * metrics['recall']:.1f} % of labelled scans and "
        f"{100 * metrics['share_kept']:.1f} % of all scans "
        f"(skips {100 * (1 - metrics['share_kept']):.1f} %)"
    )
    assert line in said.splitlines()


@pytest.mark.parametrize("rule", ["keep", "prior", "proxy_f1"])
def test_other_rules(again, rule):
    training = again.run("nnpu_train").info.run_id
    done = again.phase("select_threshold", model=training, rule=rule, keep=70)
    assert done.code == 0, done.err
    run = again.run("select_threshold")
    found, metrics = scores(again, "test_2"), run.data.metrics
    assert run.data.tags["rule"] == {"keep": "keep 70"}.get(rule, rule)
    if rule == "keep":
        labelled = found.loc[found["label"] == 1, "probability"]
        assert metrics["recall"] >= 0.7
        assert (labelled > metrics["threshold"] + 1e-6).mean() < 0.7
    elif rule == "prior":
        priors = read_description(again.network_folder(run))["priors"]
        positives = sum(
            found.loc[found["polarity"] == mode, "label"].sum() / priors[mode]["c"]
            for mode in MODES
        )
        share = metrics["share_kept"]
        assert abs(share - min(1, positives / len(found))) <= 1 / len(found)
    else:
        curve = pd.read_csv(again.artifact(run, "threshold_curve.csv"))
        assert metrics["proxy_f1"] == pytest.approx(curve["proxy_f1"].max())


def test_one_polarity(again):
    done = again.phase("select_threshold", polarities="negative")
    assert done.code == 0, done.err
    run, found = again.run("select_threshold"), scores(again, "test_2")
    labelled = found[(found["label"] == 1) & (found["polarity"] == "negative")]
    assert run.data.tags["polarity"] == "negative"
    wanted = np.percentile(labelled["probability"], 5)
    assert run.data.metrics["threshold"] == pytest.approx(wanted, abs=1e-6)
    assert "recall.positive" not in run.data.metrics


def test_bce_model_has_a_threshold_but_no_c(again):
    bce = again.run("bce_pretrain", "negative").info.run_id
    refused(
        again.phase("select_threshold", model=bce, rule="prior"), "rule: prior", "rule=percentile"
    )
    done = again.phase("select_threshold", model=bce, rule="keep")
    assert done.code == 0, done.err
    metrics = again.run("select_threshold").data.metrics
    assert metrics["recall"] >= 0.9 and "precision" not in metrics
    done = again.phase("evaluate")
    assert done.code == 0, done.err
    metrics = again.run("evaluate").data.metrics
    assert {"recall", "share_kept.negative", "q"} <= metrics.keys()
    assert not any(name.startswith("precision") for name in metrics)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"percentile": 101}, ("percentile", "[0, 100]")),
        ({"keep": 0}, ("keep", "(0, 100]")),
        ({"rule": "best"}, ("rule", "percentile")),
        ({"polarities": "up"}, ("polarities", "up")),
        ({"min_labelled": 0}, ("min_labelled",)),
        ({"min_labelled": 1000}, ("min_labelled=1000", "a threshold")),
        ({"model": "0" * 32}, ("0" * 32,)),
        ({"model": "champion"}, ("champion",)),
        ({"test_2": "nowhere"}, ("nowhere", "no such folder")),
    ],
)
def test_bad_input_of_select_threshold(spare, parameters, words):
    refused(spare.phase("select_threshold", **parameters), *words)


def test_model_of_one_polarity_cannot_be_judged_on_the_other(spare):
    bce = spare.run("bce_pretrain", "negative").info.run_id
    refused(spare.phase("select_threshold", model=bce, polarities="both"), "polarities", "only")


def test_without_a_training_there_is_no_model(workplace):
    refused(workplace.phase("select_threshold"), "model: auto", "no complete nnpu_train run")
    refused(workplace.phase("evaluate"), "model: auto", "no complete select_threshold run")


# --- rows that were used before --------------------------------------------------------------


def elsewhere(table, folder):
    """A copy of a table, as a test set at another address."""
    shutil.copytree(table, folder / "test_data")
    return folder


@pytest.mark.parametrize(
    ("phase", "parameter", "table", "role"),
    [
        ("select_threshold", "test_2", "train_data", "training"),
        ("select_threshold", "test_2", "validation_data", "validation"),
        ("evaluate", "test_3", "train_data", "training"),
        ("evaluate", "test_3", "validation_data", "validation"),
        ("evaluate", "test_3", "test_1/test_data", "test_1"),
        ("evaluate", "test_3", "test_2/test_data", "test_2"),
    ],
)
def test_rows_that_were_used_before_are_refused(spare, tmp_path, phase, parameter, table, role):
    folder = elsewhere(spare.data / table, tmp_path)
    before = len(spare.client.search_logged_models(["0"]))
    refused(spare.phase(phase, **{parameter: folder}), f"is the {role} table of run", "other rows")
    assert len(spare.client.search_logged_models(["0"])) == before


# --- evaluate -------------------------------------------------------------------------------


def test_metrics_are_those_of_the_rows(judged):
    found, run = scores(judged, "test_3"), judged.run("evaluate")
    threshold = judged.run("select_threshold").data.metrics["threshold"]
    metrics = run.data.metrics
    assert metrics["threshold"] == threshold
    for mode in ("", *MODES):
        rows = found[found["polarity"] == mode] if mode else found
        end = f".{mode}" if mode else ""
        labelled = rows[rows["label"] == 1]
        kept = int((labelled["probability"] >= threshold).sum())
        assert metrics[f"recall{end}"] == pytest.approx(kept / len(labelled))
        low, high = wilson(kept, len(labelled))
        assert metrics[f"recall{end}.low"] == pytest.approx(low)
        assert metrics[f"recall{end}.high"] == pytest.approx(high)
        assert metrics[f"share_kept{end}"] == pytest.approx(
            (rows["probability"] >= threshold).mean()
        )
        assert metrics[f"q{end}"] == pytest.approx((rows["probability"] >= 0.5).mean())
        assert metrics[f"n{end}"] == len(rows) and metrics[f"n_labelled{end}"] == len(labelled)
        for name in ("share_kept", "precision", "q"):
            low, middle, high = (metrics[f"{name}{end}{x}"] for x in (".low", "", ".high"))
            assert 0 <= low <= middle <= high <= 1


def test_precision_is_the_labelled_share_over_c(judged):
    run = judged.run("evaluate")
    priors = read_description(judged.network_folder(judged.run("select_threshold")))["priors"]
    found, metrics = scores(judged, "test_3"), run.data.metrics
    parts = []
    for mode in MODES:
        kept = found[(found["polarity"] == mode) & (found["probability"] >= metrics["threshold"])]
        s = (found.loc[found["polarity"] == mode, "label"]).mean()
        estimate = kept["label"].mean() / max(priors[mode]["c"], s)
        assert metrics[f"precision.{mode}"] == pytest.approx(min(1, estimate))
        parts.append((len(kept), min(1, estimate)))
    whole = sum(n * p for n, p in parts) / sum(n for n, _ in parts)
    assert metrics["precision"] == pytest.approx(whole)


def test_metrics_are_bound_to_the_model_and_the_table(judged):
    run, chosen = judged.run("evaluate"), judged.run("select_threshold")
    model_id = chosen.data.tags["model.id"]
    assert run.data.tags["upstream.model"] == model_id
    assert run.data.tags["upstream.training"] == judged.run("nnpu_train").info.run_id
    _, facts = inspect(str(judged.data / "test_3"), "test_data")
    assert run.data.params["contract.data.digest"] == facts.digest
    bound = {
        m.key: m
        for m in judged.client.get_logged_model(model_id).metrics
        if m.dataset_digest == facts.digest
    }
    wanted = ("recall", "recall.low", "recall.high", "share_kept", "precision", "threshold", "q")
    for name in (*wanted, "recall.positive", "q.negative.high"):
        assert bound[name].value == run.data.metrics[name]
        assert bound[name].run_id == run.info.run_id
        assert bound[name].model_id == model_id
    # nothing of it is a metric of another model
    other = judged.client.get_logged_model(judged.run("nnpu_train").data.tags["model.id"])
    assert not any(m.dataset_digest == facts.digest for m in other.metrics or [])


def test_table_by_dataset_and_polarity(judged):
    run, found = judged.run("evaluate"), scores(judged, "test_3")
    lines = pd.read_csv(judged.artifact(run, "evaluation.csv"))
    counted = found.groupby(["dataset_id", "polarity"])["label"].agg(["size", "sum"]).reset_index()
    assert lines[["dataset_id", "polarity"]].equals(counted[["dataset_id", "polarity"]])
    assert lines["n"].tolist() == counted["size"].tolist()
    assert lines["n_labelled"].tolist() == counted["sum"].tolist()
    assert lines["n_labelled_kept"].sum() / lines["n_labelled"].sum() == pytest.approx(
        run.data.metrics["recall"]
    )
    assert lines["n_kept"].sum() / lines["n"].sum() == pytest.approx(run.data.metrics["share_kept"])
    summary = pd.read_csv(judged.artifact(run, "evaluation_summary.csv"))
    assert summary["rows of"].tolist() == ["all", *MODES]
    for name in ("recall_by_dataset", "scores_positive", "scores_negative"):
        assert judged.artifact(run, f"figures/{name}.png").stat().st_size > 1000


def test_what_is_said_of_an_evaluation(judged):
    said = (judged.folder / "evaluate.txt").read_text()
    metrics = judged.run("evaluate").data.metrics
    for mode in MODES:
        (line,) = [text for text in said.splitlines() if text.strip().startswith(mode)]
        assert f"{metrics[f'recall.{mode}']:.3f} (" in line
        assert f"{metrics[f'precision.{mode}']:.3f} (" in line
    assert "rule percentile 5" in said and "precision (estimated)" in said


def test_another_threshold_is_told_apart(again):
    before = again.run("evaluate").data.tags
    assert (before["threshold.source"], before["rule"]) == ("stored", "percentile 5")
    done = again.phase("evaluate", threshold=0)
    assert done.code == 0, done.err
    run = again.run("evaluate")
    assert run.data.metrics["recall"] == run.data.metrics["share_kept"] == 1
    assert (run.data.tags["threshold.source"], run.data.tags["rule"]) == ("given", "given")
    assert "nearly every one" in run.data.tags["warning.degenerate_share"]
    assert "warning: at threshold 0.0000" in done.out
    assert run.data.tags["fingerprint"] != before["fingerprint"]
    assert bound_by(again, run) == set()


def bound_by(place, run):
    """Names of a model's metrics that an evaluation wrote."""
    model = place.client.get_logged_model(run.data.tags["upstream.model"])
    return {metric.key for metric in model.metrics if metric.run_id == run.info.run_id}


def test_one_polarity_alone_says_nothing_of_the_model(again):
    whole = again.run("evaluate")
    done = again.phase("evaluate", polarities="positive")
    assert done.code == 0, done.err
    run = again.run("evaluate")
    assert "they are not metrics of the model" in done.out
    assert bound_by(again, run) == set() and "recall.positive" in bound_by(again, whole)
    for name in ("recall", "share_kept.low", "precision", "q"):
        end = name.replace(".low", "") + ".positive" + (".low" if ".low" in name else "")
        assert run.data.metrics[name] == pytest.approx(whole.data.metrics[end])


def test_the_stored_threshold_may_be_named(again):
    stored = again.run("select_threshold").data.metrics["threshold"]
    done = again.phase("evaluate", threshold=repr(stored))
    assert done.code == 0, done.err
    assert "recall" in bound_by(again, again.run("evaluate"))


def test_a_threshold_that_keeps_nothing(again):
    done = again.phase("evaluate", threshold=1)
    assert done.code == 0, done.err
    run = again.run("evaluate")
    assert run.data.metrics["recall"] == 0 and "precision" not in run.data.metrics
    assert "nearly none" in run.data.tags["warning.degenerate_share"]
    assert "unknown" in done.out


def test_data_sets_that_differ_are_pointed_out(again, simulated, tmp_path):
    """Half of the data sets of Test Set 3 get positives that look like noise to the model."""
    import lance
    import pyarrow as pa

    source = lance.dataset(str(simulated / "test_3" / "test_data")).to_table()
    found = scores(again, "test_3")
    ranked = found["probability"].rank(pct=True)
    # by hand: in the odd data sets the lowest scores are labelled, elsewhere the highest
    odd = np.arange(len(found)) % 2 == 0
    label = np.where(odd, ranked < 0.3, ranked > 0.7).astype(np.float32)
    columns = {name: source[name] for name in source.column_names}
    columns["label"] = pa.array(label, pa.float32())
    columns["dataset_id"] = pa.array(
        [f"MSV{'odd' if o else 'even'}{i % 6 // 2}" for i, o in enumerate(odd)]
    )
    table = pa.table(columns, schema=source.schema)
    lance.write_dataset(table, str(tmp_path / "test_data"))
    done = again.phase("evaluate", test_3=tmp_path, threshold=0.3)
    assert done.code == 0, done.err
    tags, metrics = again.run("evaluate").data.tags, again.run("evaluate").data.metrics
    assert "recall differs" in tags["warning.dataset_recall.positive"]
    # whole data sets are drawn: a far wider interval than by row
    by_row = metrics["recall.high"] - metrics["recall.low"]
    assert metrics["recall.dataset.high"] - metrics["recall.dataset.low"] > 1.5 * by_row
    assert "recall if other data sets had been drawn" in done.out


@pytest.mark.parametrize("value", ["2", "-0.1", "nan", "high"])
def test_bad_threshold(spare, value):
    refused(spare.phase("evaluate", threshold=value), "threshold", "[0, 1]")


def test_missing_test_set_is_named(spare, tmp_path):
    shutil.copytree(spare.data / "train_data", tmp_path / "train_data")
    refused(spare.phase("evaluate", data=tmp_path), "test_3", "not given")
    refused(spare.phase("select_threshold", data=tmp_path), "test_2", "not given")


def test_same_work_has_the_same_fingerprint(again):
    for phase in ("select_threshold", "evaluate"):
        before = again.run(phase)
        model = before.data.tags["upstream.model"]
        done = again.phase(phase, model=f"models:/{model}")
        assert done.code == 0, done.err
        after = again.run(phase)
        assert after.info.run_id != before.info.run_id
        assert after.data.tags["fingerprint"] == before.data.tags["fingerprint"]
        assert after.data.metrics == before.data.metrics


def test_recipe_is_obeyed(again, tmp_path):
    recipe = tmp_path / "recipe.yaml"
    text = RECIPE.read_text()
    section = "select_threshold:\n  min_labelled: 3\n"
    assert section in text
    recipe.write_text(text.replace(section, section + "  rule: keep\n  keep: 55\n"))
    done = again.phase("select_threshold", config=recipe)
    assert done.code == 0, done.err
    run = again.run("select_threshold")
    assert run.data.tags["rule"] == "keep 55"
    config = json.loads(again.artifact(run, "config.json").read_text())
    assert (config["keep"], config["polarities"]) == (55, "both")
