"""What a text calls critical, and where its report begins."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claw_files.formats.report_findings import FINDING_LETTERS, LETTERS, LINES, MOST, beginning, critical

CRITICAL = {
    "CRITICAL: the token is in the log": "CRITICAL: the token is in the log",
    "- **CRITICAL:** the token is in the log": "CRITICAL: the token is in the log",
    "- **Critical**: the token leaks": "Critical: the token leaks",
    "🔴 Critical - SQL injection in login": "🔴 Critical - SQL injection in login",
    "[CRITICAL] SQL injection": "[CRITICAL] SQL injection",
    "1. [critical] SQL injection": None,
    "KRITISCH: Passwort im Klartext": "KRITISCH: Passwort im Klartext",
    "Kritischer Fehler: Passwort im Klartext": "Kritischer Fehler: Passwort im Klartext",
    "Critical issue: x": "Critical issue: x",
    "Critical findings (2): a and b": "Critical findings (2): a and b",
    "## Critical issues\n\n1. keys in the repo\n2. no TLS": "Critical issues: 1. keys in the repo; 2. no TLS",
    "### 🚨 Critical\n- keys in the repo": "🚨 Critical: - keys in the repo",
    "## Kritische Befunde\nPasswort im Klartext": "Kritische Befunde: Passwort im Klartext",
    "CRITICAL:\n- keys in the repo\n- no TLS": "CRITICAL: - keys in the repo; - no TLS",
    "### Keys in the repo\nSeverity: critical": "Keys in the repo (Severity: critical)",
    "Keys in the repo\n- **Severity:** Critical": "Keys in the repo (Severity: Critical)",
    "Passwort im Klartext\nSchweregrad: kritisch": "Passwort im Klartext (Schweregrad: kritisch)",
    "| SQL injection | Critical | login.ts |": "SQL injection | Critical | login.ts",
}
NOTHING = [
    "all is well",
    "Critical: none",
    "CRITICAL: 0",
    "Critical issues: None found.",
    "Kritisch: keine",
    "## Critical issues\n\nNone.",
    "## Critical issues\n\n## Minor issues\n- a typo",
    "## Critical issues",
    "No critical issues were found.",
    "The critical path: build, test, ship",
    "Critical path: build, test, ship",
    "This is critical: read it",
    "Priority: critical",
    "Severity: low, not critical",
    "```\nCRITICAL: an example\n```",
    "<!-- CRITICAL: a comment -->",
    "| Critical | 0 |",
    "criticality: high",
]


@pytest.mark.parametrize("text", CRITICAL)
def test_critical_findings_in_a_text_are_found(text: str) -> None:
    found = critical(f"# TC-1: Review\n\nI looked at it.\n\n{text}\n")
    assert len(found) == 1 and CRITICAL[text] in (found[0], None), found


@pytest.mark.parametrize("text", NOTHING)
def test_a_text_without_critical_words_has_no_findings(text: str) -> None:
    assert critical(f"# TC-1: Review\n\n{text}\n") == ()


def test_the_request_itself_is_no_finding() -> None:
    text = "CRITICAL: the shop is down\n\nFound it.\nCRITICAL: so is the mail\n"
    assert critical(text, asked={"CRITICAL: the shop is down"}) == ("CRITICAL: so is the mail",)


@given(st.text(alphabet="critalks#|-*:[]( )\n0>", max_size=400))
def test_findings_are_few_and_short_whatever_the_text_is(text: str) -> None:
    found = critical(f"critical\n{text}")
    assert len(found) <= MOST and all(len(one) <= FINDING_LETTERS and "\n" not in one for one in found)


@pytest.mark.parametrize(
    "unit", ["critical ", "- critical: a\n", "#" * 50, "| critical |", "*_" * 9, "(critical", " \n", "kritische "]
)
def test_a_megabyte_of_anything_is_looked_at_in_a_second(unit: str) -> None:
    text = f"critical\n{unit * (1_000_000 // len(unit))}"
    start = time.process_time()
    critical(text)
    beginning(text, "TC-1")
    assert time.process_time() - start < 1.5


def test_the_report_begins_below_heading_statements_and_what_was_asked() -> None:
    text = "# TC-1: Review\n\nStatus: DONE\nETA: 11:00\n\nlook at the shop\n\nI found two bugs.\n\n\nThe shop is up\n"
    assert beginning(text, "TC-1", asked={"look at the shop"}) == ("I found two bugs.\n\nThe shop is up", False)


def test_a_report_is_cut_by_lines_and_by_letters() -> None:
    told, more = beginning("\n".join(f"line {n}" for n in range(100)), "TC-1")
    assert (told.count("\n") + 1, more) == (LINES, True)
    told, more = beginning("x" * 5_000, "TC-1")
    assert (len(told), more) == (LETTERS, True)
    assert beginning("# TC-1: x\n\nStatus: DONE\n", "TC-1") == ("", False)
