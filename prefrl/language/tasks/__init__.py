"""Tasks for small language models: procedural, exact, seeded; each in a file of its own."""
