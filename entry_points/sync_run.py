"""Entry point `sync_run`."""

from priorwise.cli import run_entry

if __name__ == "__main__":
    run_entry("sync_run")
