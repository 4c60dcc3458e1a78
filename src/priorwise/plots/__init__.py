"""Figures from data frames; never saves, never logs."""
