"""Data sets of texts: every format into records and back, conversations, errors that name line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from prefrl.errors import UsageError
from prefrl.feedback import Kind, Source, check_answer
from prefrl.language.datasets import TextData, read_text_data, text_rows

ROWS: dict[str, list[dict[str, Any]]] = {
    "prompt": [{"prompt": "Why?"}, {"prompt": "How?"}],
    "prompt_completion": [{"prompt": "Why?", "completion": "So."}, {"prompt": "How?", "completion": "Thus."}],
    "preference": [
        {"prompt": "Why?", "chosen": "So.", "rejected": "No."},
        {"prompt": "Why?", "chosen": "So.", "rejected": "Eh.", "preference": 0.75, "labeller": "Ada"},
        {"prompt": "How?", "chosen": "Thus.", "rejected": "So.", "preference": 0.5},
    ],
    "unpaired": [
        {"prompt": "Why?", "completion": "So.", "label": True},
        {"prompt": "Why?", "completion": "No.", "label": False},
    ],
    "ranking": [{"prompt": "Why?", "completions": ["a", "b", "c"], "ranking": [2, 0, 1]}],
    "stepwise": [{"prompt": "12+3", "completions": ["2+3=5", "so 16"], "labels": [True, False]}],
}
KINDS = {"preference": Kind.PAIR, "unpaired": Kind.LIKE, "ranking": Kind.RANKING, "stepwise": Kind.MARKS}
QUESTION = {"role": "user", "content": "Why?"}


def say(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def read(rows: list[dict[str, Any]]) -> TextData:
    return read_text_data(rows, name="data")


def texts(data: TextData) -> list[str]:
    return [response.text for response in data.responses]


@pytest.mark.parametrize("format", ROWS)
def test_every_format_comes_back_as_it_went_in_from_rows_and_from_a_file(format: str, tmp_path: Path) -> None:
    data = read(ROWS[format])
    assert data.format == format
    assert list(text_rows(data)) == ROWS[format]
    file = tmp_path / "data.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in text_rows(data)))
    assert read_text_data(file, name="data") == data


@pytest.mark.parametrize("format", KINDS)
def test_answers_fit_their_queries_and_prompts_are_groups(format: str) -> None:
    data = read(ROWS[format])
    assert {query.kind for query in data.queries} == {KINDS[format]}
    for query, answer in zip(data.queries, data.answers, strict=True):
        check_answer(query, answer)
        assert answer.source is Source.PERSON
    assert [query.counter for query in data.queries] == list(range(len(ROWS[format])))
    assert len({query.group for query in data.queries}) == len(data.prompts)


def test_equal_texts_to_one_prompt_are_one_response() -> None:
    data = read(ROWS["preference"])
    assert data.prompts == ("Why?", "How?")
    assert texts(data) == ["So.", "No.", "Eh.", "Thus.", "So."]
    assert data.queries[0].items[0] == data.queries[1].items[0]
    assert [answer.value for answer in data.answers] == [1.0, 0.75, 0.5]
    assert [answer.labeller for answer in data.answers] == ["data", "Ada", "data"]


def test_ids_follow_from_name_and_order_alone() -> None:
    assert read(ROWS["ranking"]) == read(ROWS["ranking"])
    other = read_text_data(ROWS["ranking"], name="other")
    assert {one.id for one in other.responses}.isdisjoint(one.id for one in read(ROWS["ranking"]).responses)


def test_steps_are_kept_beside_the_whole_completion() -> None:
    data = read(ROWS["stepwise"])
    (response,) = data.responses
    assert response.text == "2+3=5\nso 16"
    assert data.steps[response.id] == ("2+3=5", "so 16")
    assert data.answers[0].value == (1.0, 0.0)


def test_conversations_are_read_as_their_last_message() -> None:
    explicit = read([{"prompt": [QUESTION], "chosen": [say("So.")], "rejected": [say("No.")]}])
    implicit = read([{"chosen": [QUESTION, say("So.")], "rejected": [QUESTION, say("No.")]}])
    assert explicit == implicit == read(ROWS["preference"][:1])


def test_a_prompt_may_be_made_by_a_template_of_ones_own() -> None:
    row = {"prompt": [QUESTION], "completion": [say("So.")]}
    data = read_text_data(
        [row], name="data", render=lambda messages: f"<user>{messages[0]['content']}</user>"
    )  # type: ignore[index]
    assert data.prompts == ("<user>Why?</user>",)


def test_the_prompt_of_plain_texts_is_what_they_begin_with_alike() -> None:
    data = read([{"chosen": "The sky is blue.", "rejected": "The sky is green."}])
    assert data.prompts == ("The sky is",)
    assert texts(data) == [" blue.", " green."]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({}, "has the fields none"),
        ({"question": "Why?"}, "has the fields question: give 'prompt'"),
        ({"prompt": ""}, "'prompt' is empty"),
        ({"prompt": 7}, "'prompt' is 7"),
        ({"prompt": "Why?", "completion": None}, "'completion' is None"),
        ({"prompt": "Why?", "chosen": "So."}, "has no 'rejected'"),
        ({"prompt": "Why?", "chosen": "So.", "rejected": " "}, "'rejected' is empty"),
        ({"prompt": "Why?", "chosen": "So.", "rejected": "So."}, "compares an item with itself"),
        ({"prompt": "Why?", "chosen": "So.", "rejected": "No.", "preference": 0.6}, "is 0.6: give P"),
        ({"chosen": "So.", "rejected": "No."}, "do not begin alike"),
        ({"chosen": "So it is.", "rejected": "So"}, "'rejected' is empty|is empty"),
        ({"chosen": "So.", "rejected": [say("No.")]}, "two of a kind"),
        ({"chosen": [say("So.")], "rejected": [say("No.")]}, "differ before their last message"),
        ({"prompt": "Why?", "completion": [QUESTION]}, "'completion' ends with a message of the user"),
        ({"prompt": "Why?", "completion": "So.", "label": "yes"}, "is 'yes': give True or False"),
        ({"prompt": "Why?", "completion": "So.", "label": None}, "has no answer"),
        ({"prompt": "Why?", "completions": ["a", "b"]}, "has no 'ranking'"),
        (
            {"prompt": "Why?", "completions": ["a", "b"], "ranking": [0, 2]},
            "each of the positions 0 to 1 once",
        ),
        ({"prompt": "Why?", "completions": "ab", "ranking": [0]}, "'completions' is 'ab': give a list"),
        ({"prompt": "Why?", "completions": ["a", "b"], "labels": [True]}, "for each of 2 steps"),
        ({"prompt": "Why?", "completions": ["a", ""], "labels": [True, True]}, r"completions\[1\]' is empty"),
        ({"prompt": "Why?", "completion": "So.", "label": True, "labeller": ""}, "labeller of answer"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_with_its_field(
    row: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=rf"row 0: .*(?:{complaint})"):
        read([row])
    file = tmp_path / "data.jsonl"
    file.write_text("\n" + json.dumps(row))
    with pytest.raises(UsageError, match=rf"data\.jsonl line 2: .*(?:{complaint})"):
        read_text_data(file, name="data")


def test_rows_of_different_formats_are_refused() -> None:
    with pytest.raises(
        UsageError, match="row 1: has the fields of unpaired, the rows before it those of prompt"
    ):
        read([{"prompt": "Why?"}, ROWS["unpaired"][0]])


def test_nothing_at_all_and_what_is_no_row_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(UsageError, match=r"empty\.jsonl is empty"):
        read_text_data(tmp_path / "empty.jsonl", name="data")
    with pytest.raises(UsageError, match="data is empty"):
        read([])
    with pytest.raises(UsageError, match=r"row 0 is \['Why\?'\]: give a mapping"):
        read([["Why?"]])  # type: ignore[list-item]


@pytest.mark.parametrize("format", ROWS)
def test_a_hugging_face_dataset_is_read_as_its_rows(format: str) -> None:
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    # Columns of a Dataset are the same in every row: what a row does not say is None there.
    keys = dict.fromkeys(key for row in ROWS[format] for key in row)
    rows = [{key: row.get(key) for key in keys} for row in ROWS[format]]
    assert read_text_data(datasets.Dataset.from_list(rows), name="data") == read(rows) == read(ROWS[format])
