"""Fitting with Lightning; knows nothing of MLflow."""
