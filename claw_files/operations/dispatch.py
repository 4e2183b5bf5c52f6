"""The one way to call an operation: checks the arguments and the right, then calls the function."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from claw_files.core.errors import ClawError, UsageError
from claw_files.core.operation_table import OPERATIONS, Operation
from claw_files.core.text import did_you_mean, safe
from claw_files.operations import load
from claw_files.operations.fields import TEXT_BYTES, Argument, ArgumentType, arguments, parsed
from claw_files.policy import payload_sizes

if TYPE_CHECKING:
    from claw_files.app.wiring import App
    from claw_files.operations.reply import Reply


def perform(app: "App", name: str, raw: Mapping[str, object]) -> object:
    """The operation's answer, ready for `presentation.views.to_json`; the caller is always `app.actor`.

    Args:
        raw: the arguments as JSON has them, unchecked; a null counts as not given.

    Raises Usage for an operation or arguments that there are not, NoAgentNamed, Refused where whoever acts may not use
    the command, and what the services raise.
    """
    operation = OPERATIONS.get(name)
    if operation is None:
        raise UsageError(f"no call {safe(name, 80)!r}{did_you_mean(name, OPERATIONS)}")
    return make(app, operation, raw)


def make(app: "App", operation: Operation, raw: Mapping[str, object]) -> object:
    """As `perform`, for an operation at hand."""
    asked = checked(operation, raw)
    _ = app.actor
    app.check_use(operation.right(asked))
    try:
        found = look(app, operation, asked)
    except ClawError as error:
        app.failed(error)
        raise
    app.finish()
    return found | {"note": "; ".join(app.remarks)} if app.remarks and isinstance(found, dict) else found


def look(app: "App", operation: Operation, asked: Mapping[str, object]) -> Any:
    """The operation's answer to checked arguments, for any caller."""
    taken = arguments_of(operation)
    given = {it.name: parsed(app, it, asked[it.name], it.json_name) for it in taken}
    reply: Reply = load(operation.function)(app, **given)
    found = reply.json()
    return found | {"warning": reply.warning} if reply.warning else found


def arguments_of(operation: Operation) -> list[Argument]:
    """The arguments that JSON has."""
    return _arguments_of(operation.function)


@cache
def _arguments_of(function: str) -> list[Argument]:
    return [argument for argument in arguments(load(function)) if argument.json.is_taken]


# --- checking


def argument_struct(operation: Operation) -> type[msgspec.Struct]:
    """The arguments with their bounds, as msgspec checks them."""
    return _struct(operation.name, operation.function)


@cache
def _struct(name: str, function: str) -> type[msgspec.Struct]:
    found = _arguments_of(function)
    names = {argument.name: argument.json_name for argument in found}
    fields = [_struct_field(argument) for argument in found]
    return msgspec.defstruct(name, fields, kw_only=True, frozen=True, forbid_unknown_fields=True, rename=names)


def _struct_field(argument: Argument) -> tuple[str, Any] | tuple[str, Any, Any]:
    kind = _type(argument.type)
    if argument.is_required:
        return (argument.name, kind)
    default = argument.default if argument.json.default is None else argument.json.default
    return (argument.name, kind if default is not None else kind | None, default)


_ANNOTATED: Any = Annotated  # the types are made from values, which no checker can follow
_LITERAL: Any = Literal
_TUPLE: Any = tuple


def _type(form: ArgumentType) -> Any:
    if form.choices:
        return _LITERAL[form.choices]
    if form.type not in (str, int):
        return form.type
    is_text = form.type is str
    one = _ANNOTATED[
        form.type, msgspec.Meta(max_length=form.most) if is_text else msgspec.Meta(ge=form.least, le=form.most)
    ]
    return _ANNOTATED[_TUPLE[one, ...], msgspec.Meta(max_length=form.items)] if form.items else one


def checked(operation: Operation, raw: Mapping[str, object]) -> dict[str, Any]:
    """The arguments by the names of the function's parameters. Raises Usage that names the one that is wrong."""
    given = {key: value for key, value in raw.items() if value is not None}
    for key, value in given.items():
        _check_text(operation.name, key, value)
    try:
        return msgspec.structs.asdict(msgspec.convert(given, argument_struct(operation)))
    except msgspec.ValidationError as error:
        raise UsageError(_sentence(operation, str(error))) from None


def _check_text(name: str, key: str, value: object) -> None:
    """Raises Usage for text that could not stand in a file, or is too long in bytes."""
    for text in value if isinstance(value, list) else (value,):
        if not isinstance(text, str):
            continue
        try:
            size_bytes = len(text.encode())
        except UnicodeEncodeError:
            raise UsageError(f"{name}: `{safe(key, 80)}` is not UTF-8") from None
        if "\0" in text:
            raise UsageError(f"{name}: `{safe(key, 80)}` contains a NUL character")
        if size_bytes > TEXT_BYTES:
            raise payload_sizes.too_large(f"{name}: `{safe(key, 80)}` is over 1 MB")


def _sentence(operation: Operation, problem: str) -> str:
    """msgspec's error as one sentence that names the argument."""
    name, known = operation.name, {argument.json_name: argument for argument in arguments_of(operation)}
    what, _, place = problem.partition(" - at `$")
    argument, what = place.strip(".`"), what.replace(" | null", "")
    if what.startswith("Object contains unknown field"):
        unknown = what.partition("`")[2].rstrip("`")
        near = did_you_mean(unknown, known, f"; it takes {', '.join(known)}")
        return f"{name} has no argument `{safe(unknown, 80)}`{near}"
    if what.startswith("Object missing required field"):
        return f"{name} needs {what.partition('field ')[2]}"
    told = f"{name}: `{safe(argument, 80)}`: {safe(what[:1].lower() + what[1:], 200)}"
    return f"{told}; one of {', '.join(known[argument].type.choices)}" if what.startswith("Invalid enum") else told
