"""Numbers for TensorBoard: one event file per process that logs."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class ScalarWriter:
    """Numbers into a TensorBoard event file; TensorBoard is imported when the first row comes."""

    def __init__(self, folder: Path, *, purge_from: int | None) -> None:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}.{now % 1:.6f}"
        self._records = RecordWriter((folder / name).open("ab"))
        self._write(file_version="brain.Event:2")
        if purge_from is not None:  # TensorBoard then forgets what the interrupted run wrote from there on
            start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(step=purge_from, session_log=start)

    def write(self, step: int, row: Mapping[str, Any]) -> None:
        numbers = {
            name: value for name, value in row.items() if name != "step" and isinstance(value, int | float)
        }
        values = [self._summary.Value(tag=name, simple_value=float(value)) for name, value in numbers.items()]
        self._write(step=step, summary=self._summary(value=values))

    def close(self) -> None:
        self._records.close()

    def _write(self, **fields: Any) -> None:
        self._records.write(self._event(wall_time=time.time(), **fields).SerializeToString())
        self._records.flush()
