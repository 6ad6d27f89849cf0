"""Settings of the whole test suite."""

from hypothesis import settings

# Deterministic, and without a deadline: machines that are busy must not fail a test.
settings.register_profile("prefrl", deadline=None, derandomize=True, database=None)
settings.load_profile("prefrl")
