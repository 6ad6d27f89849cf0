"""Configs to and from plain dictionaries, strictly: an unknown key or a wrong type is an error."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from prefrl.errors import UsageError

Config = TypeVar("Config")


def config_to_dict(config: Any) -> dict[str, Any]:
    """A frozen dataclass as nested dictionaries of plain values, as JSON has them."""
    return dataclasses.asdict(config)


def config_from_dict(kind: type[Config], values: Mapping[str, Any], *, where: str = "config") -> Config:
    """The dataclass ``kind`` from nested dictionaries; fields that are missing keep their defaults.

    Raises:
        UsageError: an unknown key, or a value of another type; the message names it.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{where} must be a group of settings, not {values!r}")
    hints = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UsageError(f"{where} has no setting {unknown[0]!r}: choose from {', '.join(known)}")
    return kind(**{name: _value(hints[name], value, f"{where}.{name}") for name, value in values.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return config_from_dict(typing.cast(type, hint), value, where=where)
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for option in options:
        fits, converted = _fit(option, value)
        if fits:
            return converted
    raise UsageError(f"{where} cannot be {value!r}: give {_name(hint)}")


def _fit(hint: Any, value: Any) -> tuple[bool, Any]:
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return value in typing.get_args(hint), value
    if origin is tuple:
        inner = typing.get_args(hint)
        fits = isinstance(value, list | tuple) and len(value) == len(inner)
        return fits and all(_fit(h, v)[0] for h, v in zip(inner, value, strict=True)), tuple(
            value
        ) if fits else value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return True, float(value)
    if isinstance(value, bool) and hint is not bool:
        return False, value
    return isinstance(value, hint), value


def _name(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    return getattr(hint, "__name__", str(hint))
