"""What mypyc does not do as Python does must not stand in the compiled modules, and a cache must not stop a start."""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from bayeux_server import compiled


def source(module: str) -> Path:
    """Return the file of a module."""
    return Path(compiled.__file__).parent / (module.replace(".", "/") + ".py")


def functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of a module, methods too."""
    for node in ast.walk(ast.parse(source(module).read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def strangers(tree: ast.Module) -> set[str]:
    """Return the names that a module imports from libraries, but for two whose classes are known to do well."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names, modules = [alias.asname or alias.name for alias in node.names], [node.module]
        elif isinstance(node, ast.Import):
            names = modules = [alias.name for alias in node.names]
        else:
            continue
        own = {"bayeux_server", "msgspec", "prometheus_client", *sys.stdlib_module_names}
        if modules[0].split(".")[0] not in own:
            found.update(names)
    return found


class TestModules:
    @pytest.mark.parametrize("module", compiled.MODULES)
    def test_no_class_is_derived_from_one_of_a_library(self, module: str) -> None:
        """aiohttp's parser took the compiled methods of such a class for its own, and the process died."""
        tree = ast.parse(source(module).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base).split(".")[0] for base in node.bases}
                assert not bases & strangers(tree), node.name

    @pytest.mark.parametrize("module", compiled.MODULES)
    def test_a_name_stands_for_one_kind_of_exception(self, module: str) -> None:
        """Compiled, the first clause decides its type for all, and the next one raises a TypeError."""
        for function in functions(module):
            kinds: dict[str, set[str]] = defaultdict(set)
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and node.name and node.type:
                    kinds[node.name].add(ast.unparse(node.type))
            assert {name: found for name, found in kinds.items() if len(found) > 1} == {}, function.name


class TestUse:
    def test_a_user_without_a_home_runs_the_source(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compiled, "MODULES", ())  # none is imported yet
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", "/nonexistent")
        assert not compiled.use()

    def test_so_does_one_who_may_not_look_into_the_cache(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_: Path) -> bool:
            raise PermissionError

        monkeypatch.setattr(compiled, "MODULES", ())
        monkeypatch.setattr(Path, "is_dir", refuse)
        assert not compiled.use()
