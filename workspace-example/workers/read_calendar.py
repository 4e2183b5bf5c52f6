"""Worker "calendar": the meetings of today in data/team.ics. Reads as much of the format as that file uses."""

import os
import time
from datetime import date, datetime

import result

THINKING_SECONDS = 2  # stands for the model call of a real agent


def events(text: str) -> list[dict[str, str]]:
    """Every event with its fields. A line that begins with a space goes on where the one before ended."""
    found: list[dict[str, str]] = []
    for line in text.replace("\r\n", "\n").replace("\n ", "").split("\n"):
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            found.append({})
        elif found and not name.startswith(("BEGIN", "END")):
            found[-1][name.split(";")[0]] = value.replace("\\,", ",").replace("\\n", " ").replace("\\;", ";")
    return found


def is_on(event: dict[str, str], day: date) -> bool:
    start = datetime.strptime(event["DTSTART"], "%Y%m%dT%H%M%S").date()
    return start == day or (start < day and event.get("RRULE") == "FREQ=DAILY")


def main() -> None:
    path = os.path.join(os.environ["CLAWFILES_WORKSPACE"], "data", "team.ics")
    with open(path, encoding="utf-8", newline="") as file:
        today = [event for event in events(file.read()) if is_on(event, date.today())]
    time.sleep(THINKING_SECONDS)
    times = sorted((f"{event['DTSTART'][9:11]}:{event['DTSTART'][11:13]}", event["SUMMARY"]) for event in today)
    summary = f"{len(times)} meetings: {', '.join(at for at, _ in times)}" if times else "no meetings"
    result.write(f"# {summary}\n\n" + "\n".join(f"- {at} {what}" for at, what in times), outputs=[])


main()
