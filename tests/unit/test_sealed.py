"""What a one-time code stands for can be read by who has the code, and by nobody else."""

import pytest

from atomic_guide.web.sealed import seal, unsealed


def test_only_the_code_opens_what_it_seals() -> None:
    sealed = seal("a-code", b'{"name": "Ada"}')
    assert "Ada" not in sealed
    assert unsealed("a-code", sealed) == b'{"name": "Ada"}'
    for code, text in (("another", sealed), ("a-code", sealed[:-8] + "AAAAAAA="), ("a-code", "???"), ("a-code", "")):
        with pytest.raises(ValueError, match="sealed with another code"):
            unsealed(code, text)
