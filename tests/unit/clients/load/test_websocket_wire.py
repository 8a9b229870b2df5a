import pytest

from clients.load.echo import server_frame, take_client_frames
from clients.load.target import resolve
from clients.load.websocket_wire import FINAL, PING, TEXT, client_frame, split_frames, upgrade_request, whole_texts

SIZES = [0, 1, 125, 126, 65_535, 65_536]


class TestFrames:
    @pytest.mark.parametrize("size", SIZES)
    def test_a_frame_of_any_size_comes_back_whole(self, size: int) -> None:
        payload = b"x" * size

        assert split_frames(server_frame(payload)) == ([(FINAL | TEXT, payload)], len(server_frame(payload)))
        assert take_client_frames(client_frame(payload)) == ([payload], b"")

    @pytest.mark.parametrize("size", SIZES)
    def test_a_frame_cut_anywhere_waits_for_its_rest(self, size: int) -> None:
        frame = server_frame(b"x" * size)
        for cut in {0, 1, 2, 3, len(frame) - 1} & set(range(len(frame))):
            assert split_frames(frame[:cut]) == ([], 0)
            assert whole_texts(frame[:cut]) <= 0

    def test_frames_that_come_together_are_told_apart(self) -> None:
        data = server_frame(b"one") + server_frame(b"two") + server_frame(b"three")[:3]

        frames, end = split_frames(data)

        assert [payload for _, payload in frames] == [b"one", b"two"]
        assert end == whole_texts(data) == len(data) - 3

    def test_the_quick_look_leaves_everything_but_text_to_others(self) -> None:
        assert whole_texts(server_frame(b"one") + bytes((FINAL | PING, 0))) == -1
        assert whole_texts(server_frame(b"x" * 70_000)) == -1

    @pytest.mark.parametrize("frame", [b"\x81\x80\0\0\0\0", b"\xc1\x00"])
    def test_a_masked_or_compressed_frame_of_a_server_is_refused(self, frame: bytes) -> None:
        with pytest.raises(ValueError, match=r"mask|reserved"):
            split_frames(frame)

    def test_the_upgrade_names_host_path_and_extra_headers(self) -> None:
        request = upgrade_request(resolve("ws://127.0.0.1:8000/bayeux", ("Authorization: Bearer x",))).decode()

        assert request.startswith("GET /bayeux HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n")
        assert "\r\nAuthorization: Bearer x\r\n" in request
        assert request.endswith("\r\n\r\n")
