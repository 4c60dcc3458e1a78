"""The command line: parse, open the run, execute one phase, and end with the right exit code."""

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

from priorwise.errors import BadInput, Interrupted, PriorwiseError
from priorwise.learn.stopping import StopRequest

PHASES = (
    "main",
    "simulate",
    "ingest",
    "dataset_stats",
    "bce_pretrain",
    "predict",
    "estimate_prior",
    "nnpu_train",
    "select_threshold",
    "evaluate",
    "promote",
    "score",
    "import_checkpoint",
    "rna_prepare",
    "rna_pretrain",
    "rna_ensemble",
    "rna_evaluate",
    "rna_sweep",
    "plot_metrics",
    "sync_run",
    "janitor",
    "doctor",
)
USAGE_FLAGS = {"-h", "--help"}


def run_entry(name: str, arguments: Sequence[str] | None = None) -> None:
    """Run the entry point `name` and exit.

    Exit codes: 0 ok, 2 bad input, 3 prior not resolvable, 4 tracking or artifact failure,
    128 + n stopped by signal n, 1 anything unforeseen.
    """
    try:
        code = _run(name, sys.argv[1:] if arguments is None else list(arguments))
    except Exception:  # a bug: all of it, but what an address in it holds
        sys.stderr.write(_scrubbed(traceback.format_exc()))
        code = 1
    sys.exit(code)


def _scrubbed(text: str) -> str:
    """Without passwords: standard error ends up in log files."""
    return str(import_module("priorwise.tracking.secrets").scrub(text))


def _run(name: str, arguments: list[str]) -> int:
    stop = StopRequest()
    stop.install()
    stop.watch_parent()
    _set_environment()
    try:
        import_module("priorwise.phases.floors").check_floors()
        # importing torch, lightning and mlflow takes seconds: only now, with signals in hand
        if not _is_first():
            import_module("priorwise.phases.spectra_fit").run_rank(stop)
        else:
            _execute(name, arguments, stop)
    except PriorwiseError as error:
        # a value may hold line breaks; only a table of candidates is more than one line
        text = " ".join(str(error).splitlines()) if isinstance(error, BadInput) else str(error)
        sys.stderr.write(_scrubbed(f"priorwise {name}: {text}\n"))
        return error.exit_code
    except Interrupted as stopped:
        sys.stderr.write(f"priorwise {name}: stopped ({stopped.reason})\n")
        _requeue(name, stopped)
        return stopped.exit_code
    return 0


def _is_first() -> bool:
    """Whether this is the process of a training that does all the rest, too."""
    return not any(int(os.environ.get(name) or 0) for name in ("LOCAL_RANK", "NODE_RANK"))


def _requeue(name: str, stopped: Interrupted) -> None:
    """Have a Slurm job that was told so start again; now that its run has ended."""
    slurm = import_module("priorwise.phases.slurm")
    if _is_first() and slurm.to_be_requeued(stopped):
        problem = slurm.requeue()
        if problem:
            sys.stderr.write(f"priorwise {name}: the job is not requeued ({problem})\n")


def _set_environment() -> None:
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    # a script called evaluate.py must not shadow a package of that name, in child ranks either
    os.environ["PYTHONSAFEPATH"] = "1"
    # waiting OpenMP threads that spin make training 20 times slower on a shared machine
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    warnings.filterwarnings("ignore", category=FutureWarning, module="mlflow")
    warnings.filterwarnings("ignore", message=".*treespec.*")
    # it would print a traceback before each error that we tell in one line
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _execute(name: str, arguments: list[str], stop: StopRequest) -> None:
    try:
        # imports take seconds: a stop asked for meanwhile must also reach the runner's run
        with stop.deferred():
            phase = import_module(f"priorwise.phases.{name}")
            arguments_of = import_module("priorwise.phases.arguments")
            desk_of = import_module("priorwise.phases.desk")
            open_run = import_module("priorwise.tracking.runs").open_run
            if arguments[:1] and arguments[0] in USAGE_FLAGS:
                arguments_of.parser_of(name, phase.Config).print_help()
                return
            recipe = desk_of.Recipe(_recipe_path(arguments_of.pairs(arguments)))
            config = arguments_of.parse(name, phase.Config, recipe, arguments)
    except (BadInput, Interrupted) as error:
        # the runner has made a run already: it must say why it ended
        if os.environ.get("MLFLOW_RUN_ID"):
            with suppress(BadInput, Interrupted), open_run(name):
                raise error
        raise
    if hasattr(phase, "examine"):  # it looks at the store, which a run would need
        phase.examine(config)
        return
    with open_run(name) as track:
        execute(phase, config, desk_of.Desk(recipe, track, stop))


def _recipe_path(given: Sequence[tuple[str, str]]) -> str:
    paths = [value for name, value in given if name == "config" and value != "auto"]
    return paths[-1] if paths else ""


def execute(phase: Any, config: Any, desk: Any) -> None:
    """Plan and run one phase on the desk's own run, or on the run it resumes."""
    desk_of = import_module("priorwise.phases.desk")
    slurm = import_module("priorwise.phases.slurm")
    name = phase.__name__.rpartition(".")[2]
    if getattr(config, "resume", None) == "":
        config = replace(config, resume=slurm.run_of_this_job(name, desk))
    resumed = getattr(config, "resume", "")
    if not resumed:
        # known before anything can fail: a resolver then lists this run, too, with its reason
        desk.track.tags({"phase": name, **slurm.job_tags()})
    if name != "janitor":  # which says more about each
        for run in desk.track.close_orphans():
            desk_of.say(f"run {run.run_id} ({run.name}): {run.verdict.reason}; marked KILLED")
    plan = phase.prepare(config, desk)
    if not resumed:
        desk_of.begin(plan, desk.track)
        phase.run(plan, desk, desk.track)
        return
    desk.track.stands_in = True  # for the resumed run: this one is never complete itself
    import_module("priorwise.phases.resuming").go_on(phase, plan, desk, resumed)
