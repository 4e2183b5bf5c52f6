"""A model emits an event, once for each key; a worker may not."""

from mcp import Client

from tests.mcp.conftest import Team, called, live


def test_a_model_emits_an_event_once(team: Team) -> None:
    async def story() -> None:
        async with team.client("sam") as sam:
            asked = {"type": "order", "key": "7", "data": {"sum": 3}, "fields": ["currency=EUR"]}
            first = await called(sam, "event_emit", **asked)
            assert await called(sam, "event_emit", **asked) == first | {"known": True}
            assert await refused(sam, type="no type")

    async def refused(client: Client, **asked: str) -> bool:
        return bool((await client.call_tool("event_emit", asked)).is_error)

    live(story())
    assert [path.name.partition(".")[2] for path in (team.root / "events/new").iterdir()] == ["order.json"]
