"""How long the served model takes for 1,000 spectra of 150 peaks, beside its bare network.

    make bench-serving

The network has the guide's size and random weights: time does not depend on them. Each way is
measured three times in turn, the quickest counts.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import requests
import torch

from priorwise.learn.network_folder import write_model
from priorwise.serving.spectra_frames import table_rows
from priorwise.serving.spectra_package import SPECTRA
from priorwise.spectra.encoder import SpectrumClassifier
from priorwise.spectra.preprocess import MAX_PEAKS
from priorwise.spectra.schema import N_SETTINGS, NUMERIC_SETTINGS
from priorwise.spectra.settings import SettingsStats

ROWS, PEAKS, TIMES = 1000, 150, 3
ARCHITECTURE = {
    "d_model": 128,
    "n_layers": 2,
    "dropout": 0.3,
    "hidden_fc1": 64,
    "instrument_embedding_dim": 16,
}


def spectra() -> pd.DataFrame:
    """Rows as of a table."""
    rng = np.random.default_rng(0)
    settings = np.zeros((ROWS, N_SETTINGS))
    settings[:, 15] = 1
    return pd.DataFrame(
        {
            "mz_array": list(np.sort(rng.uniform(100, 1000, (ROWS, PEAKS)))),
            "intensity_array": list(rng.uniform(10, 3000, (ROWS, PEAKS))),
            "precursor_mz": rng.uniform(100, 900, ROWS),
            "instrument_settings": list(settings),
        }
    )


def packaged(folder: Path) -> tuple[SpectrumClassifier, Path]:
    """A bare network, and the same as a pyfunc model."""
    n = len(NUMERIC_SETTINGS)
    stats = SettingsStats((0.0,) * n, (1.0,) * n, (1,) * n, 1, "train_data")
    network = SpectrumClassifier(**ARCHITECTURE)
    said = {"polarity": "both", "settings_stats": json.loads(stats.to_json())}
    write_model(folder / "network", ARCHITECTURE, network.state_dict(), said)
    SPECTRA.write(folder / "network", folder / "model", "m-" + "0" * 32, "")
    return network.eval(), folder / "model"


def bare(network: SpectrumClassifier, frame: pd.DataFrame) -> Callable[[], object]:
    """The float32 network on tensors that are ready, 100 rows at a time."""
    rows = table_rows(frame)
    batches = [rows.padded(list(range(i, i + 100)), PEAKS) for i in range(0, ROWS, 100)]

    def forward() -> None:
        with torch.inference_mode():
            for batch in batches:
                network(batch.mz, batch.intensity, batch.settings, batch.precursor_mz)

    return forward


@contextmanager
def server(model: Path) -> Iterator[str]:
    """Address of `mlflow models serve` on the model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "--port", port]
    process = subprocess.Popen(
        [*command, "--env-manager", "local", "--host", "127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                requests.get(f"{address}/ping", timeout=5).raise_for_status()
                break
            except requests.RequestException:
                time.sleep(0.5)
        yield f"{address}/invocations"
    finally:
        os.killpg(process.pid, 15)


def seconds(work: Callable[[], Any]) -> float:
    """Duration of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    frame = spectra()
    raw = frame.drop(columns="instrument_settings").assign(polarity="positive")
    lists = frame.map(lambda cell: cell.tolist() if isinstance(cell, np.ndarray) else cell)
    body = json.dumps({"dataframe_split": lists.to_dict(orient="split")})
    with tempfile.TemporaryDirectory() as scratch:
        network, folder = packaged(Path(scratch))
        model = mlflow.pyfunc.load_model(str(folder))
        with server(folder) as address:

            def over_http() -> None:
                response = requests.post(
                    address, data=body, headers={"Content-Type": "application/json"}, timeout=300
                )
                response.raise_for_status()

            ways = {
                "bare network, float32": bare(network, frame),
                "pyfunc, arrays": lambda: model.predict(frame),
                "pyfunc, lists": lambda: model.predict(lists),
                "pyfunc, raw": lambda: model.predict(raw, params={"raw": True}),
                "mlflow models serve, JSON": over_http,
            }
            quickest = dict.fromkeys(ways, float("inf"))
            for _ in range(TIMES):
                for name, work in ways.items():
                    quickest[name] = min(quickest[name], seconds(work))
    least = quickest["bare network, float32"]
    print(f"{ROWS} spectra of {PEAKS} peaks (at most {MAX_PEAKS} are kept of raw ones)\n")
    for name, value in quickest.items():
        print(f"{name:28s} {value:6.2f} s  {value / least:5.2f} x")


if __name__ == "__main__":
    main()
