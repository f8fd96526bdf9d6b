"""What is forgotten while the app runs, on a real page whose clients come and go."""

import json
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from demo.sweeping import Clock, Sweeper, left_for
from tests.serving import PATIENCE, ROOT

pytestmark = pytest.mark.slow

VISITS = """
import json, time
import gradio as gr
from gradio_client import Client
from demo.sweeping import forget_left

with gr.Blocks() as page:
    said, kept = gr.Textbox(), gr.State([])
    said.submit(lambda text, kept: [*kept, text], [said, kept], kept, api_name="keep")
_, url, _ = page.queue().launch(prevent_thread_lock=True, quiet=True)
sessions = page.state_holder
stays, leaves = (Client(url, verbose=False) for _ in range(2))
for client in (stays, leaves):
    client.predict("word", api_name="/keep")
time.sleep(1)  # a heart has to beat before it can stop
gone = leaves.session_hash
leaves.reset_session()
end = time.monotonic() + 30
while not sessions.session_data[gone].is_closed and time.monotonic() < end:
    time.sleep(0.1)
copies = lambda: [bool(sessions[one].config_values) for one in (gone, stays.session_hash)]
before = copies()
forget_left(sessions, time.time(), seconds=3600)
found = {
    "soon": gone in sessions, "copied": before, "copies": copies(),
    "said": list(sessions[gone].state_data.values()),
}
leaves.session_hash = gone
leaves.predict("more", api_name="/keep")
found["said later"] = list(sessions[gone].state_data.values())
found["copied later"] = copies()
forget_left(sessions, time.time(), seconds=0)
print(json.dumps({**found, "later": gone in sessions, "others": stays.session_hash in sessions}))
"""

SCATTERED = """
import json
import psutil
from demo.sweeping import give_back

held = lambda: psutil.Process().memory_info().rss
blocks = [b"x" * 100_000 for _ in range(2000)]
del blocks[1::2]  # some stay between those that go, up to the end of the heap
before = held()
give_back()
print(json.dumps({"before": before, "after": held(), "kept": len(blocks)}))
"""


def test_memory_between_what_stays_is_given_back():
    run = subprocess.run(
        [sys.executable, "-c", SCATTERED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["before"] - found["after"] > 80_000_000, found


def test_a_session_is_forgotten_once_its_page_was_left_for_a_while():
    run = subprocess.run(
        [sys.executable, "-c", VISITS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    kept = {"soon": True, "said": [["word"]], "said later": [["word", "more"]], "others": True}
    none = [False, False]
    gone = {"copied": [True, True], "copies": none, "copied later": none, "later": False}
    assert found == {**kept, **gone}


def test_a_job_that_fails_stops_neither_the_others_nor_the_next_time():
    done = threading.Semaphore(0)

    def failing() -> None:
        raise OSError("the disk is away")

    sweeper = Sweeper([failing, done.release], every=0.01)
    sweeper.start()
    assert done.acquire(timeout=PATIENCE)
    assert done.acquire(timeout=PATIENCE)
    sweeper.close()
    sweeper.join(PATIENCE)
    assert not sweeper.is_alive()


def test_a_session_that_nobody_used_for_a_day_counts_as_left():
    now = datetime.now()
    open_page, gone = SimpleNamespace(is_closed=False), SimpleNamespace(is_closed=False)
    used = {"open": now - timedelta(hours=23), "gone": now - timedelta(hours=25)}
    sessions = SimpleNamespace(session_data={"open": open_page, "gone": gone}, time_last_used=used)
    assert left_for(sessions, now.timestamp(), 600) == {"gone": gone}


def test_a_jump_of_the_clock_makes_nothing_older_than_it_is():
    wall, steady = 1_000_000.0, 50.0
    clock = Clock(lambda: wall, lambda: steady)
    wall, steady = wall + 10, steady + 10
    assert clock() == 1_000_010
    wall += 90_000
    assert clock() == 1_000_010
    wall -= 180_000
    assert clock() == 910_010
