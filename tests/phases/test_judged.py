"""What a threshold and an evaluation rest on: c on another table, and the runs behind a model."""

from pathlib import Path

import pytest
from tests.tracking.synthetic_runs import DIGEST, Runs

from priorwise.phases.judged import JudgedModel, upstream_of
from priorwise.pu.evaluation import Frequency
from priorwise.spectra.facts import TableFacts
from priorwise.spectra.saved_model import SavedModel
from priorwise.tracking.models import ModelFacts
from priorwise.tracking.search import History

PRIOR = {"c": 0.5, "s": 0.2, "pi": 0.4, "c.low": 0.45, "c.high": 0.6}


def judged(priors, modes=("positive", "negative"), training="t" * 32):
    """A model of those priors; its network is not looked at."""
    facts = ModelFacts("m-1", "r" * 32, Path("nowhere"), "0" * 64, "d" * 32)
    description = {"polarity": "both", "priors": priors, "training_run": training}
    return JudgedModel(facts, SavedModel(None, description), modes)


def table(**labelled_of_100):
    """A table of 100 rows in each mode."""
    return TableFacts(
        "somewhere/test_data",
        1,
        DIGEST,
        {(mode, "MSV1"): 100 for mode in labelled_of_100},
        {(mode, "MSV1"): n for mode, n in labelled_of_100.items()},
    )


def test_c_carries_over_with_its_interval(capsys):
    model = judged({"positive": PRIOR, "negative": PRIOR})
    found = model.frequencies_on(table(positive=20, negative=45))
    assert found == {mode: Frequency(0.5, 0.45, 0.6) for mode in model.modes}
    assert capsys.readouterr().out == ""


def test_c_is_raised_where_pi_would_exceed_one(capsys):
    model = judged({"positive": PRIOR, "negative": PRIOR})
    found = model.frequencies_on(table(positive=80, negative=20))
    assert found["positive"] == Frequency(0.8, 0.45, 0.8)  # pi = .8 / .8 = 1
    assert found["negative"] == Frequency(0.5, 0.45, 0.6)
    said = capsys.readouterr().out
    assert said.startswith("warning: somewhere/test_data") and len(said.splitlines()) == 1
    assert "0.8000 of positive mode" in said


def test_a_prior_given_as_a_number_has_no_interval():
    model = judged({"positive": {"c": 0.5, "s": 0.2, "pi": 0.4}}, ("positive",))
    assert model.frequencies() == {"positive": Frequency(0.5, 0.5, 0.5)}


def test_interval_encloses_c_and_ends_at_one():
    odd = {"c": 0.5, "c.low": 0.55, "c.high": 1.3}
    model = judged({"positive": odd}, ("positive",))
    assert model.frequencies() == {"positive": Frequency(0.5, 0.5, 1.0)}


def test_a_polarity_without_prior_has_no_c():
    assert judged({"positive": PRIOR}).frequencies().keys() == {"positive"}
    assert judged({}).frequencies() == {}


@pytest.mark.parametrize(
    ("modes", "polarity"), [(("positive", "negative"), "both"), (("negative",), "negative")]
)
def test_contract(modes, polarity):
    model = judged({}, modes)
    assert model.polarity == polarity
    assert model.upstream == {"upstream.model": "m-1", "upstream.training": "t" * 32}
    assert judged({}, training="").upstream == {"upstream.model": "m-1"}


def test_all_runs_behind_a_model_are_found(runs: Runs):
    """Training, both priors and their BCE runs; deleted ones, too; each once."""
    bce = {mode: runs.bce(mode) for mode in ("positive", "negative")}
    prior = {mode: runs.prior(bce[mode], mode) for mode in bce}
    other = runs.bce("positive")
    training = runs.run(
        "nnpu_train",
        {
            **runs.contract("both"),
            "upstream.prior.positive": prior["positive"],
            "upstream.prior.negative": prior["negative"],
            "upstream.bce": ",".join(bce.values()),
            "upstream.init": bce["positive"],
        },
    )
    chosen = runs.run(
        "select_threshold", {"upstream.model": "m-1" + "0" * 30, "upstream.training": training}
    )
    runs.client.delete_run(bce["negative"])
    history = History(runs.client, runs.experiment_id)
    found = [facts.run_id for facts in upstream_of((chosen, training), history)]
    assert sorted(found) == sorted([chosen, training, *prior.values(), *bce.values()])
    assert other not in found


def test_runs_that_are_gone_or_name_each_other_do_no_harm(runs: Runs):
    gone, number = "0" * 32, "number 0.4"
    first = runs.run("nnpu_train", {"upstream.bce": gone, "upstream.prior.positive": number})
    second = runs.run("nnpu_train", {"upstream.init": first})
    history = History(runs.client, runs.experiment_id)
    assert [facts.run_id for facts in upstream_of((second, second, ""), history)] == [second, first]
