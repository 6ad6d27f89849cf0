"""The worker's care: what cannot be drawn is replaced, what is damaged drawn again, what is old goes."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import tiny
from waiting_run import make_waiting_run

from envs.errors import GraphicsError, WorldError
from experiments import clip_drawing
from experiments.clip_worker import ClipsConfig, delete_old_clips, missing_clips, wanted_queries, work
from experiments.train import world_maker
from prefrl.clip_files import (
    FOLDER,
    MOST_WISHES,
    WISHES,
    note_path,
    read_note,
    read_wishes,
    save_sheet,
    sheet_path,
    wish_clips,
)
from prefrl.control.build import make_learner
from prefrl.devices import make_device
from prefrl.feedback import Purpose, Query, RemarkKind
from prefrl.labellers.labelling import Labelling
from prefrl.store.feedback_store import FeedbackStore

RUN = "human"


@pytest.fixture(scope="module")
def waiting_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / RUN
    return make_waiting_run(folder, pairs=6, query={"practice_pairs": 1})


@pytest.fixture
def run(runs: Path) -> Path:
    return runs / RUN


def look(run: Path, **settings: Any) -> None:
    """One worker's life: draws what is missing, then ends."""
    work(ClipsConfig(run, **{"once": True, **settings}), threading.Event())


def forget(run: Path, query: Query) -> None:
    """As if nobody had drawn the query's clips."""
    for item in query.items:
        note_path(run, item).unlink()


def open_ids(store: FeedbackStore) -> list[str]:
    return [query.id for query in store.open_queries(RUN, 100)]


def test_practice_pairs_are_drawn_first(run: Path, store: FeedbackStore) -> None:
    practice = store.queries(RUN, purposes=[Purpose.PRACTICE])
    assert len(practice) == 1
    assert wanted_queries(store, RUN, ahead=3, overlap=1) == [*practice, *store.open_queries(RUN, 3)]
    assert all(read_note(run, item) for item in practice[0].items)


def test_a_query_whose_clip_can_never_be_drawn_is_closed_with_the_reason(
    run: Path, store: FeedbackStore
) -> None:
    broken = store.open_queries(RUN, 100)[1]
    forget(run, broken)
    (run / "segments" / f"{broken.items[0]}.npz").write_bytes(b"torn")
    before = open_ids(store)
    look(run)
    (remark,) = store.remarks(RUN, kind=RemarkKind.CLOSE)
    assert (remark.subject, remark.labeller) == (broken.id, "clip worker")
    assert "missing or damaged" in remark.content
    assert open_ids(store) == [query for query in before if query != broken.id]
    look(run)  # said once
    assert len(store.remarks(RUN, kind=RemarkKind.CLOSE)) == 1


def test_the_trainer_replaces_a_query_that_was_closed(run: Path, store: FeedbackStore) -> None:
    config = tiny(teacher="human", labels=16)
    env = world_maker(config)(config.num_envs, 0)
    learner = make_learner(config, env, store, run / "segments", run=RUN, device=make_device("cpu"))
    env.close()
    before = learner.missing()
    broken = store.open_queries(RUN, 100)[0]
    forget(run, broken)
    (run / "segments" / f"{broken.items[1]}.npz").unlink()
    look(run)
    assert learner.missing() == learner.unanswered() == before - 1


def test_a_machine_that_cannot_draw_closes_nothing(
    run: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = store.open_queries(RUN, 100)[0]
    forget(run, query)

    def fail(*_: Any, **__: Any) -> None:
        raise GraphicsError("no graphics here: install EGL")

    with monkeypatch.context() as patch:
        patch.setattr(clip_drawing, "render_clip", fail)
        look(run)
    note = read_note(run, query.items[0])
    assert note is not None
    assert (note.sheet, note.problem, note.final) == (None, "no graphics here: install EGL", False)
    assert store.remarks(RUN, kind=RemarkKind.CLOSE) == []
    look(run)  # put right and started again
    assert missing_clips(run, [query]) == []


def test_where_no_clip_at_all_can_be_drawn_nothing_is_closed(
    run: Path, store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (run / FOLDER).iterdir():
        path.unlink()

    def fail(*_: Any, **__: Any) -> None:
        raise WorldError("clips of a foreign world cannot be drawn again")

    monkeypatch.setattr(clip_drawing, "render_clip", fail)
    before = open_ids(store)
    look(run)
    assert open_ids(store) == before


def test_a_damaged_picture_that_is_reported_is_drawn_again(run: Path, store: FeedbackStore) -> None:
    ada = Labelling(store, RUN, labeller="ada", seed=0)
    query = ada.take(1)[0]
    note = read_note(run, query.items[0])
    assert note is not None
    assert note.sheet is not None
    path = sheet_path(run, note.sheet.file)
    assert path is not None
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    look(run)
    assert path.read_bytes() == whole[:-10]  # nobody has said anything
    ada.flag(query, "broken: it could not be decoded")
    look(run)
    assert path.read_bytes() == whole
    assert store.remarks(RUN, kind=RemarkKind.CLOSE) == []
    assert ada.take(1) == [query]


def test_clips_that_nobody_needs_any_more_are_deleted(run: Path, store: FeedbackStore) -> None:
    ada = Labelling(store, RUN, labeller="ada", seed=0)
    answered, leased = ada.take(2)
    ada.answer(answered, 1.0, shown=(0, 1))
    stray = sheet_path(run, save_sheet(run, b"of a run long ago"))
    assert stray is not None
    os.utime(stray, (1.0, 1.0))
    still_open = store.open_queries(RUN, 100, labeller="ada")
    look(run, keep=1)
    assert not stray.exists()
    assert missing_clips(run, [answered]) == list(answered.items)
    practice = store.queries(RUN, purposes=[Purpose.PRACTICE])
    assert missing_clips(run, [leased, *still_open, *practice]) == []


def test_clips_beyond_the_limit_go_oldest_first(run: Path, store: FeedbackStore) -> None:
    files = sorted((run / FOLDER).iterdir())
    for age, path in enumerate(files):
        os.utime(path, (1000.0 + age, 1000.0 + age))
    assert delete_old_clips(run, len(files) - 3, wanted=[]) == 3
    assert sorted((run / FOLDER).iterdir()) == files[3:]
    assert store.open_queries(RUN, 1)


def test_what_somebody_wants_to_see_again_is_drawn_and_kept(run: Path, store: FeedbackStore) -> None:
    ada = Labelling(store, RUN, labeller="ada", seed=0)
    (answered,) = ada.take(1)
    ada.answer(answered, 1.0, shown=(0, 1))
    forget(run, answered)
    look(run)
    assert missing_clips(run, [answered]) == list(answered.items)
    wish_clips(run, answered.items)
    look(run, keep=1)
    assert missing_clips(run, [answered]) == []


def test_wishes_are_few_and_newest_first(tmp_path: Path) -> None:
    assert read_wishes(tmp_path) == []
    wish_clips(tmp_path, [f"old-{number}" for number in range(MOST_WISHES)])
    wish_clips(tmp_path, ["new"])
    assert read_wishes(tmp_path)[:2] == ["new", "old-0"]
    assert len(read_wishes(tmp_path)) == MOST_WISHES
    for damaged in ("{", '{"a": 1}', "[1, null]"):
        (tmp_path / FOLDER / WISHES).write_text(damaged)
        assert read_wishes(tmp_path) == []
