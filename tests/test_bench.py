"""`prefrl bench` compares fairly, says what it measured, and keeps it; the peer itself is left out here."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments import bench, bench_loop, bench_peer, bench_rows
from experiments.bench import BenchConfig, run_bench
from experiments.bench_peer import PeerUnavailable
from experiments.bench_rows import Bench, Sample
from experiments.peers import imitation_loop
from prefrl.errors import UsageError

MACHINE: dict[str, Any] = {
    "processor": "Abacus",
    "cores": 2,
    "load": 0.1,
    "python": "3.11.7",
    "commit": "abc",
    "versions": {"torch": "2.13.0"},
}


def sample_bench(*, ours: float = 3.0, steps: int = 100) -> Bench:
    return Bench(
        "loop half-cheetah",
        {
            "PrefRL": [
                Sample(300, 300 / rate, seed, 350, 2.0 + seed) for seed, rate in enumerate((ours, 9.0, 1.0))
            ],
            "peer": [Sample(1200, 800.0, 0, 350, -0.2, learned_steps=900, fitting_share=0.25)],
        },
        {"steps": steps, "seeds": (0, 1)},
    )


def test_contenders_take_turns() -> None:
    said: list[str] = []
    order: list[str] = []

    def runner(name: str) -> Any:
        return lambda seed: order.append(f"{name}{seed}") or Sample(10, 1.0, seed)

    samples = bench_rows.alternate({"a": runner("a"), "b": runner("b")}, (4, 7), say=said.append)
    assert order == ["a4", "b4", "a7", "b7"]
    assert [sample.seed for sample in samples["b"]] == [4, 7]
    assert len(said) == 4


def test_a_ratio_is_that_of_the_medians() -> None:
    assert sample_bench().ratios() == {"peer": 3.0 / 1.5}


def test_the_table_has_a_line_per_contender_with_ratio_and_the_last_one() -> None:
    lines = bench_rows.table([sample_bench()], {("loop half-cheetah", "peer"): 2.5}).splitlines()
    assert len(lines) == 4
    assert lines[0].split("  ")[0] == "benchmark"
    ours, peer = (" ".join(line.split()) for line in lines[2:])
    assert ours == "loop half-cheetah PrefRL 3 3 (2 to 4) 300 350 0 1 2"
    assert peer == "loop half-cheetah peer 2 2.00x 2.50x 0 25.0% 1,200 350 0"


def test_a_contender_that_did_not_run_has_a_line_too() -> None:
    alone = Bench("loop", {"PrefRL": [Sample(10, 1.0)]}, {}, {"peer": "no network"})
    assert bench_rows.table([alone], {}).splitlines()[-1].split() == ["loop", "peer", "did", "not", "run"]


def test_what_is_kept_is_one_line_of_json_that_finds_the_last_ratio(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "bench.jsonl"
    for ours in (3.0, 6.0):
        bench_rows.append(bench_rows.record([sample_bench(ours=ours)], MACHINE), file)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["benches"][0]["ratios"] for line in lines] == [{"peer": 2.0}, {"peer": 4.0}]
    assert lines[0]["commit"] == "abc"
    kept = lines[0]["benches"][0]["contenders"]
    assert kept["PrefRL"]["returns"] == [2.0, 3.0, 4.0]
    assert "fitting_share" not in kept["PrefRL"]
    assert kept["peer"]["learned_steps"] == [900]
    found = bench_rows.last_ratios(file, MACHINE, [sample_bench()])
    assert found == {("loop half-cheetah", "peer"): 4.0}


@pytest.mark.parametrize("other", ["machine", "settings", "file"])
def test_ratios_of_other_machines_or_settings_are_not_compared(tmp_path: Path, other: str) -> None:
    file = tmp_path / "bench.jsonl"
    if other != "file":
        bench_rows.append(bench_rows.record([sample_bench()], MACHINE), file)
    machine = MACHINE | ({"cores": 4} if other == "machine" else {})
    steps = 99 if other == "settings" else 100
    assert bench_rows.last_ratios(file, machine, [sample_bench(steps=steps)]) == {}


@pytest.mark.parametrize("content", ["{", "[1]", '{"processor": "Abacus", "cores": 2, "benches": 3}'])
def test_a_file_of_something_else_is_one_clear_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "other.jsonl"
    file.write_text(content)
    with pytest.raises(UsageError, match="holds no benchmarks"):
        bench_rows.last_ratios(file, MACHINE, [sample_bench()])


def test_a_half_written_line_is_replaced_by_the_next(tmp_path: Path) -> None:
    file = tmp_path / "bench.jsonl"
    file.write_text('{"torn')
    bench_rows.append({"whole": 1}, file)
    assert file.read_text() == '{"whole":1}\n'


def test_a_busy_machine_and_a_slow_down_are_pointed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_rows, "this_machine", lambda: MACHINE | {"load": 1.1})
    rates = iter((6.0, 3.0))
    monkeypatch.setitem(bench.BENCHES, "loop", lambda _config, _say: [sample_bench(ours=next(rates))])
    config = BenchConfig(only=("loop",), results=tmp_path / "bench.jsonl")
    assert run_bench(config) == 0
    assert "slower" not in capsys.readouterr().out
    assert run_bench(config) == 0
    shown = capsys.readouterr()
    assert "slower than last time: loop half-cheetah against peer, 2.00x after 4.00x" in shown.out
    assert "other processes use this machine" in shown.err
    assert len(config.results.read_text().splitlines()) == 2


def test_this_machine_says_what_figures_depend_on() -> None:
    assert bench_rows.this_machine().keys() == MACHINE.keys()
    assert (
        bench_rows.describe(MACHINE) == "Abacus, 2 cores, load 0.1, commit abc\nPython 3.11.7, torch 2.13.0"
    )


def test_the_processor_is_named_or_its_architecture_is(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    assert bench_rows.processor_name(file)
    file.write_text("vendor\t: x\nmodel name\t: Abacus 2: red\nmodel name\t: other\n")
    assert bench_rows.processor_name(file) == "Abacus 2: red"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"seeds": ()}, "seeds is empty"),
        ({"seeds": (1, 1)}, "different"),
        ({"seeds": (-1,)}, "from 0"),
        ({"loop_seeds": ()}, "loop_seeds is empty"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"labels": 9}, "labels must be at least 10, not 9"),
        ({"threads": -1}, "threads must be at least 0, not -1"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        BenchConfig(**options)


def test_the_quick_mode_runs_everything_but_the_peer_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = {
        "steps": 8192,
        "ppo_steps": 1,
        "fitting_steps": 8192,
        "episodes": 1,
        "mujoco_steps": 2,
        "game_steps": 1,
    }
    monkeypatch.setattr(bench, "QUICK", bench.QUICK | tiny)
    results = tmp_path / "bench.jsonl"
    options = ["--quick", "--folder", str(tmp_path), "--results", str(results), "--num-envs", "4"]
    assert bench.main(options) == 0
    shown = capsys.readouterr().out
    for contender in ("mujoco.batch", "AtariVectorEnv", "SB3, Gymnasium", "SB3, our world"):
        assert contender in shown
    assert "loop half-cheetah" in shown
    assert "%" in shown.split("fitting half-cheetah")[1].splitlines()[0]
    assert not results.exists()
    assert list(tmp_path.iterdir()) == []


def test_ours_takes_as_many_steps_as_the_peer_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets: list[int] = []

    def peer(_python: Path, script: Path, options: list[str], _folder: Path) -> dict[str, Any]:
        parsed = imitation_loop.parse([*options, "--out", "x"])
        assert (script.name, parsed.steps, parsed.members, parsed.epochs) == (
            "imitation_loop.py",
            5000,
            3,
            10,
        )
        figures = {"steps": 7777 + parsed.seed, "seconds": 1.0, "labels": 20}
        return figures | {"return_mean": 1.5, "learned_steps": 5000}

    def ours(config: Any, _folder: Path) -> Sample:
        budgets.append(config.steps)
        return Sample(config.steps, 1.0, config.seed)

    monkeypatch.setattr(bench_loop, "install", lambda _folder, **_: Path("python"))
    monkeypatch.setattr(bench_loop, "run_script", peer)
    monkeypatch.setattr(bench_loop, "run_ours", ours)
    found = run_loop(tmp_path)
    assert budgets == [7777, 7778]
    assert list(found.samples) == ["PrefRL", bench_peer.IMITATION]
    assert found.missing == {}


def test_a_peer_that_cannot_be_installed_is_reported_and_ours_runs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_folder: Path, **_: Any) -> Path:
        raise PeerUnavailable("it cannot be installed, see log:\n    no network")

    monkeypatch.setattr(bench_loop, "install", refuse)
    monkeypatch.setattr(bench_loop, "run_ours", lambda config, _: Sample(config.steps, 1.0, config.seed))
    found = run_loop(tmp_path)
    assert found.missing == {bench_peer.IMITATION: "it cannot be installed, see log"}
    assert [sample.steps for sample in found.samples["PrefRL"]] == [5000, 5000]


def run_loop(folder: Path) -> Bench:
    return bench_loop.bench_loop(
        steps=5000,
        labels=20,
        threads=0,
        episodes=1,
        seeds=(0, 1),
        folder=folder,
        peer_ppo="tutorial",
        say=lambda _: None,
    )


def test_a_peers_script_gives_its_figures_or_says_why_not(tmp_path: Path) -> None:
    script = tmp_path / "peer.py"
    script.write_text(
        "import json, os, pathlib, sys\n"
        "print('on its way')\n"
        "assert sys.argv[1] == 'good', 'bad option'\n"
        "pathlib.Path(sys.argv[3]).write_text(json.dumps({'policy': os.environ.get('OMP_WAIT_POLICY')}))\n"
    )
    python, folder = Path(sys.executable), tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_WAIT_POLICY", "PASSIVE")
        assert bench_peer.run_script(python, script, ["good"], folder) == {"policy": None}
    with pytest.raises(PeerUnavailable, match=r"(?s)exit code 1.*AssertionError: bad option"):
        bench_peer.run_script(python, script, ["bad"], folder)
    with pytest.raises(PeerUnavailable, match="No such file"):
        bench_peer.run_script(tmp_path / "no-python", script, ["good"], folder)


def test_an_installed_peer_is_used_again_unless_its_pins_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], *_: Any) -> None:
        commands.append(command)
        python = tmp_path / "venv" / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()

    monkeypatch.setattr(bench_peer, "_run", run)
    for pins in (("a==1",), ("a==1",), ("a==2",)):
        python = bench_peer.install(tmp_path, pins, say=lambda _: None)
    assert python == tmp_path / "venv" / "bin" / "python"
    assert [command[2] for command in commands] == ["venv", "pip"] * 2
    assert "a==1" in commands[1]
    assert any(wish.startswith("mujoco==") for wish in commands[1])


def test_the_peers_script_needs_nothing_of_ours() -> None:
    tree = ast.parse(bench_loop.SCRIPT.read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        )
    }
    assert not imported & {"prefrl", "envs", "ui", "experiments"}
    assert imported - set(sys.stdlib_module_names) == {"imitation", "numpy", "stable_baselines3", "torch"}


def test_the_peers_options_have_the_tutorials_defaults() -> None:
    options = imitation_loop.parse(["--steps", "100000", "--labels", "350", "--out", "figures.json"])
    assert (options.envs, options.members, options.epochs, options.iterations) == (8, 3, 10, 5)
    assert imitation_loop.PPO_SETTINGS[options.ppo]["clip_range"] == 0.1
    with pytest.raises(SystemExit):
        imitation_loop.parse(["--labels", "350", "--out", "x"])


@pytest.mark.parametrize(("steps", "learned"), [(1, 12_288), (100_000, 98_304), (200_000, 196_608)])
def test_the_peer_learns_from_about_the_steps_that_it_is_given(steps: int, learned: int) -> None:
    options = imitation_loop.parse(["--steps", str(steps), "--labels", "350", "--out", "x"])
    asked = imitation_loop.steps_asked_for(options)
    per_training = asked // options.iterations
    assert asked % options.iterations == per_training % imitation_loop.ROLLOUT_STEPS == 0
    assert per_training * (options.iterations + 1) == learned
