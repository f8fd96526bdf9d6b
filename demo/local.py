"""The engine on this machine: one Qwen2-Audio model, asked in the way of the model card.

It knows neither the page nor where a checkpoint comes from (`demo.checkpoint`), nor what is kept
from turn to turn (`demo.prefill`). Everything that runs the model runs on the engine's one
inference thread; what can be refused before (a conversation that is too long) is refused on the
caller's.
"""

import gc
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import Qwen2AudioForConditionalGeneration
from transformers.generation.configuration_utils import CompileConfig

from demo.batching import Batcher, Request
from demo.decoding import generation_config, merged, seeded, stoppable
from demo.drawing import Drawer
from demo.engine import (
    Answer,
    Budgets,
    Conversation,
    EngineError,
    EngineInfo,
    Item,
    Load,
    Memory,
    Options,
)
from demo.lots import answered
from demo.prefill import Prefiller, Prompt, build_prompt
from demo.quantizing import stored_bytes
from demo.refusals import LocalError, explained, too_long
from demo.stores import Prefix
from demo.streaming import InferenceThread, Reply, StoppedError

log = logging.getLogger(__name__)
Tell = Callable[[list[str]], None]


class LocalEngine:
    """One model, one inference thread; `demo.checkpoint.load` builds it."""

    def __init__(
        self,
        model: Qwen2AudioForConditionalGeneration,
        processor: Any,
        info: EngineInfo,
        budgets: Budgets | None = None,
        compiled: CompileConfig | None = None,
    ) -> None:
        self.info = info
        self._model: Any = model  # its own type does not bind its generate()
        self._processor, self._tokenizer = processor, processor.tokenizer
        self._preparing = threading.Lock()  # fast tokenizers refuse two threads at once
        self._audio_id: int = model.config.audio_token_id
        self._budgets = budgets or Budgets()
        self._thread = InferenceThread(self._budgets)
        self._prefiller = Prefiller(model, self._extractor, self._budgets)
        self._compiled, self._base = compiled, model.generation_config
        self._drawer = Drawer(model, self._tokenizer, compiled)
        self._batcher = Batcher(model, self._tokenizer, self._extractor)
        self._weights = sum(map(stored_bytes, [*model.parameters(), *model.buffers()]))

    @property
    def idle(self) -> threading.Event:  # set while no reply is being made or waits
        return self._thread.idle

    def stream(
        self,
        conversation: Conversation,
        windows: Sequence[np.ndarray],
        options: Options,
        user: str = "",
    ) -> Iterator[str]:
        yield from self.alone(self._request(conversation, windows, options, user))

    def batch(
        self, items: Sequence[Item], options: Options, size: int | None = None, user: str = ""
    ) -> Iterator[Answer | None]:
        merged(options, self.info.defaults)  # what is out of its range is no single item's fault
        requests: dict[int, Request] = {}
        for place, item in enumerate(items):
            try:
                requests[place] = self._request(item.asked, item.windows, options, user, late=True)
            except EngineError as error:
                yield Answer(place, error=error)
        yield from answered(self, requests, size)

    def fitting(self, request: Request) -> int:
        """How many requests like this one are best answered together."""
        return self._batcher.fitting(request.tokens, request.new, self._thread.sought)

    def alone(self, request: Request) -> Iterator[str]:
        """The reply to one request, as `stream` yields it."""
        make = partial(self._make, request)
        return self._thread.submit(Reply(make, request.user, late=request.late))

    def together(self, requests: Sequence[Request], tell: Tell) -> Iterator[str]:
        """Answers several at once and tells their texts, or none where they are too much.

        Yields "" meanwhile; closing it ends the work.
        """
        make = partial(self._make_together, requests, tell)
        return self._thread.submit(Reply(make, requests[0].user, late=requests[0].late))

    def prepare(self, conversation: Conversation, windows: Sequence[np.ndarray]) -> None:
        """Feeds a conversation whose last turn is not finished yet, while nothing else is to do.

        A reply to it then costs only what was added since. Returns at once; what cannot be fed
        is told when the reply is asked for.
        """
        prompt = self._prompt(conversation, windows, ask=False)
        if len(prompt.ids) <= self.info.context_tokens:
            self._thread.prepare(partial(self._feed, prompt))

    def memory(self) -> Memory:
        clips, prefixes = self._prefiller.clips, self._prefiller.prefixes
        return Memory(self._weights, clips.bytes, prefixes.bytes, self._budgets)

    def load(self) -> Load:
        own = self._prefiller
        return Load(*self._thread.load(), own.kept, own.fed, own.recalled, own.heard)

    def twin(self) -> "LocalEngine":
        """Another engine over the same model, for a forked process: threads are not forked."""
        return LocalEngine(self._model, self._processor, self.info, Budgets(0, 0))

    def check(
        self, conversation: Conversation, windows: Sequence[np.ndarray], options: Options
    ) -> None:
        """Raises the EngineError that `stream` would raise before it begins."""
        self._request(conversation, windows, options)

    def close(self) -> None:
        """Ends every request and gives the model's memory back."""
        self._thread.close(LocalError("closed"))
        for holder in ("_model", "_prefiller", "_drawer", "_batcher"):
            self.__dict__.pop(holder, None)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _request(
        self,
        asked: Conversation | str,
        windows: Sequence[np.ndarray],
        options: Options,
        user: str = "",
        late: bool = False,
    ) -> Request:
        drawn = merged(options, self.info.defaults)
        if not asked or (isinstance(asked, list) and asked[-1]["role"] != "user"):
            raise LocalError("nothing")
        prompt = self._prompt(asked, windows)
        tokens = len(prompt.ids)
        room = self.info.context_tokens - tokens
        if room < 1:
            raise too_long(tokens, self.info.context_tokens)
        return Request(prompt, generation_config(self._base, drawn, room), drawn.seed, user, late)

    def _prompt(
        self, asked: Conversation | str, windows: Sequence[np.ndarray], ask: bool = True
    ) -> Prompt:
        template = self._processor.apply_chat_template
        with self._preparing:
            raw = isinstance(asked, str)
            text = asked if raw else template(asked, add_generation_prompt=ask, tokenize=False)
            return build_prompt(text, windows, self._tokenizer, self._audio_id, self._extractor)

    @property
    def _extractor(self) -> Any:
        return self._processor.feature_extractor

    def _make(self, request: Request, reply: Reply) -> None:
        """Makes a reply, on the inference thread.

        What failed is told by a fresh error, raised after the old one is gone: its traceback
        holds the tensors that filled the memory. Where what is kept from earlier turns filled
        it, the reply is tried once more without.
        """
        failure = self._attempt(request, reply)
        if failure and failure.key == "out_of_memory" and not reply.begun:
            crowded = not self._prefiller.empty
            self._free()
            failure = self._attempt(request, reply) if crowded else failure
        if failure:
            self._free()
            raise failure

    def _attempt(self, request: Request, reply: Reply) -> LocalError | None:
        try:
            self._generate(request, reply)
        except (EngineError, StoppedError):
            raise
        except Exception as error:
            return explained(error, self.info.device, request.tokens)
        return None

    def _make_together(self, requests: Sequence[Request], tell: Tell, reply: Reply) -> None:
        """Makes several replies, on the inference thread; telling nothing says: ask for fewer."""
        try:
            tell(self._batcher.answer(requests, reply.stop))
            return
        except StoppedError:
            raise
        except Exception as error:  # whoever is alone at last will be told
            log.warning("%d replies at once failed: %s", len(requests), type(error).__name__)
        self._free()

    def _feed(self, prompt: Prompt, work: Reply) -> None:
        try:
            with stoppable(self._model, work.stop):
                entry = self._prefiller.fill(prompt, work.check)
            self._prefiller.keep(entry, entry.keys)
        except StoppedError:
            raise
        except Exception as error:  # nobody waits for it: the reply itself will say it
            log.warning("A conversation could not be prepared: %s", type(error).__name__)
            self._free()

    def _free(self) -> None:
        """Gives back what only makes later turns faster: the next request comes first."""
        self._prefiller.clear()
        self._drawer.clear()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _generate(self, request: Request, reply: Reply) -> None:
        """Feeds what is new of the prompt, draws the reply, and keeps the cache of both."""
        prompt = request.prompt
        with stoppable(self._model, reply.stop):
            tail = 1 if self._compiled else prompt.tail  # a compiled step is of one token
            entry = self._prefiller.fill(prompt, reply.check, tail)
        # A hook would compile the step anew, and a step is short.
        drawing = nullcontext() if self._compiled else stoppable(self._model, reply.stop)
        with drawing, seeded(request.seed, self._model.device):
            drawn, cache = self._drawer.draw(
                prompt.ids, entry, request.config, reply.emit, reply.stop
            )
        keys = [*prompt.keys, *drawn[:-1]]  # the last one was never fed
        self._prefiller.keep(Prefix(keys, cache), keys)
