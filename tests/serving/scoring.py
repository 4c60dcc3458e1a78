"""A scoring server of a model, and what tests ask it."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from hypothesis import strategies as st

#: what is well-formed but no request: every one gets 400
NO_REQUESTS = [
    {},
    [],
    5,
    None,
    "text",
    [1, 2],
    {"inputs": 5},
    {"inputs": None},
    {"inputs": "text"},
    {"inputs": []},
    {"inputs": {}},
    {"inputs": [1, 2, 3]},
    {"inputs": [[1, 2], [3]]},
    {"instances": 5},
    {"instances": [{}]},
    {"instances": [{"mz_array": 1}, {"other": 2}]},
    {"inputs": {"mz_array": [1], "intensity_array": [1, 2]}},
    {"dataframe_split": 5},
    {"dataframe_split": {}},
    {"dataframe_split": {"columns": 5, "data": 5}},
    {"dataframe_split": {"columns": ["mz_array"], "data": [[1], [1, 2]]}},
    {"dataframe_records": {}},
    {"dataframe_records": 1},
    {"dataframe_records": [1, 2]},
    {"dataframe_records": [None]},
    {"dataframe_records": [], "inputs": []},
    {"other": 1},
    {"messages": [{"role": "user", "content": "hello"}]},
    {"input": "text"},
    {"prompt": "text"},
]
#: whatever JSON can hold
CELLS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)


def any_rows(columns: list[str]) -> st.SearchStrategy:
    """Rows of any form, with the names of real columns among them."""
    return st.one_of(
        CELLS,
        st.lists(st.dictionaries(st.sampled_from(columns), CELLS), max_size=2),
        st.fixed_dictionaries({"columns": CELLS, "data": CELLS}),
    )


KEYS = st.sampled_from(["dataframe_records", "dataframe_split", "inputs", "instances", "x"])


@contextmanager
def scoring_server(model: Path, folder: Path) -> Iterator[str]:
    """Address of a scoring server, which works in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model)]
    command += ["--env-manager", "local", "--port", str(port), "--host", "127.0.0.1"]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")},
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"],
    }
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                if requests.get(f"{address}/ping", timeout=5).status_code == 200:
                    break
            except requests.ConnectionError:
                assert process.poll() is None, (folder / "log.txt").read_text()
                time.sleep(0.5)
        else:
            raise AssertionError((folder / "log.txt").read_text())
        yield f"{address}/invocations"
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


def ask(server, body, kind="application/json"):
    text = body if isinstance(body, str) else json.dumps(body)
    return requests.post(server, data=text, headers={"Content-Type": kind}, timeout=120)


def records(frame) -> dict:
    return {"dataframe_records": json.loads(frame.to_json(orient="records"))}


def answers(response) -> list[dict]:
    assert response.status_code == 200, response.text[-500:]
    assert "NaN" not in response.text and "Infinity" not in response.text
    return response.json()["predictions"]
