"""Texts that people compare: what can be counted in them, and which of it people prefer."""
