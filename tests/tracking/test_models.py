"""Models by their addresses: found with the right weights, or refused with one line."""

import mlflow
import pytest

from priorwise.errors import BadInput
from priorwise.tracking.models import NETWORK_FOLDER, WEIGHTS, Models, folder_digest, log_model
from priorwise.tracking.search import History


@pytest.fixture
def models(runs, monkeypatch) -> Models:
    # the registry looks logged models up in the process's own store
    monkeypatch.setenv("MLFLOW_TRACKING_URI", runs.client.tracking_uri)
    return Models(runs.client, History(runs.client, runs.experiment_id))


def logged(runs, run_id: str, content: bytes = b"weights", **tags: str) -> str:
    """Log a model with these weights."""

    def write(folder, model_id):
        network = folder / NETWORK_FOLDER
        network.mkdir(parents=True)
        (network / WEIGHTS).write_bytes(content)
        (network / "model.json").write_text(model_id)

    return log_model(runs.client, runs.experiment_id, run_id, write, tags)


@pytest.fixture
def model(runs):
    """Run id and model id of a complete run with a model."""
    run_id = runs.bce()
    model_id = logged(runs, run_id)
    runs.client.set_tag(run_id, "model.id", model_id)
    return run_id, model_id


def registered(runs, model_id: str, name: str, **tags: str) -> str:
    runs.client.create_registered_model(name)
    version = runs.client.create_model_version(
        name, f"models:/{model_id}", model_id=model_id, tags=tags
    )
    runs.client.set_registered_model_alias(name, "champion", version.version)
    return str(version.version)


def test_every_address_leads_to_the_same_weights(runs, models, model, request):
    run_id, model_id = model
    name = f"to-{run_id[:8]}"
    version = registered(runs, model_id, name)
    by_run = models.find(run_id)
    assert (by_run.model_id, by_run.run_id, by_run.name) == (model_id, run_id, "")
    assert (by_run.folder / WEIGHTS).read_bytes() == b"weights"
    assert models.find(f"models:/{model_id}") == by_run
    for address in (f"models:/{name}@champion", f"models:/{name}/{version}"):
        found = models.find(address)
        assert (found.model_id, found.digest) == (model_id, by_run.digest)
        assert (found.name, found.version) == (name, version)


def test_a_copy_in_another_registered_model_leads_to_it(runs, models, model):
    _, model_id = model
    version = registered(runs, model_id, f"dev-{model_id[:9]}")
    target = f"prod-{model_id[:9]}"
    runs.client.copy_model_version(f"models:/dev-{model_id[:9]}/{version}", target)
    assert models.find(f"models:/{target}/1").model_id == model_id


def test_a_copy_outlives_what_it_was_copied_from(runs, models, model):
    _, model_id = model
    origin, target = f"dev2-{model_id[:9]}", f"prod2-{model_id[:9]}"
    version = registered(runs, model_id, origin)
    runs.client.copy_model_version(f"models:/{origin}/{version}", target)
    runs.client.set_model_version_tag(target, "1", "model.id", model_id)
    runs.client.delete_registered_model(origin)
    assert models.find(f"models:/{target}/1").model_id == model_id


@pytest.mark.parametrize(
    "address",
    [
        "models:/nothing@champion",
        "models:/nothing/1",
        "models:/nothing/latest",
        "models:/nothing",
        "models:/a/b/c",
        "models:/m-" + "0" * 32,
        "0" * 32,
        "my model",
    ],
)
def test_address_that_leads_nowhere(models, address):
    with pytest.raises(BadInput, match="^model: ") as caught:
        models.find(address)
    assert "\n" not in str(caught.value)
    assert address.removeprefix("models:/") in str(caught.value)


def test_runs_that_have_no_model_to_give(runs, models):
    unfinished = runs.bce(complete=False)
    with pytest.raises(BadInput, match="not complete"):
        models.find(unfinished)
    without = runs.bce()
    with pytest.raises(BadInput, match="logged no model"):
        models.find(without)
    runs.client.delete_run(without)
    with pytest.raises(BadInput, match="there is no run"):
        models.find(without)


def test_deleted_model(runs, models, model):
    run_id, model_id = model
    runs.client.delete_logged_model(model_id)
    with pytest.raises(BadInput, match="was deleted"):
        models.find(run_id)
    assert models.sha256_now(model_id) is None


def test_champion_whose_version_was_deleted(runs, models, model):
    _, model_id = model
    name = f"gone-{model_id[:9]}"
    version = registered(runs, model_id, name)
    runs.client.delete_model_version(name, version)
    with pytest.raises(BadInput, match=f"the registry has no models:/{name}@champion"):
        models.find(f"models:/{name}@champion")


def test_changed_weights_are_refused(runs, models):
    run_id = runs.bce()
    model_id = logged(runs, run_id, **{"model.sha256": "0" * 64})
    runs.client.set_tag(run_id, "model.id", model_id)
    with pytest.raises(BadInput, match="they were changed"):
        models.find(run_id)
    good = logged(runs, run_id)
    version = registered(runs, good, f"changed-{run_id[:8]}", **{"model.sha256": "1" * 64})
    with pytest.raises(BadInput, match="recorded was 111111111111"):
        models.find(f"models:/changed-{run_id[:8]}/{version}")


def test_a_model_that_could_not_be_written_is_failed_and_refused(runs, models):
    run_id = runs.bce()

    def broken(folder, model_id):
        raise RuntimeError(model_id)

    with pytest.raises(RuntimeError) as caught:
        log_model(runs.client, runs.experiment_id, run_id, broken, {})
    model_id = str(caught.value)
    runs.client.set_tag(run_id, "model.id", model_id)
    with pytest.raises(BadInput, match="not ready"):
        models.find(run_id)


def test_a_model_without_weights_is_refused(runs, models):
    run_id = runs.bce()

    def empty(folder, model_id):
        folder.mkdir()
        (folder / "MLmodel").write_text("flavors: {}")

    model_id = log_model(runs.client, runs.experiment_id, run_id, empty, {})
    with pytest.raises(Exception, match="cannot be read|holds no"):
        models.find(f"models:/{model_id}")


def test_the_run_lists_the_model_and_mlflow_finds_it(runs, models, model, monkeypatch):
    run_id, model_id = model
    outputs = runs.client.get_run(run_id).outputs.model_outputs
    assert [output.model_id for output in outputs] == [model_id]
    monkeypatch.setattr(mlflow, "get_tracking_uri", lambda: runs.client.tracking_uri)
    assert models.get(model_id).source_run_id == run_id


def test_folder_digest_sees_names_and_contents(tmp_path):
    digests = set()
    for name, content in (("a", b"1"), ("b", b"1"), ("a", b"2")):
        folder = tmp_path / f"{name}{content.decode()}"
        folder.mkdir()
        (folder / name).write_bytes(content)
        digests.add(folder_digest(folder))
    assert len(digests) == 3


def test_a_changed_description_is_refused(runs, models, model):
    run_id, model_id = model
    found = models.find(run_id)
    runs.client.set_logged_model_tags(model_id, {"model.digest": found.digest})
    assert models.find(run_id) == found
    (found.folder / "model.json").write_text("another threshold")
    with pytest.raises(BadInput, match="weights and description .* were changed"):
        models.find(run_id)
