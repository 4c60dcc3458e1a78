"""What both trainings share: batches, recorders; no data formats, no tracking."""
