"""The example of the README is an extension of somebody else: installed beside ours, and switched on by a section."""

import sys
from pathlib import Path

import pytest

from bayeux_server.settings import SettingsError
from tests.support.bench import open_bench

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "tests" / "support" / "example_extension.py").read_text(encoding="utf-8")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the example as pip does: a module, and metadata with an entry point."""
    (tmp_path / "no_shouting.py").write_text(EXAMPLE, encoding="utf-8")
    metadata = tmp_path / "no_shouting-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: no-shouting\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(
        "[bayeux_server.extensions]\nno_shouting = no_shouting:create\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "no_shouting", raising=False)


@pytest.mark.usefixtures("installed")
class TestThirdPartyExtension:
    async def test_a_section_switches_it_on_and_configures_it(self) -> None:
        async with open_bench({"extensions": {"no_shouting": {"max_capitals": 2}}}) as bench:
            client = await bench.client()
            await client.subscribe("/a")
            assert (await client.publish("/a", "Hello there"))["successful"]
            assert (await client.publish("/a", "HELLO"))["error"] == "403:/a:no_shouting"
            assert await client.events() == [{"channel": "/a", "data": "Hello there", "ext": {"calm": True}}]

    async def test_without_a_section_it_does_nothing(self) -> None:
        async with open_bench() as bench:
            client = await bench.client()
            assert (await client.publish("/a", "HELLO THERE EVERYBODY"))["successful"]

    async def test_it_can_be_switched_off_where_it_stands(self) -> None:
        section = {"enabled": False, "max_capitals": 2}
        async with open_bench({"extensions": {"no_shouting": section}}) as bench:
            assert (await (await bench.client()).publish("/a", "HELLO"))["successful"]

    async def test_a_mistake_in_its_section_is_told_like_one_in_ours(self) -> None:
        with pytest.raises(SettingsError, match=r"unknown key extensions\.no_shouting\.max_capital;"):
            async with open_bench({"extensions": {"no_shouting": {"max_capital": 2}}}):
                pass


class TestWithoutIt:
    async def test_a_section_of_an_extension_nobody_installed_is_refused_by_name(self) -> None:
        with pytest.raises(SettingsError, match=r"extensions\.no_shouting: no such extension is installed"):
            async with open_bench({"extensions": {"no_shouting": {}}}):
                pass


class TestReadme:
    def test_the_readme_shows_this_very_example(self) -> None:
        readme = ROOT / "README.md"
        shown = readme.read_text(encoding="utf-8") if readme.exists() else f"```python\n{EXAMPLE}```"
        assert f"```python\n{EXAMPLE}```" in shown
