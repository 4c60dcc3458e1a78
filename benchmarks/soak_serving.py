"""Bad requests to a scoring server, eight at a time: what it answered; prints a table.

    python -m benchmarks.soak_serving [200]

A real `mlflow models serve` of an untrained model. Asked are well-formed JSON that is no request,
and requests with flipped, cut, doubled and odd parts, until so many were refused.
"""

import benchmarks.of_the_tests  # noqa: F401

# isort: split
import itertools
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import requests
from tests.fuzz.cases import emptied, numbered
from tests.fuzz.readers import READERS
from tests.serving.conftest import network_folder
from tests.serving.frames import table_frame
from tests.serving.scoring import NO_REQUESTS, records, scoring_server

from priorwise.serving.spectra_package import SPECTRA

BAD, AT_ONCE, READER = 200, 8, "scoring JSON"
#: what no answer may hold: JSON knows no such numbers
NO_NUMBERS = ("NaN", "Infinity")


def bodies(folder: Path) -> Iterator[bytes]:
    """What is no request, then spoilt requests without end."""
    yield from (json.dumps(body).encode() for body in NO_REQUESTS)
    for number in itertools.count():
        yield numbered(READERS[READER], READER, number, emptied(folder / "case")).read_bytes()


def asked(server: str, body: bytes) -> tuple[int, str]:
    """Status and text of an answer."""
    json_type = {"Content-Type": "application/json"}
    answer = requests.post(server, data=body, headers=json_type, timeout=120)
    return answer.status_code, answer.text


def soak(n: int, folder: Path) -> dict[str, object]:
    """Ask until `n` requests were refused; how often each status came, and what was wrong."""
    network_folder(folder / "network", training_run="a" * 32)
    SPECTRA.write(folder / "network", folder / "model", "m-" + "0" * 32, "a" * 32)
    statuses: Counter[int] = Counter()
    broken = refused = 0
    with scoring_server(folder / "model", folder) as server, ThreadPoolExecutor(AT_ONCE) as threads:
        waiting = bodies(folder)
        while refused < n:
            some = list(itertools.islice(waiting, AT_ONCE))
            for status, text in threads.map(lambda body: asked(server, body), some):
                statuses[status] += 1
                refused += 400 <= status < 500
                broken += status == 200 and any(word in text for word in NO_NUMBERS)
        sound = asked(server, json.dumps(records(table_frame(5))).encode())[0] == 200
    return {
        "requests": statuses.total(),
        "refused (4xx)": refused,
        "answered (200)": statuses[200],
        "5xx": sum(count for status, count in statuses.items() if status >= 500),
        "NaN": broken,
        "a sound one after them": "answered" if sound else "NOT ANSWERED",
    }


def main(n: int = BAD) -> int:
    """Print the table; 1 if a promise was not kept."""
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        found = soak(n, Path(folder))
    sys.stdout.write(pd.DataFrame([found]).to_string(index=False) + "\n")
    kept = not (found["5xx"] or found["NaN"]) and found["a sound one after them"] == "answered"
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
