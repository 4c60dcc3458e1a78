"""One champion at a time: promotions and rollbacks on a store, also many at once."""

import threading

import pytest
from mlflow.exceptions import MlflowException

from priorwise.errors import BadInput, Interrupted, TrackingFailure
from priorwise.learn.stopping import StopRequest
from priorwise.phases.gates import Decision, Verdict
from priorwise.phases.succession import Claim, Judgement, Succession
from priorwise.tracking.audit import past_champions
from priorwise.tracking.registry import CHALLENGER, CHAMPION, Registry

YES = Decision("passed", (Verdict("recall", True, "0.9"),))
NO = Decision("refused", (Verdict("recall", False, "0.2 is worse"),))
FORCED = Decision("forced", (Verdict("recall", False, "0.2 is worse"),))


@pytest.fixture
def registry(store_client, request, monkeypatch):
    # the store asks the process-wide address when a version is made of a logged model
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store_client.tracking_uri)
    return Registry(store_client, f"model of {request.node.originalname}")


@pytest.fixture
def logged(store_client, runs):
    def make():
        run_id = runs.run("select_threshold", {})
        model = store_client.create_logged_model(runs.experiment_id, "m", source_run_id=run_id)
        store_client.finalize_logged_model(model.model_id, "READY")
        return model.model_id, run_id

    return make


@pytest.fixture
def promote(registry):
    """Promotes a logged model with a decision that is made already."""

    def run(model, decision=YES, run_id="run", say=lambda line: None, judge=None):
        judge = judge or (lambda version, champion: Judgement(decision, {"recall": "0.9"}, "card"))
        claim = Claim(lambda: registry.register(*model, {}), judge)
        return Succession(registry, run_id, say, StopRequest()).promote(claim)

    return run


@pytest.fixture
def back(registry):
    """Rolls back, as the phase does."""

    def run(wanted=""):
        succession = Succession(registry, "back", lambda line: None, StopRequest())
        target = succession.target(wanted)
        succession.roll_back(target, wanted)
        return target.version

    return run


def locks_left(registry):
    found = registry.client.search_registered_models(f"name LIKE '{registry.name}.lock%'")
    return [model.name for model in found]


def told(registry):
    return [(e.action, e.version, e.before, e.after, e.decision) for e in registry.trail()]


def test_first_and_second_champion(registry, logged, promote):
    outcome = promote(logged(), run_id="first")
    assert (outcome.version.version, outcome.previous) == ("1", "")
    assert registry.aliases() == {CHAMPION: "1"}
    assert promote(logged()).previous == "1"
    assert registry.aliases() == {CHAMPION: "2"}
    assert told(registry) == [
        ("promote", "1", "", "1", "passed"),
        ("promote", "2", "1", "2", "passed"),
    ]
    one, two = registry.version("1"), registry.version("2")
    assert one.tags["previous_champion"] == "none" and two.tags["previous_champion"] == "1"
    assert two.tags["promoted.at"] == two.tags["decided.at"] <= registry.trail()[1].when
    assert (one.tags["promote_run"], one.tags["gate.recall"]) == ("first", "passed")
    assert (one.tags["decision"], one.tags["recall"], one.description) == ("passed", "0.9", "card")
    assert locks_left(registry) == []


def test_a_refused_model_is_challenger(registry, logged, promote):
    promote(logged())
    outcome = promote(logged(), NO)
    assert registry.aliases() == {CHAMPION: "1", CHALLENGER: "2"}
    assert not outcome.decision.promoted
    found = registry.version("2")
    assert found.tags["decision"] == "refused"
    assert found.tags["decision.reasons"] == "recall: 0.2 is worse"
    assert "promoted.at" not in found.tags
    assert told(registry)[1] == ("promote", "2", "1", "1", "refused")
    assert registry.trail()[1].reason == "recall: 0.2 is worse"


def test_forced_is_tagged_until_it_passes(registry, logged, promote):
    model = logged()
    promote(model, FORCED)
    assert registry.version("1").tags["forced.gates"] == "recall"
    assert told(registry) == [("promote", "1", "", "1", "forced")]
    promote(model, NO)
    assert registry.champion() == "1" and registry.version("1").tags["decision"] == "refused"
    assert registry.version("1").tags["forced.gates"] == "recall", "it is in use by force still"
    promote(model, YES)
    assert "forced.gates" not in registry.version("1").tags


def test_the_same_model_again_stays_champion(registry, logged, promote):
    model = logged()
    promote(model)
    assert promote(model).version.version == "1"
    assert promote(model, NO).previous == "1"
    assert registry.aliases() == {CHAMPION: "1"}
    assert [e.after for e in registry.trail()] == ["1", "1", "1"]
    assert past_champions(registry.trail()) == ["1"]


def test_the_judge_sees_the_champion_of_that_moment(registry, logged, promote):
    promote(logged())
    seen = []

    def judge(version, champion):
        seen.append((version.version, champion.version))
        return Judgement(YES)

    promote(logged(), judge=judge)
    assert seen == [("2", "1")]


def test_rollback_goes_back_and_further_back(registry, logged, promote, back):
    for _ in range(3):
        promote(logged())
    assert back() == "2" and registry.champion() == "2"
    assert back() == "1" and registry.champion() == "1"
    with pytest.raises(BadInput, match="has no champion before version 1"):
        back()
    assert told(registry)[3:] == [("rollback", "2", "3", "2", ""), ("rollback", "1", "2", "1", "")]


def test_promote_after_a_rollback(registry, logged, promote, back):
    for _ in range(3):
        promote(logged())
    back()
    promote(logged())
    assert registry.champion() == "4"
    assert back() == "2", "not 3: that was rolled back over"


def test_rollback_to_a_version(registry, logged, promote, back):
    for _ in range(3):
        promote(logged())
    promote(logged(), NO)
    with pytest.raises(BadInput, match=r"4 was not champion .* \(past champions: 1, 2\)"):
        back("4")
    with pytest.raises(BadInput, match="version: 3 is the champion of .* already"):
        back("3")
    assert back("1") == "1"
    with pytest.raises(BadInput, match="has no champion before version 1"):
        back()


def test_rollback_of_what_is_not_there(registry, logged, promote, back):
    with pytest.raises(BadInput, match="there is no registered model"):
        back()
    promote(logged(), NO)
    with pytest.raises(BadInput, match="has no champion before this"):
        back()


def test_91_a_deleted_champion(registry, logged, promote, back):
    for _ in range(3):
        promote(logged())
    registry.client.delete_model_version(registry.name, "3")
    said = []
    promote(logged(), NO, say=said.append)
    assert said == [
        "warning: the champion is gone, the last one on record is version 3: changed by hand, or "
        "a promotion was cut off"
    ]
    assert told(registry)[3:] == [("found", "", "3", "", ""), ("promote", "4", "", "", "refused")]
    assert back() == "2"
    promote(logged())
    assert registry.champion() == "5"


def test_rollback_to_a_deleted_version(registry, logged, promote, back):
    for _ in range(3):
        promote(logged())
    registry.client.delete_model_version(registry.name, "2")
    with pytest.raises(
        BadInput, match="version 2 of .*, champion before, does not exist any more; .* version=1"
    ):
        back()
    assert registry.champion() == "3"
    assert back("1") == "1"


def test_a_champion_set_by_hand_enters_the_audit(registry, logged, promote, back):
    promote(logged())
    promote(logged(), NO)
    registry.set_alias(CHAMPION, "2")
    promote(logged())
    assert told(registry)[2:] == [
        ("found", "2", "1", "2", ""),
        ("promote", "3", "2", "3", "passed"),
    ]
    assert back() == "2" and back() == "1"


def test_the_champion_changes_between_choice_and_rollback(registry, logged, promote):
    promote(logged())
    promote(logged())
    late = Succession(registry, "late", lambda line: None, StopRequest())
    target = late.target()
    promote(logged())
    with pytest.raises(BadInput, match="was changed meanwhile"):
        late.roll_back(target)
    assert registry.champion() == "3"
    assert locks_left(registry) == []


def test_cut_off_before_the_audit(registry, logged, promote, monkeypatch, back):
    promote(logged())
    with monkeypatch.context() as cut:
        cut.setattr(registry, "append", broken)
        with pytest.raises(MlflowException):
            promote(logged())
    assert registry.champion() == "2" and len(registry.trail()) == 1
    assert locks_left(registry) == []
    promote(logged())
    assert told(registry)[1:] == [
        ("found", "2", "1", "2", ""),
        ("promote", "3", "2", "3", "passed"),
    ]
    assert back() == "2"


#: what is written from the coronation on; a process may die before each of these
LAST_STEPS = {
    "set_registered_model_alias": (CHAMPION,),
    "delete_registered_model_alias": (CHALLENGER,),
    "set_registered_model_tag": ("audit.002",),
    "set_model_version_tag": ("promoted.at",),
}


@pytest.mark.parametrize(("step", "of"), LAST_STEPS.items())
def test_cut_off_at_any_step_and_promoted_again(registry, logged, promote, monkeypatch, step, of):
    registry.name += f" {step}"
    promote(logged())
    model = logged()
    whole = getattr(registry.client, step)

    def dies(*arguments, **named):
        if set(of) & {*arguments, *named.values()}:
            raise MlflowException("the process is gone")
        return whole(*arguments, **named)

    with monkeypatch.context() as cut:
        cut.setattr(registry.client, step, dies)
        with pytest.raises(MlflowException):
            promote(model)
    promote(model)
    assert registry.aliases() == {CHAMPION: "2"}
    found = registry.version("2")
    assert found.tags["previous_champion"] == "1" and found.tags["promoted.at"]
    assert past_champions(registry.trail()) == ["1", "2"]


def test_a_champion_set_by_hand_while_the_gates_judge(registry, logged, promote):
    promote(logged())
    promote(logged(), NO)

    def judge(version, champion):
        registry.set_alias(CHAMPION, "2")
        return Judgement(YES)

    with pytest.raises(TrackingFailure, match="is version 2 by now, and was version 1 a moment"):
        promote(logged(), judge=judge)
    assert registry.champion() == "2"
    assert locks_left(registry) == []


def broken(*arguments):
    raise MlflowException("the server is gone")


def test_a_lost_lock_crowns_nobody(registry, logged, promote):
    promote(logged())

    def judge(version, champion):
        # away for eleven minutes: another one took the lock over
        registry.client.rename_registered_model(f"{registry.name}.lock", f"{registry.name} gone")
        registry.client.create_registered_model(f"{registry.name}.lock", {"token": "another"})
        return Judgement(YES)

    with pytest.raises(TrackingFailure, match="was taken over by another promotion"):
        promote(logged(), judge=judge)
    assert registry.champion() == "1"
    assert locks_left(registry) == [f"{registry.name}.lock"], "it is the other one's"


def test_a_stop_waits_until_the_change_is_whole(registry, logged):
    stop = StopRequest()

    def judge(version, champion):
        stop.handle(15)
        return Judgement(YES)

    model = logged()
    succession = Succession(registry, "run", lambda line: None, stop)
    with pytest.raises(Interrupted):
        succession.promote(Claim(lambda: registry.register(*model, {}), judge))
    assert registry.champion() == "1"
    assert told(registry) == [("promote", "1", "", "1", "passed")]
    assert locks_left(registry) == []


@pytest.mark.parametrize("many", [5, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("same", [False, True], ids=["each its own model", "all one model"])
def test_88_many_at_once(registry, logged, promote, same, many, back):
    registry.name += f" {same} {many}"
    one = logged()
    models = [one if same else logged() for _ in range(many)]
    failures, start = [], threading.Barrier(len(models))

    def work(number, model):
        start.wait()
        try:
            promote(model, NO if number % 5 == 4 else YES, run_id=f"run {number}")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(models)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    trail = registry.trail()
    assert sorted(e.run_id for e in trail) == sorted(f"run {n}" for n in range(many))
    assert trail[0].before == ""
    for earlier, later in zip(trail, trail[1:], strict=False):
        assert later.before == earlier.after, "no gap, no line that contradicts the one before"
    assert registry.aliases()[CHAMPION] == trail[-1].after
    assert len(registry.versions()) == (1 if same else many)
    assert len({e.version for e in trail}) == (1 if same else many)
    assert sum(e.decision == "refused" for e in trail) == many // 5
    assert locks_left(registry) == []
    if not same:
        assert len(past_champions(trail)) == many - many // 5
        previous = past_champions(trail)[-2]
        assert registry.version(registry.champion()).tags["previous_champion"] == previous
        assert back() == previous
