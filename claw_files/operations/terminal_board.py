"""The board on a terminal, with rich: loaded only there. Text is never read as markup."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from claw_files.core.model import State
from claw_files.core.text import safe
from claw_files.presentation.views import COLOURS
from claw_files.services.tasks.board import Shown, TaskListing


def print_board(listing: TaskListing, console: Console) -> None:
    """Print a column for each state that has tasks."""
    states = [state for state in State if any(shown.task.state is state for shown in listing.tasks)]
    if not states:
        console.print("no tasks", markup=False)
        return
    table = Table(expand=True)
    columns = [[shown for shown in listing.tasks if shown.task.state is state] for state in states]
    for state, shown in zip(states, columns, strict=True):
        heading = Text(f"{state.replace('_', ' ')} ({len(shown)})", style=COLOURS[state])
        table.add_column(heading, ratio=1, overflow="fold")
    table.add_row(*(_cell(state, shown) for state, shown in zip(states, columns, strict=True)))
    console.print(table)


def drawn(listing: TaskListing) -> str:
    """The table as it is written to this terminal."""
    console = Console(highlight=False)  # rich itself respects NO_COLOR
    with console.capture() as captured:
        print_board(listing, console)
    return captured.get().rstrip("\n")


def _cell(state: State, column: list[Shown]) -> Text:
    cell = Text()
    for number, shown in enumerate(column):
        cell.append("\n\n" if number else "")
        cell.append(shown.task.id, style=f"bold {COLOURS[state]}")
        cell.append(f" {shown.task.assignee or ''}".rstrip() + f"\n{safe(shown.task.title, limit=200)}")
        if shown.conflicts:
            cell.append("\nconflict", style="red")
    return cell
