"""Identifies the caller: by a token, or, if the configuration allows it, by the name it gives."""

from collections.abc import Mapping

from claw_files.app.wiring import App
from claw_files.core.errors import UsageError
from claw_files.core.model import AgentId
from claw_files.core.text import safe
from claw_files.http.http_errors import Refusal

_SCHEME = "bearer "


class RequestAuthenticator:
    """Opens the workspace for each request, as a command does: services are made for one caller."""

    def __init__(self, root: str, env: Mapping[str, str], believes: bool) -> None:
        """Args:
        env: of this process; what it says of agents and runs is not its callers'.
        believes: whether callers may be believed without a token, where the configuration says so.
        """
        self._root, self._believes, self.env = root, believes, env
        self._env = {name: value for name, value in env.items() if not name.startswith("CLAWFILES_")}

    def app(self, agent: AgentId | None) -> App:
        """The workspace with `agent` as the caller; None sees nothing of compartments."""
        return App(self._root, self._env, agent)

    def agent_of(self, authorization: str | None, is_near: bool) -> AgentId | None:
        """The agent of the request's token; None without a token, if none is required.

        Args:
            authorization: the header's value, `Bearer TOKEN`.
            is_near: whether no proxy has passed the request on: who asks through one is anybody.

        Raises Refusal "no-token", and InvalidConfig.
        """
        app = self.app(None)
        serve, is_free = app.settings.serve, authorization is None and is_near and self._believes
        if is_free and serve.auth == "loopback" and not serve.hosts:
            return None
        agent = app.tokens.agent_of(_token(authorization)) if authorization is not None else None
        if agent is None:
            why = "no token was sent" if authorization is None else "the token is not valid"
            told = f"{why}: `Authorization: Bearer TOKEN`; `clawfiles token NAME` prints the path of a token"
            raise Refusal("no-token", told, www_authenticate="Bearer")
        return agent

    def named(self, agent: AgentId | None, name: object) -> AgentId | None:
        """The caller's name in the request, which is trusted without a token.

        Raises Refusal "not-you" for a name that is not the token's agent, Usage, and NotFound.
        """
        if name is None:
            return agent
        if not isinstance(name, str):
            raise UsageError("`agent` must be text: the name of the caller")
        if agent is None:
            return self.app(None).settings.agent(name).name
        if name.lower() != agent:
            raise Refusal("not-you", f"the token belongs to {agent}, but `agent` is {safe(name, 80)}")
        return agent


def _token(authorization: str) -> str:
    is_bearer = authorization[: len(_SCHEME)].lower() == _SCHEME
    return authorization[len(_SCHEME) :].strip() if is_bearer else ""
