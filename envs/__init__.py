"""Worlds: Atari games, MuJoCo tasks, small probe worlds and any Gymnasium environment behind one door."""

from envs.errors import WorldError
from envs.gymnasium_env import adapt_vector_env
from envs.tasks import list_tasks, make_vector_env

__all__ = ["WorldError", "adapt_vector_env", "list_tasks", "make_vector_env"]
