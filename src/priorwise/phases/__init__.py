"""One file per entry point: a frozen Config and run(config, track)."""
