"""Public data sets of texts as the records of the core, and back: files of JSON lines, or any rows.

Rows are mappings: the lines of a file, a Hugging Face ``Dataset`` (which iterates over its rows), or a list.
The fields say which format a row has, as TRL names them, and all rows of a data set have the same:

    prompt             {"prompt"}
    prompt_completion  {"prompt", "completion"}
    preference         {"prompt", "chosen", "rejected"}, or {"chosen", "rejected"} with the prompt in both;
                       "preference" (0.75: chosen is slightly better, 0.5: a tie) where it is not 1
    unpaired           {"prompt", "completion", "label"}, true for a like
    ranking            {"prompt", "completions", "ranking"}: positions, best first
    stepwise           {"prompt", "completions", "labels"}: steps of one completion, whether each is right

Texts are strings or conversations, lists of {"role", "content"}, of which a completion is the last message.
A row may name its "labeller". Other fields are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Query, Source, Value, check_answer, make_id
from prefrl.feedback_checks import shortened
from prefrl.language.dataset_rows import SIDES, Format, format_of, implicit_prompt, take_list
from prefrl.texts.response_files import Response, prompt_id
from prefrl.texts.text_records import (
    Messages,
    check_filled,
    check_response,
    prompt_text,
    read_records,
    take_conversation,
    take_field,
)

Rows = Iterable[Mapping[str, Any]]
Render = Callable[[str | Messages], str]
"""Makes one text of a prompt; a chat template, say."""


@dataclass(frozen=True)
class TextData:
    """A data set as records: answers to queries about responses to prompts."""

    format: Format
    prompts: tuple[str, ...]
    """Every prompt once, in the order of the rows."""
    responses: tuple[Response, ...] = ()
    """Every response once; equal texts to one prompt are one response."""
    queries: tuple[Query, ...] = ()
    answers: tuple[Answer, ...] = ()
    """One to each query, in its order."""
    steps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of stepwise data: the steps of each response by its id."""


def read_text_data(
    source: Path | Rows,
    *,
    name: str,
    labeller: str = "data",
    answered_by: Source = Source.PERSON,
    render: Render = prompt_text,
    step_separator: str = "\n",
) -> TextData:
    """Reads a whole data set.

    Args:
        source: a file of JSON lines, or rows.
        name: of the data set; ids follow from it and from the rows' order.
        labeller: who answered, where a row does not say.
        answered_by: what kind of teacher that was.
        render: makes a text of a prompt that may be a conversation.
        step_separator: what stands between the steps of a completion.

    Raises:
        UsageError: an empty data set, or a row that is not as above; line (or row) and field are named.
    """
    rows = read_records(source) if isinstance(source, Path) else _numbered(source)
    reader = _Reader(name, labeller, answered_by, render, step_separator)
    for where, row in rows:
        try:
            reader.read(row)
        except UsageError as error:
            raise UsageError(f"{where}: {error}") from error
    return reader.data(str(source) if isinstance(source, Path) else name)


def text_rows(data: TextData) -> Iterator[dict[str, Any]]:
    """The rows of a data set again, with explicit prompts and texts as strings."""
    responses = {response.id: response for response in data.responses}
    if data.format == "prompt":
        yield from ({"prompt": prompt} for prompt in data.prompts)
    elif data.format == "prompt_completion":
        yield from ({"prompt": one.prompt, "completion": one.text} for one in data.responses)
    for query, answer in zip(data.queries, data.answers, strict=True):
        items = [responses[item] for item in query.items]
        row = {"prompt": items[0].prompt} | _judged(query, [item.text for item in items], answer.value, data)
        yield row | ({} if answer.labeller == "data" else {"labeller": answer.labeller})


def _judged(query: Query, texts: list[str], value: Value, data: TextData) -> dict[str, Any]:
    match query.kind:
        case Kind.PAIR:
            assert isinstance(value, float)
            chosen, rejected = texts if value >= 0.5 else texts[::-1]
            row: dict[str, Any] = {"chosen": chosen, "rejected": rejected}
            return row if value in (0.0, 1.0) else row | {"preference": max(value, 1.0 - value)}
        case Kind.LIKE:
            return {"completion": texts[0], "label": value}
        case Kind.RANKING:
            return {"completions": texts, "ranking": list(value)}  # type: ignore[arg-type]
        case _:
            marks = [bool(mark) for mark in value]  # type: ignore[union-attr]
            return {"completions": list(data.steps[query.items[0]]), "labels": marks}


class _Reader:
    """Collects records row by row."""

    def __init__(
        self, name: str, labeller: str, answered_by: Source, render: Render, step_separator: str
    ) -> None:
        self._name, self._labeller, self._answered_by = name, labeller, answered_by
        self._render, self._step_separator = render, step_separator
        self._format: Format | None = None
        self._prompts: dict[str, None] = {}
        self._responses: dict[tuple[str, str], Response] = {}
        self._steps: dict[str, tuple[str, ...]] = {}
        self._queries: list[Query] = []
        self._answers: list[Answer] = []

    def read(self, row: Mapping[str, Any]) -> None:
        found = format_of(row)
        if self._format not in (None, found):
            raise UsageError(
                f"has the fields of {found}, the rows before it those of {self._format}: give one format"
            )
        self._format = found
        match found:
            case "preference":
                self._preference(row)
            case "ranking":
                texts = [
                    check_response(text, f"completions[{i}]")[1]
                    for i, text in enumerate(take_list(row, "completions"))
                ]
                self._judge(row, Kind.RANKING, texts, tuple(take_list(row, "ranking")))
            case "stepwise":
                self._stepwise(row)
            case _:
                texts = [] if found == "prompt" else [check_response(row["completion"], "completion")[1]]
                if found == "unpaired":
                    self._judge(row, Kind.LIKE, texts, row["label"])
                else:
                    self._respond(self._prompt(row), texts)

    def data(self, where: str) -> TextData:
        if self._format is None:
            raise UsageError(f"{where} is empty: give at least one row")
        return TextData(
            self._format,
            tuple(self._prompts),
            tuple(self._responses.values()),
            tuple(self._queries),
            tuple(self._answers),
            self._steps,
        )

    def _prompt(self, row: Mapping[str, Any]) -> str:
        return self._render(take_conversation(row, "prompt"))

    def _preference(self, row: Mapping[str, Any]) -> None:
        value = 1.0 if row.get("preference") is None else row["preference"]
        if "prompt" in row:
            prompt, texts = (
                self._prompt(row),
                [check_response(take_field(row, side), side)[1] for side in SIDES],
            )
        else:
            before, texts = implicit_prompt(*(take_conversation(row, side) for side in SIDES))
            prompt = self._render(before)
        self._judge(row, Kind.PAIR, texts, value, prompt=prompt)

    def _stepwise(self, row: Mapping[str, Any]) -> None:
        steps = [
            check_filled(step, f"completions[{i}]") for i, step in enumerate(take_list(row, "completions"))
        ]
        labels = take_list(row, "labels")
        if len(labels) != len(steps) or not all(isinstance(label, bool) for label in labels):
            raise UsageError(
                f"'labels' is {shortened(labels)}: give true or false for each of {len(steps)} steps"
            )
        response = self._judge(row, Kind.MARKS, [self._step_separator.join(steps)], tuple(map(float, labels)))
        self._steps[response.id] = tuple(steps)

    def _respond(self, prompt: str, texts: list[str]) -> list[Response]:
        self._prompts.setdefault(prompt)
        for text in texts:
            name = make_id(self._name, 0, "response", len(self._responses))
            self._responses.setdefault((prompt, text), Response(name, prompt, text))
        return [self._responses[prompt, text] for text in texts]

    def _judge(
        self, row: Mapping[str, Any], kind: Kind, texts: list[str], value: Value, *, prompt: str | None = None
    ) -> Response:
        prompt = self._prompt(row) if prompt is None else prompt
        items = self._respond(prompt, texts)
        counter = len(self._queries)
        query = Query(
            make_id(self._name, 0, "query", counter),
            self._name,
            kind,
            tuple(item.id for item in items),
            group=prompt_id(prompt),
            counter=counter,
        )
        answer = Answer(
            make_id(self._name, 0, "answer", counter),
            query.id,
            value,
            self._answered_by,
            self._labeller if row.get("labeller") is None else row["labeller"],
        )
        if value is None:
            raise UsageError("has no answer: leave the row out")
        check_answer(query, answer)
        self._queries.append(query)
        self._answers.append(answer)
        return items[0]


def _numbered(rows: Rows) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise UsageError(f"row {number} is {shortened(row)}: give a mapping of fields")
        yield f"row {number}", row
