"""Does a model work where nothing of this project is? Loaded and asked in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import Model

from priorwise.errors import BadInput
from priorwise.serving.answering import NETWORK
from priorwise.serving.packages import package_of

#: import of torch and MLflow on a busy machine takes a minute at worst
LIMIT_SECONDS = 300
#: two ways to one number may differ by so much
TOLERANCE = 1e-6
#: settings of this process that a model must do without
FOREIGN = ("MLFLOW_", "AWS_", "PYTHON", "PRIORWISE")
#: MLflow's plugins may have imported the installed package: the model must bring its own
SCRIPT = """
import json, sys
import mlflow.pyfunc
import pandas
for name in [n for n in sys.modules if n.partition(".")[0] == "priorwise"]:
    del sys.modules[name]
folder, answer = sys.argv[1:]
model = mlflow.pyfunc.load_model(folder)
found = model.predict(model.input_example)
code = [m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] == "priorwise"]
said = json.loads(pandas.DataFrame(found).to_json(orient="records", double_precision=15))
with open(answer, "w") as file:
    json.dump({"answer": said, "code": code}, file)
"""
Rows = list[dict[str, Any]]


def works_alone(model_folder: Path, limit: float = LIMIT_SECONDS) -> str:
    """Load a model in a fresh process and compare its answer with that of its bare weights.

    The process starts in an empty folder, isolated (`python -I`), without a tracking server, with
    pickle forbidden, and gets a copy of the model: nothing is written where the model lies.

    Parameters
    ----------
    model_folder : pathlib.Path
        An MLflow model with an input example.
    limit : float
        Seconds after which it counts as hanging.

    Returns
    -------
    str
        What was seen, in one line.

    Raises
    ------
    BadInput
        If it does not load, does not predict, or predicts something else than its weights do.
    """
    with tempfile.TemporaryDirectory() as scratch:
        room = Path(scratch).resolve()
        copy, empty, answer = (room / name for name in ("model", "empty", "answer.json"))
        try:
            # compiled code would be run in place of the source that was checked
            shutil.copytree(model_folder, copy, ignore=shutil.ignore_patterns("__pycache__"))
        except (OSError, shutil.Error) as error:
            raise BadInput(
                f"the model's files cannot be read ({_last_line(str(error))})"
            ) from error
        empty.mkdir()
        expected = _of_the_weights(copy)
        _ask(copy, empty, answer, limit)
        said = json.loads(answer.read_text())
        strange = [path for path in said["code"] if path and not Path(path).is_relative_to(copy)]
    if strange:
        raise BadInput(f"the model runs code from elsewhere ({strange[0]}), not its own")
    furthest = _furthest(said["answer"], expected)
    return (
        f"loads and predicts in a fresh process ({len(expected)} rows, at most {furthest:.1g} off)"
    )


def _of_the_weights(folder: Path) -> Rows:
    """What the network gives to the input example, without MLflow."""
    try:
        example = Model.load(str(folder)).load_input_example(str(folder))
    except Exception as error:  # whatever its YAML or JSON makes of it
        raise BadInput(f"the model cannot be read ({_last_line(str(error))})") from error
    if not isinstance(example, pd.DataFrame) or not len(example):
        raise BadInput("the model has no input example to try it on")
    network = folder / "artifacts" / NETWORK
    rows: Rows = package_of(network).answer(network, example).to_dict("records")
    return rows


def _furthest(found: Rows, expected: Rows) -> float:
    """By how much two answers differ at most.

    Raises
    ------
    BadInput
        If that is more than rounding, or they differ in anything but numbers.
    """
    furthest = 0.0
    if [list(row) for row in found] != [list(row) for row in expected]:
        raise BadInput(f"the model answers {_short(found)} to its example of {len(expected)} rows")
    for one, other in zip(found, expected, strict=True):
        for name, value in other.items():
            same = one[name] == value
            if isinstance(value, float) and isinstance(one[name], int | float):
                apart = abs(one[name] - value)
                same = apart <= TOLERANCE
                furthest = max(furthest, apart)
            if not same:
                raise BadInput(
                    f"the model's {name} is not that of its weights: {_short(one[name])} instead "
                    f"of {_short(value)}"
                )
    return furthest


def _short(value: Any) -> str:
    return str(value)[:100]


def _ask(model: Path, empty: Path, answer: Path, limit: float) -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    alone = {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-c", SCRIPT, str(model), str(answer)],
            cwd=empty,
            env={**kept, **alone},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
        )
    except subprocess.TimeoutExpired as error:
        raise BadInput(f"the model did not answer within {limit:.0f} s") from error
    if done.returncode or not answer.exists():
        raise BadInput(
            f"the model does not load or predict in a fresh process (exit {done.returncode}): "
            f"{_last_line(done.stderr.replace(f'{model.parent}/', ''))}"
        )


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
