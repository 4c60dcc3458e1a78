"""Case 112: what MLflow's own tracking server refuses, and what it lets anybody do."""

import pytest
import requests
from tests.pipelines.tracking_server import tracking_server


@pytest.fixture(scope="module")
def server(empty_store, simulated, tmp_path_factory):
    from tests.pipelines.workplace import Workplace

    folder = tmp_path_factory.mktemp("served")
    place = Workplace.copy_of(empty_store, folder / "work", simulated)
    with tracking_server(place, folder / "artifacts") as uri:
        yield uri


SEARCH = "/api/2.0/mlflow/experiments/search"
CREATE = "/api/2.0/mlflow/experiments/create"


def test_a_page_that_rebinds_a_name_to_this_machine_is_refused(server):
    answer = requests.post(server + SEARCH, json={"max_results": 1}, headers={"Host": "evil.com"})
    assert answer.status_code == 403


def test_another_site_cannot_write_through_the_users_browser(server):
    evil = {"Origin": "http://evil.com"}
    answer = requests.post(server + CREATE, json={"name": "evil"}, headers=evil)
    assert answer.status_code == 403
    found = requests.post(server + SEARCH, json={"max_results": 100}).json()
    assert "evil" not in {e["name"] for e in found["experiments"]}


@pytest.mark.parametrize(
    "path",
    [
        "../../../../etc/passwd",
        "..%2f..%2f..%2fetc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "/etc/passwd",
    ],
)
def test_no_artifact_path_leads_out_of_the_store(server, path):
    address = f"{server}/api/2.0/mlflow-artifacts/artifacts/{path}"
    prepared = requests.Request("GET", address).prepare()
    prepared.url = address  # requests would tidy it up
    answer = requests.Session().send(prepared, timeout=30)
    assert answer.status_code in (400, 404) and "root:" not in answer.text


def test_whoever_reaches_it_may_do_everything(server):
    """Why SECURITY.md says to keep it on this machine, or behind a login of your own."""
    made = requests.post(server + CREATE, json={"name": "by nobody"})
    assert made.status_code == 200
    address = f"{server}/api/2.0/mlflow/experiments/delete"
    gone = requests.post(address, json=made.json(), timeout=30)
    assert gone.status_code == 200
