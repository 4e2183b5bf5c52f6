"""Items and batches: nothing lost, nothing twice, as few batches as there can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files.policy import item_batches

lines = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda text: not text.startswith("#") and item_batches.items(f"{text} x") != ("x",)
)


@given(st.lists(st.text()), st.integers(1, 30))
def test_every_item_is_in_one_batch_in_its_order(found: list[str], size: int) -> None:
    split = item_batches.split(found, size)

    assert [item for batch in split for item in batch] == found
    assert all(1 <= len(batch) <= size for batch in split)
    assert len(split) == -(-len(found) // size)


@given(st.lists(lines, min_size=1))
def test_lines_and_list_items_are_the_same_items(found: list[str]) -> None:
    plain = item_batches.items("\n\n".join(found))

    assert plain == tuple(found)
    for marks in (lambda n: "- ", lambda n: f"{n}. ", lambda n: "* [ ] "):
        listed = "\r\n".join(f"{marks(number)}{item}" for number, item in enumerate(found, start=1))
        assert item_batches.items(f"# What to do\n\n{listed}\n") == plain


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("\n \n", ()),
        ("one\n  two\n", ("one", "two")),
        ("one\n- two\n", ("one", "- two")),
        ("- one\n  goes on\n\n  and on\n- two", ("one\ngoes on\nand on", "two")),
        ("# A\n1) one\n# B\n2) two", ("one", "two")),
        ("-1 degrees\n-2 degrees", ("-1 degrees", "-2 degrees")),
        ("# a\n# b", ("# a", "# b")),
    ],
)
def test_lines_that_are_items(text: str, found: tuple[str, ...]) -> None:
    assert item_batches.items(text) == found


def test_the_order_names_its_items_by_their_number_among_all() -> None:
    said = item_batches.text("Classify\n\nBug or wish?", ["a", "b\nc"], 11, 12, 2, 2)

    assert said.split("\n\n") == [
        "Classify (batch 2 of 2)",
        "Bug or wish?",
        "Items 11 to 12 of 12. Answer for each of them, under its number, also where there is nothing to say:",
        "11. a\n12. b\n   c",
    ]
