"""Every way to pick a wrong prior, as rows of a table.

Each row says what the resolver must do and what it must say; the numbers 64 to 87 are those of the
project's list of faults. Nothing here touches a server.
"""

import math
import re
import struct
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from priorwise.phases.candidates import (
    ChosenPrior,
    ChosenRun,
    PriorCandidate,
    Refusals,
    Request,
    Source,
)
from priorwise.phases.resolve import choose, choose_run, refusal_table

DIGEST, OTHER_DIGEST = "d" * 32, "e" * 32
SHA, OTHER_SHA = "1" * 64, "2" * 64
SCHEMA = "spectra/1"
#: the guide's numbers
S_POS, C_POS = 0.267, 0.5889
S_NEG, C_NEG = 0.128, 0.4486
ONCE = {"c": 1, "s": 1, "pi": 1}

GOOD, NEWER, THIRD = "a" * 32, "b" * 32, "c" * 32
BCE, BCE_NEW, BCE_NEG = "1a" * 16, "1b" * 16, "1c" * 16
AUTO = Request("auto", "positive", DIGEST, SCHEMA, "1", version=3, s_train=S_POS)
AUTO_NEG = replace(AUTO, polarity="negative", s_train=S_NEG)


def source(run_id: str, of_phase: str, start: int, **changes: object) -> Source:
    """A fit run of a phase."""
    values = {
        "run_id": run_id,
        "name": f"{of_phase} positive",
        "experiment_id": "1",
        "start_time": start,
        "status": "FINISHED",
        "deleted": False,
        "complete": True,
        "phase": of_phase,
        "polarity": "positive",
        "digest": DIGEST,
        "version": 3,
        "schema": SCHEMA,
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


def bce(run_id: str = BCE, start: int = 100, **changes: object) -> Source:
    """A fit phase 1 run."""
    checkpoint = {"checkpoint_recorded": SHA, "checkpoint_now": SHA}
    return source(run_id, "bce_pretrain", start, **{**checkpoint, **changes})


RUN_FIELDS = {*Source.__dataclass_fields__} - {"run_id", "start_time"}


def prior(run_id: str = GOOD, start: int = 200, **changes: object) -> PriorCandidate:
    """A fit phase 2 run; fields of its run and of its record can be changed alike."""
    run = source(
        run_id, "estimate_prior", start, **{k: v for k, v in changes.items() if k in RUN_FIELDS}
    )
    record = {
        "c": C_POS,
        "s": S_POS,
        "history": ONCE,
        "bce": bce(),
        "bce_checkpoint": SHA,
        "n_labelled": 400.0,
        "score_low": 0.01,
        "score_high": 0.93,
        **{k: v for k, v in changes.items() if k not in RUN_FIELDS},
    }
    if "pi" not in record:
        record["pi"] = record["s"] / record["c"]
    return PriorCandidate(run=run, **record)


def negative(run_id: str = NEWER, start: int = 300, **changes: object) -> PriorCandidate:
    """A fit prior of the other polarity."""
    values = {"polarity": "negative", "c": C_NEG, "s": S_NEG}
    return prior(run_id, start, **{**values, "bce": bce(BCE_NEG, polarity="negative"), **changes})


def edited(run: Source, **tags: str) -> Source:
    """The run with tags changed in the UI."""
    changed = {name.replace("_", "."): value for name, value in tags.items()}
    return replace(run, tags={**run.tags, **changed})


def with_tags(candidate: PriorCandidate, **tags: str) -> PriorCandidate:
    return replace(candidate, run=edited(candidate.run, **tags))


def unfit_row(number: int, what: str, reason: str, **changes: object) -> object:
    """A candidate that must be refused although it is the newest, and what is said of it."""
    return pytest.param(prior(NEWER, 300, **changes), reason, id=f"{number}-{what}")


INF = 1.7976931348623157e308  # what MLflow stores for an infinite metric
NO_PI = {"pi": 0.4}

UNFIT = [
    unfit_row(64, "FAILED", "run has status FAILED", status="FAILED", complete=False),
    unfit_row(64, "KILLED", "run has status KILLED", status="KILLED", complete=False),
    unfit_row(64, "RUNNING", "run has status RUNNING", status="RUNNING", complete=False),
    unfit_row(64, "SCHEDULED", "run has status SCHEDULED", status="SCHEDULED", complete=False),
    unfit_row(64, "FAILED-with-tag", "run has status FAILED", status="FAILED", complete=True),
    unfit_row(65, "preempted", "FINISHED but not complete", complete=False),
    unfit_row(66, "polarity", "run is for polarity negative", polarity="negative"),
    unfit_row(66, "no-polarity", "run is for polarity unknown", polarity=""),
    unfit_row(66, "schema", "run has schema rna/1 \\(wanted spectra/1\\)", schema="rna/1"),
    pytest.param(
        with_tags(prior(NEWER, 300, polarity="negative"), polarity="positive"),
        "run is for polarity negative; run has tag polarity changed .*the param is negative",
        id="67-tag-edited-to-the-wanted-polarity",
    ),
    pytest.param(
        with_tags(prior(NEWER, 300), polarity="negative"),
        "run has tag polarity changed after the fact \\(the param is positive\\)",
        id="67-tag-edited-away",
    ),
    pytest.param(
        with_tags(prior(NEWER, 300, digest=OTHER_DIGEST), data_digest=DIGEST),
        "other training data.*tag data.digest changed after the fact",
        id="67-digest-tag-edited",
    ),
    pytest.param(
        with_tags(prior(NEWER, 300, phase="nnpu_train"), phase="estimate_prior"),
        "run is of phase nnpu_train \\(wanted estimate_prior\\).*tag phase changed",
        id="67-phase-tag-edited",
    ),
    unfit_row(68, "digest", "other training data \\(digest eeeeeeee, version 3; wanted dddddddd",
              digest=OTHER_DIGEST),
    unfit_row(68, "no-digest", "digest unknown", digest=""),
    unfit_row(69, "checkpoint", "estimated from another checkpoint of its BCE run",
              bce_checkpoint=OTHER_SHA),
    unfit_row(69, "no-checkpoint", "estimated from another checkpoint", bce_checkpoint=""),
    unfit_row(69, "overwritten", "checkpoint of its BCE run has changed since it was written",
              bce=bce(checkpoint_now=OTHER_SHA)),
    unfit_row(69, "gone", "checkpoint of its BCE run is gone", bce=bce(checkpoint_now=None)),
    unfit_row(69, "tag-and-file-replaced", "estimated from another checkpoint of its BCE run",
              bce=bce(checkpoint_recorded=OTHER_SHA, checkpoint_now=OTHER_SHA)),
    unfit_row(69, "tag-removed", "estimated from another checkpoint of its BCE run",
              bce=bce(checkpoint_recorded=None, checkpoint_now=None)),
    unfit_row(69, "BCE-missing", "its BCE run does not exist", bce=None),
    unfit_row(69, "BCE-deleted", "its BCE run is deleted", bce=bce(deleted=True)),
    unfit_row(69, "BCE-killed", "its BCE run has status KILLED", bce=bce(status="KILLED")),
    unfit_row(69, "BCE-incomplete", "its BCE run is FINISHED but not complete",
              bce=bce(complete=False)),
    unfit_row(69, "BCE-other-data", "its BCE run used other training data",
              bce=bce(digest=OTHER_DIGEST)),
    unfit_row(69, "BCE-other-polarity", "its BCE run is for polarity negative",
              bce=bce(polarity="negative")),
    unfit_row(69, "BCE-other-phase", "its BCE run is of phase nnpu_train",
              bce=bce(phase="nnpu_train")),
    unfit_row(69, "BCE-tag-edited", "its BCE run has tag polarity changed",
              bce=edited(bce(), polarity="negative")),
    unfit_row(70, "deleted", "run is deleted", deleted=True),
    unfit_row(71, "c-nan", "not finite: c, pi", c=math.nan),
    unfit_row(71, "s-nan", "not finite: s, pi", s=math.nan),
    unfit_row(71, "pi-nan", "not finite: pi", pi=math.nan),
    unfit_row(72, "c-inf", "not finite: c", c=math.inf, **NO_PI),
    unfit_row(72, "c-inf-as-stored", "c must be at most 1 .*c=1.79769e\\+308", c=INF, **NO_PI),
    unfit_row(72, "pi-inf-as-stored", "pi must lie between 0 and 1", pi=INF),
    unfit_row(72, "s-inf-as-stored", "s must be below c", s=INF, **NO_PI),
    unfit_row(73, "c-zero", "s must be below c", c=0.0, **NO_PI),
    unfit_row(73, "c-negative", "s must be below c", c=-0.5, **NO_PI),
    unfit_row(73, "s-zero", "s must be above 0: no labelled rows", s=0.0),
    unfit_row(73, "s-negative", "s must be above 0", s=-0.1),
    unfit_row(74, "c-above-1", "c must be at most 1", c=1.2),
    unfit_row(75, "c-below-s", "s must be below c.*s=0.267, c=0.2, pi=1.335", c=0.2),
    unfit_row(75, "c-equals-s", "s must be below c.*s=0.267, c=0.267, pi=1\\)", c=S_POS),
    unfit_row(76, "pi-1", "pi must lie between 0 and 1 .*pi=1\\)", pi=1.0),
    unfit_row(76, "pi-0", "pi must lie between 0 and 1 .*pi=0\\)", pi=0.0),
    unfit_row(76, "pi-negative", "pi must lie between 0 and 1", pi=-0.4),
    unfit_row(76, "pi-is-not-s/c", "pi 0.460000 is not s/c = 0.453388", pi=0.46),
    unfit_row(77, "c-relogged", "c not written exactly once", history={**ONCE, "c": 2}),
    unfit_row(77, "all-relogged", "c, s, pi not written exactly once",
              history={"c": 3, "s": 2, "pi": 2}),
    unfit_row(77, "never-written", "pi not written exactly once", history={"c": 1, "s": 1}),
    unfit_row(77, "history-unknown", "c, s, pi not written exactly once", history={}),
    unfit_row(79, "other-experiment", "run belongs to another experiment \\(id 7\\)",
              experiment_id="7"),
    unfit_row(80, "older-than-the-data", "digest eeeeeeee, version 2; wanted dddddddd, version 3",
              digest=OTHER_DIGEST, version=2),
    unfit_row(80, "s-of-another-table", "s 0.300000 is not that of the training table, 0.267000",
              s=0.3),
    unfit_row(84, "logits", "scores range over \\[-4.2, 3.9\\]: not probabilities",
              score_low=-4.2, score_high=3.9),
    unfit_row(84, "below-0", "scores range over \\[-0.1, 0.9\\]", score_low=-0.1, score_high=0.9),
    unfit_row(84, "percent", "scores range over \\[0.1, 93\\]: not probabilities",
              score_low=0.1, score_high=93.0),
    unfit_row(84, "twice", "a sigmoid applied twice\\?", score_low=0.502, score_high=0.717),
]  # fmt: skip


@pytest.mark.parametrize(("candidate", "reason"), UNFIT)
class TestUnfitCandidate:
    """What makes a candidate unfit makes it unfit wherever it stands."""

    def test_alone_nothing_is_chosen(self, candidate, reason):
        outcome = choose(AUTO, [candidate])
        assert isinstance(outcome, Refusals)
        assert outcome.reason == "no fit estimate_prior run for polarity positive"
        assert [r.run_id for r in outcome.refused] == [NEWER]
        _says(reason, "; ".join(outcome.refused[0].reasons))
        _says(reason, refusal_table(outcome))

    def test_an_older_fit_one_is_chosen_and_the_user_is_told(self, candidate, reason):
        outcome = choose(AUTO, [candidate, prior()])
        assert isinstance(outcome, ChosenPrior)
        assert (outcome.run_id, outcome.c, outcome.s) == (GOOD, C_POS, S_POS)
        assert [r.run_id for r in outcome.skipped] == [NEWER]
        if candidate.run.polarity == "positive":
            assert len(outcome.warnings) == 1
            _says(f"newer estimate_prior run {NEWER} skipped: .*{reason}", outcome.warnings[0])

    def test_by_its_id_it_is_refused_not_replaced(self, candidate, reason):
        outcome = choose(replace(AUTO, spec=NEWER), [candidate, prior()])
        if candidate.run.experiment_id != "1":
            assert isinstance(outcome, ChosenPrior), "an id may name a run of another experiment"
            return
        assert isinstance(outcome, Refusals)
        assert outcome.reason == f"run {NEWER} is not fit (polarity positive)"
        _says(reason, refusal_table(outcome))


def _says(pattern: str, text: str) -> None:
    assert re.search(pattern, text, re.DOTALL), text


FIT = [
    pytest.param(prior(), id="plain"),
    pytest.param(prior(tags={}), id="67-tags-removed-the-params-remain"),
    pytest.param(prior(version=2), id="80-other-version-of-equal-content"),
    pytest.param(prior(bce=bce(experiment_id="7")), id="79-BCE-run-of-another-experiment"),
    pytest.param(prior(score_low=math.nan, score_high=math.nan), id="84-score-range-unknown"),
    pytest.param(prior(score_low=0.5, score_high=0.95), id="84-high-but-not-twice"),
    pytest.param(prior(score_low=0.0, score_high=1.0), id="84-whole-range"),
    pytest.param(prior(c=1.0), id="74-c-is-1"),
    pytest.param(prior(s=S_POS + 1e-9), id="80-s-up-to-rounding"),
]


@pytest.mark.parametrize("candidate", FIT)
def test_fit_candidate_is_chosen_without_a_word(candidate):
    outcome = choose(AUTO, [candidate], [bce()])
    assert isinstance(outcome, ChosenPrior), refusal_table(outcome)
    assert (outcome.run_id, outcome.bce_run_id) == (GOOD, BCE)
    assert (outcome.c, outcome.s, outcome.pi) == (candidate.c, candidate.s, candidate.pi)
    assert (outcome.warnings, outcome.skipped, outcome.overridden) == ((), (), False)


def test_84_sigmoid_applied_twice_in_single_precision():
    """float32 rounds sigmoid(1) up: the largest such score lies above the real number."""
    largest = struct.unpack("f", struct.pack("f", 1 / (1 + math.exp(-1))))[0]
    assert largest > 1 / (1 + math.exp(-1))
    outcome = choose(AUTO, [prior(score_low=0.5, score_high=largest)])
    assert isinstance(outcome, Refusals)
    _says("sigmoid applied twice", refusal_table(outcome))


# --- which of several -------------------------------------------------------------------------


def test_newest_of_several_fit_ones():
    outcome = choose(AUTO, [prior(GOOD, 200), prior(THIRD, 400, c=0.6), prior(NEWER, 300)])
    assert (outcome.run_id, outcome.c) == (THIRD, 0.6)
    assert outcome.skipped == outcome.warnings == ()


def test_older_unfit_candidate_is_listed_without_a_warning():
    outcome = choose(AUTO, [prior(GOOD, 200), prior(NEWER, 199, status="FAILED")])
    assert outcome.run_id == GOOD
    assert outcome.warnings == ()
    assert [r.run_id for r in outcome.skipped] == [NEWER]


def test_newer_run_of_the_other_polarity_is_no_warning():
    outcome = choose(AUTO, [prior(GOOD, 200), negative(NEWER, 300)])
    assert outcome.run_id == GOOD
    assert outcome.warnings == ()


def test_78_two_fit_ones_at_one_start_time():
    outcome = choose(AUTO, [prior(GOOD, 200), prior(NEWER, 200, c=0.7), prior(THIRD, 100)])
    assert isinstance(outcome, Refusals)
    assert outcome.reason == (
        "2 fit estimate_prior runs for polarity positive started at the same time: "
        "name one by its run id"
    )
    assert {r.run_id for r in outcome.refused} == {GOOD, NEWER}
    named = choose(replace(AUTO, spec=NEWER), [prior(GOOD, 200), prior(NEWER, 200, c=0.7)])
    assert (named.run_id, named.c) == (NEWER, 0.7)


def test_14_a_clock_that_jumped_back():
    """The newest is the one that began last, whatever the clocks said."""
    candidates = [prior(GOOD, 900, turn=3), prior(NEWER, 200, c=0.7, turn=8)]
    outcome = choose(AUTO, candidates, [bce(start=5000, turn=1), bce(BCE_NEW, 10, turn=2)])
    assert (outcome.run_id, outcome.c) == (NEWER, 0.7)
    assert any(f"BCE run {BCE_NEW} is newer" in line for line in outcome.warnings)
    # those that began at once have the same turn: then the clock decides
    both = [prior(GOOD, 900, turn=3), prior(NEWER, 200, c=0.7, turn=3)]
    assert choose(AUTO, both).run_id == GOOD
    # and runs of before there were turns come before all others
    both = [prior(GOOD, 900), prior(NEWER, 200, c=0.7, turn=1)]
    assert choose(AUTO, both).run_id == NEWER
    assert isinstance(choose(AUTO, [prior(GOOD, 9), prior(NEWER, 9)]), Refusals)


def test_78_an_unfit_twin_is_no_tie():
    outcome = choose(AUTO, [prior(GOOD, 200), prior(NEWER, 200, c=math.nan)])
    assert outcome.run_id == GOOD
    _says(f"newer estimate_prior run {NEWER} skipped: not finite: c", outcome.warnings[0])


def test_78_the_same_run_read_twice_is_no_tie():
    assert choose(AUTO, [prior(), prior()]).run_id == GOOD
    assert choose_run(AUTO, [bce(), bce()], "bce_pretrain").run.run_id == BCE


def test_82_newer_bce_run_than_the_one_behind_the_prior():
    """The design's conditions hold, so the prior is used; but the user learns that it is stale."""
    outcome = choose(AUTO, [prior()], [bce(), bce(BCE_NEW, 250)])
    assert outcome.run_id == GOOD
    assert outcome.warnings == (
        f"the positive prior of run {GOOD} comes from BCE run {BCE}, but BCE run {BCE_NEW} is "
        "newer: run estimate_prior again to use that one",
    )


@pytest.mark.parametrize(
    "other",
    [
        bce(BCE_NEW, 250, status="RUNNING", complete=False),
        bce(BCE_NEW, 250, deleted=True),
        bce(BCE_NEW, 250, polarity="negative"),
        bce(BCE_NEW, 250, digest=OTHER_DIGEST),
        bce(BCE_NEW, 250, checkpoint_now=OTHER_SHA),
        bce(BCE_NEW, 250, checkpoint_recorded=None, checkpoint_now=None),
        bce(BCE_NEW, 50),
    ],
    ids=["running", "deleted", "polarity", "data", "changed", "no-checkpoint", "older"],
)
def test_82_a_bce_run_that_could_not_be_used_makes_no_prior_stale(other):
    assert choose(AUTO, [prior()], [bce(), other]).warnings == ()


def test_83_no_candidate_at_all():
    outcome = choose(AUTO, [])
    assert isinstance(outcome, Refusals)
    assert refusal_table(outcome) == (
        "no fit estimate_prior run for polarity positive "
        "(no estimate_prior run at all in experiment 1)"
    )


def test_83_only_the_other_polarity():
    outcome = choose(AUTO, [negative()])
    assert isinstance(outcome, Refusals)
    _says("run is for polarity negative", refusal_table(outcome))


@pytest.mark.parametrize(
    ("n_labelled", "said"),
    [
        (29.0, "rests on 29 labelled rows \\(fewer than 30\\)$"),
        (0.0, "rests on 0 labelled rows"),
        (math.nan, "rests on an unknown number of labelled rows"),
    ],
)
def test_85_few_labelled_rows(n_labelled, said):
    outcome = choose(AUTO, [prior(n_labelled=n_labelled)])
    assert outcome.run_id == GOOD
    _says(said, outcome.warnings[0])


def test_85_few_labelled_rows_are_shown_with_the_interval():
    intervals = {"c": (0.41, 0.76), "pi": (0.35, 0.65)}
    outcome = choose(AUTO, [prior(n_labelled=12.0, intervals=intervals)])
    _says("12 labelled rows .*: c 0.5889, interval 0.4100 to 0.7600", outcome.warnings[0])
    assert outcome.intervals == intervals


def test_85_thirty_are_enough():
    assert choose(AUTO, [prior(n_labelled=30.0)]).warnings == ()


# --- both polarities --------------------------------------------------------------------------


def test_81_one_snapshot_serves_both_polarities():
    runs = [prior(), negative()]
    both = choose(AUTO, runs), choose(AUTO_NEG, runs)
    assert [p.run_id for p in both] == [GOOD, NEWER]
    assert [p.bce_run_id for p in both] == [BCE, BCE_NEG]
    assert [round(p.pi, 4) for p in both] == [0.4534, 0.2853]


def test_81_a_newer_estimate_does_not_mix_with_the_snapshot():
    before = [prior(GOOD, 200), negative(NEWER, 210)]
    late = [prior(THIRD, 400, c=0.9), negative("f" * 32, 410, c=0.9)]
    assert [choose(r, before).run_id for r in (AUTO, AUTO_NEG)] == [GOOD, NEWER]
    assert [choose(r, before + late).run_id for r in (AUTO, AUTO_NEG)] == [THIRD, "f" * 32]


def test_66_swapped_ids_are_refused():
    runs = [prior(), negative()]
    for request, run_id in (
        (replace(AUTO, spec=NEWER), NEWER),
        (replace(AUTO_NEG, spec=GOOD), GOOD),
    ):
        outcome = choose(request, runs)
        assert isinstance(outcome, Refusals)
        assert outcome.reason == f"run {run_id} is not fit (polarity {request.polarity})"


# --- named by id ------------------------------------------------------------------------------


def test_id_of_no_run():
    outcome = choose(replace(AUTO, spec=THIRD), [prior()])
    assert isinstance(outcome, Refusals)
    assert refusal_table(outcome) == (
        f"run {THIRD} is not a run of estimate_prior, or does not exist (polarity positive)"
    )


def test_id_names_an_older_fit_run():
    outcome = choose(replace(AUTO, spec=GOOD), [prior(), prior(NEWER, 300, c=0.7)])
    assert (outcome.run_id, outcome.c, outcome.warnings) == (GOOD, C_POS, ())


# --- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "number", "c"),
    [(AUTO, "0.454", S_POS / 0.454), (AUTO_NEG, "0.285", S_NEG / 0.285)],
    ids=["positive", "negative"],
)
def test_87_the_numbers_of_the_guide_are_within_the_tolerance(request_, number, c):
    outcome = choose(replace(request_, spec=number), [prior(), negative()])
    assert isinstance(outcome, ChosenPrior), refusal_table(outcome)
    assert (outcome.pi, outcome.c, outcome.run_id) == (float(number), c, "")
    assert (outcome.overridden, outcome.warnings) == (False, ())


@pytest.mark.parametrize("pi", [0.4524, 0.4544, 0.453388])
def test_86_a_difference_up_to_one_thousandth_is_rounding(pi):
    known = prior(s=0.267, c=0.267 / 0.4534)
    assert isinstance(choose(replace(AUTO, spec=str(pi)), [known]), ChosenPrior)


@pytest.mark.parametrize("pi", ["0.4523", "0.4545", "0.3", "0.9"])
def test_86_a_number_that_contradicts_the_estimate(pi):
    known = prior(s=0.267, c=0.267 / 0.4534)
    outcome = choose(replace(AUTO, spec=pi), [known])
    assert isinstance(outcome, Refusals)
    assert refusal_table(outcome) == (
        f"prior {pi} for polarity positive contradicts pi 0.4534 of run {GOOD} "
        "(override=true to insist)"
    )
    insisted = choose(replace(AUTO, spec=pi, override=True), [known])
    assert (insisted.pi, insisted.overridden, insisted.run_id) == (float(pi), True, "")
    assert insisted.c == pytest.approx(S_POS / float(pi), rel=1e-12)
    _says(f"contradicts pi 0.4534 of run {GOOD}; override=true was given", insisted.warnings[0])


def test_86_override_without_a_contradiction_is_no_override():
    assert not choose(replace(AUTO, spec="0.4534", override=True), [prior()]).overridden


def test_86_an_unfit_estimate_contradicts_nothing_but_is_mentioned():
    outcome = choose(replace(AUTO, spec="0.6"), [prior(status="FAILED"), negative()])
    assert (outcome.pi, outcome.overridden) == (0.6, False)
    _says("prior 0.6 for polarity positive is not compared: no fit", outcome.warnings[0])
    assert {r.run_id for r in outcome.skipped} == {GOOD, NEWER}


def test_86_override_has_no_say_over_runs():
    outcome = choose(replace(AUTO, override=True), [prior(status="FAILED")])
    assert isinstance(outcome, Refusals)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("0", "s must be below c|not finite: c"),
        ("-0.4", "pi must lie between 0 and 1"),
        ("1", "pi must lie between 0 and 1"),
        ("45.4", "pi must lie between 0 and 1"),
        ("0.2", "c must be at most 1"),  # pi below s
        ("nan", "not finite: c, pi"),
        ("inf", "not finite: pi"),
        ("1e309", "not finite: pi"),
        ("1.7976931348623157e308", "pi must lie between 0 and 1"),
        ("1e-320", "not finite: c|c must be at most 1"),
        ("45.4%", "prior '45.4%' is not `auto`, a run id, or a number"),
        ("", "prior '' is not `auto`, a run id, or a number"),
        ("latest", "prior 'latest' is not"),
        ("AUTO", "prior 'AUTO' is not"),
        (GOOD.upper(), "is not `auto`, a run id, or a number"),
        (GOOD + "\n", "is not `auto`, a run id, or a number"),
        (GOOD[:31], "is not `auto`, a run id, or a number"),
        (f"runs:/{GOOD}", "is not `auto`, a run id, or a number"),
    ],
)
def test_86_what_is_no_prior_is_refused_even_with_override(spec, said):
    for override in (False, True):
        outcome = choose(replace(AUTO, spec=spec, override=override), [prior()])
        assert isinstance(outcome, Refusals)
        _says(said, outcome.reason)


@pytest.mark.parametrize("s_train", [0.0, math.nan, 1.0, -1.0])
def test_a_number_needs_the_labelled_fraction_of_the_table(s_train):
    outcome = choose(replace(AUTO, spec="0.4", s_train=s_train), [])
    assert isinstance(outcome, Refusals)
    _says("prior 0.4 for polarity positive: ", outcome.reason)


# --- phase 1 runs -----------------------------------------------------------------------------

UNFIT_BCE = [
    pytest.param(bce(BCE_NEW, 300, **changes), reason, id=f"{number}-{name}")
    for number, name, reason, changes in [
        (64, "RUNNING", "run has status RUNNING", {"status": "RUNNING", "complete": False}),
        (65, "preempted", "FINISHED but not complete", {"complete": False}),
        (66, "polarity", "run is for polarity negative", {"polarity": "negative"}),
        (67, "phase", "run is of phase nnpu_train", {"phase": "nnpu_train"}),
        (68, "data", "run used other training data", {"digest": OTHER_DIGEST}),
        (69, "changed", "checkpoint of run has changed", {"checkpoint_now": OTHER_SHA}),
        (69, "gone", "checkpoint of run is gone", {"checkpoint_now": None}),
        (
            69,
            "no-checkpoint",
            "run has no checkpoint on record",
            {"checkpoint_recorded": None, "checkpoint_now": None},
        ),
        (70, "deleted", "run is deleted", {"deleted": True}),
        (79, "experiment", "run belongs to another experiment", {"experiment_id": "7"}),
    ]
]


@pytest.mark.parametrize(("run", "reason"), UNFIT_BCE)
def test_phase_2_finds_its_bce_run_by_the_same_rules(run, reason):
    alone = choose_run(AUTO, [run], "bce_pretrain")
    assert isinstance(alone, Refusals)
    assert alone.reason == "no fit bce_pretrain run for polarity positive"
    _says(reason, refusal_table(alone))
    instead = choose_run(AUTO, [bce(), run], "bce_pretrain")
    assert isinstance(instead, ChosenRun)
    assert instead.run.run_id == BCE
    named = choose_run(replace(AUTO, spec=BCE_NEW), [bce(), run], "bce_pretrain")
    assert isinstance(named, ChosenRun) == (run.experiment_id != "1")


def test_bce_ties_unknown_ids_and_none():
    tie = choose_run(AUTO, [bce(), bce(BCE_NEW)], "bce_pretrain")
    _says("2 fit bce_pretrain runs .* name one by its run id", refusal_table(tie))
    unknown = choose_run(replace(AUTO, spec=THIRD), [bce()], "bce_pretrain")
    _says("is not a run of bce_pretrain, or does not exist", refusal_table(unknown))
    _says("no bce_pretrain run at all", refusal_table(choose_run(AUTO, [], "bce_pretrain")))
    named = choose_run(replace(AUTO, spec=BCE), [bce(), bce(BCE_NEW)], "bce_pretrain")
    assert named.run.run_id == BCE


# --- whatever comes ---------------------------------------------------------------------------

ANY_FLOAT = st.one_of(
    st.floats(),
    st.sampled_from([0.0, 1.0, -0.0, S_POS, C_POS, S_POS / C_POS, INF, math.nan, math.inf]),
)
ANY_TEXT = st.sampled_from(["", "positive", "negative", "both", DIGEST, OTHER_DIGEST, SCHEMA, "1"])


@st.composite
def any_source(draw, run_id):
    """A run whose every field may be off."""
    return Source(
        run_id=run_id,
        name=draw(st.text(max_size=5)),
        experiment_id=draw(st.sampled_from(["1", "7", ""])),
        start_time=draw(st.integers(-1, 3)),
        status=draw(st.sampled_from(["FINISHED", "RUNNING", "FAILED", "KILLED", "", "odd"])),
        deleted=draw(st.booleans()),
        complete=draw(st.booleans()),
        phase=draw(st.sampled_from(["estimate_prior", "bce_pretrain", ""])),
        polarity=draw(ANY_TEXT),
        digest=draw(ANY_TEXT),
        version=draw(st.integers(-1, 4)),
        schema=draw(ANY_TEXT),
        tags=draw(st.dictionaries(st.sampled_from(["polarity", "data.digest", "phase"]), ANY_TEXT)),
        checkpoint_recorded=draw(st.sampled_from([None, "", SHA, OTHER_SHA])),
        checkpoint_now=draw(st.sampled_from([None, "", SHA, OTHER_SHA])),
    )


@st.composite
def any_candidate(draw, run_id):
    """A prior run of which everything, or only a few things, may be off."""
    if draw(st.booleans()):
        start = draw(st.integers(0, 3))
        changes = st.fixed_dictionaries(
            {},
            optional={
                "c": ANY_FLOAT,
                "s": ANY_FLOAT,
                "pi": ANY_FLOAT,
                "n_labelled": ANY_FLOAT,
                "status": st.sampled_from(["FINISHED", "RUNNING"]),
                "polarity": st.sampled_from(["positive", "negative"]),
            },
        )
        return prior(run_id, start, **{"pi": S_POS / C_POS, **draw(changes)})
    return PriorCandidate(
        run=draw(any_source(run_id)),
        c=draw(ANY_FLOAT),
        s=draw(ANY_FLOAT),
        pi=draw(ANY_FLOAT),
        history=draw(st.dictionaries(st.sampled_from(["c", "s", "pi"]), st.integers(-1, 3))),
        bce=draw(st.none() | any_source(BCE)),
        bce_checkpoint=draw(st.sampled_from(["", SHA, OTHER_SHA])),
        n_labelled=draw(ANY_FLOAT),
        score_low=draw(ANY_FLOAT),
        score_high=draw(ANY_FLOAT),
    )


def candidate_lists():
    """Up to four candidates."""
    ids = [GOOD, NEWER, THIRD, "f" * 32]
    return st.integers(0, 4).flatmap(lambda n: st.tuples(*(any_candidate(i) for i in ids[:n])))


SPECS = st.one_of(
    st.sampled_from(["auto", GOOD, NEWER, "0.454", "nan", "0", "-1", "1e309", "", "x"]),
    st.floats().map(str),
    st.text(max_size=8),
)
SLOW_MACHINE = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@SLOW_MACHINE
@given(candidate_lists(), SPECS, st.booleans(), st.randoms(use_true_random=False))
def test_never_an_exception_never_a_guess_and_order_is_no_matter(
    candidates, spec, override, random
):
    request = replace(AUTO, spec=spec, override=override)
    pretrained = [c.bce for c in candidates if c.bce]
    outcome = choose(request, candidates, pretrained)
    shuffled = list(candidates)
    random.shuffle(shuffled)
    assert choose(request, shuffled, pretrained) == outcome
    if isinstance(outcome, Refusals):
        assert refusal_table(outcome)
        return
    # an oracle that shares nothing with the code: what any chosen prior must be
    assert 0 < outcome.s < outcome.c <= 1 + 1e-12
    assert 0 < outcome.pi < 1
    assert outcome.pi == pytest.approx(outcome.s / outcome.c, abs=2e-6)
    if outcome.run_id:
        chosen = next(c for c in candidates if c.run.run_id == outcome.run_id)
        run, parent = chosen.run, chosen.bce
        assert (run.status, run.complete, run.deleted) == ("FINISHED", True, False)
        assert (run.polarity, run.digest, run.schema) == ("positive", DIGEST, SCHEMA)
        assert (parent.status, parent.complete, parent.deleted) == ("FINISHED", True, False)
        assert (parent.polarity, parent.digest) == ("positive", DIGEST)
        assert parent.checkpoint_now == parent.checkpoint_recorded == chosen.bce_checkpoint
        assert spec in ("auto", outcome.run_id)
    else:
        assert outcome.pi == float(spec)


@SLOW_MACHINE
@given(st.lists(any_source(BCE), max_size=1), st.lists(any_source(BCE_NEW), max_size=1), SPECS)
def test_choosing_a_bce_run_never_fails(first, second, spec):
    request = replace(AUTO, spec=spec)
    outcome = choose_run(request, [*first, *second], "bce_pretrain")
    assert outcome == choose_run(request, [*second, *first], "bce_pretrain")
    if isinstance(outcome, ChosenRun):
        assert outcome.run.complete
        assert outcome.run.polarity == "positive"
        assert outcome.run.checkpoint_now == outcome.run.checkpoint_recorded
