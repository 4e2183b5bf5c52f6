"""The root command. Each command is built from the table of operations when it is called, and loads only itself."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from claw_files import __version__
from claw_files.cli.base import TEXT, Command, CommandEnded, CommandShape, Interrupted, open_app, read_text, show, warn
from claw_files.core.errors import UsageError
from claw_files.core.operation_table import COMMANDS, GROUPS, PARTS, RIGHTS, begins, row_of
from claw_files.operations import load

if TYPE_CHECKING:
    from claw_files.operations.fields import Argument

_ARGUMENT = re.compile(r"^    (\w+): (.*)$", re.MULTILINE)


class Group(CommandShape, click.Group):
    """The commands of the table that begin with the words of this one, each loaded when it is called."""

    def __init__(self, *args: Any, words: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._words = words

    def invoke(self, ctx: click.Context) -> Any:
        """The command's result. Click itself would print on Ctrl-C, and exit 1 if the output is closed."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted from None
        except BrokenPipeError:
            raise CommandEnded from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        below = (name.removeprefix(self._words).split() for name in RIGHTS if begins(name, self._words))
        return list(dict.fromkeys(words[0] for words in below if words))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = f"{self._words} {cmd_name}".lstrip()
        return command_of(name) if name in RIGHTS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and name not in self.list_commands(ctx):
            from claw_files.core.text import did_you_mean

            near = did_you_mean(name, self.list_commands(ctx))
            ctx.fail(f"no command {name[:80]!r}{near}; see `{ctx.command_path} --help`")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands by the parts of the help, from the table alone."""
        rows = [(name, row_of(f"{self._words} {name}".lstrip())) for name in self.list_commands(ctx)]
        for part in PARTS:
            if shown := [(name, row.says) for name, row in rows if row.part == part]:
                with formatter.section(part or "Commands"):
                    formatter.write_dl(shown)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        names = [name for name in self.list_commands(ctx) if name.startswith(incomplete)]
        items = [CompletionItem(name, help=row_of(f"{self._words} {name}".lstrip()).says) for name in names]
        return items + (click.Command.shell_complete(self, ctx, incomplete) if incomplete.startswith("-") else [])


@click.group(
    "clawfiles",
    cls=Group,
    example='clawfiles init\nclawfiles task new "API security review" --to peter --agent sam\nclawfiles board',
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="clawfiles")
def root() -> None:
    """Several agents work together through a folder of Markdown files, and no task gets lost."""


def command_of(name: str) -> click.Command:
    """The command or the group that the table has under the name."""
    if group := GROUPS.get(name):
        return Group(name, words=name, help=group.says, example=group.example)
    found = load(COMMANDS[name].function)
    if isinstance(found, click.Command):
        return found
    text, params = _documented(found)
    says, _, example = text.partition("\n\nExample:\n")
    shape: dict[str, Any] = {
        "params": params,
        "help": says,
        "example": re.sub("^    ", "", example, flags=re.MULTILINE),
    }
    if any(other.startswith(f"{name} ") for other in COMMANDS):  # `inbox`, beside `inbox done`
        return Group(name, words=name, callback=_alone(_perform(found)), invoke_without_command=True, **shape)
    return Command(name, callback=_perform(found), **shape)


def _documented(function: Callable[..., Any]) -> tuple[str, list[click.Parameter]]:
    """The docstring of an operation without its arguments, and these as the shell takes them."""
    import inspect

    from claw_files.operations.fields import arguments

    text, _, rest = (inspect.getdoc(function) or "").partition("\n\nArgs:\n")
    told, mark, example = rest.partition("\n\nExample:\n")
    helps = dict(_ARGUMENT.findall(told))
    taken = [it for it in arguments(function) if it.shell.is_taken]
    return text + mark + example, [_parameter(it, helps.get(it.name)) for it in taken]


def _parameter(argument: "Argument", says: str | None) -> click.Parameter:
    """The word or the option of the command for an argument of its operation."""
    kind, name, shell = argument.type, f"{argument.name}_", argument.shell  # `agent` is the shared option's
    form: dict[str, Any] = {"required": True}
    if not argument.is_required:
        default = shell.default or argument.default
        form = {"default": default, "show_default": bool(default)}
    is_number = kind.type is int
    form |= {"type": click.IntRange(kind.least, None if shell.is_free else kind.most) if is_number else TEXT}
    if argument.is_word:
        word = shell.name or argument.name.upper()
        form |= {"metavar": word if argument.is_required else f"[{word}]"}
        form.pop("show_default", None)
        return click.Argument([name], **form)
    form |= {"help": says, "multiple": bool(kind.items)}
    form |= {"metavar": kind.metavar or argument.options[0].strip("-").upper()}
    if kind.type is bool:
        return click.Option([*argument.options, name], help=says, is_flag=True)
    if is_number:
        form |= {"metavar": "N"}
    elif kind.choices:
        form |= {"type": TEXT if shell.is_free else click.Choice(kind.choices), "metavar": "|".join(kind.choices)}
    return click.Option([*argument.options, name], **form)


def _perform(function: Callable[..., Any]) -> Callable[..., None]:
    def perform(**given: Any) -> None:
        from claw_files.operations.fields import arguments, parsed

        taken = {argument.name: argument for argument in arguments(function) if argument.shell.is_taken}
        try:
            app = open_app()
            values = {name: _read(it, given[f"{name}_"]) for name, it in taken.items()}
            values = {name: parsed(app, it, values[name], it.options[0]) for name, it in taken.items()}
            reply = function(app, **values)
        except UsageError as wrong:
            _reword(wrong, {argument.json_name: argument.options[0] for argument in taken.values()})
            raise
        for sentence in filter(None, (reply.warning, *reply.remarks)):
            warn(sentence)
        show(reply.shell_json or reply.json, reply.text)

    return perform


def _alone(perform: Callable[..., None]) -> Callable[..., None]:
    """The action of a group called without one of its commands."""

    def callback(**given: Any) -> None:
        if not click.get_current_context().invoked_subcommand:
            perform(**given)

    return callback


def _read(argument: "Argument", value: Any) -> Any:
    """The value that the words of the command line mean."""
    if argument.shell.is_file:
        blank = "\n" if argument.name == "file" else ""  # an empty file of a workflow is one with nothing in it
        return (read_text(value) or blank) if value else argument.default
    if argument.shell.is_split:
        return tuple(part.strip() for text in value for part in text.split(",") if part.strip())
    return value


def _reword(wrong: Any, options: dict[str, str]) -> None:
    """Make the error name options instead of arguments."""
    if name := getattr(wrong, "name", None):
        wrong.name = options.get(name, name)
    elif wrong.args and isinstance(wrong.args[0], str):
        words = re.sub(r"`(\w+)`", lambda found: f"`{options.get(found[1], found[1])}`", wrong.args[0])
        wrong.args = (words.removeprefix("task_claim: "), *wrong.args[1:])
