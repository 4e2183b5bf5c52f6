"""Declares the arguments of an operation once, in its function's signature, for every interface.

The type says what an argument is. In the shell a parameter is a word of the command, behind `*` an option; its help
stands under `Args:` of the docstring. `Shell` and `Json` say where an interface differs from that. Nothing heavy is
imported here: `--help` reads this, too.
"""

import inspect
from collections.abc import Callable
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from claw_files.app.wiring import App
    from claw_files.core.model import AgentId, TaskId

TEXT_BYTES = 1 << 20
WAIT_SECONDS = 600


class ArgumentType(NamedTuple):
    """The type and the bounds of an argument: of a number its value, of a text its length in letters."""

    type: type = str
    least: int | None = None
    most: int | None = None
    items: int = 0  # the argument is a list of up to so many; 0: a single value
    choices: tuple[str, ...] = ()
    metavar: str = ""
    parser: str = ""  # the text names a task, an agent, a time or a length


class Shell(NamedTuple):
    """How the shell takes the argument, where that is not the rule."""

    name: str = ""  # "--output", or several with commas between; for a word of the command its metavar
    is_taken: bool = True
    is_free: bool = False  # the bounds are not checked here: there are none, or the operation tells of them
    is_file: bool = False  # a file with the text is named; - reads standard input
    is_split: bool = False  # commas stand between the values of a list
    default: object = None


class Json(NamedTuple):
    """How JSON has the argument, where that is not the rule."""

    name: str = ""
    is_taken: bool = True
    is_listed: bool = True  # a tool tells of it; else it is taken all the same
    default: object = None


SHELL_ONLY, JSON_ONLY, UNLISTED, FREE = (
    Json(is_taken=False),
    Shell(is_taken=False),
    Json(is_listed=False),
    Shell(is_free=True),
)

Text = Annotated[str, ArgumentType(most=TEXT_BYTES)]
Texts = Annotated[tuple[str, ...], ArgumentType(most=TEXT_BYTES, items=1000)]
File = Annotated[str, ArgumentType(most=TEXT_BYTES, metavar="FILE"), Shell(is_file=True)]
Name = Annotated[str, ArgumentType(most=512)]
Names = Annotated[tuple[str, ...], ArgumentType(most=512, items=1000)]
Object = Annotated[dict[str, Any], ArgumentType(dict)]
Task = Annotated["TaskId", ArgumentType(most=512, metavar="TASK", parser="task")]
Tasks = Annotated[tuple["TaskId", ...], ArgumentType(most=512, items=1000, metavar="TASK", parser="task")]
Agent = Annotated["AgentId", ArgumentType(most=512, metavar="AGENT", parser="agent")]
When = Annotated["datetime", ArgumentType(most=512, metavar="WHEN", parser="time")]
Length = Annotated["timedelta", ArgumentType(most=512, metavar="LENGTH", parser="length")]
Flag = Annotated[bool, ArgumentType(bool)]
Count = Annotated[int, ArgumentType(int, 1, 1000)]
Seconds = Annotated[int, ArgumentType(int, 0, 86_400)]
Wait = Annotated[int, ArgumentType(int, 0, WAIT_SECONDS)]
Minutes = Annotated[int, ArgumentType(int, 1, 527_040), FREE]
Generation = Annotated[int | None, ArgumentType(int, 0, (1 << 53) - 1), FREE, UNLISTED]


class Argument(NamedTuple):
    """One argument of an operation, as its function declares it."""

    name: str
    type: ArgumentType
    default: Any  # `inspect.Parameter.empty` where it must be given
    is_word: bool  # of the command; else it is an option
    shell: Shell
    json: Json

    @property
    def is_required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def json_name(self) -> str:
        return self.json.name or self.name

    @property
    def options(self) -> list[str]:
        """The option in the shell: "--eta"."""
        return (self.shell.name or f"--{self.name.replace('_', '-')}").split(",")


def arguments(function: Callable[..., object]) -> list[Argument]:
    """The arguments of an operation's function; its first parameter is the workspace."""
    return [_argument(it) for it in [*inspect.signature(function).parameters.values()][1:]]


def _argument(parameter: inspect.Parameter) -> Argument:
    found: dict[type, Any] = {type(note): note for note in _notes(parameter.annotation)}
    is_word = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    notes = (found.get(Shell, Shell()), found.get(Json, Json()))
    return Argument(parameter.name, found[ArgumentType], parameter.default, is_word, *notes)


def _notes(annotation: Any) -> list[Any]:
    """The notes of an annotation; the outermost is last, and counts."""
    if notes := getattr(annotation, "__metadata__", ()):
        return [*_notes(annotation.__origin__), *notes]
    if get_origin(annotation) in (Union, UnionType):
        return [note for kind in get_args(annotation) if kind is not NoneType for note in _notes(kind)]
    return [ArgumentType(choices=get_args(annotation))] if get_origin(annotation) is Literal else []


def parsed(app: "App", argument: Argument, value: Any, label: str) -> Any:
    """The value as the function takes it: text that names a task, an agent, a time or a length is read.

    Raises BadId, NotFound, and BadValue, which calls the argument `label`.
    """
    if value is None or not argument.type.parser:
        return value
    if argument.type.items:
        return tuple(_parsed(app, argument.type.parser, text, label) for text in value)
    return _parsed(app, argument.type.parser, value, label)


def _parsed(app: "App", parser: str, text: str, label: str) -> "str | datetime | timedelta":
    from claw_files.core import instants
    from claw_files.core import text as words

    if parser == "task":
        return words.task_id(text)
    if parser == "agent":
        return app.settings.agent(text).name
    if parser == "length":
        return words.duration(text, label)
    return instants.instant(text, app.clock.now(), app.workspace.zone, label)
