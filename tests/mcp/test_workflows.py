"""A model writes a workflow, is told what is wrong with it, mends it, runs it and cancels it, by its one tool."""

from mcp import Client

from tests.mcp.conftest import Team, called, live

WRONG = (
    "## read\n- to: irsi; makes: notes.md\n\nRead it.\n\n## write\n- to: iris; aftr: read\n\nWrite from {read.files}.\n"
)
MENDED = WRONG.replace("irsi", "iris").replace("aftr", "after")


def test_a_model_mends_its_own_workflow_by_the_lines_of_the_check_and_runs_it(team: Team) -> None:
    async def lines(client: Client, action: str, text: str) -> str:
        answer = await client.call_tool("workflow", {"action": action, "text": text})
        assert answer.is_error
        return str(answer.content[0].text)

    async def story() -> None:
        async with team.client("sam") as sam:
            for action in ("check", "run"):
                told = await lines(sam, action, WRONG)
                assert "line 2: there is no agent `irsi`; did you mean `iris`?" in told
                assert "line 7: `aftr` is no key of a step; did you mean `after`?" in told
            assert (await called(sam, "workflow", action="check", text=MENDED))["problems"] == []
            begun = await called(sam, "workflow", action="run", text=MENDED, name="mine")
            assert (begun["id"], begun["workflow"], begun["requested_by"]) == ("TC-1", "mine", "sam")
            shown = await called(sam, "workflow", action="show", run="TC-1")
            assert [step["step"] for step in shown["steps"]] == ["read", "write"]
            assert (await called(sam, "workflow"))["workflows"] == []
            assert (await called(sam, "workflow", action="cancel", run="TC-1"))["status"] == "cancelled"
            for wrong in ({"action": "show"}, {"action": "run"}):
                assert (await sam.call_tool("workflow", wrong)).is_error

    live(story())
