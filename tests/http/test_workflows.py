"""Workflows over HTTP: listed, checked, run once for each key, and shown."""

from tests.http.conftest import Served

TEXT = "---\ninputs: [topic]\n---\n# A report\n\n## read\n- to: iris; makes: notes.md\n\nRead about {topic}.\n"
WRONG = TEXT.replace("to: iris", "to: irsi").replace("{topic}", "{topik}")


def test_a_workflow_is_listed_run_once_for_each_key_also_after_a_restart_and_shown(served: Served) -> None:
    (served.root / "workflows").mkdir()
    (served.root / "workflows/report.md").write_text(TEXT)
    listed = served("GET", "/api/workflows").json["workflows"]
    assert listed == [{"name": "report", "title": "A report", "steps": 1, "problems": 0, "error": None}]

    body = {"inputs": ["topic=solar\n{read.files} = `x`"]}
    first = served("POST", "/api/workflows/report/runs", body, Idempotency_Key="order-7")
    assert (first.status, first.json["id"], first.headers["location"]) == (201, "TC-1", "/api/flows/TC-1")
    assert (first.json["workflow"], first.json["requested_by"]) == ("report", "peter")
    again = served("POST", "/api/workflows/report/runs", body, Idempotency_Key="order-7")
    assert (again.status, again.json["id"]) == (201, "TC-1")
    assert served.end() == 0
    served = Served(served.root)
    later = served("POST", "/api/workflows/report/runs", body, Idempotency_Key="order-7")
    assert (later.status, later.json["id"]) == (201, "TC-1"), "the key lies on disk"
    assert served("POST", "/api/workflows/report/runs", body).json["id"] == "TC-2"

    shown = served("GET", "/api/flows/TC-1").json
    assert (shown["id"], shown["workflow"], [step["step"] for step in shown["steps"]]) == ("TC-1", "report", ["read"])
    assert served("GET", "/api/flows/TC-9").status == 404
    assert served.end() == 0


def test_the_lines_of_a_check_are_those_of_the_shell_and_nothing_begins(served: Served) -> None:
    (served.root / "wrong.md").write_text(WRONG)
    lines = served.shell("workflow", "check", "mine", "--file", str(served.root / "wrong.md"), ok=False)["error"]
    assert "line 7: there is no agent `irsi`; did you mean `iris`?" in lines["message"]
    assert "line 9: {topik} is unknown" in lines["message"]

    for path in ("/api/workflows/check", "/api/workflows/mine/runs"):
        answer = served("POST", path, {"text": WRONG})
        assert (answer.status, answer.json["error"]) == (422, lines)
    assert served("POST", "/api/workflows/check", {"text": TEXT}).json == {"checked": ["-"], "problems": []}
    assert served("GET", "/api/tasks").json["tasks"] == []


def test_who_may_not_run_workflows_is_refused_and_arguments_are_bounded(served: Served) -> None:
    refused = served("POST", "/api/workflows/mine/runs", {"text": TEXT, "inputs": ["topic=x"]}, "reader")
    assert (refused.status, refused.code) == (403, "refused")
    for inputs in (["topic=a\0b"], [7], ["topic"], ["topic=" + "x" * 1_100_000], {"topic": "x"}, ["topik=x"], []):
        answer = served("POST", "/api/workflows/mine/runs", {"text": TEXT, "inputs": inputs})
        assert answer.status in (400, 403), inputs
    assert served("POST", "/api/workflows/mine/runs", {"text": TEXT, "key": "x"}).status == 400
    assert served("GET", "/api/workflows?text=x").status == 400


def test_a_step_with_choices_is_answered_over_http(served: Served) -> None:
    (served.root / "status").mkdir(exist_ok=True)
    choice = "---\nid: TC-1\ntitle: Pay?\nstatus: backlog\nchoices: [yes, no]\n---\n# TC-1: Pay?\n"
    (served.root / "status/tc-1.md").write_text(choice)
    assert served("PATCH", "/api/tasks/TC-1", {"status": "in_progress"}).status == 200
    wrong = served("PATCH", "/api/tasks/TC-1", {"status": "done", "answer": "perhaps"})
    assert (wrong.status, "'perhaps' is not one of yes, no" in wrong.json["error"]["message"]) == (400, True)
    done = served("PATCH", "/api/tasks/TC-1", {"status": "done", "answer": "yes"})
    assert (done.status, done.json["status"], done.json["answer"]) == (200, "done", "yes")
    assert served("PATCH", "/api/tasks/TC-1", {"status": "backlog", "answer": "no"}).status == 400
