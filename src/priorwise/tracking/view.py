"""The run table as it should look: a shared view stored with the experiment.

MLflow's UI keeps chosen columns in the browser; a shared view is the one form of them that lies on
the server (tag `mlflow.sharedViewState.<key>`), so one address shows everybody the same table.
"""

import json

from mlflow.tracking import MlflowClient

KEY = "priorwise"
COLUMNS = (
    "attributes.`Created`",
    "attributes.`Duration`",
    "tags.`phase`",
    "tags.`polarity`",
    "tags.`estimator`",
    "tags.`scenario`",
    "params.`cfg.monitor`",
    "metrics.`c`",
    "metrics.`s`",
    "metrics.`pi`",
    "metrics.`pi.low`",
    "metrics.`pi.high`",
    "metrics.`pi.e1`",
    "metrics.`pi.median`",
    "metrics.`recall`",
    "metrics.`threshold`",
    "metrics.`share_kept`",
    "metrics.`precision`",
    "metrics.`best.q`",
    "metrics.`best.proxy_f1`",
    "metrics.`prior.positive.pi`",
    "metrics.`prior.negative.pi`",
)


def share_view(client: MlflowClient, experiment_id: str) -> str:
    """Store the view: runs sorted by phase, with c, s, pi, recall and share kept side by side.

    Returns
    -------
    str
        What follows the UI's address to open it.
    """
    state = {
        "orderByKey": "tags.`phase`",
        "orderByAsc": True,
        "searchFilter": "",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": list(COLUMNS),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsHiddenMode": "FIRST_10_RUNS",
        "viewMaximized": True,
    }
    client.set_experiment_tag(experiment_id, f"mlflow.sharedViewState.{KEY}", json.dumps(state))
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={KEY}"
