"""Every way to promote a wrong spectra model, as rows of a table: no server, no file.

Each row changes one fact of a candidate that passes everything, and says which gate has to find it,
and in which words. Numbers are those of the project's list of faults.
"""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from priorwise.phases.candidates import PriorCandidate, Source
from priorwise.phases.gates import Finding, Gate, decide
from priorwise.phases.promotion_candidate import Evaluation, Interval, judged_by
from priorwise.phases.spectra_candidate import PriorUse, SpectraCandidate
from priorwise.phases.spectra_card import SpectraCard
from priorwise.phases.spectra_gates import GATES

DIGEST, OTHER, TEST_3, TEST_3_NEW = "d" * 32, "e" * 32, "3" * 32, "4" * 32
SHA, OTHER_SHA = "1" * 64, "2" * 64
MODEL, CHAMPION = "m-" + "a" * 32, "m-" + "b" * 32
TRAINING, THRESHOLD, EVALUATE = "10" * 16, "20" * 16, "30" * 16
PRIOR = {"positive": "40" * 16, "negative": "50" * 16}
BCE = {"positive": "60" * 16, "negative": "70" * 16}
C = {"positive": 0.5889, "negative": 0.4486}
S = {"positive": 0.267, "negative": 0.128}
PI = {mode: S[mode] / C[mode] for mode in C}
NAMES = ["load", "lineage", "evaluation", "same_data", "recall", "prior", "degenerate"]


def source(run_id, of_phase, of="both", **changes):
    """A run that is as it should be, its tags as its params."""
    values = {
        "run_id": run_id,
        "name": f"{of_phase} {of}",
        "experiment_id": "1",
        "start_time": 100,
        "status": "FINISHED",
        "deleted": False,
        "complete": True,
        "phase": of_phase,
        "polarity": of,
        "digest": DIGEST,
        "version": 3,
        "schema": "spectra/1",
        **changes,
    }
    tags = {
        "phase": values["phase"],
        "polarity": values["polarity"],
        "data.digest": values["digest"],
        "data.version": str(values["version"]),
        "schema": values["schema"],
    }
    return Source(**{"tags": tags, **values})


def tagged(run, **tags):
    """The run with more tags; a double underscore stands for a point."""
    return replace(run, tags={**run.tags, **{k.replace("__", "."): v for k, v in tags.items()}})


def bce(mode, **changes):
    checkpoint = {"checkpoint_recorded": SHA, "checkpoint_now": SHA}
    return source(BCE[mode], "bce_pretrain", mode, **{**checkpoint, **changes})


def prior_run(mode, run=None, **changes):
    values = {
        "c": C[mode],
        "s": S[mode],
        "pi": PI[mode],
        "history": {"c": 1, "s": 1, "pi": 1},
        "bce": bce(mode),
        "bce_checkpoint": SHA,
    }
    run = run or source(PRIOR[mode], "estimate_prior", mode)
    return PriorCandidate(run=run, **{**values, **changes})


def prior_use(mode, **changes):
    values = {
        "c": C[mode],
        "s": S[mode],
        "pi": Interval(PI[mode], PI[mode] - 0.03, PI[mode] + 0.03),
        "run_id": PRIOR[mode],
        "estimator": "median",
        "found": prior_run(mode),
    }
    return PriorUse(polarity=mode, **{**values, **changes})


def metrics(**changes):
    """Metrics of an evaluation; a double underscore stands for a point."""
    found = {"threshold": 0.7312, "share_kept": 0.41, "precision": 0.93}
    found |= {"recall": 0.9, "recall.low": 0.87, "recall.high": 0.92}
    for mode, pi in PI.items():
        found |= {f"q.{mode}": pi, f"q.{mode}.low": pi - 0.02, f"q.{mode}.high": pi + 0.02}
        found |= {f"share_kept.{mode}": 0.41, f"recall.{mode}": 0.9}
    return {**found, **{name.replace("__", "."): value for name, value in changes.items()}}


def judged(model=MODEL, digest=TEST_3, run=None, when=200, **changes):
    run = run or source(EVALUATE, "evaluate", digest=digest)
    return Evaluation(run, model, digest, "/data/test 3/test_data", when, metrics(**changes))


def without(evaluation, *names):
    kept = {k: v for k, v in evaluation.metrics.items() if k not in names}
    return replace(evaluation, metrics=kept)


RUNS = [TRAINING, *PRIOR.values(), *BCE.values()]
GOOD = SpectraCandidate(
    called="version 2",
    address="models:/spectra/2",
    model_id=MODEL,
    sha256=SHA,
    polarity="both",
    schema="spectra/1",
    threshold=0.7312,
    rule="percentile 5",
    loaded=Finding(True, "loads and predicts in a fresh process"),
    training=tagged(source(TRAINING, "nnpu_train"), model__sha256=SHA),
    logged_by=source(THRESHOLD, "select_threshold", digest=OTHER),
    priors=(prior_use("positive"), prior_use("negative")),
    named_priors=PRIOR,
    inputs=dict.fromkeys(RUNS, DIGEST),
    table=Finding(True, "the training table was read again"),
    evaluations=(judged(),),
)
BEFORE = replace(
    GOOD,
    called="version 1",
    address="models:/spectra/1",
    model_id=CHAMPION,
    threshold=0.6,
    evaluations=(judged(CHAMPION, threshold=0.6),),
    training=None,
    priors=(),
)


def with_prior(mode="positive", **changes):
    """The candidate with another prior of one polarity."""
    uses = [prior_use(m, **(changes if m == mode else {})) for m in ("positive", "negative")]
    return replace(GOOD, priors=tuple(uses))


def with_prior_run(mode="positive", run=None, **changes):
    return with_prior(mode, found=prior_run(mode, run, **changes))


def estimate(**changes):
    return source(PRIOR["positive"], "estimate_prior", "positive", **changes)


def with_bce(**changes):
    return with_prior_run(bce=bce("positive", **changes))


def training(**changes):
    run = source(TRAINING, "nnpu_train", **changes)
    return replace(GOOD, training=tagged(run, model__sha256=SHA))


def evaluated(*evaluations):
    return replace(GOOD, evaluations=evaluations)


def evaluation_run(**changes):
    return judged(run=source(EVALUATE, "evaluate", digest=TEST_3, **changes))


def row(gate, what, words, candidate, number=90):
    return pytest.param(gate, words, candidate, id=f"{number}-{gate}-{what}")


WRONG = [
    row("load", "broken", "does not load",
        replace(GOOD, loaded=Finding(False, "does not load")), 89),
    row("lineage", "no-training", "training run does not exist", replace(GOOD, training=None)),
    row("lineage", "training-deleted", "the training run is deleted", training(deleted=True)),
    row("lineage", "training-failed", "the training run has status FAILED",
        training(status="FAILED", complete=False)),
    row("lineage", "training-killed", "the training run has status KILLED",
        training(status="KILLED", complete=False)),
    row("lineage", "training-running", "the training run has status RUNNING",
        training(status="RUNNING", complete=False)),
    row("lineage", "training-incomplete", "FINISHED but not complete", training(complete=False)),
    row("lineage", "bce-model", "is of phase bce_pretrain .wanted nnpu_train",
        replace(training(phase="bce_pretrain"), priors=())),
    row("lineage", "imported", "is of phase import_checkpoint",
        training(phase="import_checkpoint")),
    row("lineage", "other-schema", "the training run has schema rna/1", training(schema="rna/1")),
    row("lineage", "other-polarity", "the training run is for polarity positive",
        training(polarity="positive")),
    row("lineage", "training-tag-edited", "the training run has tag data.digest changed",
        replace(GOOD, training=tagged(GOOD.training, data__digest=OTHER))),
    row("lineage", "checkpoint-changed", "checkpoint of the training run has changed",
        training(checkpoint_recorded=SHA, checkpoint_now=OTHER_SHA)),
    row("lineage", "checkpoint-gone", "checkpoint of the training run is gone",
        training(checkpoint_recorded=SHA, checkpoint_now=None)),
    row("lineage", "other-weights", "not those that the training run logged",
        replace(GOOD, sha256=OTHER_SHA)),
    row("lineage", "weights-not-on-record", "not those that the training run logged",
        replace(GOOD, training=source(TRAINING, "nnpu_train"))),
    row("lineage", "threshold-run-gone", "the run that logged it does not exist",
        replace(GOOD, logged_by=None)),
    row("lineage", "threshold-run-deleted", "the run that logged it is deleted",
        replace(GOOD, logged_by=source(THRESHOLD, "select_threshold", deleted=True))),
    row("lineage", "threshold-run-failed", "the run that logged it is not complete .status FAILED",
        replace(GOOD, logged_by=source(THRESHOLD, "select_threshold", status="FAILED",
                                       complete=False))),
    row("lineage", "no-prior", "does not know the prior of every polarity",
        replace(GOOD, priors=())),
    row("lineage", "one-prior-missing", "does not know the prior of every polarity",
        replace(GOOD, priors=GOOD.priors[:1])),
    row("lineage", "prior-a-number", "the positive prior was given as a number .pi 0.4534",
        with_prior(run_id="", found=None)),
    row("lineage", "prior-run-gone", "the negative prior's run 505050.* does not exist",
        with_prior("negative", found=None)),
    row("lineage", "prior-run-deleted", "positive prior: run is deleted",
        with_prior_run(run=estimate(deleted=True))),
    row("lineage", "prior-run-failed", "positive prior: run has status FAILED",
        with_prior_run(run=estimate(status="FAILED", complete=False))),
    row("lineage", "prior-run-incomplete", "positive prior: run is FINISHED but not complete",
        with_prior_run(run=estimate(complete=False))),
    row("lineage", "prior-other-data", "positive prior: run used other training data",
        with_prior_run(run=estimate(digest=OTHER))),
    row("lineage", "prior-digest-tag", "positive prior: run has tag data.digest changed",
        with_prior_run(run=tagged(estimate(), data__digest=OTHER))),
    row("lineage", "prior-other-polarity", "positive prior: run is for polarity negative",
        with_prior_run(run=estimate(polarity="negative"))),
    row("lineage", "prior-rewritten", "positive prior: c not written exactly once",
        with_prior_run(history={"c": 2, "s": 1, "pi": 1})),
    row("lineage", "prior-nan", "positive prior: not finite: c", with_prior_run(c=math.nan)),
    row("lineage", "prior-changed", "has pi 0.5340, the model was trained with 0.4534",
        with_prior_run(c=0.5, pi=0.534)),
    row("lineage", "other-prior-named", "the training run names f+, the model 4040",
        replace(GOOD, named_priors={**PRIOR, "positive": "f" * 32})),
    row("lineage", "no-prior-named", "the training run names none, the model 4040",
        replace(GOOD, named_priors={})),
    row("lineage", "bce-gone", "positive prior: its BCE run does not exist",
        with_prior_run(bce=None)),
    row("lineage", "bce-deleted", "its BCE run is deleted", with_bce(deleted=True)),
    row("lineage", "bce-failed", "its BCE run has status FAILED",
        with_bce(status="FAILED", complete=False)),
    row("lineage", "bce-other-data", "its BCE run used other training data",
        with_bce(digest=OTHER)),
    row("lineage", "bce-checkpoint-changed", "checkpoint of its BCE run has changed",
        with_bce(checkpoint_now=OTHER_SHA)),
    row("lineage", "bce-checkpoint-gone", "checkpoint of its BCE run is gone",
        with_bce(checkpoint_now=None)),
    row("lineage", "bce-retrained", "estimated from another checkpoint of its BCE run",
        with_prior_run(bce_checkpoint=OTHER_SHA)),
    *[
        row("lineage", f"input-of-{what}", f"{words} has a training table of digest eeeeeeee",
            replace(GOOD, inputs={**GOOD.inputs, run: OTHER}))
        for what, words, run in [
            ("training", "the training run", TRAINING),
            ("prior", "the positive prior's run", PRIOR["positive"]),
            ("bce", "the negative prior's BCE run", BCE["negative"]),
        ]
    ],
    row("lineage", "no-input", "the positive prior's run has no training table among its dataset",
        replace(GOOD, inputs={k: v for k, v in GOOD.inputs.items() if k != PRIOR["positive"]})),
    row("lineage", "table-changed", "table has changed",
        replace(GOOD, table=Finding(False, "the training table has changed"))),
    row("evaluation", "none", f"no sound evaluation of model {MODEL}: mlflow run .* -e evaluate "
        "-P model=models:/spectra/2", evaluated()),
    row("evaluation", "run-gone", "its run is gone", evaluated(replace(judged(), run=None))),
    row("evaluation", "run-deleted", "run 3030.* is deleted",
        evaluated(evaluation_run(deleted=True))),
    row("evaluation", "run-failed", "is not complete .status FAILED",
        evaluated(evaluation_run(status="FAILED", complete=False))),
    row("evaluation", "run-incomplete", "is not complete",
        evaluated(evaluation_run(complete=False))),
    row("evaluation", "other-phase", "is of phase predict",
        evaluated(evaluation_run(phase="predict"))),
    row("evaluation", "other-model", f"is of model {CHAMPION}", evaluated(judged(CHAMPION))),
    row("evaluation", "other-table", "read another table than its metrics say",
        evaluated(replace(judged(), digest=OTHER))),
    row("evaluation", "other-threshold", "is at threshold 0.5000, the stored one is 0.7312",
        evaluated(judged(threshold=0.5))),
    row("evaluation", "no-threshold", "is at threshold nan",
        evaluated(without(judged(), "threshold"))),
    row("evaluation", "one-polarity", "is of positive polarity only",
        evaluated(evaluation_run(polarity="positive"))),
    row("evaluation", "no-interval", "has no recall with an interval",
        evaluated(without(judged(), "recall.low"))),
    row("evaluation", "recall-nan", "has no recall with an interval",
        evaluated(judged(recall=math.nan))),
    row("same_data", "other-table", "the champion, version 1, has no sound evaluation on 44444444: "
        "mlflow run . -e evaluate -P model=models:/spectra/1 -P test_3='/data/test 3/test_data'",
        evaluated(judged(digest=TEST_3_NEW)), 92),
    row("recall", "worse", r"0.8000 \(0.7500 to 0.8900\), worse than 0.9000 .*version 1",
        evaluated(judged(recall=0.8, recall__low=0.75, recall__high=0.89)), 92),
    row("prior", "number", "positive: the prior has no interval",
        with_prior(pi=Interval(PI["positive"]))),
    row("prior", "none", "negative: the prior has no interval", replace(GOOD, priors=())),
    row("prior", "q-too-high", "positive: q 0.6000 .* misses pi 0.4534",
        evaluated(judged(q__positive=0.6, q__positive__low=0.58, q__positive__high=0.62))),
    row("prior", "q-too-low", "negative: q 0.0500 .* misses pi 0.2853",
        evaluated(judged(q__negative=0.05, q__negative__low=0.03, q__negative__high=0.07))),
    row("prior", "q-unknown", "negative: q was not evaluated",
        evaluated(without(judged(), "q.negative"))),
    row("prior", "q-nan", "positive: q was not evaluated", evaluated(judged(q__positive=math.nan))),
    *[
        row("degenerate", f"{tag}-of-{run}", f"{phase}: so it is", candidate)
        for tag in ("degenerate", "degenerate_kept", "degenerate_share", "recall", "pi_too_high")
        for run, phase, candidate in [
            ("training", "nnpu_train", replace(GOOD, training=tagged(
                GOOD.training, **{f"warning__{tag}": "so it is"}))),
            ("threshold", "select_threshold", replace(GOOD, logged_by=tagged(
                GOOD.logged_by, **{f"warning__{tag}": "so it is"}))),
            ("evaluation", "evaluate", evaluated(judged(run=tagged(
                source(EVALUATE, "evaluate", digest=TEST_3),
                **{f"warning__{tag}": "so it is"})))),
        ]
    ],
    row("degenerate", "keeps-all", "it keeps 95.1 % of all scans$",
        evaluated(judged(share_kept=0.951))),
    row("degenerate", "keeps-all-of-one", "it keeps 100.0 % of all scans of negative polarity",
        evaluated(judged(share_kept__negative=1.0))),
    row("degenerate", "share-nan", "it keeps nan % of all scans",
        evaluated(judged(share_kept=math.nan))),
]  # fmt: skip


def verdicts(candidate, champion=BEFORE):
    return {v.gate: v for v in decide(GATES, candidate, champion).verdicts}


def test_a_good_candidate_passes_every_gate():
    decision = decide(GATES, GOOD, BEFORE)
    assert [v.gate for v in decision.verdicts] == NAMES
    assert decision.failed == (), decision.lines()
    assert (decision.outcome, decision.promoted, decision.reasons) == ("passed", True, "")


def test_without_a_champion_comparisons_pass():
    found = verdicts(GOOD, None)
    assert all(v.passed for v in found.values())
    assert [g for g, v in found.items() if v.detail == "no champion yet"] == ["same_data", "recall"]


@pytest.mark.parametrize(("gate", "words", "candidate"), WRONG)
def test_wrong_candidate(gate, words, candidate):
    for champion in (BEFORE, None):
        if champion is None and gate in ("same_data", "recall"):
            continue
        decision = decide(GATES, candidate, champion)
        found = {v.gate: v for v in decision.verdicts}[gate]
        assert not found.passed
        assert re.search(words, found.detail), found.detail
        assert "\n" not in found.detail
        assert decision.outcome == "refused" and not decision.promoted
        assert gate in decision.failed and f"{gate}: " in decision.reasons
        forced = decide(GATES, candidate, champion, force=True)
        assert forced.outcome == ("refused" if gate == "load" else "forced")


#: a fault of one thing only; of the others more than one gate speaks
@pytest.mark.parametrize(
    ("gate", "words", "candidate"),
    [p for p in WRONG if p.values[0] in ("load", "recall", "same_data", "degenerate")],
)
def test_the_other_gates_pass(gate, words, candidate):
    expected = {"same_data": ("same_data", "recall")}.get(gate, (gate,))
    assert decide(GATES, candidate, BEFORE).failed == expected


RIGHT = {
    "recall-equal": evaluated(judged(recall=0.9, recall__low=0.9, recall__high=0.9)),
    "recall-lower-but-within": evaluated(judged(recall=0.88, recall__low=0.86, recall__high=0.9)),
    "share-at-the-bound": evaluated(judged(share_kept=0.95)),
    "q-touches-pi": evaluated(
        judged(q__positive__low=PI["positive"] + 0.03, q__positive__high=0.6)),
    "table-out-of-reach": replace(GOOD, table=Finding(True, "is out of reach: not read again")),
    "run-of-another-experiment": with_prior_run(run=estimate(experiment_id="7")),
    "an-older-evaluation-is-sound": evaluated(evaluation_run(deleted=True), judged(when=100)),
    "both-polarities-by-one-bce-table": replace(GOOD, logged_by=GOOD.training),
    "other-warnings": replace(GOOD, training=tagged(
        GOOD.training, warning__drift="x", warning__labelled="x", warning__dataset_recall="x")),
    "evaluated-on-a-newer-table-too": evaluated(judged(digest=TEST_3_NEW, when=900), judged()),
}  # fmt: skip


@pytest.mark.parametrize("candidate", RIGHT.values(), ids=RIGHT)
def test_right_candidate(candidate):
    assert (
        decide(GATES, candidate, BEFORE).lines() and decide(GATES, candidate, BEFORE).failed == ()
    )


def test_a_model_of_one_polarity():
    positive = replace(
        training(polarity="positive"),
        polarity="positive",
        priors=GOOD.priors[:1],
        evaluations=(without(evaluation_run(polarity="positive"), "q.negative"),),
    )
    assert decide(GATES, positive, None).failed == ()
    before = replace(
        BEFORE,
        polarity="positive",
        evaluations=(
            judged(
                CHAMPION,
                run=source(EVALUATE, "evaluate", digest=TEST_3, of="positive"),
                threshold=0.6,
            ),
        ),
    )
    assert decide(GATES, positive, before).failed == ()
    # in place of one that knows both, half of the scans could not be scored any more
    lost = verdicts(positive, BEFORE)
    assert [gate for gate, found in lost.items() if not found.passed] == ["same_data"]
    assert "knows scans of negative polarity, the candidate does not" in lost["same_data"].detail
    # one that knows more is compared where the champion is used
    low, high = "recall.positive.low", "recall.positive.high"
    for own, failed in ((0.9, ()), (0.7, ("recall",))):
        ends = {"recall.positive": own, low: own - 0.02, high: own + 0.02}
        more = evaluated(judged(**ends))
        assert decide(GATES, more, before).failed == failed
    assert decide(GATES, GOOD, before).failed == ("recall",), "its interval is not known"


def test_the_table_that_both_know_is_taken():
    twice = evaluated(judged(digest=TEST_3_NEW, when=900), judged(when=100))
    assert [e.digest for e in judged_by(twice, BEFORE)] == [TEST_3, TEST_3]
    assert judged_by(twice, None)[0].digest == TEST_3_NEW
    late = replace(
        BEFORE,
        evaluations=(
            judged(CHAMPION, TEST_3_NEW, when=950, threshold=0.6),
            judged(CHAMPION, threshold=0.6),
        ),
    )
    assert [e.digest for e in judged_by(twice, late)] == [TEST_3_NEW, TEST_3_NEW]


def test_of_several_evaluations_on_one_table_the_newest_counts():
    def twice(model, threshold):
        late, early = 0.95, 0.5
        return (
            judged(model, when=900, recall=late, threshold=threshold),
            judged(model, when=100, recall=early, threshold=threshold),
        )

    mine, theirs = judged_by(
        evaluated(*twice(MODEL, 0.7312)), replace(BEFORE, evaluations=twice(CHAMPION, 0.6))
    )
    assert (mine.when, theirs.when) == (900, 900)


def test_an_unsound_evaluation_of_the_champion_does_not_count():
    shaky = replace(BEFORE, evaluations=(judged(CHAMPION, threshold=0.5),))
    decision = decide(GATES, GOOD, shaky)
    assert decision.failed == ("same_data", "recall")


def test_a_champion_that_cannot_be_read_is_not_better():
    gone = SpectraCandidate(
        called="version 1",
        address="models:/spectra/1",
        model_id=CHAMPION,
        loaded=Finding(False, "gone"),
    )
    decision = decide(GATES, GOOD, gone)
    assert decision.failed == ("same_data", "recall")


def test_the_champion_against_itself():
    assert decide(GATES, GOOD, GOOD).failed == ()


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=6), st.booleans())
def test_decision(findings, force):
    gates = [
        Gate(f"g{n}", lambda candidate, champion, passed=passed: Finding(passed, "why"), can)
        for n, (passed, can) in enumerate(findings)
    ]
    decision = decide(gates, None, None, force)
    failed = [can for passed, can in findings if not passed]
    assert decision.promoted == (not failed or (force and all(failed)))
    assert (decision.outcome == "passed") == (not failed)
    assert decision.outcome in ("passed", "refused") or force
    assert len(decision.table()) == len(decision.lines()) == len(findings)


def test_decision_as_table_tags_and_markdown():
    gates = [
        Gate("good", lambda *_: Finding(True, "fine")),
        Gate("bad", lambda *_: Finding(False, "a | b\nc")),
    ]
    decision = decide(gates, None, None, force=True)
    assert decision.table().to_csv(index=False).splitlines()[:2] == [
        "gate,result,detail", "good,passed,fine",
    ]  # fmt: skip
    assert decision.markdown().splitlines()[2:] == [
        "| good | passed | fine |",
        "| bad | **failed** | a \\| b c |",
    ]
    assert decision.tags() == {
        "decision": "forced",
        "decision.reasons": "bad: a | b\nc",
        "forced.gates": "bad",
        "gate.good": "passed",
        "gate.bad": "failed",
    }
    refused = decide(gates, None, None)
    assert refused.tags()["decision"] == "refused"
    assert "forced.gates" not in refused.tags(), "of a champion by force it stays"
    assert decide(gates[:1], None, None).tags()["forced.gates"] == ""


# --- the model card -----------------------------------------------------------------------------


def card(candidate=GOOD, evaluation=GOOD.evaluations[0]):
    decision = decide(GATES, candidate, BEFORE, force=True)
    return SpectraCard("spectra", "2", candidate, evaluation, decision, "99" * 16)


def test_the_card_says_what_there_is_to_know():
    text = card().text()
    for wanted in (
        "# spectra, version 2",
        DIGEST,
        "| positive | 0.4534 (0.4234 to 0.4834) | 0.5889 | 0.2670 | median | 4040",
        "0.7312 (percentile 5)",
        "| recall | 0.9000 (0.8700 to 0.9200) | 0.9000 |",
        "## Intended use",
        "## Limits",
        'mlflow.pyfunc.load_model("models:/spectra/2")',
        f"SHA-256 of its weights: `{SHA}`",
        "Apache License 2.0",
        *RUNS,
        THRESHOLD,
        EVALUATE,
        "99" * 16,
    ):
        assert wanted in text, wanted
    assert "nan" not in text
    assert max(map(len, text.splitlines())) < 400


def test_the_card_of_a_model_of_which_little_is_known():
    bare = replace(GOOD, training=None, priors=(), logged_by=None, rule="", evaluations=())
    text = card(bare, None).text()
    assert "**forced**" in text and "None that counts." in text and "trained on labels" in text
    assert "default, not chosen on data" in text and "nan" not in text
    short = card(bare, None).short()
    assert "Decision: forced." in short and "| lineage | **failed** |" in short
    number = card(with_prior(run_id="", pi=Interval(0.45), estimator="")).text()
    assert (
        "| positive | 0.4500 (no interval) |" in number and "a number given by the user" in number
    )


def test_the_short_card_fits_a_description():
    short = card().short()
    assert "recall 0.9000 (0.8700 to 0.9200), keeps 41.0 % of all scans" in short
    assert short.endswith(f"Model card: model_card.md of run {'99' * 16}.")
    assert "| load | passed |" in short and "| degenerate | passed |" in short
    assert len(short) < 5000  # what MLflow keeps of a description
