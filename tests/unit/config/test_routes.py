"""What routes say beside who does the work: models, pools, caches, batches; and what does not fit together."""

from datetime import timedelta

import pytest

from claw_files import config
from claw_files.core.errors import InvalidConfig

TEAM = """
[workspace]
coordinator = "sam"
[agents.sam]
[agents.peter]
[agents.iris]
[agents.shield]
compartment = true
[agents.research]
kind = "worker"
"""


def test_a_route_says_model_pool_cache_and_batch() -> None:
    more = 'x = { to = ["peter", "iris"], model = "small", pool = true, cache = "2h", batch = 20 }'

    route = config.parse(f"{TEAM}[routes]\n{more}\n".encode()).routes["x"]

    assert (route.model, route.pool, route.cache, route.batch) == ("small", True, timedelta(hours=2), 20)
    plain = config.parse(f'{TEAM}[routes]\nx = {{ to = ["peter"] }}\n'.encode()).routes["x"]
    assert (plain.model, plain.pool, plain.cache, plain.batch) == (None, False, None, None)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[routes]\nx = { to = ["peter", "research", "self"], pool = true }', "two or more named agents"),
        ('[routes]\nx = { to = ["peter", "shield"], pool = true }', "shield has to do in its compartment"),
        ('[routes]\nx = { to = ["research"], cache = "8d" }', "longer than heartbeat.archive"),
        ('[routes]\nx = { to = ["research"], batch = 0 }', "1 or more"),
        ('[agents.ada]\ncommand = ["ada", "--model={model}"]', "so the agent needs one"),
    ],
)
def test_contradictory_route_settings_are_named_with_their_line(more: str, said: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config.parse(f"{TEAM}{more}\n".encode())

    assert said in str(caught.value)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0][0]
