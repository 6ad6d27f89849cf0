"""One trainer per run: two that write to one folder would undo each other's work."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors

LOCK = ".training"
TAKEN = {errno.EAGAIN, errno.EACCES}


@contextmanager
def sole_trainer(folder: Path) -> Iterator[None]:
    """Keeps every other trainer out of a run folder; the system lets go when the process ends, however.

    Raises:
        UsageError: another process is training the run; or the folder cannot be written.
    """
    with explained_disk_errors(f"write {folder / LOCK}"):
        file = (folder / LOCK).open("ab")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in TAKEN:
                raise UsageError(
                    f"another process is training the run in {folder}: stop that one first"
                ) from error
            # A file system without locks (some network ones): as good as it was before there were any.
        yield
