"""Answers out and in: every form comes back as it went, and foreign pickles run nothing."""

import json
import os
import pickle
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_store import full_answers

from experiments import cli
from experiments.numpy_pickles import read_arrays
from prefrl.errors import UsageError
from prefrl.feedback import Answer, Kind, Purpose, Query, Remark, RemarkKind, Source
from prefrl.labellers.weights import set_weight
from prefrl.store.exports import read_any_records
from prefrl.store.feedback_store import FeedbackStore
from prefrl.texts.response_files import Response, append_responses

NAME = "domain_atari_env_boxing-medium-v0_num_4_len_40_072c618722e34982afe250607e4b7e5e.pkl"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder whose store holds every kind of record."""
    folder = tmp_path / "run"
    folder.mkdir()
    asked, answers = full_answers()
    skip = Answer("skip", "q0", None, Source.PERSON, "bob")
    undo = Answer("undo", "q0", None, Source.PERSON, "bob", supersedes="skip", withdrawn=True)
    with FeedbackStore(folder / "feedback.sqlite") as store:
        store.add([*asked, *answers, skip, undo])
        store.add([Remark("m", "run", RemarkKind.FLAG, "q0", "ann", 'a "note"\nof two lines', 1.5)])
    return folder


def prefrl(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main(["data", *map(str, args)])
    return code, *capsys.readouterr()


def contents(path: Path) -> tuple[Any, ...]:
    with FeedbackStore(path, must_exist=True) as store:
        return store.queries("run"), store.answers("run"), store.remarks("run")


@pytest.mark.parametrize("form", ["jsonl", "json", "parquet"])
def test_what_is_exported_comes_back_equal(run: Path, tmp_path: Path, form: str, capsys: Any) -> None:
    out, copy = tmp_path / f"out.{form}", tmp_path / "copy.sqlite"
    assert prefrl(capsys, "export", run, "--form", form, "--out", out)[0] == 0
    code, said, _ = prefrl(capsys, "import", copy, out)
    assert (code, said) == (0, "13 records added, 0 known already, 0 not taken\n")
    assert contents(copy) == contents(run / "feedback.sqlite")
    assert prefrl(capsys, "import", copy, out)[1] == "0 records added, 13 known already, 0 not taken\n"


def test_a_parquet_file_is_a_table_that_others_read(run: Path, tmp_path: Path, capsys: Any) -> None:
    pandas = pytest.importorskip("pandas")
    prefrl(capsys, "export", run, "--form", "parquet", "--out", tmp_path / "out.parquet")
    table = pandas.read_parquet(tmp_path / "out.parquet")
    assert table["record"].value_counts().to_dict() == {"answer": 7, "query": 5, "remark": 1}
    assert table[table["record"] == "answer"]["seconds"].iloc[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "none of .jsonl, .json and .parquet"),
        ("a.json", b"{", "is no JSON"),
        ("a.json", b"{}", "no list of records"),
        ("a.json", b"[" * 100_000, "is no JSON"),
        ("a.parquet", b"PAR1 no", "is no Parquet file"),
        ("nowhere.jsonl", None, "check the path"),
    ],
)
def test_a_file_of_another_kind_is_named(
    run: Path, tmp_path: Path, name: str, content: bytes | None, said: str, capsys: Any
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = contents(run / "feedback.sqlite")
    code, _, error = prefrl(capsys, "import", run, tmp_path / name)
    assert (code, len(error.splitlines())) == (2, 1)
    assert said in error
    assert contents(run / "feedback.sqlite") == before


def test_wrong_records_of_a_file_are_reported_and_the_others_taken(
    run: Path, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "out.json"
    prefrl(capsys, "export", run, "--form", "json", "--out", path)
    rows = json.loads(path.read_text())
    path.write_text(json.dumps([*rows, 7, {"record": "joke"}, {"record": "query", "id": ""}, None]))
    code, said, _ = prefrl(capsys, "import", tmp_path / "copy.sqlite", path)
    assert code == 1
    assert "13 records added, 0 known already, 4 not taken" in said
    assert [one.split(":")[0] for one in said.splitlines()[1:]] == [f"  line {n}" for n in (14, 15, 16, 17)]


def test_the_store_is_never_overwritten_by_its_own_export(run: Path, capsys: Any) -> None:
    for name in ("feedback.sqlite", "feedback.jsonl"):
        code, _, error = prefrl(capsys, "export", run, "--out", run / name)
        assert (code, "choose another --out" in error) == (2, True)
    assert prefrl(capsys, "check", run)[0] == 0


def test_check_backup_and_rebuild_save_a_damaged_store(run: Path, capsys: Any) -> None:
    before = contents(run / "feedback.sqlite")
    assert prefrl(capsys, "check", run) == (0, "nothing is wrong with the store and its journal\n", "")
    code, said, _ = prefrl(capsys, "backup", run)
    (backup,) = (run / "backups").iterdir()
    assert (code, str(backup) in said) == (0, True)
    (run / "feedback.sqlite").write_bytes(b"no database" * 1000)
    code, said, _ = prefrl(capsys, "check", run)
    assert (code, "not a store" in said) == (1, True)
    code, said, _ = prefrl(capsys, "rebuild", run)
    assert (code, "kept as" in said, "0 not taken" in said) == (0, True, True)
    assert contents(run / "feedback.sqlite") == before
    assert len(list(run.glob("feedback.sqlite.damaged-*"))) == 1
    for name in ("feedback.sqlite", "feedback.jsonl"):
        (run / name).unlink()
    assert prefrl(capsys, "rebuild", run)[0] == 2
    assert prefrl(capsys, "rebuild", run, "--source", backup)[0] == 0
    assert contents(run / "feedback.sqlite") == before


def test_a_store_damaged_in_its_middle_is_found_and_rebuilt(run: Path, capsys: Any) -> None:
    path = run / "feedback.sqlite"
    with FeedbackStore(path) as store:
        store.add(
            [Query(f"more{n}", "run", Kind.PAIR, (f"a{n}", f"b{n}"), counter=100 + n) for n in range(500)]
        )
    before = contents(path)
    with sqlite3.connect(path) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content = bytearray(path.read_bytes())
    content[12 * size : 16 * size] = os.urandom(4 * size)
    path.write_bytes(content)
    assert prefrl(capsys, "check", run)[0] == 1
    assert prefrl(capsys, "rebuild", run)[0] == 0
    assert contents(path) == before
    assert prefrl(capsys, "check", run)[0] == 0


def text_pair(number: int, **more: Any) -> Query:
    return Query(f"q{number}", "texts", Kind.PAIR, (f"a{number}", f"b{number}"), counter=number, **more)


def test_texts_become_prompt_chosen_rejected_and_ties_a_file_of_their_own(
    tmp_path: Path, capsys: Any
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    append_responses(
        folder, [Response(f"{side}{n}", f"prompt {n}", f"text {side}{n}") for n in range(6) for side in "ab"]
    )
    values = [1.0, 0.25, 0.5, None, 0.0, 1.0]
    with FeedbackStore(folder / "feedback.sqlite") as store:
        queries = [text_pair(n, purpose=Purpose.GOLD if n == 5 else Purpose.TRAINING) for n in range(6)]
        store.add(
            [
                *queries,
                *(Answer(f"x{n}", f"q{n}", value, Source.PERSON, "ann") for n, value in enumerate(values)),
            ]
        )
        store.add(
            [
                Answer("y", "q4", 1.0, Source.PERSON, "liar"),
                Remark("l", "texts", RemarkKind.LATE, "q4", "ann"),
            ]
        )
        set_weight(store, "texts", "liar", 0.0, by="ann")
    out = tmp_path / "out.jsonl"
    code, said, _ = prefrl(capsys, "export", folder, "--form", "preferences", "--out", out)
    assert (code, said.startswith("2 preferences: ")) == (0, True)
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"prompt": "prompt 0", "chosen": "text a0", "rejected": "text b0"},
        {"prompt": "prompt 1", "chosen": "text b1", "rejected": "text a1"},
    ]
    (tie,) = [json.loads(line) for line in (tmp_path / "out.ties.jsonl").read_text().splitlines()]
    assert tie == {"prompt": "prompt 2", "first": "text a2", "second": "text b2"}


def test_clips_have_no_chosen_text(run: Path, tmp_path: Path, capsys: Any) -> None:
    code, _, error = prefrl(capsys, "export", run, "--form", "preferences", "--out", tmp_path / "out.jsonl")
    assert (code, "is no text" in error) == (2, True)


def write_labels(folder: Path, labels: Any, *starts: Any, protocol: int = 4) -> Path:
    folder.mkdir()
    for kind, content in zip(("human_label", "indices_1", "indices_2"), (labels, *starts), strict=True):
        (folder / f"{kind}_{NAME}").write_bytes(pickle.dumps(content, protocol=protocol))
    return folder


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", ["list", "array", "floats", "scalars"])
def test_uni_rlhf_labels_become_answers(tmp_path: Path, protocol: int, kind: str, capsys: Any) -> None:
    convert = {
        "list": list,
        "array": np.array,
        "floats": lambda one: np.array(one, np.float32),
        "scalars": lambda one: [np.int64(number) for number in one],
    }[kind]
    columns = [convert(column) for column in ([0, 1, -1, 0], [5, 900_000, 70, 3], [60, 7, 8_000, 1])]
    folder = write_labels(tmp_path / "labels", *columns, protocol=protocol)
    code, said, error = prefrl(capsys, "import", tmp_path / "crowd.sqlite", folder)
    assert (code, error) == (0, "")
    assert said == "8 records added, 0 known already, 0 not taken\n"
    with FeedbackStore(tmp_path / "crowd.sqlite") as store:
        (run,) = store.runs()
        assert [query.items for query in store.queries(run)][:2] == [
            ("boxing-medium-v0:5+40", "boxing-medium-v0:60+40"),
            ("boxing-medium-v0:900000+40", "boxing-medium-v0:7+40"),
        ]
        assert [answer.value for answer in store.answers(run)] == [1.0, 0.0, 0.5, 1.0]
        assert {str(answer.source) for answer in store.answers(run)} == {"person"}


def test_labels_that_cannot_be_are_reported(tmp_path: Path, capsys: Any) -> None:
    folder = write_labels(tmp_path / "labels", [0, 7, 1], [5, 5, 9], [6, 6, 9])
    code, said, _ = prefrl(capsys, "import", tmp_path / "crowd.sqlite", folder)
    assert (code, "2 records added, 0 known already, 2 not taken" in said) == (1, True)
    assert "label 7 of the clips at 5 and 6" in said
    assert "compares an item with itself" in said


class Evil:
    """Writes a file as soon as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_would_run_something_runs_nothing(tmp_path: Path, protocol: int) -> None:
    mark, path = tmp_path / "mark", tmp_path / "evil.pkl"
    for content in (Evil(mark), [1, 2, Evil(mark)], {"a": np.arange(3), "b": Evil(mark)}):
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        with pytest.raises(UsageError, match="is not read"):
            read_arrays(path)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Evil(mark)))
    assert mark.exists()  # it would have


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04",
        b"cbuiltins\neval\n(S'1+1'\ntR.",
        b"cnumpy\nndarray\n(I99999999999\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(tR.",
        b"\x80\x04\x82\x01.",
        b"(i__main__\nX\n.",
        b"Pid\n.",
        b"\x80\x02]q\x00r\xff\xff\xff\x7f.",
        pickle.dumps(np.array([object()], dtype=object)),
        pickle.dumps(np.array(["text"])),
        pickle.dumps(Path("/etc/passwd")),
        pickle.dumps(np.arange(100))[:-30],
        pickle.dumps({1, 2, 3}),
        b"\x80\x05\x97.",
    ],
)
def test_no_other_pickle_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.pkl"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not read"):
        read_arrays(path)


def test_an_array_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    honest = pickle.dumps(np.arange(4, dtype=np.int64), protocol=2)
    lying = honest.replace(b"K\x04\x85", b"K\x09\x85")
    assert lying != honest
    (tmp_path / "lying.pkl").write_bytes(lying)
    with pytest.raises(UsageError, match="another size"):
        read_arrays(tmp_path / "lying.pkl")


def test_arrays_come_out_as_they_went_in(tmp_path: Path) -> None:
    path = tmp_path / "some.pkl"
    for array in (
        np.arange(6).reshape(2, 3),
        np.arange(6.0).reshape(2, 3).T,
        np.array([True]),
        np.array([3], ">i4"),
    ):
        for protocol in range(6):
            path.write_bytes(pickle.dumps({"a": [array, 1.5, "x", None, (2,)]}, protocol=protocol))
            found = read_arrays(path)["a"]
            assert np.array_equal(found[0], array)
            assert found[0].dtype == array.dtype
            assert found[1:] == [1.5, "x", None, (2,)]


def test_a_file_of_records_is_read_in_every_form_alike(run: Path, tmp_path: Path, capsys: Any) -> None:
    read = []
    for form in ("jsonl", "json", "parquet"):
        prefrl(capsys, "export", run, "--form", form, "--out", tmp_path / f"out.{form}")
        read.append(list(read_any_records(tmp_path / f"out.{form}")))
    assert read[0] == read[1] == read[2]
    assert len(read[0]) == 13
