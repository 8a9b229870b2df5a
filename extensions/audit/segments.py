"""The files of an audit log: appended to, synced, never written over."""

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from bayeux_server.errors import LocalError
from extensions.audit.chain import BrokenChainError, Head, follow, head_of, link

_PATTERN: Final = "audit-*.jsonl"


class Segments:
    """A folder of files ``audit-<first seq>.jsonl``, one chain over all. One writer at a time.

    A record is written in two steps: :meth:`write` gives it to the operating system, which keeps it whatever becomes of
    this process; :meth:`sync` waits for the disk, which keeps it when the machine dies. Writing takes microseconds and
    may be done on an event loop while another thread syncs; everything else blocks, and wants a thread.

    Args:
        folder: Made if it is not there.
        key: For the hashes; None for plain ones.
        max_segment_bytes: Size at which the next file is begun.
    """

    def __init__(self, folder: Path, key: bytes | None, *, max_segment_bytes: int) -> None:
        self._folder = folder
        self._key = key
        self._max_segment_bytes = max_segment_bytes
        self._file: int | None = None
        self._lock: int | None = None
        self._size_bytes = 0
        #: Lines behind the synced part of the file: after a sync that failed the system may have forgotten them.
        self._unsynced: list[bytes] = []
        self._synced_bytes = 0
        self._sync_failed = False
        self.head = Head()

    def open(self) -> None:
        """Find the chain's end and make ready to write.

        A line that was being written when the machine stopped was never acknowledged: it is moved to a file of its own
        (``torn-*``), not lost.

        Raises:
            LocalError: If another process writes here, or the last record was changed.
            OSError: If the folder cannot be used.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _locked(self._folder / "lock")
        paths = segment_paths(self._folder)
        if paths:
            self._resume(paths)
        else:
            self._begin_segment()

    @property
    def is_full(self) -> bool:
        """Whether the file is to be :meth:`turned <turn>` before anything more is written."""
        return self._size_bytes >= self._max_segment_bytes

    def write(self, event: Mapping[str, Any]) -> None:
        """Add an event to the chain. On return it outlives this process.

        Raises:
            OSError: If it could not be written; the chain is as it was before.
        """
        file = self._require_file()
        line, head = link(self.head, event, self._key)
        try:
            _write_all(file, line)
        except OSError:
            # Part of the line may stand there; nobody was told that it does.
            os.ftruncate(file, self._size_bytes)
            os.lseek(file, self._size_bytes, os.SEEK_SET)
            raise
        self.head = head
        self._size_bytes += len(line)
        self._unsynced.append(line)

    def sync(self) -> None:
        """Return once everything written before is on the disk.

        Raises:
            OSError: If it is not. Nothing may be written until a further call has succeeded.
        """
        file = self._require_file()
        lines = len(self._unsynced)
        try:
            if self._sync_failed:
                _rewrite(file, self._unsynced, self._synced_bytes)
            os.fsync(file)
            if not self._synced_bytes:
                _sync_folder(self._folder)  # the file is new, and so is its name
        except OSError:
            self._sync_failed = True
            raise
        self._sync_failed = False
        self._synced_bytes += sum(map(len, self._unsynced[:lines]))
        del self._unsynced[:lines]

    def turn(self) -> None:
        """Begin the next file. Everything must be synced, and nothing written meanwhile.

        Raises:
            OSError: If it cannot be; the file before is still open.
        """
        self._begin_segment()

    def close(self) -> None:
        """Let others write."""
        for handle in (self._file, self._lock):
            if handle is not None:
                os.close(handle)
        self._file = self._lock = None

    def _resume(self, paths: Sequence[Path]) -> None:
        path = paths[-1]
        content = path.read_bytes()
        whole, _, torn = content.rpartition(b"\n")
        keep_bytes = len(content) - len(torn)
        self._open_file(path, keep_bytes)
        if torn:
            (self._folder / f"torn-{path.stem}-{keep_bytes}").write_bytes(torn)
            os.ftruncate(self._require_file(), keep_bytes)
        os.fsync(self._require_file())  # a process that was killed has written it, and not waited
        last = whole.rpartition(b"\n")[2]
        if last:
            self.head = _trusted_head(last, path, self._key)
        elif len(paths) > 1:
            self.head = _trusted_head(paths[-2].read_bytes().rstrip(b"\n").rpartition(b"\n")[2], paths[-2], self._key)

    def _begin_segment(self) -> None:
        before = self._file
        self._open_file(self._folder / f"audit-{self.head.seq + 1:012d}.jsonl", 0)
        if before is not None:
            os.close(before)

    def _open_file(self, path: Path, size_bytes: int) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._size_bytes = self._synced_bytes = os.lseek(self._file, size_bytes, os.SEEK_SET)

    def _require_file(self) -> int:
        if self._file is None:
            raise OSError("no segment is open")
        return self._file


class Verification(msgspec.Struct, frozen=True):
    """What a verification found.

    Attributes:
        records: How many records follow from each other, from the first on.
        head: Hash of the last of them.
        broken: File, line number and what is wrong with it, at the first that does not follow; None if all do.
        has_expected: Whether the record that was asked for is among them.
    """

    records: int
    head: str
    broken: str | None = None
    has_expected: bool = True


def verify(folder: Path, key: bytes | None, expected: str | None = None) -> Verification:
    """Follow the chain through every file of a folder, from its first record.

    A last line without its end is being written, or was when the machine stopped: it is no record yet.

    Args:
        folder: The log's.
        key: It was made with.
        expected: Hash of a record that must be there, None for no such record.
    """
    head, has_expected = Head(), expected is None
    for path, number, line in _lines(folder):
        try:
            head = follow(head, line, key)
        except BrokenChainError as error:
            return Verification(head.seq, head.hash, f"{path.name}, line {number}: {error}", has_expected)
        has_expected = has_expected or head.hash == expected
    return Verification(head.seq, head.hash, None, has_expected)


def segment_paths(folder: Path) -> list[Path]:
    """Return a log's files in the order of the chain."""
    return sorted(folder.glob(_PATTERN))


def _lines(folder: Path) -> Iterator[tuple[Path, int, bytes]]:
    paths = segment_paths(folder)
    for path in paths:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n") or path != paths[-1]:
                    yield path, number, line


def _trusted_head(line: bytes, path: Path, key: bytes | None) -> Head:
    try:
        return head_of(line, key)
    except BrokenChainError as error:
        raise LocalError(f"audit: the last record of {path.name} {error}; the log is not continued") from error


def _locked(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise LocalError(f"audit: another process writes to {path.parent}: another server?") from error
    return handle


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(handle: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(handle, view) :]


def _rewrite(handle: int, lines: Sequence[bytes], offset: int) -> None:
    view = memoryview(b"".join(lines))
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written
