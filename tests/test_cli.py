"""The command line: every command on a real run, and one clear line with exit code 2 for every mistake."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_disk import files_limited_to

from experiments import cli
from prefrl.store.feedback_store import FeedbackStore

TINY = [
    "--steps", "512", "--labels", "16", "--num-envs", "8", "--rollout-steps", "32", "--num-threads", "1",
    "--evaluation-episodes", "2", "--checkpoint-every-steps", "128", "--device", "cpu", "--ppo.epochs", "1",
    "--query.segment-length", "10", "--query.sessions", "2", "--query.pool-size", "40",
    "--reward-model.fit.first-gradient-steps", "10", "--reward-model.fit.max-gradient-steps", "5",
]  # fmt: skip
"""A run of half-cheetah that takes a second."""

Outcome = tuple[int, str, str]
Command = Callable[..., Outcome]


@pytest.fixture
def prefrl(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process: exit code, stdout, stderr."""

    def command(*args: object) -> Outcome:
        capsys.readouterr()
        try:
            code = cli.main([str(arg) for arg in args])
        except SystemExit as stop:  # --help
            code = int(stop.code or 0)
        return code, *capsys.readouterr()

    return command


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a learned reward."""
    folder = tmp_path_factory.mktemp("runs") / "learned"
    assert cli.main(["train", "half-cheetah", "--run", str(folder), *TINY]) == 0
    return folder


@pytest.fixture(scope="module")
def true(learned: Path) -> Path:
    """The baseline of the same length."""
    folder = learned.with_name("true")
    assert cli.main(["train", "half-cheetah", "--reward", "true", "--run", str(folder), *TINY]) == 0
    return folder


@pytest.fixture
def copy(learned: Path, tmp_path: Path) -> Path:
    """The finished run, to be spoiled."""
    return Path(shutil.copytree(learned, tmp_path / "learned"))


def is_one_clear_line(outcome: Outcome, *words: str) -> bool:
    """Exit code 2 and on stderr nothing but one line from us that has these words."""
    code, _, errors = outcome
    assert code == 2, outcome
    assert errors.startswith("prefrl: "), errors
    assert errors.count("\n") == 1, errors
    assert "Traceback" not in errors
    assert all(word in errors for word in words), errors
    return True


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_explains_itself(prefrl: Command, command: str) -> None:
    code, output, errors = prefrl(command, "--help")
    assert (code, errors) == (0, "")
    assert f"prefrl {command}" in output


def test_without_a_command_all_are_listed(prefrl: Command) -> None:
    code, output, _ = prefrl()
    assert code == 0
    assert all(f"  {name} " in output and summary in output for name, (_, summary) in cli.COMMANDS.items())
    assert prefrl("--help") == prefrl("-h") == prefrl()


def test_the_version_is_told(prefrl: Command) -> None:
    code, output, _ = prefrl("--version")
    assert code == 0
    assert output.startswith("prefrl 0")


def test_training_has_its_documented_options(prefrl: Command) -> None:
    _, page, _ = prefrl("train", "--help")
    for option in ("reward {learned,true,constant}", "labels", "steps", "seed", "run", "device", "resume"):
        assert f"--{option}" in page
    assert "{ppo,sb3-ppo,sb3-sac}" in page
    assert "{oracle,mistake,noisy,skip,myopic,equal,shuffled,human}" in page


def test_the_command_line_starts_without_torch_or_a_simulator() -> None:
    code = (
        "import sys, experiments.cli; experiments.cli.main(['--help']);"
        "print(*[name for name in ('torch', 'gymnasium', 'mujoco', 'numpy') if name in sys.modules])"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_never_waits_for_torch(command: str) -> None:
    code = (
        "import sys, experiments.cli\n"
        f"try: experiments.cli.main([{command!r}, '--help'])\nexcept SystemExit: pass\n"
        "print(*[name for name in ('torch', 'mujoco', 'stable_baselines3', 'ale_py') if name in sys.modules])"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""


MISTAKES: list[tuple[list[str], list[str]]] = [
    (["tarin"], ["unknown command 'tarin'", "train"]),
    (["train", "quake"], ["unknown task 'quake'", "half-cheetah"]),
    (["train", "halfcheetah"], ["unknown task 'halfcheetah'", "did you mean half-cheetah"]),
    (["train", "NoSuch-v9"], ["NoSuch"]),
    (["train", "half-cheetah", "--steps", "0"], ["steps must be at least 1, not 0"]),
    (["train", "half-cheetah", "--steps", "many"], ["--steps", "'many'", "prefrl train --help"]),
    (["train", "half-cheetah", "--labels", "1"], ["labels must be at least 4"]),
    (["train", "half-cheetah", "--teacher", "nobody"], ["'nobody'", "--teacher", "oracle"]),
    (["train", "half-cheetah", "--colour", "red"], ["--colour"]),
    (["train", "half-cheetah", "--seed", "-1"], ["seed", "-1"]),
    (["train", "half-cheetah", "--num-threads", "-1"], ["num_threads", "-1"]),
    (["train", "half-cheetah", "--device", "quantum"], ["'quantum'", "choose auto or cpu"]),
    (["train", "half-cheetah", "--ppo.discount", "2"], ["ppo.discount must lie in [0, 1], not 2.0"]),
    (["train", "half-cheetah", "--rollout-steps", "8"], ["segment_length 30", "rollout_steps 8"]),
    (["train", "probe-match", "--agent", "sb3-sac", "--steps", "4096"], ["sb3-sac"]),
    (["evaluate"], ["prefrl evaluate --help"]),
    (["evaluate", "nowhere"], ["there is no run in nowhere"]),
    (["evaluate", "{learned}", "--episodes", "0"], ["episodes must be at least 1, not 0"]),
    (["evaluate", "{true}/config.json"], ["there is no run"]),
    (["render", "nowhere"], ["there is no run in nowhere"]),
    (["render", "{learned}", "--style", "ugly"], ["'ugly'", "pretty"]),
    (["render", "{learned}", "--steps", "0"], ["steps"]),
    (["report"], ["name run folders"]),
    (["report", "nowhere"], ["nowhere"]),
    (["clean"], ["name run folders"]),
    (["clean", "nowhere"], ["nowhere"]),
    (["fit", "nowhere"], ["there is no run in nowhere"]),
    (["fit", "{true}"], ["learns from the true reward"]),
    (["answer", "nowhere"], ["there is no run in nowhere"]),
    (["answer", "{learned}"], ["learns from oracle", "--teacher human"]),
    (["answer", "{true}"], ["learns from the true reward", "--teacher human"]),
    (["answer", "{learned}", "--poll-seconds", "0"], ["--poll-seconds must be above 0"]),
    (["crash", "half-cheetah", "--kills", "0"], ["--kills"]),
    (["demo", "--labels", "few"], ["--labels", "'few'"]),
]


@pytest.mark.parametrize(("args", "words"), MISTAKES, ids=[" ".join(args) for args, _ in MISTAKES])
def test_a_mistake_is_one_clear_line(
    prefrl: Command,
    learned: Path,
    true: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [arg.format(learned=learned, true=true) for arg in args]
    assert is_one_clear_line(prefrl(*given), *words)
    assert list(tmp_path.rglob("config.json")) == []


def test_a_run_folder_is_never_trained_over(prefrl: Command, learned: Path) -> None:
    outcome = prefrl("train", "half-cheetah", "--run", learned, *TINY)
    assert is_one_clear_line(outcome, f"{learned} holds a run already", "--resume")


def test_a_folder_of_something_else_is_refused(prefrl: Command, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert is_one_clear_line(prefrl("train", "half-cheetah", "--run", tmp_path, *TINY), "is not empty")


def test_there_must_be_a_run_to_resume(prefrl: Command, tmp_path: Path) -> None:
    outcome = prefrl("train", "half-cheetah", "--resume", "--run", tmp_path / "nothing")
    assert is_one_clear_line(outcome, "there is no run in")


def test_a_run_is_resumed_with_its_own_settings_or_not_at_all(prefrl: Command, copy: Path) -> None:
    (copy / "summary.json").unlink()
    outcome = prefrl("train", "half-cheetah", "--resume", "--run", copy, "--seed", "3")
    assert is_one_clear_line(outcome, "started with seed 0, not 3")
    outcome = prefrl("train", "hopper", "--resume", "--run", copy)
    assert is_one_clear_line(outcome, "started with task half-cheetah, not hopper")


@pytest.mark.parametrize("named", [True, False], ids=["with the task", "without"])
def test_resuming_needs_no_settings_repeated(prefrl: Command, copy: Path, named: bool) -> None:
    before = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").unlink()
    task = ["half-cheetah"] if named else []
    code, output, _ = prefrl("train", *task, "--resume", "--run", copy)
    assert code == 0
    assert "half-cheetah from 16 labels" in output
    after = json.loads((copy / "summary.json").read_text())
    assert after["true_return_mean"] == before["true_return_mean"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["config.json", "damaged"]),
        ("[]", ["config.json", "no JSON object"]),
        ('{"config": {"task": 3}}', ["config.task cannot be 3"]),
        ('{"config": {"tsak": "pong"}}', ["config has no setting 'tsak'"]),
        ('{"config": 3}', ["config"]),
        ("{}", ["config"]),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "render", "fit", "answer", "report", "clean"])
def test_a_broken_config_is_one_clear_line(
    prefrl: Command, copy: Path, command: str, content: str, words: list[str]
) -> None:
    (copy / "config.json").write_text(content)
    words = words if command not in ("report", "clean") else ["config.json"]
    assert is_one_clear_line(prefrl(command, copy), *words)


def test_a_run_without_a_checkpoint_cannot_be_played(prefrl: Command, copy: Path) -> None:
    shutil.rmtree(copy / "checkpoints")
    for command in ("evaluate", "render"):
        assert is_one_clear_line(prefrl(command, copy), "no checkpoint")


def test_a_missing_segment_is_named(prefrl: Command, copy: Path) -> None:
    lost = min((copy / "segments").glob("*.npz"))
    lost.unlink()
    code, _, errors = prefrl("fit", copy)
    assert code == 2
    assert lost.name in errors.splitlines()[-1]


def test_without_gl_nothing_is_drawn_and_the_fix_is_named(learned: Path) -> None:
    args = ["render", str(learned), "--style", "plain"]
    code = f"import sys, experiments.cli; sys.exit(experiments.cli.main({args}))"
    done = run_python(code, MUJOCO_GL="off")
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("prefrl: MuJoCo cannot draw here")
    assert "apt-get install" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["train", "render", "report", "fit"])
def test_a_full_disk_is_one_clear_line(prefrl: Command, copy: Path, tmp_path: Path, command: str) -> None:
    args = {
        "train": ["train", "half-cheetah", "--run", tmp_path / "new", *TINY],
        "render": ["render", copy, "--style", "plain", "--steps", "5"],
        "report": ["report", copy, "--out", tmp_path / "report.html"],
        "fit": ["fit", copy, "--out", tmp_path / "model.pt"],
    }[command]
    with files_limited_to(200):
        code, _, errors = prefrl(*args)
    assert code == 2
    assert errors.splitlines()[-1].startswith("prefrl: ")
    assert "Traceback" not in errors
    assert not (tmp_path / "report.html").exists()
    assert not (tmp_path / "model.pt").exists()


def test_an_interrupt_is_no_traceback(prefrl: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_args: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.clean.main", interrupted)
    assert prefrl("clean", "x") == (130, "", "prefrl: interrupted\n")


def test_a_reader_who_goes_away_is_no_error(learned: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m experiments.cli evaluate {learned} --episodes 1 | true",
        shell=True, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr


def test_training_tells_the_figures_and_where_they_are(prefrl: Command, tmp_path: Path) -> None:
    code, output, errors = prefrl("train", "half-cheetah", "--reward", "true", "--run", tmp_path / "a", *TINY)
    assert code == 0
    assert "half-cheetah from true reward: true return" in output
    assert f"run folder: {tmp_path / 'a'}" in output
    assert "step/s" in errors


def test_a_run_without_a_name_gets_one_from_its_settings(
    prefrl: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert prefrl("train", "half-cheetah", "--seed", "5", *TINY)[0] == 0
    assert (tmp_path / "runs" / "half-cheetah-learned-oracle-16-s5" / "summary.json").exists()


def test_evaluation_plays_fresh_episodes(prefrl: Command, learned: Path) -> None:
    code, output, _ = prefrl("evaluate", learned, "--episodes", "2")
    assert code == 0
    assert "half-cheetah at step 512: true return" in output
    _, output, _ = prefrl("evaluate", learned, "--episodes", "2", "--json")
    figures = json.loads(output)
    assert figures["step"] == 512
    assert len(figures["scores"]) == 2
    assert prefrl("evaluate", learned, "--episodes", "2", "--json")[1] == output
    assert prefrl("evaluate", learned, "--episodes", "2", "--json", "--seed", "1")[1] != output


def test_films_are_made_of_the_policy_before_and_after(prefrl: Command, copy: Path) -> None:
    code, output, _ = prefrl("render", copy, "--steps", "6", "--start", "2", "--style", "plain")
    assert code == 0
    assert "6 frames of the untrained policy" in output
    assert "6 frames of step 512" in output
    assert {path.name for path in (copy / "clips").iterdir()} == {"before.webp", "after.webp"}


def test_two_runs_are_compared_in_one_page(
    prefrl: Command, learned: Path, true: Path, tmp_path: Path
) -> None:
    code, output, _ = prefrl("report", learned, true, "--out", tmp_path / "page.html", "--resamples", "50")
    assert code == 0
    assert "half-cheetah" in output
    assert (tmp_path / "page.html").read_text().startswith("<!")


def test_a_reward_is_fitted_again_from_the_store(prefrl: Command, learned: Path, tmp_path: Path) -> None:
    code, output, errors = prefrl("fit", learned, "--out", tmp_path / "model.pt", "--max-epochs", "5")
    assert code == 0
    for words in ("labels           16", "entropy floor", "out-of-bag loss", "agreement", "calibration"):
        assert words in output
    assert "fit:" in errors
    assert (tmp_path / "model.pt").exists()
    code, output, _ = prefrl("fit", learned, "--json", "--max-epochs", "5")
    assert json.loads(output)["labels"] == 16


def test_cleaning_keeps_answers_and_the_newest_checkpoint(prefrl: Command, copy: Path) -> None:
    os.utime(copy / "metrics.jsonl", (0, 0))
    code, output, _ = prefrl("clean", copy, "--yes")
    assert code == 0
    assert "deleted" in output
    assert len(list((copy / "checkpoints").glob("*.pt"))) == 1
    assert (copy / "feedback.sqlite").exists()
    assert prefrl("evaluate", copy, "--episodes", "1")[0] == 0


def test_a_person_labels_a_run_from_another_terminal(tmp_path: Path) -> None:
    run = tmp_path / "human"
    base = [sys.executable, "-m", "experiments.cli"]
    args = [
        "train",
        "probe-target",
        "--teacher",
        "human",
        "--run",
        str(run),
        *TINY,
        "--query.open-queries",
        "6",
    ]
    training = subprocess.Popen([*base, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: open_pairs(run) > 0, training)
        done = subprocess.run(
            [*base, "answer", str(run), "--answer-as", "oracle", "--poll-seconds", "0.1"],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "saved: " in done.stdout
        assert "complete: 16 of 16 labels" in done.stdout
        output, _ = training.communicate(timeout=120)
    finally:
        training.kill()
    assert training.returncode == 0, output
    assert f"prefrl label {run}" in output
    assert "waiting for=4 of the first 4 labels" in output
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["labels"], summary["teacher"], summary["exact"]) == (16, "human", False)


def open_pairs(run: Path) -> int:
    """Pairs of a run that wait for an answer."""
    if not (run / "feedback.sqlite").exists():
        return 0
    with FeedbackStore(run / "feedback.sqlite") as store:
        return len(store.open_queries(run.name, 100))


def wait_for(
    condition: Callable[[], bool], process: subprocess.Popen[Any], *, seconds: float = 120.0
) -> None:
    """Until something holds; fails if the process ends first."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "too late"
        time.sleep(0.05)


def test_a_terminated_run_is_saved_and_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    base = [sys.executable, "-m", "experiments.cli", "train"]
    args = [arg if arg != "512" else "40000" for arg in TINY]
    training = subprocess.Popen(
        [*base, "probe-target", "--reward", "true", "--run", str(run), *args],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_for(lambda: (run / "metrics.jsonl").exists(), training)
        training.send_signal(signal.SIGTERM)
        _, errors = training.communicate(timeout=60)
    finally:
        training.kill()
    assert training.returncode == 2
    said = errors.splitlines()[-1]
    assert said.startswith("prefrl: stopped at step ")
    assert said.endswith(f"saved; go on with --resume --run {run}")
    assert list((run / "checkpoints").glob("*.pt"))
