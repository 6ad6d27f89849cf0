"""PrefRL: agents and language models that learn from preferences between clips or texts of their own."""

__version__ = "0.1.0"
