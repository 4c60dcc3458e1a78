"""Every way to promote a wrong RNA model, as rows of a table: no server, no file.

Each row changes one fact of a candidate that passes everything, and says which gate has to find it,
and in which words. Numbers are those of published methods (facts on RNA, section 8).
"""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.phases.test_gates import source, tagged, without

from priorwise.phases.gates import Finding, decide
from priorwise.phases.promotion_candidate import Evaluation, judged_by
from priorwise.phases.rna_candidate import RnaCandidate, evaluated_parts
from priorwise.phases.rna_card import RnaCard
from priorwise.phases.rna_gates import GATES

DIGEST, OTHER, NEWER = "d" * 32, "e" * 32, "4" * 32
SHA, OTHER_SHA = "1" * 64, "2" * 64
MODEL, CHAMPION = "m-" + "a" * 32, "m-" + "b" * 32
TRAINING, EVALUATE = "10" * 16, "30" * 16
NAMES = ["load", "lineage", "evaluation", "same_data", "new_families", "leakage"]


def run(run_id, of_phase, **changes):
    """A run of the RNA pipeline, which knows no polarity."""
    return source(run_id, of_phase, "", **{"schema": "rna/1", "digest": DIGEST, **changes})


def metrics(**changes):
    """Metrics of an evaluation; a double underscore stands for a point."""
    found = {"threshold": 0.42}
    for part, f1, copied, n in (("NEW", 0.56, 0.021, 2839), ("TS0", 0.68, 0.431, 473)):
        found |= {f"f1.{part}": f1, f"f1.{part}.low": f1 - 0.01, f"f1.{part}.high": f1 + 0.01}
        found |= {f"precision.{part}": f1 + 0.02, f"recall.{part}": f1 - 0.02}
        found |= {f"ap.{part}": 0.5, f"structure_accuracy.{part}": 0.8, f"n.{part}": float(n)}
        found |= {f"copy_f1.{part}": copied, f"rnafold_f1.{part}": 0.6}
        found |= {f"leak_exact.{part}": 0.0, f"leak_similar.{part}": 0.125}
    return {**found, **{name.replace("__", "."): value for name, value in changes.items()}}


def judged(model=MODEL, digest=DIGEST, run_=None, when=200, **changes):
    run_ = run_ or run(EVALUATE, "rna_evaluate", digest=digest)
    return Evaluation(run_, model, digest, "/data/my rna/rna_data", when, metrics(**changes))


GOOD = RnaCandidate(
    called="version 2",
    address="models:/rna/2",
    model_id=MODEL,
    sha256=SHA,
    schema="rna/1",
    threshold=0.42,
    rule="best strict F1 on VL0",
    loaded=Finding(True, "loads and predicts in a fresh process"),
    training=tagged(run(TRAINING, "rna_pretrain"), model__sha256=SHA),
    logged_by=tagged(run(TRAINING, "rna_pretrain"), model__sha256=SHA),
    inputs={TRAINING: DIGEST},
    table=Finding(True, "the training table was read again"),
    evaluations=(judged(),),
    trained_on="7,879 sequences",
    method="nested",
    training_digest=DIGEST,
)
BEFORE = replace(
    GOOD,
    called="version 1",
    address="models:/rna/1",
    model_id=CHAMPION,
    threshold=0.5,
    evaluations=(judged(CHAMPION, threshold=0.5),),
    training=None,
)


def training(**changes):
    found = run(TRAINING, "rna_pretrain", **changes)
    return replace(GOOD, training=tagged(found, model__sha256=SHA))


def evaluated(*evaluations):
    return replace(GOOD, evaluations=evaluations)


def evaluation_run(**changes):
    return judged(run_=run(EVALUATE, "rna_evaluate", **changes))


def new(f1, **changes):
    """An evaluation with another F1 on new families."""
    return judged(f1__NEW=f1, f1__NEW__low=f1 - 0.01, f1__NEW__high=f1 + 0.01, **changes)


def row(gate, what, words, candidate):
    return pytest.param(gate, words, candidate, id=f"{gate}-{what}")


WRONG = [
    row("load", "broken", "does not load",
        replace(GOOD, loaded=Finding(False, "does not load"))),
    row("lineage", "no-training", "its training run does not exist", replace(GOOD, training=None)),
    row("lineage", "deleted", "the training run is deleted", training(deleted=True)),
    row("lineage", "failed", "the training run has status FAILED",
        training(status="FAILED", complete=False)),
    row("lineage", "killed", "the training run has status KILLED",
        training(status="KILLED", complete=False)),
    row("lineage", "running", "the training run has status RUNNING",
        training(status="RUNNING", complete=False)),
    row("lineage", "incomplete", "FINISHED but not complete", training(complete=False)),
    row("lineage", "other-phase", "is of phase nnpu_train .wanted rna_pretrain",
        training(phase="nnpu_train")),
    row("lineage", "other-schema", "the training run has schema spectra/1 .wanted rna/1",
        training(schema="spectra/1")),
    row("lineage", "tag-edited", "the training run has tag data.digest changed",
        replace(GOOD, training=tagged(GOOD.training, data__digest=OTHER))),
    row("lineage", "checkpoint-changed", "checkpoint of the training run has changed",
        training(checkpoint_recorded=SHA, checkpoint_now=OTHER_SHA)),
    row("lineage", "checkpoint-gone", "checkpoint of the training run is gone",
        training(checkpoint_recorded=SHA, checkpoint_now=None)),
    row("lineage", "other-weights", "not those that the training run logged",
        replace(GOOD, sha256=OTHER_SHA)),
    row("lineage", "weights-not-on-record", "not those that the training run logged",
        replace(GOOD, training=run(TRAINING, "rna_pretrain"))),
    row("lineage", "logged-by-nobody", "the run that logged it does not exist",
        replace(GOOD, logged_by=None)),
    row("lineage", "logged-by-deleted", "the run that logged it is deleted",
        replace(GOOD, logged_by=run(EVALUATE, "rna_pretrain", deleted=True))),
    row("lineage", "logged-by-failed", "the run that logged it is not complete .status FAILED",
        replace(GOOD, logged_by=run(EVALUATE, "rna_pretrain", status="FAILED", complete=False))),
    row("lineage", "no-input", "the training run has no training table among its dataset inputs",
        replace(GOOD, inputs={})),
    row("lineage", "other-input", "the training run has a training table of digest eeeeeeee as in",
        replace(GOOD, inputs={TRAINING: OTHER})),
    row("lineage", "other-table-told", "trained on a table of digest eeeeeeee, the training run d",
        replace(GOOD, training_digest=OTHER)),
    row("lineage", "table-changed", "table has changed",
        replace(GOOD, table=Finding(False, "the training table has changed"))),
    row("evaluation", "none", f"no sound evaluation of model {MODEL}: mlflow run .* -e "
        "rna_evaluate -P model=models:/rna/2", evaluated()),
    row("evaluation", "run-gone", "its run is gone", evaluated(replace(judged(), run=None))),
    row("evaluation", "deleted", "run 3030.* is deleted", evaluated(evaluation_run(deleted=True))),
    row("evaluation", "failed", "is not complete .status FAILED",
        evaluated(evaluation_run(status="FAILED", complete=False))),
    row("evaluation", "incomplete", "is not complete", evaluated(evaluation_run(complete=False))),
    row("evaluation", "other-phase", "is of phase evaluate",
        evaluated(evaluation_run(phase="evaluate"))),
    row("evaluation", "other-model", f"is of model {CHAMPION}", evaluated(judged(CHAMPION))),
    row("evaluation", "other-table", "read another table than its metrics say",
        evaluated(replace(judged(), digest=OTHER))),
    row("evaluation", "other-threshold", "is at threshold 0.3500, the stored one is 0.4200",
        evaluated(judged(threshold=0.35))),
    row("evaluation", "no-threshold", "is at threshold nan",
        evaluated(without(judged(), "threshold"))),
    row("evaluation", "partial", "is partial .threshold 0.42, max_length 99",
        evaluated(judged(run_=tagged(run(EVALUATE, "rna_evaluate"),
                                     partial="threshold 0.42, max_length 99")))),
    row("evaluation", "no-interval", "has no F1 with an interval",
        evaluated(without(judged(), "f1.NEW.low", "f1.TS0.high"))),
    row("evaluation", "training-partition-only", "has no F1 with an interval",
        evaluated(replace(judged(), metrics={
            "threshold": 0.42, "f1.TR0": 0.9, "f1.TR0.low": 0.89, "f1.TR0.high": 0.91}))),
    row("same_data", "other-table", "the champion, version 1, has no sound evaluation on 44444444: "
        "mlflow run . -e rna_evaluate -P model=models:/rna/1 -P data='/data/my rna/rna_data'",
        evaluated(judged(digest=NEWER))),
    row("same_data", "other-sequences", "evaluated on 2000 sequences of NEW, the champion, version "
        "1, on 2839", evaluated(judged(n__NEW=2000.0))),
    row("new_families", "worse", r"F1 on NEW 0.5400 \(0.5300 to 0.5500\), worse than 0.5600 .* of "
        r"the champion \(version 1\); copy of the nearest 0.0210, RNAfold 0.6000 \(0.0600 higher",
        evaluated(new(0.54))),
    row("new_families", "not-evaluated", "F1 on NEW was not evaluated",
        evaluated(without(judged(), "f1.NEW"))),
    row("new_families", "nan", "F1 on NEW was not evaluated", evaluated(judged(f1__NEW=math.nan))),
    row("new_families", "no-interval", "F1 on NEW was not evaluated",
        evaluated(without(judged(), "f1.NEW.high"))),
    row("new_families", "copy-as-good", r"F1 on NEW 0.0210 \(.*\), no better than a copy of the ne"
        r"arest 0.0210, RNAfold 0.6000 \(0.5790 higher\)$", evaluated(new(0.021))),
    row("new_families", "copy-unknown", "but not that of a copy of the nearest training structure",
        evaluated(without(judged(), "copy_f1.NEW"))),
    row("leakage", "exact", "^1 sequences of NEW were trained on$",
        evaluated(judged(leak_exact__NEW=1.0))),
    row("leakage", "exact-in-two", "^3 sequences of NEW, 12 sequences of TS0 were trained on$",
        evaluated(judged(leak_exact__NEW=3.0, leak_exact__TS0=12.0))),
    row("leakage", "exact-in-validation", "^1 sequences of VL0 were trained on$",
        evaluated(judged(f1__VL0=0.7, leak_exact__VL0=1.0))),
    row("leakage", "not-measured", "whether sequences of TS0 were trained on was not measured",
        evaluated(without(judged(), "leak_exact.TS0"))),
    row("leakage", "nan", "whether sequences of NEW were trained on was not measured",
        evaluated(judged(leak_exact__NEW=math.nan))),
    row("leakage", "not-measured-on-cut", "whether sequences of CUT were",
        evaluated(judged(f1__CUT=0.7))),
]  # fmt: skip


def verdicts(candidate, champion=BEFORE):
    return {v.gate: v for v in decide(GATES, candidate, champion).verdicts}


def test_a_good_candidate_passes_every_gate():
    decision = decide(GATES, GOOD, BEFORE)
    assert [v.gate for v in decision.verdicts] == NAMES
    assert decision.failed == (), decision.lines()
    assert (decision.outcome, decision.promoted, decision.reasons) == ("passed", True, "")
    assert [gate.name for gate in GATES if not gate.can_be_forced] == ["load"]


def test_what_passes_is_told():
    found = {gate: verdict.detail for gate, verdict in verdicts(GOOD).items()}
    assert found["lineage"] == f"training {TRAINING}; the training table was read again"
    assert found["evaluation"] == (
        f"run {EVALUATE} on dddddddd at threshold 0.4200: F1 on NEW 0.5600 (0.5500 to 0.5700), "
        "F1 on TS0 0.6800 (0.6700 to 0.6900)"
    )
    assert found["same_data"] == f"both on dddddddd (version 1: {EVALUATE})"
    assert found["new_families"] == (
        "F1 on NEW 0.5600 (0.5500 to 0.5700), not worse than 0.5600 (0.5500 to 0.5700) of the "
        "champion (version 1); copy of the nearest 0.0210, RNAfold 0.6000 (0.0400 higher)"
    )
    assert found["leakage"] == (
        "no sequence of NEW, TS0 was trained on; similar to one: 12.5 % of NEW, 12.5 % of TS0"
    )


def test_without_a_champion_comparisons_pass():
    found = verdicts(GOOD, None)
    assert all(v.passed for v in found.values())
    assert found["same_data"].detail == "no champion yet"
    assert found["new_families"].detail == (
        "F1 on NEW 0.5600 (0.5500 to 0.5700); copy of the nearest 0.0210, RNAfold 0.6000 (0.0400 "
        "higher)"
    )


@pytest.mark.parametrize(("gate", "words", "candidate"), WRONG)
def test_wrong_candidate(gate, words, candidate):
    for champion in (BEFORE, None):
        if champion is None and (gate == "same_data" or "worse than" in words):
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


@pytest.mark.parametrize(
    ("gate", "words", "candidate"),
    [p for p in WRONG if p.values[0] not in ("evaluation", "same_data")],
)
def test_the_other_gates_pass(gate, words, candidate):
    assert decide(GATES, candidate, BEFORE).failed == (gate,)


@pytest.mark.parametrize("gate", ["evaluation", "same_data"])
def test_nothing_is_compared_without_a_sound_evaluation_on_one_table(gate):
    failed = decide(GATES, evaluated(), BEFORE).failed
    assert failed == ("evaluation", "same_data", "new_families", "leakage")
    failed = decide(GATES, evaluated(judged(digest=NEWER)), BEFORE).failed
    assert failed == ("same_data", "new_families")


RIGHT = {
    "lower-but-within": evaluated(judged(f1__NEW=0.551, f1__NEW__low=0.54, f1__NEW__high=0.56)),
    "better": evaluated(new(0.7)),
    "worse-on-known-families": evaluated(judged(f1__TS0=0.5, f1__TS0__low=0.4, f1__TS0__high=0.6)),
    "without-rnafold": evaluated(without(judged(), "rnafold_f1.NEW", "rnafold_f1.TS0")),
    "without-similar": evaluated(without(judged(), "leak_similar.NEW", "leak_similar.TS0")),
    "trained-rows-evaluated-too": evaluated(judged(f1__TR0=0.9, leak_exact__TR0=4082.0)),
    "table-out-of-reach": replace(GOOD, table=Finding(True, "is out of reach: not read again")),
    "run-of-another-experiment": training(experiment_id="7"),
    "older-description": replace(GOOD, training_digest=""),
    "an-older-evaluation-is-sound": evaluated(evaluation_run(deleted=True), judged(when=100)),
    "evaluated-on-a-newer-table-too": evaluated(judged(digest=NEWER, when=900), judged()),
    "count-unknown": evaluated(without(judged(), "n.NEW")),
}  # fmt: skip


@pytest.mark.parametrize("candidate", RIGHT.values(), ids=RIGHT)
def test_right_candidate(candidate):
    assert decide(GATES, candidate, BEFORE).failed == ()


def test_without_rnafold_nothing_is_said_of_it():
    bare = evaluated(without(judged(), "rnafold_f1.NEW"))
    assert "RNAfold" not in verdicts(bare)["new_families"].detail
    lower = evaluated(judged(rnafold_f1__NEW=0.5))
    assert "RNAfold 0.5000 (0.0600 lower)" in verdicts(lower)["new_families"].detail


def test_a_champion_without_new_families_is_no_bar():
    old = replace(BEFORE, evaluations=(without(judged(CHAMPION, threshold=0.5), "f1.NEW"),))
    found = verdicts(GOOD, old)
    assert not found["new_families"].passed
    assert "F1 on NEW of version 1 is not known" in found["new_families"].detail
    assert found["same_data"].passed


def test_a_champion_that_cannot_be_read_is_not_better():
    gone = RnaCandidate(
        called="version 1",
        address="models:/rna/1",
        model_id=CHAMPION,
        loaded=Finding(False, "gone"),
    )
    assert decide(GATES, GOOD, gone).failed == ("same_data", "new_families")


def test_an_unsound_evaluation_of_the_champion_does_not_count():
    shaky = replace(BEFORE, evaluations=(judged(CHAMPION, threshold=0.42),))
    assert decide(GATES, GOOD, shaky).failed == ("same_data", "new_families")


def test_the_champion_against_itself():
    assert decide(GATES, GOOD, GOOD).failed == ()


def test_the_table_that_both_know_is_taken():
    twice = evaluated(judged(digest=NEWER, when=900), judged(when=100))
    assert [e.digest for e in judged_by(twice, BEFORE)] == [DIGEST, DIGEST]
    assert judged_by(twice, None)[0].digest == NEWER


@given(ours=st.floats(0.03, 1), width=st.floats(0, 0.2), bar=st.floats(0.03, 1))
def test_new_families_compares_the_upper_end_with_the_champions_value(ours, width, bar):
    mine = judged(f1__NEW=ours, f1__NEW__low=ours - width, f1__NEW__high=ours + width)
    theirs = judged(CHAMPION, threshold=0.5, f1__NEW=bar, f1__NEW__low=bar, f1__NEW__high=bar)
    found = verdicts(evaluated(mine), replace(BEFORE, evaluations=(theirs,)))["new_families"]
    assert found.passed == (ours + width >= bar)


def test_evaluated_parts():
    assert evaluated_parts(judged()) == ["NEW", "TS0"]
    more = judged(f1__VL0=0.7, f1__CUT=0.6, f1__TR0=0.9)
    assert evaluated_parts(more) == ["NEW", "TS0", "VL0", "CUT"]


# --- the model card -----------------------------------------------------------------------------


def card(candidate=GOOD, evaluation=GOOD.evaluations[0]):
    decision = decide(GATES, candidate, BEFORE, force=True)
    return RnaCard("rna", "2", candidate, evaluation, decision, "99" * 16)


def test_the_card_says_what_there_is_to_know():
    text = card().text()
    for wanted in (
        "# rna, version 2",
        DIGEST,
        "7,879 sequences",
        "0.4200 (best strict F1 on VL0)",
        "| NEW | 2839 | 0.5600 (0.5500 to 0.5700) | 0.5800 | 0.5400 | 0.5000 | 0.8000 | 0.0210 | "
        "0.6000 | 0 | 12.5% |",
        "- NEW: test, of families that the training does not have",
        "## Intended use",
        "## Limits",
        'mlflow.pyfunc.load_model("models:/rna/2")',
        f"SHA-256 of its weights: `{SHA}`",
        "Apache License 2.0",
        TRAINING,
        EVALUATE,
        "99" * 16,
    ):
        assert wanted in text, wanted
    for foreign in ("nan", "polarit", "scan", "prior", "spectr", "recall of"):
        assert foreign not in text.lower(), foreign
    assert max(map(len, text.splitlines())) < 400


def test_the_card_of_a_model_of_which_little_is_known():
    bare = replace(GOOD, training=None, logged_by=None, rule="", evaluations=())
    text = card(bare, None).text()
    assert "**forced**" in text and "None that counts." in text
    assert "default, not chosen on data" in text and "nan" not in text
    assert "| lineage | **failed** |" in card(bare, None).short()
    some = without(judged(), "rnafold_f1.NEW", "rnafold_f1.TS0", "leak_exact.NEW")
    text = card(evaluated(some), some).text()
    assert "RNAfold |" not in text and "| NEW | 2839 |" in text and "nan" not in text


def test_the_card_names_features_and_the_longest_sequence():
    wide = replace(GOOD, features=("turner2004", "langdon2018"), longest=510, method="greedy")
    text = card(wide).text()
    assert "with pair probabilities of turner2004, langdon2018; decoding: greedy." in text
    assert "At most 510 bases." in text and "the likeliest pair first" in text
    assert "At most" not in card().text().partition("## Limits")[0]


def test_the_short_card_fits_a_description():
    short = card().short()
    assert (
        "Strict F1 on NEW 0.5600 (0.5500 to 0.5700), F1 on TS0 0.6800 (0.6700 to 0.6900) (RNAfold "
        "on NEW: 0.6000)." in short
    )
    assert short.endswith(f"Model card: model_card.md of run {'99' * 16}.")
    assert "| load | passed |" in short and "| leakage | passed |" in short
    assert len(short) < 5000  # what MLflow keeps of a description
