"""Track 2: language models, on the same comparisons, reward ensemble and policy update as track 1."""
