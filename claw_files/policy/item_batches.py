"""Batches: several small items in one message, each with its own answer."""

from collections.abc import Sequence

from claw_files.core.lazy_regex import pattern

USUAL = 10  # default number of items in one message
_ITEM = pattern(r"(?:[-*+]|[0-9]{1,9}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?(?P<text>\S.*)")


def items(text: str) -> tuple[str, ...]:
    """The items of a text: those of its Markdown list, else its lines, without empty ones.

    It is a list if its first line, headings aside, is an item; then headings are no items, and a line that begins none
    goes on with the one before.
    """
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    first = next((line for line in lines if not line.startswith("#")), "")
    if not _ITEM.fullmatch(first):
        return tuple(line.strip() for line in lines)
    found: list[list[str]] = []
    for line in lines:
        if begun := _ITEM.fullmatch(line):
            found.append([begun["text"]])
        elif found and not line.startswith("#"):
            found[-1].append(line.strip())
    return tuple("\n".join(parts) for parts in found)


def split(found: Sequence[str], size: int) -> tuple[tuple[str, ...], ...]:
    """The items in their order, at most `size` (1 or more) in each batch; as few batches as there can be."""
    return tuple(tuple(found[at : at + size]) for at in range(0, len(found), size))


def text(order: str, batch: Sequence[str], first: int, total: int, number: int, count: int) -> str:
    """The request to the worker of one batch.

    Args:
        order: what is to be done with each item; its first line becomes the title.
        first: the number of the batch's first item among all `total` of them, from 1.
        number: of the batch, of `count`.
    """
    title, _, rest = order.strip().partition("\n")
    last = first + len(batch) - 1
    those = f"Item {first}" if first == last else f"Items {first} to {last}"
    listed = "\n".join(f"{number}. {item}".replace("\n", "\n   ") for number, item in enumerate(batch, first))
    asked = f"{those} of {total}. Answer for each of them, under its number, also where there is nothing to say:"
    return "\n\n".join(filter(None, (f"{title} (batch {number} of {count})", rest.strip(), asked, listed)))
