"""What the driver raises, as the product's errors."""

from __future__ import annotations

import asyncpg

from atomic_guide import errors

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    # An old primary that came back as a standby: the pool's other connections lead to it, too.
    asyncpg.ReadOnlySQLTransactionError,
    # A multi-host address of which no host is the primary at this moment.
    asyncpg.exceptions.TargetServerAttributeNotMatched,
    ConnectionError,
    OSError,
)
FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
AGAIN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_FENCED = "AG001"
"""The SQLSTATE that `fence_read` raises (migrations/shard/versions/0002_placement.py)."""


def wrap(error: BaseException, name: str) -> errors.GuideError:
    """The product's error for one of the driver's, which loses the part of its text that shows a row."""
    if isinstance(error, asyncpg.PostgresError):
        error.detail = None
    if getattr(error, "sqlstate", None) == _FENCED:
        return errors.Fenced(f"database {name}: {error}", retry_after=1)
    if (refusal := _refusal(error, name)) is not None:
        return refusal
    if isinstance(error, asyncpg.DiskFullError):
        return errors.OutOfSpace(f"database {name}: its disk is full; free some space, nothing was stored")
    if isinstance(error, asyncpg.QueryCanceledError | TimeoutError):
        return errors.DataUnavailable(f"database {name} did not answer in time", retry_after=1)
    if isinstance(error, LOST) or (isinstance(error, asyncpg.InterfaceError) and "closed" in str(error)):
        return errors.Disconnected(
            f"database {name} cannot be reached ({type(error).__name__}); it is tried again", retry_after=1
        )
    return errors.DataUnavailable(f"database {name}: {error}", retry_after=5)


def _refusal(error: BaseException, name: str) -> errors.GuideError | None:
    """The error for a row or a value that the database does not take, if it is one."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return errors.Conflict(f"database {name}: {type(error).__name__} of {getattr(error, 'constraint_name', None)}")
    # The driver's own refusal of an argument is a ValueError, too; so is a bad certificate, which is something else.
    if isinstance(error, asyncpg.DataError) or (
        isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    ):
        # A zero byte in a text, a number beyond its column: SQLite finds nothing for it, or stores it.
        return errors.Invalid(f"database {name}: a value is one that no column can hold ({type(error).__name__})")
    return None
