"""Records as files that others read: JSON, Parquet, and what was chosen and rejected among texts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prefrl.errors import UsageError
from prefrl.feedback import Kind, Purpose
from prefrl.feedback_checks import shortened
from prefrl.files import explained_disk_errors, write_atomically
from prefrl.labellers.weights import FULL_WEIGHT, labeller_weights
from prefrl.store.feedback_store import FeedbackStore
from prefrl.store.journal import FIELDS, Record, decode_line, encode_line, read_records
from prefrl.texts.response_files import Response

FORMATS = ("jsonl", "json", "parquet")
"""Of whole records, every one of which can be taken in again; a file's ending says which it has."""
NESTED = ("items", "value", "shown")
"""Fields that are JSON text in a table."""


def write_records(records: Iterable[Record], path: Path, *, form: str) -> int:
    """Writes records with all their provenance to a file; returns how many.

    Args:
        records: in an order in which they can be taken in again.
        path: a file is replaced.
        form: one of ``FORMATS``: the journal's lines, one JSON array of the same objects, or a table with a
            row per record, columns for every field, and nested ones as JSON.
    """
    lines = [encode_line(record) for record in records]
    match form:
        case "jsonl":
            content = "".join(f"{line}\n" for line in lines).encode()
        case "json":
            content = ("[\n" + ",\n".join(lines) + "\n]\n").encode()
        case "parquet":
            content = _as_parquet([json.loads(line) for line in lines])
        case _:
            raise UsageError(f"records cannot be written as {form!r}: choose from {', '.join(FORMATS)}")
    write_atomically(path, content)
    return len(lines)


def read_any_records(path: Path) -> Iterator[tuple[int, Record | str]]:
    """Numbered records of a file in any of ``FORMATS``; for a bad one what is wrong with it.

    Raises:
        UsageError: the file is none of these.
    """
    match path.suffix.lower():
        case ".jsonl":
            return read_records(path)
        case ".json":
            return _decoded(_read_json(path))
        case ".parquet":
            return _decoded(_read_parquet(path))
    raise UsageError(f"{path} ends in none of .jsonl, .json and .parquet: name it after what it holds")


def preference_rows(
    store: FeedbackStore, run: str, responses: Mapping[str, Response]
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Answers that count to pairs of texts as ``prompt``, ``chosen``, ``rejected``; and those that call both
    equal, which do not fit that form, as ``prompt``, ``first``, ``second``.

    Raises:
        UsageError: the run compares no texts, or one of its texts is missing.
    """
    chosen, equal = [], []
    asked = {query.id: query for query in store.queries(run)}
    worth, late = labeller_weights(store.remarks(run)), store.late(run)
    for answer in store.current_answers(run):
        query = asked[answer.query_id]
        counts = worth.get(answer.labeller, FULL_WEIGHT) > 0 and (query.id, answer.labeller) not in late
        if query.kind is not Kind.PAIR or query.purpose is not Purpose.TRAINING or not counts:
            continue
        if answer.value is None:
            continue
        if missing := [item for item in query.items if item not in responses]:
            raise UsageError(
                f"{missing[0]} of run {run} is no text: only collections of texts have chosen and "
                "rejected ones; export jsonl, json or parquet"
            )
        left, right = (responses[item] for item in query.items)
        value = float(answer.value)  # type: ignore[arg-type]
        if value == 0.5:
            equal.append({"prompt": left.prompt, "first": left.text, "second": right.text})
        else:
            better, worse = (left, right) if value > 0.5 else (right, left)
            chosen.append({"prompt": left.prompt, "chosen": better.text, "rejected": worse.text})
    return chosen, equal


def json_lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as JSON, one per line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _as_parquet(rows: list[dict[str, Any]]) -> bytes:
    import io

    pyarrow, parquet = _arrow()
    names = list(dict.fromkeys(["record", *(name for fields in FIELDS.values() for name in fields)]))
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if name in NESTED:
            values = [json.dumps(row[name]) if name in row else None for row in rows]
        columns[name] = pyarrow.array(values, type=_type_of(pyarrow, name))
    written = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), written)
    return written.getvalue()


def _type_of(pyarrow: Any, name: str) -> Any:
    if name in ("seconds", "answered_at", "made_at"):
        return pyarrow.float64()
    if name in ("policy_step", "reward_version", "counter", "instruction_version"):
        return pyarrow.int64()
    return pyarrow.bool_() if name == "withdrawn" else pyarrow.string()


def _read_parquet(path: Path) -> list[Any]:
    pyarrow, parquet = _arrow()
    try:
        with explained_disk_errors(f"read {path}"):
            rows = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, ValueError) as error:
        raise UsageError(f"{path} is no Parquet file: {shortened(str(error))}") from error
    return [_from_table(row) for row in rows]


def _from_table(row: dict[str, Any]) -> Any:
    """A record's own fields, nested ones decoded; what is no record is left for the decoder to refuse."""
    known = FIELDS.get(row.get("record", ""), ())
    fields = {name: row[name] for name in ("record", *known) if name in row}
    for name in NESTED:
        try:
            fields |= {name: json.loads(fields[name])} if isinstance(fields.get(name), str) else {}
        except ValueError:
            continue
    return fields


def _read_json(path: Path) -> list[Any]:
    with explained_disk_errors(f"read {path}"):
        content = path.read_bytes()
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON: {shortened(str(error))}") from error
    if not isinstance(rows, list):
        raise UsageError(f"{path} holds no list of records: give an export")
    return rows


def _decoded(rows: list[Any]) -> Iterator[tuple[int, Record | str]]:
    for number, row in enumerate(rows, 1):
        try:
            yield number, decode_line(json.dumps(row))
        except UsageError as error:
            yield number, str(error)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(f"Parquet needs pyarrow ({error}): pip install pyarrow, or choose json") from error
    return pyarrow, pyarrow.parquet
