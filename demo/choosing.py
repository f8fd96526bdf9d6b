"""A host's settings -> which checkpoint answers and how; it knows the fields of both."""

from demo.checkpoint import Choice, choose
from demo.engine import MB, Budgets
from demo.settings import Settings


def chosen(settings: Settings) -> Choice:
    """The checkpoint and the device that the settings ask for.

    Raises:
        EngineError: a wish cannot be met.
    """
    budgets = Budgets(
        settings.clip_store_mb * MB,
        settings.conversation_store_mb * MB,
        settings.max_waiting,
        settings.max_per_user,
    )
    return choose(
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
