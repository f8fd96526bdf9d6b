"""A host's settings -> which engine answers, how to build it, and why; what may be sent to it.

It knows the fields of the settings and of what is built, and imports only the engine's own side:
where servers answer, no torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from demo.audio import Limits
from demo.engine import MB, Budgets, Engine
from demo.loading import Report
from demo.messages import Message
from demo.settings import Settings
from demo.wanted import Remote, key_from


@dataclass(frozen=True)
class Chosen:
    """An engine that was decided on and is not built yet."""

    model: str  # as a person names it
    notice: Message  # which model answers, why, and how to start the other
    build: Callable[[Report], Engine]
    first: bool = False  # whether it must be there before the page is: on ZeroGPU


def chosen(settings: Settings) -> Chosen:
    """The engine that the settings ask for.

    Raises:
        EngineError: a wish cannot be met.
    """
    budgets = Budgets(
        settings.clip_store_mb * MB,
        settings.conversation_store_mb * MB,
        settings.max_waiting,
        settings.max_per_user,
    )
    return (_remote if settings.engine == "openai" else _local)(settings, budgets)


def limits_of(settings: Settings) -> Limits:
    """What a visitor may send."""
    return Limits(settings.max_audio_minutes, settings.max_file_mb, settings.allow_private_urls)


def _remote(settings: Settings, budgets: Budgets) -> Chosen:
    wanted = Remote(settings.model, settings.base_url, key_from(settings.api_key_env), budgets)
    return Chosen(wanted.model, wanted.notice, partial(_connected, wanted))


def _connected(wanted: Remote, report: Report) -> Engine:
    from demo.connecting import connect  # here, as the page need not wait for its client

    return connect(wanted, report)


def _local(settings: Settings, budgets: Budgets) -> Chosen:
    from demo.checkpoint import choose, load

    choice = choose(
        settings.model,
        settings.hub,
        settings.device,
        settings.adapter,
        dtype=settings.dtype,
        attention=settings.attention,
        quantize=settings.quantize,
        compile=settings.compile,
        budgets=budgets,
    )
    return Chosen(choice.model, choice.notice, partial(load, choice), choice.zerogpu)
