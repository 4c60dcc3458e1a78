"""A logged model's page in MLflow's UI: which registered versions were made of it."""

import json

from mlflow.tracking import MlflowClient

#: tag of a logged model that its page reads
LINKED = "mlflow.modelVersions"


def name_version(client: MlflowClient, model_id: str, name: str, version: str) -> None:
    """Let the page of a logged model name a version, once, as MLflow's own call does."""
    known = _named(client.get_logged_model(model_id).tags.get(LINKED, "[]"))
    link = {"name": name, "version": version}
    if link not in known:
        client.set_logged_model_tags(model_id, {LINKED: json.dumps([*known, link])})


def _named(text: str) -> list[object]:
    """What the tag holds; nothing of one that somebody spoilt by hand."""
    try:
        known = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return known if isinstance(known, list) else []
