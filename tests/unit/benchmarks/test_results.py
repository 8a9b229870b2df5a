from pathlib import Path

import pytest

from benchmarks.results import BEGIN, END, README, write_readme


def folder(path: Path, readme: str) -> tuple[Path, Path, Path]:
    files = path / "README.md", path / "drawn.svg", path / "shown.svg"
    files[0].write_text(readme)
    files[1].write_text("<svg/>")
    return files


class TestReadme:
    def test_figures_take_the_place_of_the_old_ones_and_nothing_else(self, tmp_path: Path) -> None:
        readme, drawing, plot = folder(tmp_path, f"before\n{BEGIN}\nold\n{END}\nafter\n")

        write_readme("| new |", drawing, 60, readme, plot)

        text = readme.read_text()
        assert text.startswith(f"before\n{BEGIN}\n")
        assert text.endswith(f"{END}\nafter\n")
        assert "| new |" in text
        assert "old" not in text
        assert "(shown.svg)" in text
        assert plot.read_text() == "<svg/>"

    def test_a_readme_without_a_place_is_left_as_it_is(self, tmp_path: Path) -> None:
        readme, drawing, plot = folder(tmp_path, "nothing here\n")

        with pytest.raises(ValueError, match="no place for figures"):
            write_readme("| new |", drawing, 60, readme, plot)
        assert readme.read_text() == "nothing here\n"

    def test_our_own_readme_has_the_place(self) -> None:
        text = README.read_text(encoding="utf-8")

        assert text.index(BEGIN) < text.index(END)
