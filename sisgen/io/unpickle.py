"""Reads a pickle as plain data: its instructions are known here, but there is nothing to run.

Python's own unpickler calls what a file names. This one looks names up in a table of inert stand-ins (`sisgen.io.standins`), counts
every instruction, checks every length against the bytes that are left, and leaves large byte strings in the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from sisgen.io.blobs import Reader, RefusedError
from sisgen.io.pickle_machine import Budget, Persistent, PickleMachine
from sisgen.io.standins import Name


def unpickle(reader: Reader, names: Mapping[str, Name], budget: Budget, persistent: Persistent | None = None) -> Any:
    """Read one pickle up to its end.

    Args:
        reader: where it begins.
        names: every name that may occur, dotted.
        budget: shared by the pickles of a file.
        persistent: finds the data that a pickle refers to outside itself; `None` when it may not.

    Returns:
        None, bool, int, float, str, tuple, list, dict, `Blob` for bytes, and stand-ins.

    Raises:
        RefusedError: a name that is not allowed, a limit that is exceeded, or a damaged file.
    """
    machine = PickleMachine(reader, names, budget, persistent)
    try:
        while (code := reader.read(1)) != b".":
            machine.count()
            handler = HANDLERS.get(code[0])
            if handler is None:
                raise RefusedError(f"holds the instruction 0x{code[0]:02x}, which no network needs")
            handler(machine)
        return machine.pop()
    # Makers and handlers get whatever a damaged file gives them.
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError, RecursionError, struct.error):
        raise RefusedError("is damaged") from None


def _push(make: Callable[[], Any]) -> Callable[[PickleMachine], None]:
    return lambda machine: machine.stack.append(make())


HANDLERS: Mapping[int, Callable[[PickleMachine], Any]] = {
    0x80: PickleMachine.check_protocol,
    0x95: lambda machine: machine.number("<Q"),  # a frame's length says nothing new
    # Constants.
    ord("N"): _push(lambda: None),
    0x88: _push(lambda: True),
    0x89: _push(lambda: False),
    ord("J"): lambda machine: machine.push_number("<i"),
    ord("K"): lambda machine: machine.push_number("<B"),
    ord("M"): lambda machine: machine.push_number("<H"),
    0x8A: lambda machine: machine.push_long("<B"),
    0x8B: lambda machine: machine.push_long("<i"),
    ord("G"): PickleMachine.push_float,
    ord("X"): lambda machine: machine.push_text("<I"),
    0x8C: lambda machine: machine.push_text("<B"),
    0x8D: lambda machine: machine.push_text("<Q"),
    ord("B"): lambda machine: machine.push_blob("<I"),
    ord("C"): lambda machine: machine.push_blob("<B"),
    0x8E: lambda machine: machine.push_blob("<Q"),
    0x96: lambda machine: machine.push_blob("<Q"),
    # Containers.
    ord("("): PickleMachine.mark,
    ord("]"): _push(list),
    ord("a"): lambda machine: machine.extend([machine.pop()]),
    ord("e"): lambda machine: machine.extend(machine.pop_to_mark()),
    ord("l"): lambda machine: machine.stack.append(machine.pop_to_mark()),
    ord(")"): _push(tuple),
    ord("t"): lambda machine: machine.stack.append(tuple(machine.pop_to_mark())),
    0x85: lambda machine: machine.push_tuple(1),
    0x86: lambda machine: machine.push_tuple(2),
    0x87: lambda machine: machine.push_tuple(3),
    ord("}"): _push(dict),
    ord("d"): PickleMachine.push_dict,
    ord("s"): lambda machine: machine.set_items([machine.pop(), machine.pop()][::-1]),
    ord("u"): lambda machine: machine.set_items(machine.pop_to_mark()),
    0x8F: _push(list),  # sets are lists here: nothing needs their hashes
    0x90: lambda machine: machine.extend(machine.pop_to_mark()),
    0x91: lambda machine: machine.stack.append(machine.pop_to_mark()),
    # Stack and memo.
    ord("0"): PickleMachine.pop,
    ord("1"): PickleMachine.pop_to_mark,
    ord("2"): lambda machine: machine.stack.append(machine.top()),
    ord("q"): lambda machine: machine.remember(machine.number("<B")),
    ord("r"): lambda machine: machine.remember(machine.number("<I")),
    0x94: lambda machine: machine.remember(len(machine.memo)),
    ord("h"): lambda machine: machine.stack.append(machine.memo[machine.number("<B")]),
    ord("j"): lambda machine: machine.stack.append(machine.memo[machine.number("<I")]),
    # Names and objects.
    ord("c"): PickleMachine.push_global,
    0x93: PickleMachine.push_stack_global,
    ord("R"): PickleMachine.make,
    0x81: PickleMachine.make,
    ord("b"): PickleMachine.build,
    ord("Q"): PickleMachine.find_outside,
}
