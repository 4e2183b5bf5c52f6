"""Worker "email": which of the mails in data/inbox.mbox need a person? What a mailing list sent does not."""

import mailbox
import os
import time
from email.header import decode_header, make_header
from email.message import Message

import result

THINKING_SECONDS = 2  # stands for the model call of a real agent


def is_newsletter(mail: Message) -> bool:
    return mail["List-Unsubscribe"] is not None or mail.get("Precedence", "") == "bulk"


def text(mail: Message, name: str) -> str:
    """A header as people read it: mails spell other letters than ASCII in a code of their own."""
    return str(make_header(decode_header(mail.get(name, ""))))


def main() -> None:
    mails = list(mailbox.mbox(os.path.join(os.environ["CLAWFILES_WORKSPACE"], "data", "inbox.mbox"), create=False))
    important = [mail for mail in mails if not is_newsletter(mail)]
    time.sleep(THINKING_SECONDS)
    lines = [f"- {text(mail, 'From')}: {text(mail, 'Subject')}" for mail in important]
    summary = f"{len(important)} important mails, {len(mails) - len(important)} newsletters"
    result.write(f"# {summary}\n\n" + "\n".join(lines), outputs=[])


main()
