"""Names in docs/reference/api.md can be imported, are documented and typed."""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.docs.conftest import ROOT

MODULES = re.findall(r"^::: (\S+)$", (ROOT / "docs/reference/api.md").read_text(encoding="utf-8"), re.MULTILINE)


def public(holder: Any, module: str) -> Iterator[tuple[str, Any]]:
    """The public classes and functions that a module, or a class of it, defines, and the methods of the former."""
    for name, member in vars(holder).items():
        of_property = member.fget if isinstance(member, property) else None
        of_method = member.__func__ if isinstance(member, classmethod | staticmethod) else None
        found = inspect.unwrap(of_property or of_method or member) if not inspect.isclass(member) else member
        if name.startswith("_") or getattr(found, "__module__", None) != module:
            continue
        if inspect.isclass(found) and not inspect.isclass(holder):
            yield name, found
            yield from public(found, module)
        elif inspect.isfunction(found):
            yield f"{getattr(holder, '__qualname__', '')}.{name}", found


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented_and_typed(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert (ROOT / name.partition(".")[0] / "py.typed").exists()
    for qualified, member in public(module, name):
        assert member.__doc__, f"{name}: {qualified} has no docstring."
        if inspect.isfunction(member):
            assert "return" in member.__annotations__, f"{name}: {qualified} has no return type."


def test_documented_names_exist() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for module, names in re.findall(
            r"^from ((?:model|schemas)[\w.]*) import ([\w, ]+)$", page.read_text(encoding="utf-8"), re.MULTILINE
        ):
            for name in names.split(", "):
                assert hasattr(importlib.import_module(module), name), f"{page.name}: {module}.{name}"
