"""Acts of operators: who may do them, and the entry that each leaves in the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from atomic_guide import errors
from atomic_guide.operations.operators.model import Operator, check_may_act

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response

    from atomic_guide.operations.operators.audit import Act, Audit

_log = structlog.get_logger(__name__)


async def acted(
    audit: Audit, operator: Operator, telling: Callable[[], Act], respond: Callable[[], Awaitable[Response]]
) -> Response:
    """Do what an operator asks for, with an entry of it; `telling` says what it is, as far as is known by then.

    Raises `ReadOnly` for who may only look, and whatever the call does. An act that cannot be written down is not done;
    what was done stays done where its end cannot be written down.
    """
    number = await audit.begin(operator, telling())
    status = errors.GuideError.status
    try:
        check_may_act(operator)
        response = await respond()
        status = response.status_code
    except errors.GuideError as error:
        status = error.status
        raise
    finally:
        try:
            await audit.finish(number, telling(), status)
        except errors.GuideError as error:
            _log.warning("the end of an operator's act could not be written down", code=error.code)
    return response
