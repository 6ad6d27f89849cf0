"""The terminal client: what a key says, which side was which, leases, undo, waiting, and ends."""

import io
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_runs import Killed, run_tiny, tiny

from envs.clips import render_clip
from experiments import cli
from experiments.answer import AnswerConfig, run_answer
from experiments.answer_drawing import GAP_PIXELS
from experiments.answer_keys import Act, Key, LineKeys, meaning_of
from prefrl.control.segment_files import load_segments
from prefrl.errors import UsageError
from prefrl.feedback import Kind, Query, Source
from prefrl.labellers.labelling import Labelling
from prefrl.labellers.screen import query_value
from prefrl.store.feedback_store import FeedbackStore

LABELS = 16
PAIRS = 6


@pytest.fixture(scope="module")
def waiting_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has put out its first pairs and then died while it waited for answers."""
    folder = tmp_path_factory.mktemp("runs") / "human"

    def die(row: dict[str, Any]) -> None:
        if "waiting" in row:
            raise Killed

    config = tiny(teacher="human", labels=LABELS, steps=1024, query={"open_queries": PAIRS})
    with pytest.raises(Killed):
        run_tiny(folder, config, watch=die)
    return folder


@pytest.fixture
def run(waiting_run: Path, tmp_path: Path) -> Path:
    """A copy of that run."""
    return Path(shutil.copytree(waiting_run, tmp_path / "human"))


@pytest.fixture
def store(run: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(run / "feedback.sqlite") as store:
        yield store


def keys(run: Path, *lines: str, **settings: Any) -> AnswerConfig:
    """A session in which these keys are pressed."""
    file = run.parent / "keys.txt"
    file.write_text("\n".join(lines))
    return AnswerConfig(run, answers=str(file), labeller="ada", **{"wait": False, "clips": False, **settings})


@pytest.mark.parametrize(
    ("key", "preference"),
    [
        ("l", 1.0), ("1", 1.0), ("\x1b[D", 1.0), ("L", 0.75), ("e", 0.5), ("=", 0.5), ("\x1b[A", 0.5),
        ("R", 0.25), ("r", 0.0), ("2", 0.0), ("\x1b[C", 0.0), ("s", None), ("?", None), ("\x1b[B", None),
    ],
)  # fmt: skip
def test_a_key_prefers_what_stands_on_its_side(key: str, preference: float | None) -> None:
    assert meaning_of(Kind.PAIR, 2)(key) == Key(Act.ANSWER, preference)


def test_lines_are_keys_and_comments_are_not() -> None:
    source = LineKeys(["# first", "", "l", " nonsense ", "undo"], meaning_of(Kind.PAIR, 2))
    assert [source.read().act for _ in range(4)] == [Act.ANSWER, Act.UNKNOWN, Act.UNDO, Act.QUIT]


def test_answers_are_stored_with_the_sides_as_shown(run: Path, store: FeedbackStore) -> None:
    assert run_answer(keys(run, *"llllll")) == 0
    answers = store.answers("human")
    assert len(answers) == PAIRS
    for answer in answers:
        assert answer.value == (1.0 if answer.shown == (0, 1) else 0.0)
        assert (answer.source, answer.labeller) == (Source.PERSON, "ada")
        assert answer.seconds is not None
        assert answer.answered_at == pytest.approx(time.time(), abs=60)
    assert [answer.query_id for answer in answers] == [query.id for query in store.queries("human")]


def test_which_clip_stands_left_is_drawn_anew_for_each_pair(run: Path, store: FeedbackStore) -> None:
    for _ in range(6):
        run_answer(keys(run, *"llllll"))
        for _ in range(PAIRS):
            Labelling(store, "human", labeller="ada", seed=0).undo()
    shown = [answer.shown for answer in store.answers("human") if not answer.withdrawn]
    assert {(0, 1), (1, 0)} == set(shown)
    assert 0.15 < np.mean([one == (0, 1) for one in shown]) < 0.85


def test_an_answer_is_on_disk_before_it_is_acknowledged(
    run: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[int] = []

    def listen(*words: object, **_: object) -> None:
        if str(words[0]).startswith("saved"):
            said.append(len(store.answers("human")))

    monkeypatch.setattr("builtins.print", listen)
    run_answer(keys(run, "l", "r", "s"))
    assert said == [1, 2, 3]


def test_every_kind_of_answer_is_kept(run: Path, store: FeedbackStore) -> None:
    run_answer(keys(run, *"lLeRrs"))
    asked = {query.id: query for query in store.queries("human")}
    on_screen = [query_value(asked[one.query_id], one.value, one.shown) for one in store.answers("human")]
    assert on_screen == [1.0, 0.75, 0.5, 0.25, 0.0, None]
    assert (store.counts("human").labels, store.counts("human").skips) == (5, 1)


def test_undo_takes_the_last_answer_back_and_asks_again(run: Path, store: FeedbackStore) -> None:
    run_answer(keys(run, "l", "r", "u", "e", "q"))
    first, second, withdrawn, again = store.answers("human")
    assert withdrawn.withdrawn
    assert withdrawn.supersedes == second.id
    assert again.query_id == second.query_id
    assert [answer.value for answer in store.current_answers("human")] == [first.value, 0.5]


def test_undo_reaches_back_into_an_earlier_session(run: Path, store: FeedbackStore) -> None:
    run_answer(keys(run, "l"))
    run_answer(keys(run, "u", "q"))
    assert store.current_answers("human") == []


def test_undo_never_takes_back_what_another_has_said(
    run: Path, store: FeedbackStore, capsys: pytest.CaptureFixture[str]
) -> None:
    run_answer(keys(run, "l"))
    bob = Labelling(store, "human", labeller="bob", seed=0)
    assert bob.undo() is None
    assert len(store.current_answers("human")) == 1
    run_answer(keys(run, "u", "u", "q"))
    assert "nothing to undo" in capsys.readouterr().out


def test_leaving_gives_the_pair_back_at_once(
    run: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_self: object) -> Key:
        raise KeyboardInterrupt

    monkeypatch.setattr(LineKeys, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_answer(keys(run, "l"))
    bob = Labelling(store, "human", labeller="bob", seed=0)
    assert bob.take(1) == store.queries("human")[:1]


def test_the_oracle_answers_by_true_return_and_is_recorded_as_one(run: Path, store: FeedbackStore) -> None:
    run_answer(AnswerConfig(run, answer_as="oracle", wait=False))
    answers = store.answers("human")
    assert len(answers) == PAIRS
    assert {(answer.source, answer.labeller) for answer in answers} == {(Source.ORACLE, "oracle")}
    for query, answer in zip(store.queries("human"), answers, strict=True):
        left, right = load_segments(run / "segments", list(query.items)).true_reward.sum(1)
        assert answer.value == float(left > right)


def test_a_count_ends_the_session(
    run: Path, store: FeedbackStore, capsys: pytest.CaptureFixture[str]
) -> None:
    run_answer(keys(run, *"llllll", count=2))
    assert len(store.answers("human")) == 2
    assert "stopped: 2 answers from you; 2 of 16 labels, 4 open" in capsys.readouterr().out


def test_an_unknown_key_is_explained_and_asked_again(
    run: Path, store: FeedbackStore, capsys: pytest.CaptureFixture[str]
) -> None:
    run_answer(keys(run, "x", "h", "r", "q"))
    assert len(store.answers("human")) == 1
    assert capsys.readouterr().out.count("the left one is better") == 3


def test_it_waits_for_pairs_and_says_for_what(
    run: Path, store: FeedbackStore, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def poll(_self: object, _seconds: float) -> Key | None:
        nonlocal looks
        looks += 1
        if looks == 3:
            old = store.queries("human")[0]
            fresh = Query("fresh", "human", Kind.PAIR, old.items, counter=store.next_counter("human"))
            store.add_queries([fresh])
        return Key(Act.QUIT) if looks == 4 else None

    monkeypatch.setattr(LineKeys, "poll", poll)
    run_answer(keys(run, *"lllllll", wait=True))
    assert looks == 4
    said = capsys.readouterr().out
    assert said.count("waiting for new clips, which the run makes while it trains; 6 of 16 labels") == 1
    assert said.count("waiting for new clips, which the run makes while it trains; 7 of 16 labels") == 1
    assert len(store.answers("human")) == PAIRS + 1


def test_a_wait_with_nothing_left_to_answer_with_ends(run: Path, store: FeedbackStore) -> None:
    assert run_answer(keys(run, *"llllll", wait=True)) == 0
    assert len(store.answers("human")) == PAIRS


def test_a_wait_ends_with_the_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "summary.json").write_text("{}")
    run_answer(keys(run, *"llllllll", wait=True))
    assert "the run has ended" in capsys.readouterr().out


def test_it_ends_when_the_labels_are_complete(
    run: Path, store: FeedbackStore, capsys: pytest.CaptureFixture[str]
) -> None:
    items = store.queries("human")[0].items
    store.add_queries(
        [Query(f"more-{n}", "human", Kind.PAIR, items, counter=PAIRS + n) for n in range(2 * LABELS)]
    )
    run_answer(AnswerConfig(run, answer_as="oracle"))
    assert store.counts("human").labels == LABELS
    assert "complete: 16 of 16 labels" in capsys.readouterr().out


def test_a_pair_is_drawn_side_by_side_in_the_order_shown(
    run: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[np.ndarray] = []

    def look(_self: Any, **_given: Any) -> Key:
        [path] = (run / "clips").iterdir()
        assert f"compare: {path}" in capsys.readouterr().out
        with Image.open(path) as picture:
            assert picture.n_frames == 10  # type: ignore[attr-defined]
            seen.append(np.asarray(picture.convert("RGB")))
        return Key(Act.ANSWER, 1.0)

    monkeypatch.setattr(LineKeys, "read", look)
    run_answer(keys(run, clips=True, count=1))
    [picture] = seen
    width = (picture.shape[1] - 2 * GAP_PIXELS) // 2
    assert picture.shape == (168, 2 * 168 + 2 * GAP_PIXELS, 3)
    [answer] = store.answers("human")
    query = store.queries("human")[0]
    for side, clip in enumerate((picture[:, :width], picture[:, -width:])):
        shown = query.items[answer.shown[side]]
        replay = load_segments(run / "segments", [shown]).replays[0]
        frame = render_clip("probe-target", replay)[0].repeat(2, axis=0).repeat(2, axis=1)
        assert np.abs(clip.astype(int) - frame).mean() < 8
    assert list((run / "clips").iterdir()) == []


def test_without_a_terminal_it_says_what_to_do(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UsageError, match=r"there is no terminal to answer on.*--answers FILE"):
        run_answer(AnswerConfig(run))


def test_keys_may_come_from_standard_input(
    run: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("l\nr\n"))
    assert cli.main(["answer", str(run), "--answers", "-", "--no-clips", "--no-wait"]) == 0
    assert len(store.answers("human")) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"answers": "a", "answer_as": "oracle"}, "exclude each other"),
        ({"lease_seconds": 0.0}, "--lease-seconds must be above 0"),
        ({"poll_seconds": -1.0}, "--poll-seconds must be above 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        AnswerConfig(Path("run"), **settings)


def test_a_missing_file_of_answers_is_named(run: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read nowhere\.txt"):
        run_answer(AnswerConfig(run, answers="nowhere.txt"))


def test_single_keys_of_a_terminal_answer_without_enter(run: Path, store: FeedbackStore) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "experiments.cli", "answer", str(run), "--no-clips", "--labeller", "ada"]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        for number, key in enumerate((b"l", b"\x1b[C", b"u", b"s"), 1):
            end = time.monotonic() + 60
            while len(store.answers("human")) < number and time.monotonic() < end:
                assert process.poll() is None, process.communicate()
                os.write(ours, key)  # keys pressed before the pair is shown are dropped: press again
                time.sleep(0.3 if number == 1 else 1.0)
        os.write(ours, b"q")
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 0, output
    assert "saved: left" in output
    assert "saved: right" in output
    assert "taken back" in output
