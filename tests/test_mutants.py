"""The short form of `make mutants`: its table fits the code, and two of its guards are missed by their tests."""

from tests.mutants import MUTANTS, Mutant, stale, take


def test_every_guard_of_the_table_stands_once_in_its_file() -> None:
    assert stale() == []
    assert len(MUTANTS) >= 40
    assert len({it.guard for it in MUTANTS}) == len(MUTANTS)


def test_a_guard_that_is_taken_out_is_missed_and_a_change_of_nothing_is_not() -> None:
    first = MUTANTS[0]
    nothing = Mutant(first.guard, first.file, first.line, first.line, first.tests)

    noticed = [test for _, test in take([nothing, first, *MUTANTS[2:3]])]

    assert noticed[0] is None
    assert all(test and test.startswith("tests/") for test in noticed[1:])
