"""Questions and answers: the command line, one file per experiment, reports and small committed results."""
