"""What is told of requests and batches: how they ended, in numbers and in the log."""

import logging
import re
from contextlib import ExitStack, suppress

import pytest

from demo.batch.rules import BatchError
from demo.engine import Waiting
from demo.messages import UserError
from demo.refusals import LocalError
from demo.watching import OWN_BATCHES, Watch, request_id
from tests.test_hosting import number


def test_a_request_is_counted_by_how_it_ended(caplog: pytest.LogCaptureFixture):
    watch = Watch()
    with caplog.at_level(logging.INFO, "demo.requests"):
        with watch.request() as seen:
            seen.piece()
            seen.piece()
        with pytest.raises(LocalError) as raised, watch.request():
            raise LocalError("nothing")
        with suppress(GeneratorExit), watch.request():
            raise GeneratorExit
    text = watch.numbers().decode()
    for outcome in ("done", "nothing", "stopped"):
        assert number(text, f'demo_requests_total{{outcome="{outcome}"}}') == 1
    assert number(text, "demo_first_word_seconds_count") == 1
    assert number(text, "demo_tokens_per_second_count") == 1
    ids = [re.search(r"id=(\w+)", line) for line in caplog.messages]
    assert [found and found[1] for found in ids][1] == request_id(raised.value)


def test_a_reply_of_one_token_has_no_speed():
    watch = Watch()
    with watch.request() as seen:
        seen.piece()
    text = watch.numbers().decode()
    assert number(text, "demo_first_word_seconds_count") == 1
    assert number(text, "demo_tokens_per_second_count") == 0


def test_a_batch_is_counted_by_how_it_ended_and_its_rows_too(caplog: pytest.LogCaptureFixture):
    watch = Watch()
    with caplog.at_level(logging.INFO, "demo.requests"):
        with watch.batch("me", rows=3) as seen:
            seen.row(failed=False)
            seen.row(failed=True)
        with suppress(GeneratorExit), watch.batch("me", rows=1):
            raise GeneratorExit
    text = watch.numbers().decode()
    assert number(text, 'demo_batches_total{outcome="done"}') == 1
    assert number(text, 'demo_batches_total{outcome="stopped"}') == 1
    assert number(text, 'demo_batch_rows_total{outcome="done"}') == 1
    assert number(text, 'demo_batch_rows_total{outcome="failed"}') == 1
    assert re.search(r"batch id=\w{8} rows=3 done=1 failed=1 took=.*outcome=done", caplog.text)


def test_one_user_never_has_all_the_places_for_batches():
    watch = Watch()
    with ExitStack() as running:
        for _ in range(OWN_BATCHES):
            running.enter_context(watch.batch("busy", rows=9))
        with pytest.raises(BatchError, match=f"{OWN_BATCHES} of your batches") as raised:
            running.enter_context(watch.batch("busy", rows=9))
        assert request_id(raised.value)
        running.enter_context(watch.batch("other", rows=1))
    with watch.batch("busy", rows=9):
        pass


def test_an_error_from_elsewhere_has_no_id():
    assert request_id(UserError.__new__(UserError)) == ""
    assert Waiting(3) == ""
