"""What pickle's instructions do to a stack, with every length checked first and nothing to run."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sisgen.io.blobs import Blob, Reader, RefusedError
from sisgen.io.standins import Name, Record, check_key
from sisgen.io.stored import ArrayType, StoredArray

MAX_OPERATIONS = 400_000  # a generator, its average and a discriminator of 1024 px in the official layout take 59,000
MAX_TEXT = 64 << 20  # bytes of text in all
MAX_LONG = 64  # bytes of an integer
MAX_STACK = 100_000
MAX_MARKS = 100  # nesting while containers are written
MAX_PROTOCOL = 5
SMALL = 64  # bytes that are read at once instead of being left in the file

Persistent = Callable[[Any], Any]
_MARK = object()


@dataclass(slots=True)
class Budget:
    """What a file may still cost, over all pickles inside it."""

    operations: int = MAX_OPERATIONS
    text: int = MAX_TEXT


class PickleMachine:
    """The stack and the memory of one pickle; `sisgen.io.unpickle` feeds it.

    Args:
        reader: where it begins.
        names: every name that may occur, dotted.
        budget: shared by the pickles of a file.
        persistent: finds the data that a pickle refers to outside itself; `None` when it may not.
    """

    def __init__(self, reader: Reader, names: Mapping[str, Name], budget: Budget, persistent: Persistent | None = None) -> None:
        self.reader = reader
        self.names = names
        self.budget = budget
        self.persistent = persistent
        self.stack: list[Any] = []
        self.marks = 0
        self.memo: dict[int, Any] = {}

    def count(self) -> None:
        """Count one more instruction."""
        self.budget.operations -= 1
        if self.budget.operations < 0 or len(self.stack) > MAX_STACK:
            raise RefusedError("has more instructions than a network needs")

    def pop(self) -> Any:
        """Take the top of the stack."""
        value = self.stack.pop()
        if value is _MARK:
            raise RefusedError("is damaged")
        return value

    def top(self) -> Any:
        """Look at the top of the stack."""
        if self.stack[-1] is _MARK:
            raise RefusedError("is damaged")
        return self.stack[-1]

    def pop_to_mark(self) -> list[Any]:
        """Take everything above the last mark."""
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                self.marks -= 1
                return items
        raise RefusedError("is damaged")

    def mark(self) -> None:
        """Begin a container."""
        self.marks += 1
        if self.marks > MAX_MARKS:
            raise RefusedError("is nested too deeply")
        self.stack.append(_MARK)

    def number(self, layout: str) -> int:
        """Read a fixed-size number."""
        (value,) = struct.unpack(layout, self.reader.read(struct.calcsize(layout)))
        return int(value)

    def push_number(self, layout: str) -> None:
        """Push a fixed-size integer."""
        self.stack.append(self.number(layout))

    def push_float(self) -> None:
        """Push a float of eight bytes."""
        self.stack.append(struct.unpack(">d", self.reader.read(8))[0])

    def push_long(self, layout: str) -> None:
        """Push a long integer."""
        size = self.number(layout)
        if not 0 <= size <= MAX_LONG:
            raise RefusedError(f"holds an integer of {size} bytes")
        self.stack.append(int.from_bytes(self.reader.read(size), "little", signed=True))

    def push_text(self, layout: str) -> None:
        """Push a string; its length is checked before it is read."""
        size = self.number(layout)
        self.budget.text -= size
        if self.budget.text < 0:
            raise RefusedError("holds more text than a network needs")
        self.stack.append(self.reader.read(size).decode("utf-8", "surrogatepass"))

    def push_blob(self, layout: str) -> None:
        """Push bytes; all but a few stay in the file."""
        size = self.number(layout)
        self.stack.append(Blob.of(self.reader.read(size)) if size <= SMALL else self.reader.skip(size))

    def push_name(self, module: str, name: str) -> None:
        """Look a name up; anything but the allowed ones ends the reading."""
        dotted = f"{module}.{name}"
        found = self.names.get(dotted)
        if found is None:
            raise RefusedError(f"names {dotted[:80]!r}, which is not among the names that a network needs")
        self.stack.append(found)

    def push_global(self) -> None:
        """A name on two lines."""
        module, name = self.reader.read_line(), self.reader.read_line()
        self.push_name(module.decode(), name.decode())

    def push_stack_global(self) -> None:
        """A name whose parts lie on the stack."""
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise RefusedError("is damaged")
        self.push_name(module, name)

    def make(self) -> None:
        """What pickle takes for a call: hand checked arguments to a stand-in."""
        args, name = self.pop(), self.pop()
        if not isinstance(name, Name) or name.make is None or not isinstance(args, tuple):
            word = f"'{name.name}'" if isinstance(name, Name) else "something that is no name"
            raise RefusedError(f"calls {word}, which no network needs")
        self.charge(args)
        self.stack.append(name.make(*args))

    def charge(self, values: Iterable[Any]) -> None:
        """Count what is copied, since a few instructions can copy the same large container again and again."""
        for value in values:
            if isinstance(value, (list, tuple, dict)):
                self.budget.operations -= len(value)
            elif isinstance(value, str):
                self.budget.text -= len(value)
        if self.budget.operations < 0 or self.budget.text < 0:
            raise RefusedError("has more instructions than a network needs")

    def build(self) -> None:
        """Give an object its state; dicts keep none beside their items."""
        state, made = self.pop(), self.top()
        self.charge([state, *(state if isinstance(state, tuple) and len(state) == 2 else ())])
        if isinstance(made, (Record, ArrayType, StoredArray)):
            made.build(state)
        elif not isinstance(made, dict):
            raise RefusedError("gives a state to something that has none")

    def set_items(self, items: list[Any]) -> None:
        """Fill the dict on the stack with key, value, key, value, ..."""
        target = self.top()
        if not isinstance(target, dict) or len(items) % 2:
            raise RefusedError("is damaged")
        for key, value in zip(items[::2], items[1::2]):
            target[check_key(key)] = value

    def extend(self, items: list[Any]) -> None:
        """Append to the list (or set, a list here) on the stack."""
        target = self.top()
        if not isinstance(target, list):
            raise RefusedError("is damaged")
        target.extend(items)

    def push_tuple(self, size: int) -> None:
        """Push a tuple of the last `size` values."""
        items = [self.pop() for _ in range(size)]
        self.stack.append(tuple(reversed(items)))

    def remember(self, index: int) -> None:
        """Keep the top of the stack for later."""
        self.memo[index] = self.top()

    def find_outside(self) -> None:
        """Resolve a reference to data outside the pickle."""
        if self.persistent is None:
            raise RefusedError("refers to data outside itself")
        self.stack.append(self.persistent(self.pop()))

    def check_protocol(self) -> None:
        """Refuse what is newer than the instructions known here."""
        if self.number("<B") > MAX_PROTOCOL:
            raise RefusedError("is of an unknown pickle protocol")

    def push_dict(self) -> None:
        """Push a dict of the items above the mark."""
        items = self.pop_to_mark()
        self.stack.append({})
        self.set_items(items)
