"""Runs of a mass spectrometer and a library to labelled Lance tables."""
