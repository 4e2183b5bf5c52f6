"""Who asks: by a token, or, where the configuration says so, by its word."""

from collections.abc import Mapping

from claw_files.app import App
from claw_files.errors import NotFound
from claw_files.model import AgentId
from claw_files.serve.refusals import Refusal
from claw_files.words import safe

_SCHEME = "bearer "


class Callers:
    """Opens the workspace anew for each request, as a command does: services are made for one caller at a time."""

    def __init__(self, root: str, env: Mapping[str, str], is_local: bool) -> None:
        """Args:
        env: of this process; what it says of agents and runs is not its callers'.
        is_local: whether only this machine can ask; elsewhere a token is needed whatever the configuration says.
        """
        self._root, self._is_local = root, is_local
        self._env = {name: value for name, value in env.items() if not name.startswith("CLAWFILES_")}

    def app(self, agent: AgentId | None) -> App:
        """The workspace with `agent` acting; None is nobody, who sees what is no compartment's."""
        return App(self._root, self._env, agent)

    def agent_of(self, authorization: str | None, named: str | None) -> AgentId | None:
        """Who asks; None where nobody was named and nobody has to be.

        Args:
            authorization: the header's value, `Bearer TOKEN`.
            named: who the request says that it is from; it has to be the token's agent.

        Raises Refusal "no-token" and "not-you", InvalidConfig, and NotFound for an agent that there is not.
        """
        app = self.app(None)
        if authorization is None:
            if app.settings.serve.auth == "token" or not self._is_local:
                raise self._unknown("no token was shown: `Authorization: Bearer TOKEN`")
            return app.settings.agent(named).name if named else None
        agent = app.tokens.agent_of(_token(authorization))
        if agent is None:
            raise self._unknown("the token is nobody's")
        if named and not self._is_same(app, agent, named):
            raise Refusal("not-you", f"the token is {agent}'s, and `agent` says {safe(named, 80)}")
        return agent

    def _is_same(self, app: App, agent: AgentId, named: str) -> bool:
        try:
            return app.settings.agent(named).name == agent
        except NotFound:
            return False

    def _unknown(self, why: str) -> Refusal:
        return Refusal("no-token", f"{why}; `clawfiles token NAME` says where one lies", www_authenticate="Bearer")


def _token(authorization: str) -> str:
    is_bearer = authorization[: len(_SCHEME)].lower() == _SCHEME
    return authorization[len(_SCHEME) :].strip() if is_bearer else ""
