"""Clips on their way to people: drawn from stored segments, written as sheets, found by the item's id."""

import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_runs import Killed, run_tiny, tiny

from envs.atari_clips import render_network_view
from envs.clips import render_clip
from experiments.clip_drawing import draw_clip, network_frames, save_frames
from experiments.clip_worker import ClipsConfig, delete_old_clips, missing_clips, run_folders, work
from experiments.presets import preset
from prefrl.clip_files import ClipNote, Sheet, note_path, read_note, save_note, save_sheet, sheet_path
from prefrl.control import training_loop
from prefrl.control.evaluation import evaluate_policy
from prefrl.control.segment_files import load_segments
from prefrl.errors import UsageError
from prefrl.fit_config import FitConfig
from prefrl.store.feedback_store import FeedbackStore


def die_waiting(row: dict[str, Any]) -> None:
    if "waiting" in row:
        raise Killed


@pytest.fixture(scope="module")
def waiting_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with open pairs whose clips nobody has drawn."""
    folder = tmp_path_factory.mktemp("runs") / "human"
    config = tiny(teacher="human", labels=16, steps=1024, query={"open_queries": 6})
    with pytest.raises(Killed):
        run_tiny(folder, config, watch=die_waiting)
    return folder


@pytest.fixture
def run(waiting_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(waiting_run, tmp_path / "runs" / "human"))


@pytest.fixture
def store(run: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(run / "feedback.sqlite") as store:
        yield store


@pytest.fixture(scope="module")
def pong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few segments of pong, in a run folder."""
    folder = tmp_path_factory.mktemp("runs") / "pong"
    brief = FitConfig(batch_size=4, first_gradient_steps=1, max_gradient_steps=1)
    config = tiny(
        task="pong", steps=512, num_envs=4, labels=8, teacher="human", policy=preset("pong").policy,
        evaluation_episodes=1, reward_model={"pixel_preset": "small", "fit": brief},
        query={"initial_steps_fraction": 0.6},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_loop, "evaluate_policy", partial(evaluate_policy, max_steps=40))
        with pytest.raises(Killed):
            run_tiny(folder, config, watch=die_waiting)
    return folder


def frames_of(run: Path, sheet: Sheet, count: int) -> np.ndarray:
    """What the page cuts out of a sheet."""
    path = sheet_path(run, sheet.file)
    assert path is not None
    pixels = np.asarray(Image.open(path).convert("RGB"))
    cut = []
    for index in range(count):
        row, column = divmod(index, sheet.columns)
        top, left = row * sheet.height, column * sheet.width
        cut.append(pixels[top : top + sheet.height, left : left + sheet.width])
    return np.stack(cut)


def test_a_game_is_shown_in_its_own_pixels_and_aspect(pong: Path) -> None:
    item = sorted((pong / "segments").glob("*.npz"))[0].stem
    note = draw_clip(pong, "pong", item)
    assert note == read_note(pong, item)
    segment = load_segments(pong / "segments", [item])
    assert note.sheet is not None
    assert (note.frames, note.sheet.width, note.sheet.height) == (10, 160, 210)
    assert note.aspect == pytest.approx(4 / 3)
    expected = render_clip("pong", segment.replays[0])
    np.testing.assert_array_equal(frames_of(pong, note.sheet, note.frames), expected)


def test_the_network_view_is_what_the_reward_network_sees(pong: Path) -> None:
    item = sorted((pong / "segments").glob("*.npz"))[0].stem
    note = draw_clip(pong, "pong", item)
    assert note.network is not None
    shown = frames_of(pong, note.network, note.frames)[..., 0]
    replay = load_segments(pong / "segments", [item]).replays[0]
    np.testing.assert_array_equal(shown, render_network_view("pong", replay))


def test_a_robot_has_no_picture_for_its_network(run: Path, store: FeedbackStore) -> None:
    item = store.queries("human")[0].items[0]
    note = draw_clip(run, "probe-target", item)
    assert note.network is None
    assert note.sheet is not None
    assert note.frames == 10
    assert note.frames / note.frames_per_second >= 1.5


@pytest.mark.parametrize(("shape", "channels"), [((13, 8, 6), 1), ((10, 8, 6, 3), 3), ((10, 8, 6, 4), 1)])
def test_the_newest_frame_of_each_observation_is_shown(shape: tuple[int, ...], channels: int) -> None:
    stored = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    frames = network_frames(stored, 10)
    assert frames.shape == (10, 8, 6, channels)
    assert frames[-1].ravel()[-1] == stored.ravel()[-1]


@pytest.mark.parametrize("count", [1, 2, 7, 25, 60])
def test_every_frame_is_where_the_sheet_says(tmp_path: Path, count: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (count, 12, 20, 3), dtype=np.uint8)
    sheet = save_frames(tmp_path, frames, lossless=True)
    np.testing.assert_array_equal(frames_of(tmp_path, sheet, count), frames)


def test_a_segment_that_cannot_be_drawn_says_why(run: Path, store: FeedbackStore) -> None:
    first, _ = store.queries("human")[0].items
    (run / "segments" / f"{first}.npz").write_bytes(b"torn")
    assert "missing or damaged" in draw_clip(run, "probe-target", first).problem
    note = read_note(run, first)
    assert note is not None
    assert note.sheet is None
    assert note.problem


def test_equal_pictures_are_one_file(tmp_path: Path) -> None:
    assert save_sheet(tmp_path, b"picture") == save_sheet(tmp_path, b"picture")
    assert save_sheet(tmp_path, b"other") != save_sheet(tmp_path, b"picture")
    assert len(list((tmp_path / "clips").iterdir())) == 2


@pytest.mark.parametrize(
    "damage", ["gone", "torn", "sheet gone", "of another item", "a name that leads away"]
)
def test_a_note_that_cannot_be_trusted_is_none(tmp_path: Path, damage: str) -> None:
    note = ClipNote("item", 3, 20.0, 1.0, Sheet(save_sheet(tmp_path, b"picture"), 4, 4, 2))
    save_note(tmp_path, note)
    assert read_note(tmp_path, "item") == note
    path = note_path(tmp_path, "item")
    values = json.loads(path.read_text())
    match damage:
        case "gone":
            path.unlink()
        case "torn":
            path.write_text(path.read_text()[:-5])
        case "sheet gone":
            (tmp_path / "clips" / values["sheet"]["file"]).unlink()
        case "of another item":
            path.write_text(json.dumps(values | {"item": "other"}))
        case _:
            values["sheet"]["file"] = "../../config.json"
            path.write_text(json.dumps(values))
    assert read_note(tmp_path, "item") is None


@pytest.mark.parametrize("name", ["../secret.webp", "a/b.webp", "x.json", "", "0" * 32, f"{'0' * 32}.webp\n"])
def test_only_names_of_sheets_become_paths(tmp_path: Path, name: str) -> None:
    assert sheet_path(tmp_path, name) is None


def test_an_id_is_never_part_of_a_path(tmp_path: Path) -> None:
    path = note_path(tmp_path, "../../../etc/passwd")
    assert path.parent == tmp_path / "clips"
    assert path.stem.isalnum()


def test_the_worker_draws_what_is_open_and_then_rests(run: Path, store: FeedbackStore) -> None:
    queries = store.open_queries("human", 40)
    assert len(missing_clips(run, queries)) > 6
    assert work(ClipsConfig(run.parent, once=True), threading.Event()) == 0
    assert missing_clips(run, queries) == []


def test_the_worker_stops_when_told(run: Path) -> None:
    stop = threading.Event()
    stop.set()
    assert work(ClipsConfig(run), stop) == 0
    assert not (run / "clips").exists()


def test_the_worker_leaves_alone_what_nobody_labels_or_it_cannot_read(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, scripted = tmp_path / "runs" / "broken", tmp_path / "runs" / "scripted"
    for folder in (broken, scripted):
        shutil.copytree(run, folder)
    (broken / "config.json").write_text("{")
    config = json.loads((scripted / "config.json").read_text())
    config["config"]["teacher"] = "oracle"
    (scripted / "config.json").write_text(json.dumps(config))
    assert run_folders(tmp_path / "runs") == [broken, run, scripted]
    work(ClipsConfig(tmp_path / "runs", once=True), threading.Event())
    assert (run / "clips").exists()
    assert not (broken / "clips").exists()
    assert not (scripted / "clips").exists()
    assert "broken" in capsys.readouterr().out


def test_old_clips_are_deleted_and_wanted_ones_never(run: Path, store: FeedbackStore) -> None:
    queries = store.open_queries("human", 40)
    work(ClipsConfig(run, once=True), threading.Event())
    kept = list(queries[0].items)
    assert delete_old_clips(run, 0, wanted=kept) > 0
    assert all(read_note(run, item) is not None for item in kept)
    assert read_note(run, queries[-1].items[0]) is None


@pytest.mark.parametrize("settings", [{"ahead": 0}, {"keep": 0}, {"poll_seconds": 0.0}])
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must be at least 1"):
        ClipsConfig(**settings)
