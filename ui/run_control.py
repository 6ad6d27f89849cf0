"""Starting, stopping and resuming runs: each is a process of its own and outlives the app.

What a run says goes to ``output.log`` in its folder. It is asked to stop by SIGTERM, upon which it saves
itself; a process is known by its number and its mark, so none that got an old number is ever signalled.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prefrl.processes import process_mark, terminate
from prefrl.runs.log import CONFIG, OUTPUT
from prefrl.runs.status import ENDED, RunStatus
from ui.refusals import Refusal
from ui.run_request import COMMAND, Catalogue, RunRequest
from ui.workplace import RunView, Workplace

MOST_AT_ONCE = 8
"""Runs that this app has started and that go on."""
MOST_SAID = 2000
"""Characters of what a run said last that are shown."""


@dataclass(frozen=True)
class Launch:
    """A process that this app has started for a run."""

    process: subprocess.Popen[bytes]
    mark: str
    folder: Path

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def has_told(self, status: RunStatus | None) -> bool:
        """Whether a status is this process's."""
        return status is not None and (status.pid, status.process) == (self.process.pid, self.mark)

    @property
    def last_words(self) -> str:
        """What it said at the end, or how it ended."""
        return last_words(self.folder) or f"it ended with exit code {self.process.returncode}"


class RunControl:
    """Starts, stops and resumes the runs of a workplace.

    Args:
        workplace: where they are; new ones get folders in its folder.
        command: the command line's program and first words.
    """

    def __init__(self, workplace: Workplace, *, command: Sequence[str] = COMMAND) -> None:
        self.workplace, self._command = workplace, tuple(command)
        self._lock = threading.Lock()
        self._launches: dict[str, Launch] = {}
        self._failures: dict[str, str] = {}
        self._asked: dict[str, tuple[int, str]] = {}

    def start(self, request: RunRequest, catalogue: Catalogue) -> str:
        """Starts a new run and returns its name.

        Raises:
            Refusal: it asks for something that is not in the catalogue; too many go on; no folder for it can
                be made.
        """
        request.check(catalogue)
        if self.workplace.is_one_run:
            raise Refusal(
                409, "this app shows a single run: serve the folder of your runs to start others there"
            )
        with self._lock:
            self._check_room()
            self._failures.clear()
            folder = self._make_folder(request.folder_name)
            self._launch(folder.name, folder, [*request.arguments, f"--run={folder}"])
        return folder.name

    def resume(self, name: str) -> None:
        """Continues a run that is not going on; raises Refusal for any other."""
        with self._lock:
            view = self.workplace.run(name)
            if not self.can_resume(view):
                raise Refusal(409, f"{name} is going on or has ended: there is nothing to resume")
            self._check_room()
            folder = view.path.resolve()
            self._launch(name, folder, ["train", "--resume", f"--run={folder}"])

    def stop(self, name: str) -> None:
        """Asks a run to save itself and stop, which it does after the rollout it is in; raises Refusal.

        Asking again changes nothing.
        """
        view = self.workplace.run(name)
        if self.starting(view):
            self._launches[name].process.terminate()
            return
        status = view.status
        if status is None or not self.can_stop(view):
            raise Refusal(409, f"{name} is not going on here: there is nothing to stop")
        if self.stopping(view):
            return
        try:
            if not terminate(status.pid, status.process):
                raise Refusal(409, f"the process of {name} is gone already")
        except PermissionError:
            raise Refusal(403, f"the process of {name} is somebody else's: ask them to stop it") from None
        self._asked[name] = status.pid, status.process

    def starting(self, view: RunView) -> bool:
        """Whether a process has been started for a run and has not said yet what it is doing."""
        launch = self._launches.get(view.name)
        return launch is not None and launch.alive and not launch.has_told(view.status)

    def stopping(self, view: RunView) -> bool:
        """Whether the process that the run goes on in has been asked to stop and has not yet."""
        status = view.status
        if status is None or not _goes_on(status):
            return False
        return self._asked.get(view.name) == (status.pid, status.process)

    def can_stop(self, view: RunView) -> bool:
        """Whether the run goes on in a process of this machine that is known for certain."""
        status = view.status
        known = status is not None and status.here and bool(status.process)
        return self.starting(view) or (known and _goes_on(status))

    def can_resume(self, view: RunView) -> bool:
        """Whether the run has neither ended nor goes on, as far as can be known here."""
        return not view.finished and not self.starting(view) and not _goes_on(view.status)

    def complaint(self, view: RunView) -> str:
        """What the last process started for a run said, if it ended before it could tell its state."""
        launch = self._launches.get(view.name)
        if launch is None or launch.alive or launch.has_told(view.status) or view.finished:
            return ""
        return launch.last_words

    def new_names(self) -> list[str]:
        """Runs that were started here and are no run folders yet."""
        known = set(self.workplace.names())
        return sorted(name for name, one in self._launches.items() if name not in known and one.alive)

    def failures(self) -> dict[str, str]:
        """What those processes said that ended before there was a run; until another one is started."""
        known = set(self.workplace.names())
        with self._lock:
            for name, launch in list(self._launches.items()):
                if name not in known and not launch.alive and not (launch.folder / CONFIG).exists():
                    self._failures[name] = launch.last_words
                    del self._launches[name]
                    (launch.folder / OUTPUT).unlink(missing_ok=True)
                    with suppress(OSError):  # something is in it, which is not ours to delete
                        launch.folder.rmdir()
            return dict(self._failures)

    def _check_room(self) -> None:
        alive = sum(launch.alive for launch in self._launches.values())
        if alive >= MOST_AT_ONCE:
            raise Refusal(409, f"{alive} runs started here go on: wait for one, or stop one")

    def _make_folder(self, wanted: str) -> Path:
        """A new folder of the wanted name, or of the next that is free."""
        parent = self.workplace.folder.resolve()
        for number in range(1, 1000):
            folder = parent / (wanted if number == 1 else f"{wanted}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            except OSError as error:
                raise Refusal(503, f"no folder for the run can be made: {error.strerror}") from error
            return folder
        raise Refusal(409, f"there are a thousand runs called {wanted}: move some away")

    def _launch(self, name: str, folder: Path, arguments: list[str]) -> None:
        # Its own session: neither Ctrl-C at the app's terminal nor the app's end is its end.
        with (folder / OUTPUT).open("ab") as output:
            process = subprocess.Popen(
                [*self._command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TQDM_DISABLE": "1"},
                start_new_session=True,
            )
        self._launches[name] = Launch(process, process_mark(process.pid) or "", folder)


def last_words(folder: Path) -> str:
    """The end of what the process of a run has said, if the app started it; empty where it said nothing."""
    try:
        with (folder / OUTPUT).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4 * MOST_SAID))
            return file.read().decode("utf-8", errors="replace").strip()[-MOST_SAID:]
    except OSError:
        return ""


def _goes_on(status: RunStatus | None) -> bool:
    """Whether a run says that it goes on, and nothing here says otherwise."""
    return status is not None and status.state not in ENDED and not status.lost
