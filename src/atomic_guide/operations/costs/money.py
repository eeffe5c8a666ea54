"""Money: exact decimals, never floats. Pure.

An amount is kept to a millionth; people see cents. What people see adds up, because a saving is the difference of the
two amounts as they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal

MICRO, CENT = Decimal("0.000001"), Decimal("0.01")
ZERO = Decimal(0)

CONTEXT = Context(prec=40, rounding=ROUND_HALF_EVEN)
"""Forty digits: a thousand million GB at nine digits of a price, with a millionth of it exact."""


def exact(value: float | Decimal) -> Decimal:
    """A measured figure as a decimal: the shortest one that is read back as the same float."""
    return value if isinstance(value, Decimal) else Decimal(repr(float(value)))


def times(price: Decimal, quantity: Decimal) -> Decimal:
    """A price times a quantity, unrounded."""
    return CONTEXT.multiply(price, quantity)


def over(value: Decimal, by: Decimal) -> Decimal:
    """A quotient to forty digits."""
    return CONTEXT.divide(value, by)


def micro(value: Decimal) -> Decimal:
    """To a millionth, half to even."""
    return value.quantize(MICRO, context=CONTEXT)


def cents(value: Decimal) -> Decimal:
    """To a cent, half to even: as it is shown."""
    return value.quantize(CENT, context=CONTEXT)


def shared(whole: Decimal, weights: Mapping[str, Decimal], step: Decimal = MICRO) -> dict[str, Decimal]:
    """A whole divided by weights in multiples of `step`; the parts add up to it exactly.

    What rounding leaves goes to the largest remainders, then by name (the method of Hare and Niemeyer). Empty where
    nothing weighs anything.
    """
    total = sum(weights.values(), ZERO)
    if total <= 0:
        return {}
    units = int((whole / step).to_integral_value())
    ideal = {name: CONTEXT.divide(CONTEXT.multiply(Decimal(units), one), total) for name, one in weights.items()}
    parts = {name: int(one) for name, one in ideal.items()}
    left = units - sum(parts.values())
    sign = 1 if left >= 0 else -1
    order = sorted(ideal, key=lambda name: (-abs(ideal[name] - parts[name]), name))
    for name in order[: abs(left)]:
        parts[name] += sign
    return {name: step * part for name, part in parts.items()}
