from pathlib import Path
from typing import TypedDict

from agent import ask
from langgraph.graph import END, START, StateGraph


class State(TypedDict):
    topic: str


def research(state: State) -> None:
    Path("facts.md").write_text(ask("researcher", f"Collect what is known about {state['topic']}, with its source."))


def draft(state: State) -> None:
    Path("draft.md").write_text(ask("writer", "Write an article from facts.md and nothing else."))


def edit(state: State) -> None:
    Path("article.md").write_text(ask("editor", "Correct draft.md against facts.md."))


graph = StateGraph(State).add_sequence([research, draft, edit]).add_edge(START, "research").add_edge("edit", END)
app = graph.compile()

if __name__ == "__main__":
    app.invoke({"topic": "heat pumps"})
