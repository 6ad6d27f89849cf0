"""What a run has asked about last, as a strip of clips."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from page_tests import opened, shown_runs, words
from streamlit.testing.v1 import AppTest

from experiments.clip_worker import run_folders
from prefrl.clip_files import ClipNote, Sheet, is_watched, save_note, save_sheet
from prefrl.feedback import Answer, Kind, Query, Source
from prefrl.runs.log import RunFolder
from prefrl.store.feedback_store import FeedbackStore
from ui.here import workplace
from ui.latest_clips import MOST_CLIPS, QUERIES, latest_clips

RUN = "oracle"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from shown_runs(tmp_path, monkeypatch)


def asked(folder: Path, *queries: Query, answers: tuple[Answer, ...] = ()) -> None:
    RunFolder.create(folder, {"task": "half-cheetah", "reward": "learned", "teacher": "oracle", "seed": 0})
    with FeedbackStore(folder / "feedback.sqlite") as store:
        store.add([*queries, *answers])


def query(number: int, items: int = 2, kind: Kind = Kind.PAIR) -> Query:
    names = tuple(f"{number}-{place}" for place in range(items))
    return Query(f"q{number}", RUN, kind, names, policy_step=0, reward_version=0, counter=number)


def answer(number: int, value: float | None) -> Answer:
    return Answer(f"a{number}", f"q{number}", value=value, source=Source.ORACLE, labeller="oracle")


def page() -> AppTest:
    def script() -> None:
        from ui.here import workplace
        from ui.latest_clips import latest_clips, show_clips

        view = workplace().run("oracle")
        show_clips(view, latest_clips(view))

    return opened(script)


def test_the_newest_queries_are_shown_with_what_was_said_of_each_side(runs: Path) -> None:
    answers = (answer(0, 1.0), answer(3, 0.0), answer(4, 0.5))
    asked(runs / RUN, *map(query, range(5)), answers=answers)
    shown = latest_clips(workplace().run(RUN))
    assert QUERIES == 2
    assert [(clip.item, clip.caption) for clip in shown] == [
        ("3-0", "Query 4, A"),
        ("3-1", "Query 4, B: preferred (oracle)"),
        ("4-0", "Query 5, A: equal (oracle)"),
        ("4-1", "Query 5, B: equal (oracle)"),
    ]


def test_a_skip_and_a_query_without_an_answer_say_nothing(runs: Path) -> None:
    asked(runs / RUN, query(0), query(1), answers=(answer(0, None),))
    captions = [clip.caption for clip in latest_clips(workplace().run(RUN))]
    assert captions == ["Query 1, A", "Query 1, B", "Query 2, A", "Query 2, B"]


def test_no_more_clips_are_shown_than_the_strip_has_room_for(runs: Path) -> None:
    asked(runs / RUN, query(0, 4, Kind.RANKING), query(1, 3, Kind.RANKING))
    shown = latest_clips(workplace().run(RUN))
    assert [clip.item for clip in shown] == ["0-2", "0-3", "1-0", "1-1", "1-2"]
    assert len(shown) == MOST_CLIPS


def test_looking_asks_for_the_clips_to_be_drawn(runs: Path) -> None:
    asked(runs / RUN, query(0))
    assert run_folders(runs) == [runs / RUN]
    assert not is_watched(runs / RUN, now=(runs / RUN).stat().st_mtime)
    latest_clips(workplace().run(RUN))
    assert is_watched(runs / RUN, now=(runs / RUN).stat().st_mtime)


def test_clips_that_are_not_drawn_or_cannot_be_are_told_of(runs: Path) -> None:
    asked(runs / RUN, query(0), query(1))
    sheet = Sheet(save_sheet(runs / RUN, b"a picture"), 8, 8, 2)
    save_note(runs / RUN, ClipNote("0-0", frames=4, frames_per_second=20.0, sheet=sheet))
    save_note(runs / RUN, ClipNote("0-1", problem="its states are <b>gone</b>", final=True))
    said = words(page())
    assert "2 of 4 clips are being drawn" in said
    assert "Query 1, B: its states are <b>gone</b>" in said


def test_a_run_that_has_asked_nothing_has_no_clips(runs: Path) -> None:
    asked(runs / RUN)
    assert latest_clips(workplace().run(RUN)) == []
