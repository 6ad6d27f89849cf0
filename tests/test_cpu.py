"""Threads of the networks, and memory that is kept for the next minibatch."""

import subprocess
import sys

import pytest

# A child process, because what is set holds for the rest of the process.
COUNT_FAULTS = """
import resource, sys
import torch
from prefrl.cpu import keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "keep":
    assert keep_freed_memory()
for _ in range(20):  # where they lie settles after some
    torch.ones(10 * 2**20)
before = faults()
for _ in range(10):
    torch.ones(10 * 2**20)
print(faults() - before)
"""

SET_THREADS = """
import torch
from prefrl.cpu import use_cpu
torch.set_num_threads(2)
use_cpu(0)
unset = torch.get_num_threads()
use_cpu(1)
print(unset, torch.get_num_threads())
"""


def run(program: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="about the C library of Linux")
def test_large_blocks_are_used_again_without_new_pages() -> None:
    given_back, kept = (int(run(COUNT_FAULTS, how)) for how in ("give", "keep"))
    assert given_back > 100
    assert kept < 0.1 * given_back


def test_threads_are_set_unless_torch_is_to_decide() -> None:
    assert run(SET_THREADS).split() == ["2", "1"]
