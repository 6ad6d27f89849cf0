"""Worlds: Atari games, MuJoCo tasks, small probe worlds and any Gymnasium environment behind one door."""

from envs.errors import WorldError
from envs.tasks import list_tasks, make_vector_env

__all__ = ["WorldError", "list_tasks", "make_vector_env"]
