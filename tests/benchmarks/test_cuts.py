"""Both benchmark programs, end to end on digits: nothing is downloaded."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks import goals, networks, nnpu, priors, report, tasks, training
from tests.pipelines.workplace import ROOT


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("the cut must not download anything")

    monkeypatch.setattr("benchmarks.wheels.fetch", refuse)


def test_priors_prints_one_table_and_writes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "priors.csv"
    priors.main(["--cut", "--jobs", "1", "--out", str(out)])
    printed = capsys.readouterr().out
    table, rows = pd.read_csv(out), pd.read_csv(tmp_path / "priors_rows.csv")
    assert {"median", "published", "e1", "bbe", "kde_em", "tice"} <= set(table["estimator"])
    assert set(table["what"]) == {
        "pi error, digits",
        "coverage of 95 %, digits",
        "PU-AUC error, digits",
    }
    for line in table["estimator"]:
        assert line in printed
    # the table is the mean of the single results
    own = rows[(rows["what"] == "pi error, digits") & (rows["estimator"] == "median")]
    shown = table[(table["what"] == "pi error, digits") & (table["estimator"] == "median")].iloc[0]
    assert shown["mean"] == pytest.approx((own["estimate"] - own["truth"]).abs().mean())
    assert shown["n"] == len(own) == 2
    assert shown["must reach"] == "<= 0.035"
    # the estimators really ran: e3 takes the highest score, so its prior is the lowest of the e
    mean = rows[rows["what"] == "pi error, digits"].groupby("estimator")["estimate"].mean()
    assert mean["e3"] < mean["median"] < 0.7


def test_nnpu_prints_one_table_and_writes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "nnpu.csv"
    nnpu.main(["--cut", "--jobs", "1", "--out", str(out)])
    printed = capsys.readouterr().out
    table = pd.read_csv(out)
    assert set(nnpu.RECIPES) | {nnpu.BCE_ALONE} <= set(table["line"])
    assert set(training.MONITORS) <= set(table["line"])
    assert "recommended (median, censoring, proxy_f1)" in printed
    regret = table[table["what"].str.startswith("regret")]
    assert (regret["regret"] >= 0).all() and (regret["max regret"] >= regret["regret"]).all()
    test = table[table["what"] == "test, digits"].set_index("line")
    assert test["accuracy"].between(0, 1).all()
    assert test.loc["true prior, censoring, proxy_f1", "pi"] == pytest.approx(tasks.POSITIVE.pi)


def test_a_goal_is_reached_or_not() -> None:
    error = goals.Goal("", 0.01, 0.03)
    assert error.reached(0.01, 0.03) == "yes"
    assert error.reached(0.011, 0.02) == error.reached(0.005, 0.031) == "no"
    share = goals.Goal("", 0.9, is_error=False)
    assert (share.reached(0.9), share.reached(0.89)) == ("yes", "no")
    assert goals.Goal().reached(0.5) == goals.Goal().text == ""


def test_pretraining_keeps_the_best_epoch_of_each_monitor() -> None:
    x, y = tasks.digits()
    task = tasks.censored(x, y, tasks.POSITIVE, 1, sizes=(300, 300, 0, 0))
    pretrained = networks.pretrain(
        task.train, task.validation, hidden=(64,), epochs=30, seed=1, batch=8, rate=0.002
    )
    s = task.validation.s

    def bce(network) -> float:
        p = networks.scores_of(network, task.validation.x)
        return float(-np.mean(np.where(s == 1, np.log(p), np.log1p(-p))))

    def recall(network) -> float:
        return float((networks.scores_of(network, task.validation.x)[s == 1] > 0.5).mean())

    assert bce(pretrained.by_bce) < bce(pretrained.by_recall)  # over-trained on 300 rows
    assert recall(pretrained.by_recall) > recall(pretrained.by_bce)


def test_the_chosen_epoch_is_the_first_best() -> None:
    epochs = pd.DataFrame({"epoch": [0, 1, 2], "proxy_f1": [0.2, 0.9, 0.9], "f1": [0.1, 0.7, 0.3]})
    assert training.chosen(epochs, "proxy_f1")["f1"] == 0.7
    assert training.chosen(epochs, "last epoch")["f1"] == 0.3


def test_the_printed_table_is_aligned_and_names_a_group_once() -> None:
    table = pd.DataFrame({"what": ["a", "a", "b"], "mean": [0.12345, 1.0, np.nan]})
    lines = report.aligned(table).splitlines()
    assert lines == [
        "what    mean",
        "------------",
        "a     0.1235",
        "      1.0000",
        "------------",
        "b",
    ]


@pytest.mark.parametrize("n_processes", [1, 2])
def test_results_come_in_the_order_of_the_jobs_whatever_the_processes(n_processes: int) -> None:
    """In an interpreter of its own: this one has threads and must not be forked."""
    call = f"report.run_jobs(float, [3, 1, 2], {n_processes}, 'test')"
    code = f"from benchmarks import report; print({call})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[3.0, 1.0, 2.0]\n"


def test_arithmetic_is_put_back():
    """Later tests of this process need subnormal numbers."""
    smallest = np.float64(5e-324)
    with report.own_arithmetic():
        assert smallest / 1 == 0
    assert smallest / 1 > 0
    with pytest.raises(ZeroDivisionError), report.own_arithmetic():
        raise ZeroDivisionError
    assert smallest / 1 > 0
