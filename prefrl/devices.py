"""Where networks live: the processor, or a GPU."""

from __future__ import annotations

import torch

from prefrl.errors import UsageError


def make_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the first GPU where there is one.

    Raises:
        UsageError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {name!r} cannot be used here: choose auto or cpu") from error
    return device
