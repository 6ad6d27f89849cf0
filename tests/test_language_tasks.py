"""The language track's tasks are exact, seeded, split by meaning, and written in their own symbols."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest

from prefrl.errors import UsageError
from prefrl.language.tasks.addition import Addition
from prefrl.language.tasks.reviews import WEIGHTS, Reviews, utility_parts
from prefrl.language.tasks.task import TASKS, Split, Task, make_task
from prefrl.language.tasks.walks import FARTHEST, NODES, Walks
from prefrl.language.tasks.word_problems import WordProblems
from prefrl.language.tokenizers import SymbolTokenizer

SPLITS: tuple[Split, ...] = get_args(Split)


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    return make_task(request.param)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def meaning(task: Task, prompt: str) -> str:
    """What held-out prompts must not share with training prompts."""
    if task.name == "addition":
        return " ".join(sorted(re.findall(r"\d+", prompt)))
    if task.name == "word-problems":
        return re.sub(r"Ann|Ben|Eva|Max|pens|nuts|cups|eggs", "", prompt.replace("finds", "buys")).replace(
            "loses", "gives"
        )
    return prompt


@pytest.mark.parametrize("split", SPLITS)
def test_the_same_seed_gives_the_same_prompts_and_demonstrations(task: Task, split: Split) -> None:
    draws = []
    for _ in range(2):
        source = rng(3)
        prompts = task.prompts(split, 20, source)
        draws.append((prompts, [task.demonstrate(prompt, source) for prompt in prompts]))
    assert draws[0] == draws[1]
    assert task.prompts(split, 20, rng(4)) != draws[0][0]


@pytest.mark.parametrize("split", SPLITS)
def test_texts_are_made_of_the_tasks_symbols_and_no_longer_than_it_says(task: Task, split: Split) -> None:
    tokenizer, source = SymbolTokenizer(task.symbols), rng()
    for prompt in task.prompts(split, 300, source):
        completion = task.demonstrate(prompt, source)
        for text, longest in ((prompt, task.longest_prompt), (completion, task.longest_completion)):
            tokens = tokenizer.encode(text)
            assert tokenizer.decode(tokens) == text
            assert 0 < len(tokens) <= longest


def test_no_held_out_meaning_is_trained_on(task: Task) -> None:
    trained = {meaning(task, prompt) for prompt in task.prompts("train", 3000, rng(1))}
    for split in SPLITS[1:]:
        assert not trained & {meaning(task, prompt) for prompt in task.prompts(split, 1000, rng(2))}


def test_about_a_tenth_of_the_meanings_is_held_out() -> None:
    pools = Walks()._pools
    share = len(pools["held_out"]) / (len(pools["held_out"]) + len(pools["train"]))
    assert 0.05 < share < 0.15


@pytest.mark.parametrize("split", SPLITS)
def test_scores_lie_between_0_and_1_and_archetypes_are_few(task: Task, split: Split) -> None:
    source = rng()
    prompts = task.prompts(split, 300, source)
    scores = [task.score(prompt, task.demonstrate(prompt, source)) for prompt in prompts]
    assert min(scores) > 0
    assert max(scores) <= 1
    assert len({task.archetype(prompt) for prompt in prompts}) <= 8
    assert all(np.isfinite(task.difficulty(prompt)) for prompt in prompts)


@pytest.mark.parametrize("name", ["addition", "word-problems"])
def test_demonstrations_of_tasks_that_can_be_checked_are_right_in_every_step(name: str) -> None:
    task, source = make_task(name), rng()
    for prompt in task.prompts("train", 200, source):
        completion = task.demonstrate(prompt, source)
        marks = task.marks(prompt, completion)
        assert task.score(prompt, completion) == 1
        assert marks
        assert all(mark.right for mark in marks)
        assert all(a.end < b.end for a, b in pairwise(marks))
        assert marks[-1].end == len(completion)


@pytest.mark.parametrize("text", ["", "=", "\n", " the", "zzz", "21,31,60=236=", "12+7=19\n19"])
def test_any_text_can_be_scored_and_marked(task: Task, text: str) -> None:
    prompt = task.prompts("train", 1, rng())[0]
    assert 0 <= task.score(prompt, text) <= 1
    assert all(0 <= mark.end <= len(text) for mark in task.marks(prompt, text))


def test_addition_is_worked_out_by_hand() -> None:
    task = Addition()
    assert task.demonstrate("347+285=", rng()) == "21,31,60=236"
    assert task.archetype("347+285=") == "2 carries"
    assert task.score("347+285=", "anything=236") == 1
    assert task.score("347+285=", "21,31,60=632") == 0
    assert task.score("347+285=", "21,31,60236") == 0


def test_a_wrong_carry_is_found_where_it_is() -> None:
    marks = Addition().marks("347+285=", "20,31,60=236")
    assert [mark.right for mark in marks] == [False, True, True, True]
    marks = Addition().marks("347+285=", "21,31,61=2361")
    assert [mark.right for mark in marks] == [True, True, False, False]


def test_addition_carries_into_a_fourth_digit() -> None:
    assert Addition().demonstrate("999+999=", rng()) == "81,91,91=8991"


def test_distances_of_the_graph_equal_repeated_products_of_its_matrix() -> None:
    task = Walks()
    edges = np.array([[target in task.edges[node] for target in NODES] for node in NODES], int)
    reached, steps = np.eye(len(NODES), dtype=int), {}
    for length in range(len(NODES)):
        for a, b in zip(*np.nonzero(reached), strict=True):
            steps.setdefault((NODES[a], NODES[b]), length)
        reached = (reached @ edges > 0).astype(int)
    assert task.distance == steps
    assert len(steps) == len(NODES) ** 2  # every goal can be reached


def test_a_walk_is_worth_the_shortest_length_over_its_own_and_little_with_a_fault() -> None:
    task = Walks()
    prompt = next(p for p in task.prompts("train", 500, rng()) if task.difficulty(p) == 3)
    start, goal = prompt[0], prompt[2]
    path, node = "", start
    while node != goal:
        node = min(task.edges[node], key=lambda target: task.distance[target, goal])
        path += node
    assert task.score(prompt, path) == 1
    assert task.score(prompt, path[:-1]) == pytest.approx(0.1)  # all steps right, the goal missed
    assert task.score(prompt, "") == 0
    far = next(node for node in NODES if node not in task.edges[start] and path[1] not in task.edges[node])
    assert task.score(prompt, far + path[1:]) == pytest.approx(0.2 / 3)  # one step of three is right
    assert task.score(prompt, "zzz" if goal != "z" else "yyy") < 0.1
    there_and_back = path
    node = goal
    while node != start or len(there_and_back) == len(path):
        node = min(task.edges[node], key=lambda target: task.distance[target, start])
        there_and_back += node
    there_and_back += path
    assert task.score(prompt, there_and_back) == pytest.approx(3 / len(there_and_back))


def test_far_goals_are_out_of_distribution() -> None:
    task = Walks()
    assert min(map(task.difficulty, task.prompts("out_of_distribution", 100, rng()))) > FARTHEST
    assert max(map(task.difficulty, task.prompts("train", 500, rng()))) <= FARTHEST


def test_the_parts_of_a_reviews_utility_are_worked_out_by_hand() -> None:
    text = " the tea is very good and nice , the price was fair ."
    parts = utility_parts("tea price 4:", text)
    # Valences 1.5, 1 and 0.5: a mean of exactly one, as four stars want.
    assert parts == {"topic": 1.0, "aspect": 1.0, "praise": 1.0, "content": 1.0}
    assert Reviews().score("tea price 4:", text) == pytest.approx(1.0)
    assert utility_parts("tea price 1:", text)["praise"] == pytest.approx(0.0)
    assert utility_parts("book price 4:", text)["topic"] == 0.0
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


def test_what_is_no_sentence_is_worth_less() -> None:
    sentence, stammer = " the tea is good and nice .", " the tea is good nice ."
    task = Reviews()
    assert task.score("tea price 4:", stammer) == pytest.approx(0.3 * task.score("tea price 4:", sentence))


def test_repeating_an_adjective_says_nothing_new() -> None:
    once = utility_parts("tea price 4:", " the tea is good and nice .")["content"]
    twice = utility_parts("tea price 4:", " the tea is good and good .")["content"]
    assert (once, twice) == (1.0, 0.5)


def test_word_problems_are_solved_by_hand() -> None:
    task = WordProblems()
    story = "Ann has 12 pens. Ann buys 7 pens. Ann gives 5 pens. How many?"
    assert task.demonstrate(story, rng()) == "12+7=19\n19-5=14\n14"
    assert task.demonstrate("3 times x plus 4 is 19. What is x?", rng()) == "19-4=15\n15/3=5\n5"
    assert task.demonstrate("x plus 4 is 19. What is x?", rng()) == "19-4=15\n15"
    assert (task.archetype(story), task.archetype("x plus 4 is 19. What is x?")) == ("arithmetic", "algebra")


def test_only_the_last_line_of_a_word_problem_counts_for_its_score() -> None:
    task, story = WordProblems(), "Ann has 12 pens. Ann buys 7 pens. Ann gives 5 pens. How many?"
    assert task.score(story, "nonsense\n14") == 1
    assert task.score(story, "14\n") == 0
    assert task.score(story, "12+7=19\n19-5=14\n14 pens") == 0
    assert [mark.right for mark in task.marks(story, "12+7=20\n19-5=14\n14")] == [False, True, True]


def test_both_buckets_come_about_equally_often() -> None:
    task = WordProblems()
    kinds = [task.archetype(prompt) for prompt in task.prompts("train", 1000, rng())]
    assert 0.4 < kinds.count("algebra") / len(kinds) < 0.6


class Echo(Walks):
    """A task of one's own."""

    name = "echo"


def test_a_task_of_ones_own_is_found_by_its_dotted_name() -> None:
    assert make_task(f"{__name__}:Echo").name == "echo"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("subtraction", "choose from addition, walks, reviews, word-problems, or name your own"),
        ("no.such.module:Task", "cannot be made: No module named"),
        ("prefrl.language.tasks.walks:Runs", "cannot be made"),
        ("collections:OrderedDict", "lacks name, symbols"),
    ],
)
def test_what_is_no_task_is_refused_with_the_fix(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_task(name)


def test_an_unknown_split_is_refused(task: Task) -> None:
    with pytest.raises(UsageError, match="choose from train, held_out, out_of_distribution"):
        task.prompts("test", 1, rng())  # type: ignore[arg-type]
