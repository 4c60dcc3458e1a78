"""slurm/run.sbatch with a stand-in `mlflow` and no Slurm: arguments, signals and exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SBATCH = Path(__file__).resolve().parents[2] / "slurm" / "run.sbatch"

# Like the real one, it starts a script of its own and dies of SIGTERM without telling it.
MLFLOW = """\
#!{python}
import json, os, subprocess, sys
json.dump([sys.argv[1:], os.getcwd()], open("seen.json", "w"))
sys.exit(subprocess.run([sys.executable, "script.py"]).returncode)
"""

TRAINING = """\
import pathlib, signal, sys, time
def stop(signum, _):
    time.sleep(2)  # writing the last checkpoint takes longer than mlflow lives
    pathlib.Path("checkpoint").write_text(signal.Signals(signum).name)
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGUSR1, stop)
pathlib.Path("training").touch()
time.sleep(60)
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder that looks like the checkout; its `mlflow` runs the script that the test writes."""
    (tmp_path / "MLproject").touch()
    (tmp_path / "script.py").touch()
    mlflow = tmp_path / ".venv" / "bin" / "mlflow"
    mlflow.parent.mkdir(parents=True)
    mlflow.write_text(MLFLOW.format(python=sys.executable))
    mlflow.chmod(0o755)
    return tmp_path


def start(checkout: Path, *arguments: str, **variables: str) -> subprocess.Popen:
    environment = {k: v for k, v in os.environ.items() if k != "PRIORWISE_VENV"}
    return subprocess.Popen(
        ["bash", str(SBATCH), *arguments],
        env=environment | {"SLURM_SUBMIT_DIR": str(checkout), **variables},
        cwd="/",
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> tuple[int, str]:
    _, error = process.communicate(timeout=60)
    return process.returncode, error


def test_arguments_arrive_whole_and_nothing_is_executed(checkout):
    values = [
        "text=two words",
        "semicolon=a; touch pwned",
        "substitution=$(touch pwned)`touch pwned`",
        "quotes='\"",
        "lines=one\ntwo",
        "star=*",
        "equals=a=b",
        "empty=",
    ]
    assert finish(start(checkout, "bce_pretrain", *values)) == (0, "")

    arguments, folder = json.loads((checkout / "seen.json").read_text())
    flags = [flag for value in values for flag in ("-P", value)]
    assert arguments == ["run", ".", "-e", "bce_pretrain", "--env-manager", "local", *flags]
    assert folder == str(checkout)
    assert not (checkout / "pwned").exists()


SRUN = """\
#!{python}
import json, os, subprocess, sys
where = next(k for k, word in enumerate(sys.argv) if word == "bash")
names = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "PRIORWISE_JOB")
json.dump([sys.argv[1:where], {{name: os.environ[name] for name in names}}], open("srun.json", "w"))
for rank in range(2):
    subprocess.run(sys.argv[where:], env=os.environ | {{"SLURM_PROCID": str(rank)}}, check=True)
"""
PYTHON = """\
#!/bin/bash
printf '%s\\n' "$NODE_RANK" "$PYTHONPATH" "$@" >> nodes.txt
"""


def test_other_nodes_run_the_script_itself(checkout):
    for name, text in (("srun", SRUN.format(python=sys.executable)), ("python", PYTHON)):
        (checkout / ".venv" / "bin" / name).write_text(text)
        (checkout / ".venv" / "bin" / name).chmod(0o755)
    (checkout / "script.py").write_text(
        "import json, os, pathlib, time\n"
        "while len(pathlib.Path('nodes.txt').read_text().splitlines()) < 12: time.sleep(0.05)\n"
        "json.dump(os.environ['NODE_RANK'], open('rank.json', 'w'))\n"
    )
    (checkout / "nodes.txt").touch()
    job = {"SLURM_JOB_NUM_NODES": "3", "SLURM_JOB_ID": "41007"}
    assert finish(start(checkout, "nnpu_train", "num_nodes=3", "data=a b", **job)) == (0, "")

    options, variables = json.loads((checkout / "srun.json").read_text())
    assert options == ["--nodes=2", "--ntasks=2", "--relative=1"]
    assert variables["MASTER_PORT"] == "21007" and variables["MASTER_ADDR"]
    assert variables["PRIORWISE_JOB"] == str(checkout / ".priorwise" / "jobs" / "41007-0.json")
    script = ["src", "-P", "entry_points/nnpu_train.py", "--num_nodes=3", "--data=a b"]
    assert (checkout / "nodes.txt").read_text().splitlines() == ["1", *script, "2", *script]
    assert json.loads((checkout / "rank.json").read_text()) == "0"


def test_as_many_nodes_as_the_training_expects(checkout):
    job = {"SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "7"}
    code, said = finish(start(checkout, "nnpu_train", **job))
    assert code == 2 and said == "run.sbatch: the job has 2 node(s), and num_nodes is 1\n"
    assert finish(start(checkout, "nnpu_train", "num_nodes=2"))[0] == 2


def test_no_parameters_is_fine(checkout):
    assert finish(start(checkout, "main")) == (0, "")


def test_the_exit_code_is_the_childs(checkout):
    (checkout / "script.py").write_text("raise SystemExit(3)")
    assert finish(start(checkout, "main"))[0] == 3


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138)])
def test_a_signal_reaches_the_script_and_its_checkpoint_is_waited_for(checkout, signum, code):
    (checkout / "script.py").write_text(TRAINING)
    job = start(checkout, "bce_pretrain")
    deadline = time.monotonic() + 30
    while not (checkout / "training").exists():
        assert job.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)

    job.send_signal(signum)

    status, error = finish(job)
    assert (checkout / "checkpoint").read_text() == signal.Signals(signum).name
    assert status == code
    assert "told to stop" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no entry point"),
        (["main;ls"], "'main;ls' is not the name of an entry point"),
        (["main", "epochs"], "'epochs' is not of the form key=value"),
        (["main", "--epochs=3"], "'--epochs=3' is not of the form key=value"),
    ],
)
def test_wrong_arguments_exit_2_in_one_line(checkout, arguments, message):
    status, error = finish(start(checkout, *arguments))
    assert status == 2
    assert message in error and error.count("\n") == 1
    assert not (checkout / "seen.json").exists()


def test_outside_a_checkout_it_says_so(tmp_path):
    status, error = finish(start(tmp_path, "main"))
    assert status == 2 and "submit from the checkout" in error
