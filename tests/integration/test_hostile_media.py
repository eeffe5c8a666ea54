"""Hostile and broken files end with a reason, reach nothing, and leave nothing; the whole corpus is in bench queues."""

import socket
from pathlib import Path

from tests.hostile import CORPUS, REPRESENTATIVE, left_over, listing, outcomes, prepared


async def test_hostile_files_end_with_a_reason_and_reach_nothing(tmp_path: Path) -> None:
    data, outside = tmp_path / "data", tmp_path / "outside"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        making = prepared(outside, listener.getsockname()[1])
        content = {name: CORPUS[name](making) for name in REPRESENTATIVE}
        before = listing(outside)
        found = await outcomes(data, content)
        assert listing(outside) == before
        try:
            listener.accept()
        except TimeoutError:
            reached = False
        else:
            reached = True
    assert not reached, "nobody came to the address that a file names"
    assert set(found) == set(REPRESENTATIVE)
    for name, outcome in found.items():
        assert outcome.state == "ready" or len(outcome.reason) > 10, name
    # A reference to another place is not followed: what lies in the file itself plays.
    ready = {"cover art only", "sixteen channels", "subtitles inside", "odd sizes", "many streams"}
    ready |= {"media in another file", "media at an address"}
    assert {name for name, outcome in found.items() if outcome.state == "ready"} == ready, found
    assert left_over(data) == []
    assert not list((data / "work").rglob("*"))


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(CORPUS) >= 40
    assert set(REPRESENTATIVE) <= set(CORPUS)
