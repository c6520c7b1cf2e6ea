"""YAML to plain values, by the parser in C where PyYAML has it: it is part of every start."""

from __future__ import annotations

from typing import Any

import yaml

__all__ = ["LOADER", "read_yaml"]

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Makes plain values only, as `yaml.SafeLoader` does."""


def read_yaml(text: str) -> Any:
    """The values of one YAML document.

    Raises:
        yaml.YAMLError: it is none.

    Example:
        >>> read_yaml("groups: [{name: contact}]")
        {'groups': [{'name': 'contact'}]}
    """
    loader = LOADER(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
