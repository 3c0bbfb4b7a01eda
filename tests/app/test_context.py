"""The registry: immutable models, one load each, the least recently used let go, and never another model than was asked for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from sisgen.app.context import Registry
from sisgen.errors import CheckpointError, InputError


class Model:
    """Stands where a pipeline stands: the registry asks only for its size."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.num_bytes = 1024


def test_a_model_is_loaded_once_for_many_at_the_same_time() -> None:
    loads = []
    registry = Registry(("a",), lambda name: (loads.append(name), Model(name))[1])
    gate = threading.Barrier(8)

    def use() -> str:
        gate.wait()
        with registry.lease("a") as model:
            return model.name

    with ThreadPoolExecutor(8) as pool:
        assert {future.result() for future in [pool.submit(use) for _ in range(8)]} == {"a"}
    assert loads == ["a"]


def test_the_least_recently_used_idle_model_is_let_go() -> None:
    registry = Registry(("a", "b", "c"), Model, max_bytes=2048)
    with registry.lease("a"):
        for name in ("b", "c"):
            with registry.lease(name):
                pass
        assert set(registry.loaded()) == {"a", "c"}, "a is lent out, so b goes"


def test_a_failed_load_leaves_the_others_and_may_be_tried_again() -> None:
    state = {"broken": True}

    def load(name: str) -> Model:
        if name == "b" and state["broken"]:
            raise CheckpointError("The model b is damaged; download it again.")
        return Model(name)

    registry = Registry(("a", "b"), load)
    with registry.lease("a"):
        pass
    with pytest.raises(CheckpointError), registry.lease("b"):
        pass
    assert registry.loaded() == ["a"]
    state["broken"] = False
    with registry.lease("b") as model:
        assert model.name == "b"


def test_only_listed_models_are_offered() -> None:
    with pytest.raises(InputError, match="choose one of: a, b"), Registry(("a", "b"), Model).lease("../../etc"):
        pass
    with Registry(("a",), Model, allow_any=True).lease("someone/thing") as model:
        assert model.name == "someone/thing"
    for path in ("/etc", "../x", "a/../b", "a/b/c", "."):
        with pytest.raises(InputError), Registry(("a",), Model, allow_any=True).lease(path):
            pass


def test_one_visitor_paints_while_another_switches_models() -> None:
    registry = Registry(("a", "b"), Model, max_bytes=1024)
    stop = threading.Event()

    def paint() -> set[str]:
        seen = set()
        while not stop.is_set():
            with registry.lease("a") as model:
                seen.add(model.name)
        return seen

    with ThreadPoolExecutor(1) as pool:
        painting = pool.submit(paint)
        for _ in range(50):
            with registry.lease("b") as model:
                assert model.name == "b"
        stop.set()
        assert painting.result() == {"a"}


def test_a_model_whose_folder_was_replaced_is_loaded_anew() -> None:
    loads = []
    registry = Registry(("a",), lambda name: (loads.append(name), Model(name))[1])
    with registry.lease("a") as old:
        registry.forget("a")
        with registry.lease("a") as new:
            assert new is not old
    assert loads == ["a", "a"]
    assert registry.loaded() == ["a"]
