"""What mypyc does not do as Python does must not stand in the compiled modules, and a cache must not stop a start."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from bayeux_server import compiled


def functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions of a module, methods too."""
    path = Path(compiled.__file__).parent / (module.replace(".", "/") + ".py")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


class TestModules:
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
