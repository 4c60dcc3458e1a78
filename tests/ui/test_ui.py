"""What a user sees: runs side by side, the model with its aliases, figures, in a real browser.

PRIORWISE_SCREENSHOTS=FOLDER keeps the screenshots there, of the demo's recipe (`make screenshots`).
"""

import json
import os
from pathlib import Path

import pytest
from tests.pipelines.tracking_server import tracking_server
from tests.pipelines.workplace import ROOT, Workplace
from tests.ui.browser import browser

pytestmark = pytest.mark.slow
KEPT = os.environ.get("PRIORWISE_SCREENSHOTS", "")


@pytest.fixture(scope="module")
def promoted(empty_store, simulated, tmp_path_factory):
    """A workplace after `main` and `promote`."""
    place = Workplace.copy_of(empty_store, tmp_path_factory.mktemp("ui") / "work", simulated)
    demo = {"config": ROOT / "configs" / "demo.yaml", "data": "simulated"} if KEPT else {}
    for phase, more in (("main", {}), ("promote", {"force": "true"})):
        done = place.phase(phase, **(demo | more if phase == "main" else more))
        assert done.code == 0, done.err
    return place


@pytest.fixture(scope="module")
def window(promoted, tmp_path_factory):
    """A browser on a server of that store."""
    folder = tmp_path_factory.mktemp("browser")
    pictures = Path(KEPT).resolve() if KEPT else folder
    pictures.mkdir(parents=True, exist_ok=True)
    with (
        tracking_server(promoted, folder / "artifacts") as uri,
        browser(uri, pictures, folder / "profile") as window,
    ):
        yield window


def test_the_shared_view_shows_the_numbers_side_by_side(window, promoted):
    window.open("/experiments/0/runs?viewStateShareKey=priorwise")
    prior = promoted.run("estimate_prior", "negative")
    window.wait_for("nnpu_train", "estimate_prior", "evaluate", "select_threshold")
    window.wait_for(str(prior.data.metrics["pi"])[:5])
    assert window.keep("runs").stat().st_size > 20_000


def test_runs_can_be_compared(window, promoted):
    runs = [run.info.run_id for run in promoted.runs("nnpu_train")]
    assert len(runs) == 2
    window.open(f"/compare-runs?runs={json.dumps(runs)}&experiments={json.dumps(['0'])}")
    window.wait_for("nnpu_train both published", "nnpu_train both censoring", "cfg.scenario")
    window.keep("compare")


def test_the_registered_model_shows_its_aliases(window, promoted):
    window.open("/models/priorwise-spectra")
    window.wait_for("priorwise-spectra", "@ champion")
    window.keep("model")
    window.open("/models/priorwise-spectra/versions/1")
    window.wait_for("champion", "threshold", "recall")
    window.keep("version")


@pytest.mark.parametrize(
    ("phase", "figure"),
    [
        ("select_threshold", "threshold_curve"),
        ("evaluate", "recall_by_dataset"),
        ("estimate_prior", "estimators"),
        ("nnpu_train", "training_curves"),
    ],
)
def test_figures_are_drawn(window, promoted, phase, figure):
    run = promoted.run(phase).info.run_id
    assert promoted.artifact(promoted.run(phase), f"figures/{figure}.png").exists()
    window.open(f"/experiments/0/runs/{run}/artifacts/figures/{figure}.png")
    assert window.wait_for_picture() > 600
    window.keep(figure)


def test_the_evaluated_model_shows_its_own_metrics(window, promoted):
    run = promoted.run("evaluate")
    window.open(f"/experiments/0/models/{run.data.tags['upstream.model']}")
    window.wait_for("recall", "share_kept", "test_data")
    window.keep("logged_model")
