"""The browser application: a window on the store of feedback and the run folders.

It reads and writes feedback through ``prefrl.store`` and never imports torch, an environment or a track, so
that it starts at once on a machine without any of them.
"""
