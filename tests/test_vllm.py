"""The app in front of real vLLM servers on the CPU, which serve the preview checkpoint.

They run in an environment of their own, whose Python the variable VLLM_PYTHON names.
"""

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from openai import OpenAI

from benchmarks.talking import noted
from demo.chat_api import messages, parameters
from demo.checkpoint import PREVIEW, choose, load
from demo.connecting import connect
from demo.conversation import from_history
from demo.engine import Budgets, Engine, Options
from demo.remote_errors import RemoteError
from demo.ui.clips import CLIPS
from demo.wanted import Remote
from tests.eval_parts import evaluate, predictions, row, through, written
from tests.local_parts import CASES, noise, started, user
from tests.serving import PATIENCE, answers, free_port, serving, until

PYTHON = os.environ.get("VLLM_PYTHON")
pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="VLLM_PYTHON names no Python with vLLM"),
    pytest.mark.slow,
    pytest.mark.timeout(600),
]
START_SECONDS = 400  # two at once, on two cores
GREEDY = Options(max_new_tokens=48, temperature=0.0)
LONG = Options(max_new_tokens=2000, temperature=0.0, repetition_penalty=10.0)  # no end is in sight
CLIPS_AT_MOST = 24
FLAGS = ["--dtype", "float32", "--max-model-len", "8192", "--enforce-eager", "--max-num-seqs", "16",
         "--served-model-name", "preview", "--host", "127.0.0.1",
         "--limit-mm-per-prompt", f'{{"audio": {CLIPS_AT_MOST}}}']  # fmt: skip
ENVIRON = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind",
           "OMP_NUM_THREADS": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}  # fmt: skip


@dataclass(frozen=True)
class Vllm:
    """A running server."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def answers(self) -> bool:
        return answers(f"{self.url}/models")

    @property
    def running(self) -> float:
        """How many requests it is at work on."""
        metrics = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(metrics, timeout=PATIENCE) as page:
            lines = page.read().decode().splitlines()
        counts = [line for line in lines if line.startswith("vllm:num_requests_running{")]
        return sum(float(line.rpartition(" ")[2]) for line in counts)

    def kill(self) -> None:
        """At once, with the processes that it has started."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def vllm(log_file: Path) -> Iterator[Vllm]:
    port = free_port()
    serve = [str(PYTHON), "-m", "vllm.entrypoints.openai.api_server", "--model", str(PREVIEW)]
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*serve, *FLAGS, "--port", str(port)], env={**os.environ, **ENVIRON},
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    server = Vllm(port, process)
    try:
        yield server
    finally:
        if process.poll() is None:
            server.kill()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Vllm, Vllm]]:
    folder = tmp_path_factory.mktemp("vllm")
    with vllm(folder / "one.log") as one, vllm(folder / "two.log") as two:
        end = time.monotonic() + START_SECONDS
        for server, log in ((one, "one.log"), (two, "two.log")):
            while not server.answers:
                told = (folder / log).read_text(encoding="utf-8", errors="replace")[-3000:]
                assert server.process.poll() is None, told
                assert time.monotonic() < end, told
                time.sleep(1)
        yield one, two


@pytest.fixture
def engine(two: tuple[Vllm, Vllm]) -> Iterator[Any]:
    urls = tuple(server.url for server in two)
    wanted = Remote("preview", urls, "none", Budgets(waiting=100))
    with closing(connect(wanted, lambda status: None)) as engine:
        yield engine


@pytest.fixture(scope="module")
def local() -> Iterator[Engine]:
    choice = choose("preview", device="cpu", dtype="float32")
    with closing(load(choice, lambda status: None)) as engine:
        yield engine


def said(engine: Engine, case: str, options: Options = GREEDY, who: str = "") -> str:
    return "".join(engine.stream(*CASES[case], options, who))


@pytest.mark.parametrize("penalty", [1.0, None])
@pytest.mark.parametrize("case", CASES)
def test_a_greedy_reply_is_the_local_engines(
    engine: Engine, local: Engine, case: str, penalty: float | None
):
    options = Options(max_new_tokens=48, temperature=0.0, repetition_penalty=penalty)
    assert said(engine, case, options) == said(local, case, options)


@pytest.mark.parametrize("case", CASES)
def test_its_tokens_are_the_local_models(two: tuple[Vllm, Vllm], local: Engine, case: str):
    options = Options(max_new_tokens=48, temperature=0.0, repetition_penalty=1.0)
    with noted() as (ids, _):
        said(local, case, options)
    assert tokens(two[0], case, options) == ids


def tokens(server: Vllm, case: str, options: Options) -> list[int]:
    """What the server draws for a request as the engine makes it; the last ends the reply."""
    request: Any = parameters(options)
    request["extra_body"] |= {"return_token_ids": True}
    with OpenAI(base_url=server.url, api_key="none") as client:
        given = {"model": "preview", "messages": messages(*CASES[case]), **request}
        answer: Any = client.chat.completions.create(**given)
    return answer.choices[0].token_ids


def test_sixteen_at_once_get_each_their_own_reply(engine: Engine, local: Engine):
    cases = (list(CASES) * 3)[:16]
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(said, engine, case, GREEDY, str(n)) for n, case in enumerate(cases)]
        replies = [future.result() for future in asked]
    expected = {case: said(local, case) for case in CASES}
    assert replies == [expected[case] for case in cases]


def test_stop_ends_the_request_on_the_server(engine: Any, two: tuple[Vllm, Vllm]):
    reply: Any = started(engine, "analysis", LONG)
    until(lambda: sum(server.running for server in two) == 1)
    reply.close()
    until(lambda: sum(server.running for server in two) == 0, 5)


def test_what_the_server_refuses_is_a_clear_sentence(engine: Engine):
    crowded = from_history([user(*["a.wav"] * 30)])
    with pytest.raises(RemoteError, match=f"takes {CLIPS_AT_MOST} clips"):
        list(engine.stream(crowded, [noise(0.5)] * 30, GREEDY))
    with pytest.raises(RemoteError, match="takes 8192 tokens"):
        list(engine.stream(from_history([user("long " * 9000)]), [], GREEDY))
    longest = Options(max_new_tokens=9000, temperature=0.0)
    assert "".join(engine.stream(*CASES["analysis"], longest)) == said(engine, "analysis")


def test_the_whole_app_answers_from_the_server(two: tuple[Vllm, Vllm], tmp_path: Path):
    flags = ["--engine", "openai", "--base-url", two[1].url, "--model", "preview"]
    message = {"text": "What is that sound?", "files": [handle_file(CLIPS / "glass-breaking.flac")]}
    with serving(tmp_path / "app.log", *flags) as app:
        client = Client(app.url, verbose=False)
        reply = client.predict(message, temperature=0, api_name="/chat")
    assert reply == "I hear glass breaking."


def test_an_evaluation_through_both_servers_is_that_of_this_machine(
    two: tuple[Vllm, Vllm], tmp_path: Path
):
    names = ["woman-visit.flac", "man-table.flac", "voice-chat-sum.flac", "glass-breaking.flac"]
    manifest = written(tmp_path, [row(str(CLIPS / name)) for name in names])
    assert evaluate(manifest, tmp_path / "here") == 0
    assert through([server.url for server in two], manifest, tmp_path / "there") == 0
    here, there = (predictions(tmp_path / place) for place in ("here", "there"))
    assert [one["response"] for one in there] == [one["response"] for one in here]


def told(engine: Engine, who: str) -> dict[str, str]:
    """What a user is told, one reply after another; where one ended in an error, its key."""
    replies = {}
    for case in CASES:
        try:
            replies[case] = said(engine, case, GREEDY, who)
        except RemoteError as error:
            replies[case] = error.key
    return replies


def test_the_other_server_takes_over_where_one_is_killed(
    engine: Any, two: tuple[Vllm, Vllm], local: Engine
):
    """The last test here: one of the two is gone after it.

    Of each of its users, who all have a reply under way, only that one may break off.
    """
    first, second = two
    users = [f"user {number}" for number in range(32)]
    *its, its_last = [who for who in users if next(engine._servers.for_(who)).url == first.url]
    others = [who for who in users if who not in (*its, its_last)]
    expected = {case: said(local, case) for case in CASES}
    with ThreadPoolExecutor(8) as pool:
        asked = {who: pool.submit(told, engine, who) for who in (*its[:4], *others[:4])}
        doomed = started(engine, "analysis", LONG, its_last)
        first.kill()
        with pytest.raises(RemoteError, match="in the middle of this reply"):
            list(doomed)
    for who, replies in asked.items():
        broken = [case for case, text in replies.result().items() if text == "broke_off"]
        assert len(broken) <= (who in its), who
        assert replies.result() == expected | dict.fromkeys(broken, "broke_off"), who
    assert [said(engine, "voice", GREEDY, who) for who in users] == [expected["voice"]] * len(users)
    assert second.process.poll() is None
