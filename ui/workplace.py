"""The runs that the app shows: found in one folder, looked up by name, never joined to a path."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from prefrl.errors import UsageError
from prefrl.files import explained_disk_errors
from prefrl.runs.log import CONFIG, SUMMARY, RunFolder
from prefrl.runs.status import RunStatus, read_status
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.response_files import RESPONSES, Response, is_collection, read_responses
from ui.exhibits import Clips, Exhibits, Texts
from ui.kinds import asked_clips, asked_kind
from ui.refusals import Refusal

STORE = "feedback.sqlite"


class Workplace:
    """A folder of run folders, or a single run folder.

    Args:
        folder: looked at anew for every question, so runs may come and go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[int, int], RunView]] = {}

    def names(self) -> list[str]:
        """The runs there are now: paths below the folder, or ``.`` for the folder itself."""
        return sorted(self._folders())

    def training_names(self) -> list[str]:
        """Those of them that train, or cannot be read; not the collections of texts."""
        found = []
        for name in self.names():
            try:
                if self.run(name).is_text:
                    continue
            except Refusal:
                pass  # whoever looks at it is told why
            found.append(name)
        return found

    def run(self, name: object) -> RunView:
        """The run of a name; raises Refusal where there is none, or its files cannot be read."""
        folders = self._folders()
        if not isinstance(name, str) or name not in folders:
            raise Refusal(404, f"there is no run {str(name)[:100]!r} here: choose one from the list")
        with self._lock:
            try:
                stamp = _stamp(folders[name] / CONFIG)
                known = self._known.get(name)
                if known is None or known[0] != stamp:  # a folder can become that of another run
                    if known is not None:
                        known[1].close()
                    known = self._known[name] = (stamp, RunView(name, folders[name]))
            except UsageError as error:
                raise Refusal(409, str(error)) from error
            return known[1]

    def close(self) -> None:
        """Closes every store."""
        for _, run in self._known.values():
            run.close()

    @property
    def is_one_run(self) -> bool:
        """Whether the folder is that of a run itself, so that there is no place for others."""
        return (self.folder / CONFIG).is_file()

    def _folders(self) -> dict[str, Path]:
        if self.is_one_run:
            return {self.folder.resolve().name: self.folder}
        found = (
            path.parent for pattern in (f"*/{CONFIG}", f"*/*/{CONFIG}") for path in self.folder.glob(pattern)
        )
        return {path.relative_to(self.folder).as_posix(): path for path in found}


def _stamp(file: Path) -> tuple[int, int]:
    """What changes when a file is replaced by another."""
    with explained_disk_errors(f"read {file}"):
        found = file.stat()
    return found.st_ino, found.st_mtime_ns


class RunView:
    """One run as the app sees it: its settings, its store, what it is doing.

    Args:
        name: as the workplace calls it.
        path: the run folder.

    Raises:
        UsageError: the config or the store cannot be read.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name, self.path = name, path
        self.settings: dict[str, Any] = RunFolder.open(path).config
        self._store: FeedbackStore | None = None
        self._texts: tuple[tuple[int, int], dict[str, Response]] | None = None
        self._lock = threading.Lock()

    @property
    def labelled_by_people(self) -> bool:
        """Whether its queries are for people."""
        return self.settings.get("reward") == "learned" and self.settings.get("teacher") == "human"

    @property
    def overlap(self) -> int:
        """Labellers who are to answer each of its queries."""
        query = self.settings.get("query")
        return int(query.get("overlap", 1)) if isinstance(query, dict) else 1

    @property
    def task(self) -> str:
        """What the agent is to do."""
        return str(self.settings.get("task", ""))

    @property
    def kind(self) -> str:
        """What its queries ask: one of :data:`ui.kinds.NOUNS`."""
        return asked_kind(self.settings.get("query"))

    @property
    def clips(self) -> int:
        """Clips or texts that one of its queries shows."""
        return asked_clips(self.settings.get("query"))

    @property
    def is_text(self) -> bool:
        """Whether this is a collection of texts, not a run."""
        return is_collection(self.settings)

    @property
    def store(self) -> FeedbackStore:
        """Its feedback store; raises UsageError where there is none, or it is damaged."""
        with self._lock:
            if self._store is None:
                self._store = FeedbackStore(self.path / STORE, must_exist=True)
            return self._store

    @property
    def store_name(self) -> str:
        """What the run is called in its store: its folder's name when it began."""
        names = self.store.runs()
        return names[0] if len(names) == 1 else self.path.resolve().name

    @property
    def status(self) -> RunStatus | None:
        """What it last said it is doing."""
        return read_status(self.path)

    @property
    def finished(self) -> bool:
        """Whether it has written its summary."""
        return (self.path / SUMMARY).is_file()

    def exhibits(self) -> Exhibits:
        """One look at what its queries are about; raises UsageError where texts cannot be read."""
        if not self.is_text:
            return Clips(self.path)
        return Texts(self.responses(), markdown=self.settings.get("markdown") is True)

    def responses(self) -> dict[str, Response]:
        """The texts of a collection by id, read anew when there are more; raises UsageError."""
        with explained_disk_errors(f"read {self.path / RESPONSES}"):
            found = (self.path / RESPONSES).stat()
        with self._lock:
            if self._texts is None or self._texts[0] != (found.st_mtime_ns, found.st_size):
                self._texts = (found.st_mtime_ns, found.st_size), read_responses(self.path)
            return self._texts[1]

    def close(self) -> None:
        """Closes its store."""
        if self._store is not None:
            self._store.close()
