"""The lane: batches, newest drawing first, limits, and errors that stay with their request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from sisgen.app.serve.live import BusyError, Lane, LaneConfig, SupersededError
from sisgen.errors import InputError


class Desk:
    """Work whose first batch waits until it is let go, so that others queue up behind it."""

    def __init__(self) -> None:
        self.batches: list[list[object]] = []
        self.started, self.go = threading.Event(), threading.Event()

    def __call__(self, key: object, payloads: list[object]) -> list[object]:
        self.batches.append(payloads)
        self.started.set()
        assert self.go.wait(5)
        if "bad" in payloads:
            raise InputError("This one is bad.")
        return [(key, payload) for payload in payloads]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def lane(desk: Desk) -> Iterator[Lane]:
    lane = Lane(desk, LaneConfig(max_waiting=12))
    lane.submit("first", "k", "first")
    assert desk.started.wait(5)
    yield lane
    desk.go.set()
    lane.close()


def test_requests_of_several_visitors_run_as_batches_of_up_to_eight(lane: Lane, desk: Desk) -> None:
    futures = [lane.submit(f"visitor {i}", "k", i) for i in range(10)]
    desk.go.set()
    assert [future.result(5) for future in futures] == [("k", i) for i in range(10)]
    assert [len(batch) for batch in desk.batches] == [1, 8, 2]


def test_different_settings_never_share_a_batch(lane: Lane, desk: Desk) -> None:
    futures = [lane.submit(f"visitor {i}", f"k{i % 2}", i) for i in range(4)]
    desk.go.set()
    assert [future.result(5) for future in futures] == [(f"k{i % 2}", i) for i in range(4)]
    assert desk.batches[1:] == [[0, 2], [1, 3]]


def test_a_newer_stroke_takes_the_place_of_a_waiting_one(lane: Lane, desk: Desk) -> None:
    old, new = lane.submit("visitor", "k", "old"), lane.submit("visitor", "k", "new")
    desk.go.set()
    with pytest.raises(SupersededError):
        old.result(5)
    assert new.result(5) == ("k", "new")
    assert ["old"] not in desk.batches


def test_strokes_go_before_variations(lane: Lane, desk: Desk) -> None:
    later = lane.submit("a", "k", "variation", rank=2)
    sooner = lane.submit("b", "k", "stroke")
    desk.go.set()
    later.result(5), sooner.result(5)
    assert desk.batches[1:] == [["stroke"], ["variation"]]


def test_a_full_queue_and_a_greedy_visitor_are_refused(lane: Lane) -> None:
    for i in range(4):
        lane.submit("greedy", "k", i, rank=2)
    with pytest.raises(BusyError):
        lane.submit("greedy", "k", 5, rank=2)
    lane.submit("greedy", "k", "its stroke still goes")
    for i in range(7):
        lane.submit(f"visitor {i}", "k", i)
    with pytest.raises(BusyError):
        lane.submit("one too many", "k", 0)


def test_one_bad_request_does_not_spoil_its_batch(lane: Lane, desk: Desk) -> None:
    good, bad = lane.submit("a", "k", "good"), lane.submit("b", "k", "bad")
    desk.go.set()
    assert good.result(5) == ("k", "good")
    with pytest.raises(InputError, match="bad"):
        bad.result(5)
    assert lane.submit("a", "k", "next").result(5) == ("k", "next")


def test_a_cancelled_request_is_never_run(lane: Lane, desk: Desk) -> None:
    future = lane.submit("a", "k", "gone", rank=2)
    future.cancel()
    desk.go.set()
    assert lane.submit("b", "k", "next").result(5) == ("k", "next")
    with pytest.raises(CancelledError):
        future.result(5)
    assert ["gone"] not in desk.batches


def test_closing_finishes_the_running_batch_and_refuses_the_rest(desk: Desk) -> None:
    lane = Lane(desk)
    running = lane.submit("a", "k", "running")
    assert desk.started.wait(5)
    waiting = lane.submit("b", "k", "waiting")
    threading.Timer(0.1, desk.go.set).start()
    lane.close()
    assert running.result(5) == ("k", "running")
    with pytest.raises(BusyError):
        waiting.result(5)
    with pytest.raises(BusyError):
        lane.submit("c", "k", "late")
