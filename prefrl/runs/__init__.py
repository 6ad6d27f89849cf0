"""Run folders: what a run writes as it goes, and how reports and pages read many of them."""
