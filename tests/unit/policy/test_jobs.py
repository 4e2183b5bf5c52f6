"""The tasks of a due time: labels that differ, words with their item."""

from hypothesis import given
from hypothesis import strategies as st

from claw_files.config import Schedule
from claw_files.core import text
from claw_files.policy import scheduled_tasks


def job_labels(spawn: tuple[str, ...], items: tuple[str, ...] = ()) -> list[str]:
    made = scheduled_tasks.jobs(Schedule(name="s", cron="* * * * *", spawn=spawn, items=items))
    return [job.label for job in made]


def test_labels_are_the_workers_names_unless_two_would_be_the_same() -> None:
    assert job_labels(("email", "calendar")) == ["email", "calendar"]
    assert job_labels(("helper", "email", "helper")) == ["helper-1", "email", "helper-2"]
    assert job_labels(("helper", "helper-1", "helper")) == ["helper-2", "helper-1", "helper-3"]


def test_labels_name_the_items() -> None:
    assert job_labels(("m",), ("acme", "https://x.test/a b")) == ["m-acme", "m-https-x-test-a-b"]
    assert job_labels(("m",), ("a b", "a-b")) == ["m-a-b-1", "m-a-b-2"]
    assert job_labels(("a", "b"), ("x", "y")) == ["a-x", "b-x", "a-y", "b-y"]


@given(st.lists(st.text(min_size=1, max_size=90), min_size=1, max_size=20), st.lists(st.sampled_from("ab"), min_size=1))
def test_labels_are_names_of_files_and_differ_whatever_the_items_are(items: list[str], spawn: list[str]) -> None:
    labels = job_labels(tuple(spawn), tuple(items))
    assert len(set(labels)) == len(labels) == len(items) * len(spawn)
    assert [text.label(label) for label in labels] == labels


def test_a_name_that_is_cut_keeps_a_mark_of_what_was_cut() -> None:
    assert scheduled_tasks.bounded("x" * 64) == "x" * 64
    first, second = scheduled_tasks.bounded("x" * 70 + "1"), scheduled_tasks.bounded("x" * 70 + "2")
    assert first != second and len(first) == len(second) == 64


def test_items_stand_in_title_and_text() -> None:
    made = scheduled_tasks.jobs(
        Schedule(name="s", cron="* * * * *", task="Check {item}", items=("a", "b"), text=("See {item}, and {item}.",))
    )
    assert [(job.title, job.text) for job in made] == [("Check a", "See a, and a."), ("Check b", "See b, and b.")]
    (plain,) = scheduled_tasks.jobs(Schedule(name="s", cron="* * * * *", spawn=("w",), items=("a",), text=("Look.",)))
    assert (plain.title, plain.text) == ("s: w: a", "Look.\n\na")
