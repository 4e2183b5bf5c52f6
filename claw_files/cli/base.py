"""Shared parts of all commands: options, help layout, opening the workspace, showing results."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from claw_files.core.errors import ClawError, InvalidFile, Refused

if TYPE_CHECKING:
    from claw_files.app.wiring import App

_META = "clawfiles."
F = TypeVar("F", bound=Callable[..., object])


def _keep(context: click.Context, option: click.Parameter, value: object) -> None:
    """Store a shared option for the whole call; the last one on the line counts."""
    if value:
        context.meta[_META + (option.name or "")] = value


def _shared() -> list[click.Option]:
    how: dict[str, Any] = {"expose_value": False, "callback": _keep}
    who = "Act as this agent (default: $CLAWFILES_AGENT)."
    start = click.Option(["-C", "start"], metavar="DIR", help="The workspace.", **how)
    agent = click.Option(["--agent"], metavar="NAME", help=who, **how)
    return [start, agent, click.Option(["--json"], is_flag=True, help="Print JSON.", **how)]


def text(value: str) -> str:
    """The type of a parameter that may be written to a file: valid UTF-8, no NUL."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise click.BadParameter("it is not UTF-8") from None
    if "\0" in value:
        raise click.BadParameter("it contains a NUL character")
    return value


TEXT = text


class CommandEnded(Exception):
    """The command was interrupted: by Ctrl-C, or because its output was closed."""


class Interrupted(CommandEnded):
    """By Ctrl-C."""


class CommandShape(click.Command):
    """A command with the shared options and, at the end of its help, an example."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.example = example
        taken = {name for param in self.params for name in param.opts}
        self.params += [option for option in _shared() if not taken.intersection(option.opts)]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.example:
            with formatter.section("Example"):
                for line in self.example.splitlines():
                    formatter.write(f"{' ' * formatter.current_indent}{line}\n")


class Command(CommandShape):
    """One command."""

    def invoke(self, ctx: click.Context) -> Any:
        """The command's result. Raises Refused for a command that the daemon runs for no sandbox."""
        if is_forwarded():
            from claw_files.policy.profiles import check_forwarded

            check_forwarded(_name_of(ctx))
        try:
            found = super().invoke(ctx)
        except ClawError as error:
            if app := ctx.meta.get(_META + "app"):
                app.failed(error)
            raise
        if app := ctx.meta.get(_META + "app"):
            for remark in app.remarks:
                warn(remark)
            app.finish()
        return found


def command(name: str, *, example: str, **attributes: Any) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command; its docstring is the help, `example` closes it."""
    return click.command(name, cls=Command, example=example, **attributes)


def shared(name: str) -> Any:
    """The value of a shared option: "start", "agent" or "json"; None if it was not given."""
    context = click.get_current_context(silent=True)
    return context.meta.get(_META + name) if context else None


def open_app(agent: str | None = None) -> "App":
    """The workspace of the command; `agent` is the caller, if a command has its own option for it.

    Raises Refused if the caller may not use the command: every command passes through here.
    """
    from claw_files.app.wiring import open_workspace

    app = open_workspace(shared("start"), os.environ, agent or shared("agent"))
    if is_forwarded():
        _check_here(app)
    context = click.get_current_context(silent=True)
    name = _name_of(context) if context else ""
    if name != "doctor":  # which says what else is wrong, and starts nothing
        app.check_trust()
    if context:
        context.meta[_META + "app"] = app
        app.check_use(name)
    return app


def is_forwarded() -> bool:
    """Whether the daemon calls this command for a run in a sandbox, with the words that came from there."""
    return "CLAWFILES_FORWARDED" in os.environ


def _name_of(context: click.Context) -> str:
    """The command's name in profiles: "task list"."""
    return context.command_path.partition(" ")[2]


def _check_here(app: "App") -> None:
    """Raises Refused for another workspace than the run's own."""
    from claw_files.app.workspace_finder import around_of

    if os.path.realpath(app.base) != os.path.realpath(around_of(os.environ["CLAWFILES_WORKSPACE"])):
        raise Refused("sandbox", "a run in a sandbox can act only in its own workspace", "omit -C")


def show(value: object, text: str | Callable[[], str]) -> None:
    """Print the answer: `value` as one JSON document with --json, else `text`, which is safe for a terminal.

    Either may be a function that makes it: only what is printed is made.
    """
    if shared("json"):
        from claw_files.presentation.views import to_json

        click.echo(to_json(value() if callable(value) else value))
        return
    said = text if isinstance(text, str) else text()
    if said:
        click.echo(said)


def warn(sentence: str) -> None:
    """Say something beside the answer."""
    from claw_files.core.text import safe

    click.echo(safe(sentence), err=True)


def read_text(path: str | None) -> str:
    """The text of the file that an option names, or of standard input for "-"; "" for None.

    Raises InvalidFile; Refused for more than is accepted in any text.
    """
    if path is None:
        return ""
    from claw_files.policy import payload_sizes

    if is_forwarded() and path != "-":  # the daemon may read more than the sandbox
        raise Refused("sandbox", "a run in a sandbox cannot name a file", "pass the text on stdin, with -")
    try:
        if path == "-":
            raw = sys.stdin.buffer.read(payload_sizes.ACCEPTED_BYTES + 1)
        else:
            with open(path, "rb") as file:
                raw = file.read(payload_sizes.ACCEPTED_BYTES + 1)
        if len(raw) > payload_sizes.ACCEPTED_BYTES:
            raise payload_sizes.too_large(f"{'standard input' if path == '-' else path} is over 1 MB")
        return raw.decode()
    except UnicodeDecodeError:
        raise InvalidFile(path, "not-utf8", "it is not UTF-8 text") from None
    except OSError as error:
        raise InvalidFile(path, "cannot-read", error.strerror or str(error)) from None


def task_ids(texts: Sequence[str]) -> tuple[Any, ...]:
    """The task ids in the texts, which may be separated by commas. Raises BadId."""
    from claw_files.core.text import task_id

    return tuple(task_id(part.strip()) for text in texts for part in text.split(",") if part.strip())
