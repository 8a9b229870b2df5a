from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from extensions.binary import ALPHABET, is_z85
from tests.support.bench import open_bench

#: As CometD's own client writes them.
SAMPLES = {b"h": "xA", b"he": "xK}", b"hel": "xK$#", b"hell": "xK#0@", b"hello": "xK#0@zV"}
SECTION: dict[str, Any] = {"extensions": {"binary": {}}}


def z85(binary: bytes) -> str:
    """Encode as CometD does, one group after the other."""
    text = ""
    for start in range(0, len(binary), 4):
        group = binary[start : start + 4]
        number = int.from_bytes(group.ljust(4, b"\0"), "big")
        digits = [number // 85**power % 85 for power in (4, 3, 2, 1, 0)]
        text += "".join(chr(ALPHABET[digit]) for digit in digits[: len(group) + 1])
    return text


class TestZ85:
    def test_samples_of_cometd(self) -> None:
        assert {binary: z85(binary) for binary in SAMPLES} == SAMPLES
        assert all(map(is_z85, SAMPLES.values()))

    @given(st.binary(max_size=200))
    @example(b"\xff" * 4)
    @example(b"\xff" * 7)
    @example(b"\xff" * 6)
    @example(b"\xff" * 5)
    @example(b"")
    def test_whatever_was_encoded_is_accepted(self, binary: bytes) -> None:
        assert is_z85(z85(binary))

    @given(st.integers(0, 85**5 - 1))
    @example(2**32 - 1)
    @example(2**32)
    @example(85**5 - 1)
    def test_a_group_is_accepted_exactly_if_it_fits_into_four_bytes(self, number: int) -> None:
        text = "".join(chr(ALPHABET[number // 85**power % 85]) for power in (4, 3, 2, 1, 0))
        assert is_z85("00000" + text) is (number < 2**32)

    @pytest.mark.parametrize("text", ["x", "xK#0@x", "xK 0@", "xK#0'", "é", "xA\n", "~~~~~"])
    def test_other_text_is_not(self, text: str) -> None:
        assert not is_z85(text)


class TestBinary:
    async def test_a_binary_publication_keeps_its_mark_and_its_data_byte_for_byte(self) -> None:
        async with open_bench(SECTION) as bench:
            client = await bench.client()
            await client.subscribe("/a")
            data = {"data": "xK#0@zV", "last": True, "meta": {"name": "x.png"}}
            assert (await client.publish("/a", data, ext={"binary": {"secret": 1}, "other": 2}))["successful"]
            assert await client.events() == [{"channel": "/a", "data": data, "ext": {"binary": {}}}]

    async def test_without_the_extension_nothing_of_the_mark_is_forwarded(self) -> None:
        async with open_bench() as bench:
            client = await bench.client()
            await client.subscribe("/a")
            await client.publish("/a", {"data": "xA", "last": True}, ext={"binary": {}})
            [event] = await client.events()
        assert "ext" not in event

    async def test_an_ordinary_publication_gets_no_mark(self) -> None:
        async with open_bench(SECTION) as bench:
            client = await bench.client()
            await client.subscribe("/a")
            await client.publish("/a", {"data": "xA", "last": True}, ext={"other": {}})
            [event] = await client.events()
        assert "ext" not in event

    @pytest.mark.parametrize(
        ("data", "mark", "error"),
        [
            ({"data": "x"}, {}, "402:data.data:must be Z85"),
            ({"data": 1}, {}, "402:data:must be an object with data_ last and meta"),
            ({"data": "xA", "last": "no"}, {}, "402:data:must be an object"),
            ({"data": "xA", "meta": []}, {}, "402:data:must be an object"),
            ([], {}, "402:data:must be an object"),
            ("xA", {}, "402:data:must be an object"),
            ({"data": "xA"}, True, "402:ext.binary:must be an object"),
        ],
    )
    async def test_what_only_says_it_is_binary_is_refused(self, data: Any, mark: Any, error: str) -> None:
        async with open_bench(SECTION) as bench:
            client = await bench.client()
            reply = await client.publish("/a", data, ext={"binary": mark})
        assert not reply["successful"]
        assert reply["error"].replace(",", "_").startswith(error)
