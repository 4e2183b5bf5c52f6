from pathlib import Path
from typing import Literal, TypedDict

from agent import ask
from langgraph.graph import END, START, StateGraph


class State(TypedDict):
    ticket: str
    kind: Literal["bug", "question"]


def sort(state: State) -> dict:
    return {"kind": ask("support", f"Answer bug or question. What is this? {state['ticket']}").strip()}


def fix(state: State) -> None:
    Path("fix.md").write_text(ask("engineer", f"Fix the bug in {state['ticket']}."))


def answer(state: State) -> None:
    Path("answer.md").write_text(ask("support", f"Answer {state['ticket']}."))


def close(state: State) -> None:
    ask("support", "Tell the customer what fix.md or answer.md says.")


graph = StateGraph(State).add_node(sort).add_node(fix).add_node(answer).add_node(close).add_edge(START, "sort")
graph.add_conditional_edges("sort", lambda state: state["kind"], {"bug": "fix", "question": "answer"})
graph.add_edge("fix", "close").add_edge("answer", "close").add_edge("close", END)
app = graph.compile()

if __name__ == "__main__":
    app.invoke({"ticket": "the page is blank"})
