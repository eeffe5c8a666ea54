import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.clock import ManualClock
from atomic_guide.engines.assets.sign import Signer, SigningSettings
from atomic_guide.errors import Forbidden

CLAIMS = ["tenant", "course", 7, "v1"]


def test_an_address_opens_until_it_expires() -> None:
    clock = ManualClock()
    signer = Signer(b"k" * 32, clock, SigningSettings(life_seconds=400))
    segment = signer.sign(CLAIMS)
    clock.advance(399)
    assert signer.check(segment) == CLAIMS
    clock.advance(101)
    with pytest.raises(Forbidden) as refused:
        signer.check(segment)
    assert refused.value.details == {"expired": True}


def test_an_address_stays_the_same_for_a_while() -> None:
    clock = ManualClock(1_000_001)
    signer = Signer(b"k" * 32, clock, SigningSettings(life_seconds=400))
    first = signer.sign(CLAIMS)
    clock.advance(50)
    assert signer.sign(CLAIMS) == first


def test_another_installations_address_is_refused() -> None:
    clock = ManualClock()
    segment = Signer(b"a" * 32, clock).sign(CLAIMS)
    with pytest.raises(Forbidden):
        Signer(b"b" * 32, clock).check(segment)


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_changed_address_is_refused(at: int, letter: str) -> None:
    signer = Signer(b"k" * 32, ManualClock())
    segment = signer.sign(CLAIMS)
    at %= len(segment)
    changed = segment[:at] + letter + segment[at + 1 :]
    # The last letter of base64 holds unused bits: only a change of the decoded bytes is one.
    if changed == segment or (at == len(segment) - 1 and changed != segment):
        return
    with pytest.raises(Forbidden):
        signer.check(changed)


@given(st.text(max_size=200))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(Forbidden):
        Signer(b"k" * 32, ManualClock()).check(text)
