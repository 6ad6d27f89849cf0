"""Walks on a fixed directed graph: ``start>goal:`` -> the nodes of a path, such as ``c>m:`` -> ``fxm``.

The twin of comparing clips of an agent: what is compared are trajectories, written as text. A walk to the
goal is worth the length of the shortest path over its own. One that leaves the edges or misses the goal is
worth a fifth at most, the more the more of its steps are right: if all were worth nothing, whoever compares
them could not say which is better, and a reward would learn that short walks go wrong less often.
"""

from __future__ import annotations

import re
import string
from functools import cached_property
from typing import Final

import numpy as np

from prefrl.language.tasks.task import Split, StepMark, check_split, in_held_out

NODES: Final = string.ascii_lowercase
OUT_DEGREE: Final = 2
GRAPH_SEED: Final = 26
FARTHEST: Final = 5
"""Steps between start and goal of the prompts that are trained on; farther goals are out of distribution."""
LONGEST: Final = 16
WANDERING: Final = (5, 7)
"""Steps that a demonstration takes anywhere, fewest and most, before it looks where the goal is."""
FAULTY: Final = 0.2
"""Most that a walk with a fault is worth; half of it where it misses the goal, too."""
_PROMPT = re.compile(r"([a-z])>([a-z]):")


class Walks:
    """Every ordered pair of the 26 nodes is a prompt, and a meaning of its own."""

    name = "walks"
    symbols = (*NODES, ">", ":")
    longest_prompt = 4
    longest_completion = LONGEST

    @cached_property
    def edges(self) -> dict[str, str]:
        """The nodes that can be gone to from each."""
        rng = np.random.default_rng(GRAPH_SEED)
        order = rng.permutation(len(NODES))
        following = {NODES[a]: {NODES[b]} for a, b in zip(order, np.roll(order, -1), strict=True)}
        for node, targets in following.items():  # a ring through all nodes, so that every goal can be reached
            others = [other for other in NODES if other != node and other not in targets]
            targets.update(rng.choice(others, OUT_DEGREE - 1, replace=False).tolist())
        return {node: "".join(sorted(following[node])) for node in NODES}

    @cached_property
    def distance(self) -> dict[tuple[str, str], int]:
        """Steps of the shortest path between every two nodes."""
        found = {}
        for start in NODES:
            reached, frontier, steps = {start}, {start}, 0
            while frontier:
                found.update({(start, node): steps for node in frontier})
                frontier = {target for node in frontier for target in self.edges[node]} - reached
                reached |= frontier
                steps += 1
        return found

    def prompts(self, split: Split, count: int, rng: np.random.Generator) -> list[str]:
        check_split(split)
        pool = self._pools[split]
        return [pool[place] for place in rng.integers(len(pool), size=count)]

    def demonstrate(self, prompt: str, rng: np.random.Generator) -> str:
        """A walk of somebody who sets off anywhere, looks at the map late, and then goes straight."""
        start, goal = _ends(prompt)
        node, walk = start, ""
        wandering = int(rng.integers(WANDERING[0], WANDERING[1] + 1))
        while node != goal:
            targets = self.edges[node]
            if len(walk) >= wandering:
                targets = min(targets, key=lambda target: self.distance[target, goal])
            node = targets[rng.integers(len(targets))]
            walk += node
        return walk

    def score(self, prompt: str, completion: str) -> float:
        """Shortest length over the walk's length; with a fault a fifth of the share of right steps."""
        start, goal = _ends(prompt)
        right = [mark.right for mark in self.marks(prompt, completion)]
        arrived = completion[-1:] == goal
        if arrived and all(right):
            return self.distance[start, goal] / len(completion)
        share = sum(right) / max(1, len(right))
        return FAULTY * share * (1.0 if arrived else 0.5)

    def archetype(self, prompt: str) -> str:
        """By the distance between start and goal."""
        return f"{self.distance[_ends(prompt)]} steps"

    def difficulty(self, prompt: str) -> float:
        """The distance between start and goal."""
        return float(self.distance[_ends(prompt)])

    def marks(self, prompt: str, completion: str) -> tuple[StepMark, ...]:
        """Whether each step follows an edge."""
        before = (_ends(prompt)[0] + completion)[: len(completion)]
        return tuple(
            StepMark(place, there in self.edges.get(here, ""))
            for place, (here, there) in enumerate(zip(before, completion, strict=True), 1)
        )

    @cached_property
    def _pools(self) -> dict[Split, list[str]]:
        pools: dict[Split, list[str]] = {"train": [], "held_out": [], "out_of_distribution": []}
        for (start, goal), steps in sorted(self.distance.items()):
            if steps > FARTHEST:
                pools["out_of_distribution"].append(f"{start}>{goal}:")
            elif steps > 0:
                pools["held_out" if in_held_out(f"walks {start} {goal}") else "train"].append(
                    f"{start}>{goal}:"
                )
        return pools


def _ends(prompt: str) -> tuple[str, str]:
    match = _PROMPT.fullmatch(prompt)
    if match is None:
        raise ValueError(f"{prompt!r} is no prompt of walks, such as c>m:")
    return match[1], match[2]
