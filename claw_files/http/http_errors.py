"""Requests refused before any service is called, and the HTTP status of each service error."""

from typing import Any

from claw_files.core import errors
from claw_files.core.errors import ClawError

RETRY_SECONDS = 1
SECURITY = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)
"""Headers of every answer; there are none that let a page of another origin read it."""

REFUSALS = {  # code: (status, when)
    "bad-request": (400, "The HTTP request is malformed, or is a GET with a body."),
    "no-token": (401, "No token was sent, or an invalid one. `clawfiles token NAME` creates one."),
    "not-you": (403, "`agent` names another agent than the token does."),
    "cross-site": (403, "The request comes from a page of another origin: see `Origin` and `Sec-Fetch-Site`."),
    "no-such-path": (404, "The path does not exist."),
    "no-such-method": (405, "The path does not support this method; `Allow` lists the supported methods."),
    "too-slow": (408, "The request was not complete in time."),
    "no-length": (411, "A body without `Content-Length`."),
    "outdated": (412, "`If-Match` names an outdated revision, or `If-None-Match` of a move names the current one."),
    "too-large": (413, "The body is larger than a megabyte and a half."),
    "url-too-long": (414, "The path and query are longer than four kilobytes."),
    "not-json": (415, "The body is not `application/json`."),
    "wrong-host": (421, "`Host` is not a name of this server, is missing, or appears twice."),
    "key-reused": (422, "The `Idempotency-Key` was used for another request."),
    "too-many-headers": (431, "More than 64 headers, or more than 16 kilobytes of them."),
    "too-many-connections": (503, "All connections are used by callers with a token, or there are too many streams."),
}


class Refusal(Exception):
    """A request that is refused before any service is asked."""

    def __init__(self, code: str, message: str, **headers: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message
        self.status = REFUSALS[code][0]
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def document(self) -> dict[str, Any]:
        """The error in the shell's form."""
        return {"error": {"code": self.code, "message": self.message}}


def status_of(error: ClawError) -> int:
    """The HTTP status of a service's error."""
    for kind, status in STATUSES:
        if isinstance(error, kind):
            return status
    return 500


STATUSES: tuple[tuple[type[ClawError], int], ...] = (  # the first that fits
    (errors.UsageError, 400),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.MoveRefused, 409),
    (errors.Refused, 403),
    (errors.InvalidConfig, 500),
    (errors.NoWorkspace, 500),
    (errors.InvalidFile, 422),
    (errors.Busy, 503),
    (errors.GatewayAway, 502),
    (errors.GatewayRefused, 502),
    (errors.RunFailed, 502),
    (ClawError, 500),
)
