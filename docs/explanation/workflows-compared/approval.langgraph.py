import sqlite3
import time
from pathlib import Path
from typing import TypedDict

from agent import ask
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt


class State(TypedDict, total=False):
    topic: str
    wish: str
    reworks: int
    asked: float
    decision: str


def draft(state: State) -> dict:
    Path("draft.md").write_text(ask("writer", f"Write about {state['topic']}. Change: {state.get('wish', '')}"))
    return {"asked": time.time()}


def look(state: State) -> dict:
    said = interrupt({"question": "Good enough to publish?", "until": state["asked"] + 86400})
    return {"decision": said["word"], "wish": said.get("wish", ""), "reworks": state.get("reworks", 0) + 1}


def after(state: State) -> str:
    if state["decision"] == "rework" and state["reworks"] > 2:
        raise RuntimeError("two reworks are used up")
    return {"publish": "publish", "rework": "draft", "drop": END}[state["decision"]]


def publish(state: State) -> None:
    ask("publisher", "Publish draft.md.")


graph = StateGraph(State).add_node(draft).add_node(look).add_node(publish).add_edge(START, "draft")
graph.add_edge("draft", "look").add_conditional_edges("look", after, ["draft", "publish", END]).add_edge("publish", END)
app = graph.compile(checkpointer=SqliteSaver(sqlite3.connect("runs.sqlite", check_same_thread=False)))


def overdue(thread: dict) -> None:
    """Has to be called by somebody: nothing wakes a graph that waits."""
    state = app.get_state(thread)
    if state.next == ("look",) and state.values["asked"] + 86400 < time.time():
        app.invoke(Command(resume={"word": "drop"}), thread)
