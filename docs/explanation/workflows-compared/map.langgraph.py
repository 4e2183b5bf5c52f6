import operator
from pathlib import Path
from typing import Annotated, TypedDict

from agent import ask
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy, Send


class State(TypedDict):
    pages: list[str]
    found: Annotated[list[str], operator.add]
    failed: Annotated[list[str], operator.add]


def fan_out(state: State) -> list[Send]:
    return [Send("read", {"page": page, "number": n}) for n, page in enumerate(state["pages"], 1)]


def read(item: dict) -> dict:
    for _ in (1, 2):  # a RetryPolicy would fail the whole graph after the last attempt
        try:
            Path(f"finding-{item['number']}.md").write_text(ask("reader", f"Read {item['page']}, note prices, dates."))
            return {"found": [item["page"]]}
        except RuntimeError as error:
            why = str(error)
    return {"failed": [f"{item['page']}: {why}"]}


def table(state: State) -> None:
    if len(state["found"]) < 0.6 * len(state["pages"]):
        raise RuntimeError(f"too many pages failed: {state['failed']}")
    Path("table.md").write_text(ask("analyst", f"Make one table of finding-*.md. Missing: {state['failed']}"))


graph = StateGraph(State).add_node(read).add_node(table, retry_policy=RetryPolicy(max_attempts=2))
graph.add_conditional_edges(START, fan_out, ["read"]).add_edge("read", "table").add_edge("table", END)
app = graph.compile()

if __name__ == "__main__":
    app.invoke({"pages": ["a", "b", "c", "d", "e"]}, {"max_concurrency": 4})
