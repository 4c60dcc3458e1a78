"""Scoring a user's own files: found, streamed, scored in bounded memory, written in one piece."""
