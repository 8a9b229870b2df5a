"""The chain on the disk: what was written follows, what was tampered with shows."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bayeux_server.errors import LocalError
from extensions.audit.chain import GENESIS
from extensions.audit.command import audit
from extensions.audit.segments import Segments, segment_paths, verify

KEY = b"k" * 32


@pytest.fixture(params=[None, KEY], ids=["plain", "keyed"])
def key(request: pytest.FixtureRequest) -> bytes | None:
    """With and without a key."""
    value: bytes | None = request.param
    return value


@pytest.fixture
def folder(tmp_path: Path, key: bytes | None) -> Path:
    """A log of nine records in three files."""
    folder = tmp_path / "log"
    segments = Segments(folder, key, max_segment_bytes=1)
    segments.open()
    for first in (1, 4, 7):
        if segments.is_full:
            segments.turn()
        for number in range(first, first + 3):
            segments.write({"n": number})
        segments.sync()
    segments.close()
    return folder


def _reopened(folder: Path, key: bytes | None) -> Iterator[Segments]:
    segments = Segments(folder, key, max_segment_bytes=1)
    segments.open()
    yield segments
    segments.close()


class TestChain:
    def test_an_untouched_log_verifies_over_all_its_files(self, folder: Path, key: bytes | None) -> None:
        assert len(segment_paths(folder)) == 3
        found = verify(folder, key)
        assert (found.records, found.broken) == (9, None)

    def test_it_goes_on_after_a_restart(self, folder: Path, key: bytes | None) -> None:
        for segments in _reopened(folder, key):
            segments.write({"n": 10})
        assert verify(folder, key).records == 10

    def test_an_empty_log_has_no_records(self, tmp_path: Path, key: bytes | None) -> None:
        for _ in _reopened(tmp_path / "new", key):
            pass
        found = verify(tmp_path / "new", key)
        assert (found.records, found.head, found.broken) == (0, GENESIS, None)

    @pytest.mark.parametrize("line", range(3))
    def test_a_changed_record_shows(self, folder: Path, key: bytes | None, line: int) -> None:
        path = segment_paths(folder)[1]
        lines = path.read_bytes().splitlines(keepends=True)
        lines[line] = lines[line].replace(b'{"n":', b'{"m":')
        path.write_bytes(b"".join(lines))
        found = verify(folder, key)
        assert found.records == 3 + line
        assert found.broken == f"{path.name}, line {line + 1}: was changed, or made with another key"

    def test_a_removed_a_moved_and_a_foreign_record_show(self, folder: Path, key: bytes | None) -> None:
        path = segment_paths(folder)[1]
        first, second, third = path.read_bytes().splitlines(keepends=True)
        for content in (first + third, second + first + third, first + first + second + third, first + b"{}\n" + third):
            path.write_bytes(content)
            assert verify(folder, key).broken is not None

    def test_a_removed_file_shows(self, folder: Path, key: bytes | None) -> None:
        segment_paths(folder)[1].unlink()
        assert "stands where 4 should" in str(verify(folder, key).broken)

    def test_a_cut_end_shows_to_whoever_noted_the_head(self, folder: Path, key: bytes | None) -> None:
        head = verify(folder, key).head
        segment_paths(folder)[-1].unlink()
        assert verify(folder, key).broken is None
        assert not verify(folder, key, head).has_expected

    def test_a_chain_made_without_the_key_does_not_verify_with_it(self, tmp_path: Path) -> None:
        for segments in _reopened(tmp_path, None):
            segments.write({"n": 1})
        assert verify(tmp_path, KEY).broken is not None


class TestCrashes:
    def test_a_torn_line_is_set_aside_and_the_chain_goes_on(self, folder: Path, key: bytes | None) -> None:
        path = segment_paths(folder)[-1]
        with path.open("ab") as file:
            file.write(b'{"seq":10,"prev"')
        assert verify(folder, key).records == 9
        for segments in _reopened(folder, key):
            segments.write({"n": 10})
        assert verify(folder, key).records == 10
        assert [torn.read_bytes() for torn in folder.glob("torn-*")] == [b'{"seq":10,"prev"']

    def test_a_torn_first_line_of_a_file_goes_on_from_the_file_before(self, folder: Path, key: bytes | None) -> None:
        (folder / "audit-000000000010.jsonl").write_bytes(b'{"se')
        for segments in _reopened(folder, key):
            segments.write({"n": 10})
        assert verify(folder, key).records == 10

    def test_a_log_whose_end_was_changed_is_not_continued(self, folder: Path, key: bytes | None) -> None:
        path = segment_paths(folder)[-1]
        path.write_bytes(path.read_bytes().replace(b'{"n":9}', b'{"n":8}'))
        with pytest.raises(LocalError, match="not continued"):
            next(_reopened(folder, key))

    def test_one_process_writes_at_a_time(self, folder: Path, key: bytes | None) -> None:
        for _ in _reopened(folder, key):
            with pytest.raises(LocalError, match="another process"):
                next(_reopened(folder, key))

    def test_a_failed_write_leaves_the_chain_as_it_was(
        self, folder: Path, key: bytes | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = os.write

        def full(handle: int, data: bytes) -> int:
            if len(data) > 10:
                return write(handle, data[:10])  # a part of the line is written, then the disk is full
            raise OSError(28, "No space left on device")

        for segments in _reopened(folder, key):
            with monkeypatch.context() as patch:
                patch.setattr(os, "write", lambda handle, data: full(handle, data[:11]))
                with pytest.raises(OSError, match="No space"):
                    segments.write({"n": 10})
            segments.write({"n": 10})
        assert verify(folder, key).records == 10

    def test_what_the_system_forgot_in_a_failed_sync_is_written_again(
        self, folder: Path, key: bytes | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a sync that failed, Linux takes the pages for clean, and a second sync for a success."""

        def forget(handle: int) -> None:
            os.pwrite(handle, bytes(os.fstat(handle).st_size - size_bytes), size_bytes)
            raise OSError(5, "Input/output error")

        for segments in _reopened(folder, key):
            size_bytes = segment_paths(folder)[-1].stat().st_size
            segments.write({"n": 10})
            segments.write({"n": 11})
            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", forget)
                with pytest.raises(OSError, match="Input/output"):
                    segments.sync()
            assert verify(folder, key).records == 9
            segments.sync()
            segments.write({"n": 12})
        assert verify(folder, key).records == 12


class TestCommand:
    def test_it_tells_records_and_head(self, folder: Path, key: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AUDIT_KEY", KEY.decode())
        options = ["--key-env", "AUDIT_KEY"] if key else []
        result = CliRunner().invoke(audit, ["verify", str(folder), *options])
        assert result.exit_code == 0
        assert result.output.splitlines() == ["records 9", f"head    {verify(folder, key).head}", "ok"]

    def test_it_fails_on_a_broken_chain_and_a_missing_head(self, folder: Path, key: bytes | None) -> None:
        if key is not None:
            assert CliRunner().invoke(audit, ["verify", str(folder)]).exit_code == 1
            return
        assert CliRunner().invoke(audit, ["verify", str(folder), "--expect-head", "0"]).exit_code == 1

    def test_it_refuses_what_it_cannot_verify(self, tmp_path: Path, folder: Path) -> None:
        assert CliRunner().invoke(audit, ["verify", str(tmp_path)]).exit_code == 2
        assert CliRunner().invoke(audit, ["verify", str(folder), "--key-env", "NOT_SET"]).exit_code == 2
