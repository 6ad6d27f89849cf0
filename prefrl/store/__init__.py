"""The store of feedback: what was asked and answered, durably, and all that reads, checks or mends it."""
