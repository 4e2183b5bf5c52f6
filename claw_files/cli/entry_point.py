"""The program's entry point: each failure becomes one sentence or JSON object on stderr and an exit status."""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from claw_files.cli.base import CommandEnded, Interrupted, warn
from claw_files.cli.root import root
from claw_files.core.errors import ClawError, UsageError
from claw_files.system import wait_notice

INTERRUPTED, BROKEN_PIPE = 130, 141  # as shells report SIGINT and SIGPIPE


def main() -> NoReturn:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that is not UTF-8 gets escapes, never a traceback
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit status of the command in `arguments`; prints its output."""
    wait_notice.say = None if _wants_json(arguments) else warn  # with --json an error is all that stands there
    try:
        if "CLAWFILES_SOCKET" in os.environ:
            from claw_files.cli import sandbox_client

            if not sandbox_client.is_local(arguments):
                return sandbox_client.call(os.environ["CLAWFILES_SOCKET"], arguments)
        status = root.main(args=list(arguments), prog_name="clawfiles", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except click.exceptions.NoArgsIsHelpError as lacking:
        click.echo(lacking.ctx.get_help() if lacking.ctx else "", err=True)
        return 2
    except click.ClickException as wrong:
        return _wrong_use(wrong, arguments)
    except (Interrupted, click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (CommandEnded, BrokenPipeError):
        return _broken_pipe()
    except ClawError as error:
        return _refuse(error, arguments)
    except Exception as error:  # noqa: BLE001 - the last door: whatever comes here is a bug of ours
        return _bug(error, arguments)


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether --json was given, in the raw arguments, because parsing them may have failed."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in before


def _wrong_use(wrong: click.ClickException, arguments: Sequence[str]) -> int:
    message = wrong.format_message()
    context = getattr(wrong, "ctx", None)
    hint = f"see `{context.command_path} --help`" if context and "--help" not in message else ""
    _tell(UsageError(f"{message} ({hint})" if hint else message), arguments)
    return 2


def _refuse(error: ClawError, arguments: Sequence[str]) -> int:
    _tell(error, arguments)
    return error.exit_status


def _tell(error: ClawError, arguments: Sequence[str]) -> None:
    from claw_files.presentation import views

    click.echo(views.error_json(error) if _wants_json(arguments) else views.error_text(error), err=True)


def _broken_pipe() -> int:
    """Discard further output after its reader has closed the pipe, also at the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _bug(error: Exception, arguments: Sequence[str]) -> int:
    if os.environ.get("CLAWFILES_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    kind = type(error).__name__
    _tell(ClawError(f"internal error: {kind}: {error}; CLAWFILES_DEBUG=1 shows where, please report it"), arguments)
    return ClawError.exit_status
