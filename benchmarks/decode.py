"""Tokens a second, one reply at a time, against what the memory's bandwidth allows.

`python -m benchmarks.decode` prints a table and, last, one line of JSON. Each token reads all of
the decoder's weights once, so the bandwidth, measured by a large copy in the same run, sets the
limit. The model card's way is measured beside the app's: as it is, compiled, with smaller weights.
"""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from benchmarks.shapes import SHAPES, build
from benchmarks.talking import Measured, app_way, as_loaded, card_way, greedy, machine
from demo.engine import Budgets, EngineInfo
from demo.local import LocalEngine
from demo.quantizing import stored_bytes
from demo.warming import compiled_step

COPY_BYTES = {"cpu": 2**28, "cuda": 2**31}
ASKED = [{"role": "user", "content": [{"type": "text", "text": "Tell me a story."}]}]
WAYS = ("card", "eager", "compiled", "int8", "int8 compiled")


def bandwidth(device: str, repeats: int = 5) -> float:
    """Bytes a second that a copy reads and writes, the best of some."""
    source = torch.ones(COPY_BYTES[device.split(":")[0]], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return max(2 * source.nbytes / seconds(lambda: target.copy_(source)) for _ in range(repeats))


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def read_a_token(model: Any) -> int:
    """Bytes of weights that one token reads: the decoder and the head, one row of embeddings."""
    decoder = model.model.language_model
    weights = sum(map(stored_bytes, decoder.parameters())) + stored_bytes(model.lm_head.weight)
    return weights - stored_bytes(decoder.embed_tokens.weight)


def smaller(model: Any) -> None:
    """The decoder's weights in int8, in place."""
    from torchao.quantization import (  # pyright: ignore[reportMissingImports]
        Int8WeightOnlyConfig,
        quantize_,
    )

    quantize_(model.model.language_model, Int8WeightOnlyConfig())


def replied(way: str, model: Any, processor: Any, new: int) -> Measured:
    """A second reply of `new` tokens; the first one compiles and warms up."""
    if way == "card":
        card_way(model, processor, ASKED, [], 4)
        return card_way(model, processor, ASKED, [], new)
    info = EngineInfo("benchmark", str(model.device), str(model.dtype), 8192, False, greedy(new))
    step = compiled_step() if "compiled" in way else None
    model = model if step else as_loaded(model)
    with closing(LocalEngine(model, processor, info, Budgets(0, 0), step)) as engine:
        app_way(engine, ASKED, [], new)
        return app_way(engine, ASKED, [], new)


def measure(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """By way: tokens a second, the limit, and the reply's tokens."""
    found = {}
    for way in options.ways:
        model, processor = build(options.shape, options.device, getattr(torch, options.dtype))
        model.generation_config.eos_token_id = None
        if way.startswith("int8"):
            smaller(model)
        speed = bandwidth(options.device)
        one = replied(way, model, processor, options.tokens)
        limit = speed / read_a_token(model)
        rate = 1 / one.per_token
        found[way] = {"rate": rate, "limit": limit, "share": rate / limit, "ids": one.ids}
        print(f"{way:<14} {rate:>8.1f} {limit:>8.1f} {rate / limit:>7.0%}", flush=True)
    return found


def plot(found: dict[str, dict[str, Any]], file: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
    axes.barh(list(found), [one["limit"] for one in found.values()], color="0.9", label="limit")
    axes.barh(list(found), [one["rate"] for one in found.values()], height=0.5, label="measured")
    axes.set(xlabel="tokens a second")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decode", description=__doc__)
    parser.add_argument("--shape", choices=["preview", *SHAPES], default="100m")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    print("way            tokens/s    limit   share")
    found = measure(options)
    if options.plot:
        plot(found, options.plot)
    same = [one["ids"] for way, one in found.items() if not way.startswith("int8")]
    result = {
        "shape": options.shape,
        "dtype": options.dtype,
        "machine": machine(options.device),
        "tokens_equal": all(ids == same[0] for ids in same),
        "ways": {way: {**one, "ids": None} for way, one in found.items()},
    }
    print(json.dumps(result))
    return result


if __name__ == "__main__":
    main()
