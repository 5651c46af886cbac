"""What all commands share: the program, `--data` and `--json`, exit codes, errors on one line.

The only importer of click.

    exit code = 0 done | 1 found a problem | 2 bad use | 128 + n stopped by signal n
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from click import BadParameter, Choice, Context, FloatRange, IntRange, ParamType, Path, UsageError, argument, option

from pictact_actors.cli import interrupts
from pictact_actors.cli.text import shown
from pictact_actors.errors import InvalidKey, InvalidValue, NotAStore, StoreError

__all__ = [
    "FOUND",
    "MISUSE",
    "OK",
    "BadParameter",
    "Choice",
    "Context",
    "FloatRange",
    "IntRange",
    "ParamType",
    "Parameter",
    "Path",
    "Program",
    "UsageError",
    "argument",
    "command",
    "complain",
    "option",
]

OK, FOUND, MISUSE = 0, 1, 2
_STOPPED = 130
_PIPE_CLOSED = 141
_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

_complaining = threading.Lock()

Parameter = click.Parameter
Body = TypeVar("Body", bound=Callable[..., int])


def complain(message: str) -> None:
    """Print one line to stderr, from any thread; above the progress bar if there is one."""
    with _complaining:  # not click.echo: it goes around rich, which has sys.stderr while a bar is shown
        sys.stderr.write(f"pictact: {shown(' '.join(message.split()))}\n")


class Program(click.Group):
    """The group of all commands: turns every expected error into one line and an exit code."""

    def __init__(self, commands: Sequence[click.Command], *, text: str, version: str) -> None:
        super().__init__("pictact", commands, help=text, context_settings=_SETTINGS, no_args_is_help=False)
        click.version_option(version, prog_name="pictact", message="%(prog)s %(version)s")(self)

    def list_commands(self, _ctx: Context) -> list[str]:
        """Return the commands in the order in which a newcomer meets them."""
        return list(self.commands)

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Show the help when there is nothing to do."""
        if not args:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(MISUSE)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Context) -> int:
        """Run a command and return its exit code."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except (StoreError, OSError, KeyboardInterrupt) as error:
            return _ended(error)
        return int(code or OK)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002, ARG002 - click's signature
        **extra: Any,
    ) -> Any:
        """Run the program and exit."""
        _tolerate_any_text()
        with interrupts.handled():
            try:
                code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            except UsageError as error:
                where = error.ctx.command_path if error.ctx else self.name
                complain(f"{error.format_message().rstrip('.')}; see: {where} --help")
                code = MISUSE
            except click.ClickException as error:
                complain(error.format_message())
                code = error.exit_code
            except click.Abort:
                code = _STOPPED
        sys.exit(code or OK)


def command(name: str, *, examples: Sequence[str]) -> Callable[[Body], click.Command]:
    """Make a function a command; it gets `data` (a directory) and `as_json`, and returns an exit code."""

    def decorate(body: Body) -> click.Command:
        with_json = option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")(body)
        with_data = option(
            "--data", metavar="DIR", default="game-data", show_default=True, callback=_named, help="The data directory."
        )(with_json)
        epilog = "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)
        short_help = (body.__doc__ or "").partition("\n")[0].rstrip(".")
        return click.command(name, epilog=epilog, short_help=short_help, context_settings=_SETTINGS)(with_data)

    return decorate


def _named(_ctx: Context, _parameter: Parameter, value: str) -> str:
    if not value or "\0" in value:
        raise BadParameter("give the name of a directory")
    return value


def _ended(error: BaseException) -> int:
    if isinstance(error, interrupts.Stopped):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return _STOPPED
    _give_up_stdout_if_broken()
    if isinstance(error, BrokenPipeError):
        return _PIPE_CLOSED  # whoever read our output (head, less) has enough: nothing to say
    complain(_line_of(error))
    return MISUSE if isinstance(error, InvalidKey | InvalidValue | NotAStore) else FOUND


def _give_up_stdout_if_broken() -> None:
    """Let what cannot be written go nowhere; otherwise the interpreter complains about it at exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _line_of(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return f"{where}{error.strerror}; mend that and run the command again"
    return str(error) or type(error).__name__


def _tolerate_any_text() -> None:
    """Whatever the terminal's encoding cannot show is escaped instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
