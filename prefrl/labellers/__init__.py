"""Those who answer: their work on a run, and how far each of them can be relied on."""
