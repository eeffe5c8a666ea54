import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.errors import Invalid, UnsupportedMedia
from atomic_guide.web.multipart import FormStream

KIND = "multipart/form-data; boundary=limit"


def form(*parts: tuple[str, bytes]) -> bytes:
    body = b"".join(
        f"--limit\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    )
    return body + b"--limit--\r\n"


def read(body: bytes, cuts: list[int] | None = None) -> tuple[FormStream, bytes]:
    places = [0, *sorted({cut % (len(body) + 1) for cut in cuts or []}), len(body)]

    async def chunks() -> AsyncIterator[bytes]:
        for start, end in itertools.pairwise(places):
            yield body[start:end]

    async def all_of_it() -> tuple[FormStream, bytes]:
        stream = FormStream(KIND)
        return stream, b"".join([part async for part in stream.file(chunks())])

    return asyncio.run(all_of_it())


@given(
    st.one_of(st.binary(max_size=300), st.sampled_from([b"\r\n--limi", b"\r\n--limit", b"--limit--\r", b"\r\n" * 50])),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    st.lists(st.integers(0, 10_000), max_size=12),
)
def test_a_form_is_read_the_same_however_it_is_cut(content: bytes, title: str, cuts: list[int]) -> None:
    if b"\r\n--limit" in b"\r\n" + content + b"\r\n" or b"\r\n--limit" in title.encode():
        return
    body = form(('name="title"', title.encode()), ('name="file"; filename="a.mp4"', content))
    stream, received = read(body, cuts)
    assert received == content
    assert stream.fields == {"title": title}
    assert stream.filename == "a.mp4"


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_any_bytes_are_read_or_refused(body: bytes, cuts: list[int]) -> None:
    with pytest.raises(Invalid):
        read(body, cuts)


@given(st.integers(1, 200))
def test_a_form_that_ends_early_is_refused(missing: int) -> None:
    body = form(('name="file"; filename="a.mp4"', b"x" * 100))
    with pytest.raises(Invalid):
        read(body[: -min(missing + 2, len(body))])


def test_two_files_are_refused() -> None:
    one = ('name="file"; filename="a.mp4"', b"x")
    with pytest.raises(Invalid, match="one file"):
        read(form(one, one))


@pytest.mark.parametrize("kind", ["", "text/plain", "multipart/form-data", "multipart/mixed; boundary=x"])
def test_another_kind_of_body_is_refused(kind: str) -> None:
    with pytest.raises(UnsupportedMedia):
        FormStream(kind)
