"""The description, the page and what the server does are one thing: schemathesis asks all that is described."""

import subprocess
import sys
from pathlib import Path

import pytest

from claw_files.core.errors import ClawError
from claw_files.core.operation_table import OPERATIONS
from claw_files.http import http_errors, openapi
from claw_files.http.routes import OPERATION_OF, ROUTES

HERE = Path(__file__).parent
LIMIT_SECONDS = 240


def test_a_thousand_requests_made_from_the_description_find_no_lie_in_it(serve) -> None:
    """No 5xx, no undocumented status, no answer that is not of its schema, nothing invalid accepted."""
    served = serve()
    served.task(type="bug")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml")),
            *("run", f"http://127.0.0.1:{served.port}/openapi.json", "--exclude-path", "/api/events"),
            *("--header", f"Authorization: Bearer {served.token('dimitrios')}"),
            *("--phases", "coverage,fuzzing", "--max-examples", "5", "--seed", "1", "--no-shrink", "--no-color"),
            *("--warnings", "off", "--generation-database", "none"),
        ],
        cwd=served.root.parent,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: 17" in done.stdout
    assert served.complaints == ""


def test_the_description_is_served_to_everybody(board) -> None:
    answer = board("GET", "/openapi.json", by=None)
    assert (answer.status, answer.json["openapi"]) == (200, "3.1.0")
    assert set(answer.json["paths"]) == {row.path for row in ROUTES}


def test_no_get_performs_an_operation_that_changes_something_but_the_look_into_an_inbox() -> None:
    changing = {OPERATION_OF[row.name].name for row in ROUTES if row.method == "GET" and OPERATION_OF[row.name].changes}
    assert changing & {*OPERATIONS} == {"inbox", "workflow"}
    looks = {row.fixed["action"] for row in ROUTES if row.method == "GET" and "action" in row.fixed}
    assert looks == {"peek", "list", "show"}


def family(error: type[ClawError]) -> list[type[ClawError]]:
    return [error, *(found for child in error.__subclasses__() for found in family(child))]


@pytest.mark.parametrize("error", family(ClawError), ids=lambda error: error.code)
def test_every_error_of_the_shell_has_a_status_by_its_exit_status(error: type[ClawError]) -> None:
    status = http_errors.status_of(error.__new__(error))
    wanted = {2: (400,), 3: (404,), 4: (409,), 5: (403, 409, 503), 6: (422, 500), 7: (503,), 8: (502,), 70: (500,)}
    assert status in wanted[error.exit_status]


def test_every_code_that_is_refused_with_stands_in_the_description() -> None:
    described = {int(status) for status in openapi.describe()["components"]["responses"]}
    assert {status for status, _ in http_errors.REFUSALS.values()} - {405} <= described
