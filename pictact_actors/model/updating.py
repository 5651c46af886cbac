"""Updating a record with a function of the caller's, which runs where the record is decided.

Whatever the function does ends in one of three ways: a checked record, an error that says what it should have
returned, or what it raised itself, to be handed to its caller as it is (`FunctionFailed`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from inspect import iscoroutinefunction
from types import TracebackType
from typing import Any, ClassVar, Self

from pictact_actors.errors import InvalidValue, Rejected
from pictact_actors.model import keys
from pictact_actors.model.codec import checked_public
from pictact_actors.model.commands import Command
from pictact_actors.model.frozen import frozen
from pictact_actors.model.records import RECORDS, Record
from pictact_actors.model.validate import check_id

RecordFunction = Callable[[Any], Record]
"""From the record under a key (of the class that the key says), or None, to the record to be written."""


class FunctionFailed(Rejected):
    """Carries what a function raised to its caller, who gets `error` with the function's own `trace`."""

    def __init__(self, error: Exception, trace: TracebackType | None) -> None:
        super().__init__(f"the function raised {type(error).__name__}")
        self.error = error
        self.trace = trace


class FunctionExited(Exception):
    """A function tried to end its thread (`SystemExit`, `KeyboardInterrupt`), which is not its own."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the function raised {type(error).__name__}")


@frozen
class Update(Command):
    """Write what a function makes of the record under a key; internal, `Store.update` is its face."""

    NAME: ClassVar[str] = "update"
    key: str
    fn: RecordFunction = field(compare=False)
    request_id: str | None = None

    @property
    def group(self) -> str:
        """The group of the key."""
        return keys.parse(self.key).group

    def checked(self) -> Self:
        """Check the key, and that there is something to call."""
        keys.require_public(self.key)
        if not callable(self.fn):
            raise InvalidValue("fn", self.fn, "must be a function from the record (or None) to the new record")
        if iscoroutinefunction(self.fn):
            raise InvalidValue("fn", self.fn, "must be a plain function: nobody awaits it where it runs")
        if self.request_id is not None:
            check_id(self.request_id)
        return self

    def made_of(self, before: Record | None) -> Record:
        """Call the function and check what it returns.

        Raises `FunctionFailed`, `FunctionExited`, or `InvalidValue` for anything that cannot be written under the key.
        """
        try:
            made = self.fn(before)
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the caller
            trace = error.__traceback__
            raise FunctionFailed(error, trace and trace.tb_next) from None
        except BaseException as error:  # noqa: BLE001 - it is told in a moment
            exited = FunctionExited(error)
        else:
            return self._fitting(made)
        raise exited  # here, or it would carry the frames of the actor along

    def _fitting(self, made: object) -> Record:
        try:
            return checked_public(self.key, made)
        except InvalidValue:
            if isinstance(made, Record):
                raise  # it says which field
            reason = "is not a record"
        except Rejected as wrong:
            reason = f"does not fit ({wrong})"
        except Exception as wrong:  # noqa: BLE001 - a record of hostile values
            reason = f"cannot be read ({type(wrong).__name__})"
        kind = RECORDS[keys.parse(self.key).kind].__name__
        raise InvalidValue("fn", made, f"{reason}: it must return the {kind} to be written under {self.key}")
