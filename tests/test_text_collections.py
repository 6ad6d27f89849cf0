"""Text collections: what files of pairs may look like, what is said of others, and what is made of them."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from fake_runs import make_run
from text_pairs import make_collection, numbered_pair, write_lines

from experiments.clip_worker import ClipsConfig, _work_on
from experiments.text import TextConfig, run_text
from experiments.text_collection import Collection
from experiments.text_formats import ResponseGroup, read_groups, read_prompts
from prefrl.control.run_settings import load_config
from prefrl.errors import UsageError
from prefrl.runs.folders import find_runs
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.response_files import LONGEST_TEXT, RESPONSES, append_responses, read_responses

QUESTION = [{"role": "user", "content": "Why?"}]


def said(words: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": words}]


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Why?", "responses": ["A", "B"]},
        {"prompt": "Why?", "responses": ["A", "B"], "score": 3, "models": [None, None]},
        {"prompt": "Why?", "response_a": "A", "response_b": "B"},
        {"prompt": "Why?", "chosen": "A", "rejected": "B"},
        {"prompt": QUESTION, "chosen": said("A"), "rejected": said("B")},
        {"chosen": QUESTION + said("A"), "rejected": QUESTION + said("B")},
        {"prompt": "Why?", "chosen": QUESTION + said("A"), "rejected": QUESTION + said("B")},
        {"prompt": "Why?", "responses": [said("A"), "B"]},
    ],
)
def test_every_format_gives_the_same_group(tmp_path: Path, record: dict[str, Any]) -> None:
    file = write_lines(tmp_path / "pairs.jsonl", record)
    assert read_groups(file) == [ResponseGroup("Why?", ("A", "B"), (None, None))]


def test_a_conversation_is_shown_with_its_roles(tmp_path: Path) -> None:
    talk = [*QUESTION, *said("Because."), {"role": "user", "content": "And?"}]
    record = {"chosen": talk + said("A"), "rejected": talk + said("B")}
    (group,) = read_groups(write_lines(tmp_path / "pairs.jsonl", record))
    assert group.prompt == "User: Why?\n\nAssistant: Because.\n\nUser: And?"


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        ({"prompt": "Why?"}, "no 'responses'"),
        ({"responses": ["A", "B"]}, "no 'prompt'"),
        ({"prompt": "Why?", "responses": ["A"]}, "'responses' is ['A']: give a list of 2 to 5"),
        ({"prompt": "Why?", "responses": "AB"}, "'responses' is 'AB'"),
        ({"prompt": "Why?", "responses": ["A", 3]}, "'responses[1]' is 3"),
        ({"prompt": "Why?", "responses": ["A", "B"], "models": ["x"]}, "one name for each response"),
        ({"prompt": "Why?", "response_a": "A", "response_b": "B", "model_a": 7}, "the name of a model is 7"),
        ({"prompt": "Why?", "response_a": "A"}, "no 'response_b'"),
        ({"prompt": "Why?", "chosen": "A", "rejected": " "}, "'rejected' is empty"),
        ({"prompt": "", "chosen": "A", "rejected": "B"}, "'prompt' is empty"),
        ({"prompt": "Why?", "chosen": "A", "rejected": "x" * (LONGEST_TEXT + 1)}, "at most 50000 characters"),
        ({"prompt": "Why?", "chosen": "A\0", "rejected": "B"}, "'chosen' is"),
        ({"prompt": "Why?", "chosen": "A", "rejected": "\ud800"}, "'rejected' is"),
        ({"prompt": "Why?", "chosen": QUESTION, "rejected": "B"}, "a message of the user: end it with"),
        ({"prompt": "Why?", "chosen": [{"role": "boss", "content": "A"}], "rejected": "B"}, "'chosen[0]' is"),
        ({"prompt": "Why?", "chosen": [{"role": "assistant"}], "rejected": "B"}, "no 'content'"),
        ({"prompt": "Why?", "chosen": [], "rejected": "B"}, "'chosen' is []"),
        (
            {"chosen": QUESTION + said("A"), "rejected": [{"role": "user", "content": "How?"}, *said("B")]},
            "conversations that differ",
        ),
        (["Why?", "A", "B"], "give a JSON object"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, record: Any, complaint: str) -> None:
    file = write_lines(tmp_path / "pairs.jsonl", numbered_pair(0), record)
    with pytest.raises(UsageError) as caught:
        read_groups(file)
    assert f"{file} line 2" in str(caught.value)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b'{"prompt": \n', "line 1 is no JSON"),
        (b"[" * 100_000, "line 1 is no JSON"),
        (b'\n{"prompt": "\xff"}', "line 2 is not UTF-8"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        read_groups(file)
    with pytest.raises(UsageError, match="no such file"):
        read_groups(tmp_path / "missing.jsonl")


def test_prompts_come_from_lines_of_text_or_json(tmp_path: Path) -> None:
    plain = tmp_path / "prompts.txt"
    plain.write_text("Why?\n\n How? \n", encoding="utf-8")
    assert read_prompts(plain) == ["Why?", "How?"]
    records = write_lines(tmp_path / "prompts.jsonl", {"prompt": "Why?"}, {"prompt": QUESTION})
    assert read_prompts(records) == ["Why?", QUESTION]
    with pytest.raises(UsageError, match=r"line 1: has no 'prompt'"):
        read_prompts(write_lines(tmp_path / "wrong.jsonl", {"question": "Why?"}))


def test_a_collection_asks_every_pair_once_and_groups_them_by_prompt(tmp_path: Path) -> None:
    three = {"prompt": "Why?", "responses": ["A", "B", "C"], "models": ["x", "y", "z"]}
    folder = make_collection(tmp_path / "texts", numbered_pair(0), three)
    responses = read_responses(folder)
    with FeedbackStore(folder / "feedback.sqlite") as store:
        asked = store.queries("texts")
    texts = [tuple(responses[item].text for item in query.items) for query in asked]
    assert texts[0][0] == "Short answer 0."
    assert texts[1:] == [("A", "B"), ("A", "C"), ("B", "C")]
    assert asked[0].group != asked[1].group == asked[2].group == asked[3].group
    assert [responses[item].model for item in asked[3].items] == ["y", "z"]
    assert Collection(folder).settings["labels"] == 4


def test_responses_that_are_equal_are_not_compared(tmp_path: Path) -> None:
    same = {"prompt": "Why?", "responses": ["A", "A"]}
    folder = make_collection(tmp_path / "texts", same, numbered_pair(1))
    with FeedbackStore(folder / "feedback.sqlite") as store:
        assert len(store.queries("texts")) == 1
    with pytest.raises(UsageError, match="no two responses"):
        make_collection(tmp_path / "none", same)


def test_the_same_command_again_changes_nothing_and_mends_what_was_interrupted(tmp_path: Path) -> None:
    folder = make_collection(tmp_path / "texts", numbered_pair(0), numbered_pair(1))
    content = (folder / RESPONSES).read_bytes()
    (folder / RESPONSES).write_bytes(content[:-40])  # torn in the last response
    again = make_collection(folder, numbered_pair(0), numbered_pair(1))
    assert (again / RESPONSES).read_bytes() == content
    with FeedbackStore(folder / "feedback.sqlite") as store:
        assert len(store.queries("texts")) == 2


def test_other_texts_do_not_go_into_a_collection_that_is_there(tmp_path: Path) -> None:
    folder = make_collection(tmp_path / "texts", numbered_pair(0))
    with pytest.raises(UsageError, match="another collection: name a new folder"):
        make_collection(folder, numbered_pair(1))
    full = tmp_path / "full"
    full.mkdir()
    (full / "note").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        make_collection(full, numbered_pair(1))


def test_a_damaged_line_of_responses_is_named(tmp_path: Path) -> None:
    folder = make_collection(tmp_path / "texts", numbered_pair(0))
    append_responses(folder, [])
    with (folder / RESPONSES).open("a") as file:
        file.write(json.dumps({"id": "x", "prompt": "Why?", "text": 3}) + "\n")
    with pytest.raises(UsageError, match=r"responses.jsonl line 3 is damaged"):
        read_responses(folder)


def test_without_a_source_the_command_names_the_options(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="either --file, or --endpoint"):
        run_text(TextConfig(tmp_path / "texts"))


def test_tools_for_runs_leave_a_collection_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_collection(tmp_path / "texts", numbered_pair(0))
    with pytest.raises(UsageError, match="a collection of texts, not a run"):
        load_config(folder)
    make_run(tmp_path / "run")
    assert find_runs([tmp_path]) == [tmp_path / "run"]
    capsys.readouterr()
    assert _work_on(folder, ClipsConfig(folder), set(), threading.Event()) == 0
    assert capsys.readouterr().out == ""
