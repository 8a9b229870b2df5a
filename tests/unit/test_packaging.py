"""What an installation contains."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bayeux_server", "channels", "extensions", "clients")


def _ships(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return path.is_file() and "__pycache__" not in parts and parts[:2] != ("clients", "web")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names of the files in the wheel, built from a copy: a build writes next to its sources."""
    copy = tmp_path_factory.mktemp("source")
    for name in (*PACKAGES, "conf", "requirements"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    out = tmp_path_factory.mktemp("wheel")
    how = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(out)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *how, str(copy)], check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


class TestWheel:
    def test_it_holds_every_file_of_the_packages(self, wheel: set[str]) -> None:
        here = {str(path.relative_to(ROOT)) for name in PACKAGES for path in (ROOT / name).rglob("*") if _ships(path)}
        assert here - wheel == set()

    def test_it_holds_nothing_else_but_the_defaults_and_its_own_description(self, wheel: set[str]) -> None:
        rest = {name for name in wheel if not name.startswith(tuple(f"{package}/" for package in PACKAGES))}
        rest = {name.partition("/")[2] for name in rest if ".dist-info/" not in name}
        assert rest == {"data/share/bayeux-server/conf/default.toml"}
