"""An engine connected to servers, and what it says to one question."""

from contextlib import closing
from typing import Any

from demo.connecting import connect
from demo.conversation import from_history
from demo.engine import Budgets, Engine, Options
from demo.wanted import Remote

GREEDY = Options(max_new_tokens=8, temperature=0.0)
TURNS = from_history([{"role": "user", "content": "What?"}])


def connected(*urls: str, key: str = "k", budgets: Budgets | None = None) -> Any:
    wanted = Remote("auto", urls, key, budgets or Budgets())
    return closing(connect(wanted, lambda status: None))


def said(engine: Engine, user: str = "") -> str:
    return "".join(engine.stream(TURNS, [], GREEDY, user))
