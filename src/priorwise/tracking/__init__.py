"""Everything that talks to MLflow: run life, search, datasets, recorder."""
