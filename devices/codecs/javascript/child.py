"""The process that manufacturers' JavaScript runs in. It is started by its path, without `site` and without an import
of ours, so that it is small; `devices.codecs.javascript.sandbox` is its only partner.

    python -I -S child.py FOLDER-OF-QUICKJS

Both directions are frames: 4 bytes length (little endian), then that many bytes. The first frame it gets is its
settings; it answers with one byte when it is sealed. Then each frame begins with a letter:

    L  id, prelude, additions, source           learn a codec
    F  id                                       forget it
    D  one or several decodes                   answered in one frame, in order

An answer to a decode is a letter, three lengths of 4 bytes, and three texts. J: the codec's object, the paths in it
that are no numbers, what it printed (each JSON; the last two may be empty); W: it gave this instead of an object; X: it
threw this; S: its source does not load; E: it has no function to call.

Before the first codec it gives up what it can: no file, socket or process can be opened any more, its memory is
bounded, and so is its computing time, by a bound that moves along, so that it ends even when nobody is left to end it.
On Linux the kernel moreover refuses it every call but those that computing, memory and its two pipes need (seccomp), so
that even a fault of the engine leads nowhere.
"""

from __future__ import annotations

import os
import select
import struct
import sys
import time
from collections import OrderedDict
from typing import Any

_LENGTH = struct.Struct("<I")
_SETTINGS = struct.Struct("<QQdQQI")  # heap, stack, seconds, address space, result, contexts kept; then the holes
_LEARN = struct.Struct("<IIII")  # codec, three lengths
_DECODE = struct.Struct("<I?dI")  # codec, reuse, ms since 1970, length of the input
_LENGTHS = struct.Struct("<III")
_ENTRIES = (
    ("decodeUplink", "{}"),
    ("Decode", "({{fPort, bytes, variables}}) => ({{data: {}(fPort, bytes, variables)}})"),
    ("Decoder", "({{fPort, bytes, variables}}) => ({{data: {}(bytes, fPort, variables)}})"),
)
_DECODES, _ENTRY, _LAST, _CLOCK, _PRINTED = range(5)  # what the prelude's function is asked
_LONGEST_COMPLAINT = 4000
_REUSES = 10_000  # decodes of a context that is reused, before it makes room for a new one
_CPU_STEP = 4  # seconds of computing time that the bound is moved on by
_NOT_KEPT = 4 * 2**20  # a context that takes more than this after loading is made when it is needed, not ahead


Answer = tuple[bytes, str, str, str]


class Settings:
    """What the first frame says."""

    def __init__(self, frame: bytes) -> None:
        values = _SETTINGS.unpack_from(frame)
        self.heap, self.stack, self.seconds, self.address_space, self.result, self.kept = values
        self.holes = frame[_SETTINGS.size :].decode()


class Codec:
    """A codec's source, and what has been found out about it."""

    def __init__(self, prelude: str, additions: str, source: str) -> None:
        self.prelude = prelude
        self.additions = additions
        self.source = source
        self.prints = "console" in prelude
        self.entry = ""  # the expression that gives its function, once known
        self.module = False  # it only exports, as for Node
        self.light: bool | None = None  # whether its context is small enough to be kept
        self.ahead = True  # its context may be made before the time of the message is known


class Loaded:
    """A context with its codec in it."""

    def __init__(self, context: Any, call: Any) -> None:
        self.context = context  # what keeps the engine alive
        self.call = call
        self.uses = 0


class Unloadable(Exception):
    """The codec cannot be brought into a context: what is to be answered."""

    def __init__(self, letter: bytes, words: str) -> None:
        self.answer: Answer = (letter, words[:_LONGEST_COMPLAINT], "", "")


class Engine:
    """Contexts of codecs: a fresh one for each decode, or one that is reused where the caller says so."""

    def __init__(self, settings: Settings, make_context: Any) -> None:
        self._settings = settings
        self._make_context = make_context
        self._codecs: dict[int, Codec] = {}
        self._fresh: OrderedDict[int, Loaded] = OrderedDict()
        self._reused: OrderedDict[int, Loaded] = OrderedDict()

    def learn(self, number: int, prelude: str, additions: str, source: str) -> None:
        self._codecs[number] = Codec(prelude, additions, source)

    def forget(self, number: int) -> None:
        self._codecs.pop(number, None)
        self._fresh.pop(number, None)
        self._reused.pop(number, None)

    def decode(self, number: int, given: str, now: float, *, reuse: bool) -> Answer:
        """The answer to an input (JSON) at a time in ms since 1970."""
        codec = self._codecs[number]
        loaded = None
        try:
            if reuse:
                loaded = self._reused.pop(number, None)
            if loaded is None:
                loaded = self._fresh.pop(number, None) or self._load(codec, now)
            answer = self._answer(codec, loaded, given, now)
        except Unloadable as error:
            return error.answer
        except Exception as error:  # whatever the engine throws, and MemoryError: the text is all that is wanted
            return b"X", (str(error) or type(error).__name__)[:_LONGEST_COMPLAINT], "", ""
        if reuse and codec.ahead and loaded.uses < _REUSES:
            loaded.uses += 1
            self._keep(self._reused, number, loaded)
        return answer

    def _answer(self, codec: Codec, loaded: Loaded, given: str, now: float) -> Answer:
        text = loaded.call(_DECODES, given, now)
        if not isinstance(text, str) or text[:1] != "{":
            return b"W", str(text)[:_LONGEST_COMPLAINT], "", ""
        if len(text) > self._settings.result:
            return b"W", f"a result of {len(text):,} characters", "", ""
        holes = loaded.context.eval(self._settings.holes)(loaded.call(_LAST)) if "null" in text else ""
        return b"J", text, holes, loaded.call(_PRINTED) if codec.prints else ""

    def prepare(self, number: int) -> None:
        """Make the context of the next decode, while there is nothing else to do."""
        codec = self._codecs.get(number)
        if codec is None or not codec.ahead or not codec.entry or codec.light is False:
            return
        if number in self._fresh or number in self._reused:
            return
        try:
            loaded = self._load(codec, 0.0)
        except Exception:  # then the decode itself says so
            codec.ahead = False
            return
        if codec.light is None:
            codec.light = loaded.context.memory()["malloc_size"] < _NOT_KEPT
        if codec.ahead and codec.light:
            self._keep(self._fresh, number, loaded)

    def _keep(self, shelf: OrderedDict[int, Loaded], number: int, loaded: Loaded) -> None:
        shelf[number] = loaded
        if len(shelf) > self._settings.kept:
            shelf.popitem(last=False)

    def _load(self, codec: Codec, now: float) -> Loaded:
        settings = self._settings
        context = self._make_context()
        context.set_memory_limit(settings.heap)
        context.set_max_stack_size(settings.stack)
        context.set_time_limit(settings.seconds)
        call = context.eval(codec.prelude)
        call(_CLOCK, now)
        if codec.additions:
            context.eval(codec.additions)
        if codec.module:
            context.eval("var module = {exports: {}}, exports = module.exports;")
        wrong = Unloadable(b"E", "")
        entry = ""
        try:
            context.eval(codec.source)
            entry = codec.entry or self._entry(context, codec)
        except Exception as error:
            wrong = Unloadable(b"S", str(error))
        if not entry:
            if codec.module or "exports" not in codec.source:
                raise wrong
            codec.module = True  # once more, as Node would load it
            return self._load(codec, now)
        codec.entry = entry
        if call(_ENTRY, context.eval(entry)):
            codec.ahead = False  # it looked at the clock while it loaded: only with the message's time
        return Loaded(context, call)

    def _entry(self, context: Any, codec: Codec) -> str:
        """The expression that gives the function as TS013 has it; "" where the codec has none of the names."""
        for name, called in _ENTRIES:
            for where in (name, f"module.exports.{name}") if codec.module else (name,):
                if context.eval(f"typeof {where}") == "function":
                    return called.format(where)
        return ""


def seal(settings: Settings) -> None:
    """Give up what can be given up on this system."""
    if sys.platform == "win32":
        return
    import ctypes  # noqa: F401  while files can still be opened: what refuses the calls needs it
    import resource

    def bound(what: int, value: int) -> None:
        hard = resource.getrlimit(what)[1]
        resource.setrlimit(what, (value, value) if hard == resource.RLIM_INFINITY or value <= hard else (hard, hard))

    bound(resource.RLIMIT_AS, settings.address_space)
    bound(resource.RLIMIT_CORE, 0)
    bound(resource.RLIMIT_FSIZE, 0)
    bound(resource.RLIMIT_NOFILE, 3)
    bound(resource.RLIMIT_NPROC, 0)
    refuse_calls()


# System calls that are left, by machine: the architecture's number for the kernel, that of prlimit64, and the others:
# read write close fstat lseek mmap mprotect munmap brk mremap madvise rt_sigaction rt_sigprocmask rt_sigreturn
# sigaltstack poll select pselect6 ppoll sched_yield nanosleep clock_nanosleep clock_gettime gettimeofday getpid gettid
# getrusage times getrlimit setrlimit futex set_robust_list membarrier rseq getrandom restart_syscall exit exit_group.
_CALLS = {
    "x86_64": (
        0xC000003E, 302,
        (0, 1, 3, 5, 8, 9, 10, 11, 12, 25, 28, 13, 14, 15, 131, 7, 23, 270, 271, 24, 35, 230, 228, 96, 39, 186, 98, 100,
         97, 160, 202, 273, 324, 334, 318, 219, 60, 231),
    ),
    "aarch64": (
        0xC00000B7, 261,
        (63, 64, 57, 80, 62, 222, 226, 215, 214, 216, 233, 134, 135, 139, 132, 72, 73, 124, 101, 115, 113, 169, 172,
         178, 165, 153, 163, 164, 98, 99, 283, 293, 278, 128, 93, 94),
    ),
}  # fmt: skip


def refuse_calls() -> None:
    """Have the kernel refuse (EPERM) all other system calls from now on, where it can."""
    if sys.platform != "linux" or os.uname().machine not in _CALLS:
        return
    import ctypes

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    architecture, prlimit, calls = _CALLS[os.uname().machine]
    load, equal, back = 0x20, 0x15, 0x06  # BPF: load a word, jump if equal, return
    allow, refuse = 0x7FFF0000, 0x00050001
    after = len(calls)
    steps = [
        (load, 0, 0, 4),  # the architecture
        (equal, 0, after + 4, architecture),
        (load, 0, 0, 0),  # the call
        *((equal, after - position + 3, 0, call) for position, call in enumerate(calls)),
        (equal, 0, 2, prlimit),
        (load, 0, 0, 16),  # of which process: only its own
        (equal, 1, 0, 0),
        (back, 0, 0, refuse),
        (back, 0, 0, allow),
    ]
    program = Program(len(steps), b"".join(struct.pack("<HBBI", *step) for step in steps))
    library = ctypes.CDLL(None)
    library.prctl(38, 1, 0, 0, 0)  # no new privileges
    library.prctl(22, 2, ctypes.byref(program), 0, 0)  # this filter; an old kernel says no, and the bounds remain


def bound_computing() -> None:
    """Move the bound of computing time on: a decode that never ends meets it when its parent is gone."""
    if sys.platform == "win32":
        return
    import resource

    used = time.process_time()
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if soft == resource.RLIM_INFINITY or soft - used < _CPU_STEP / 2:
        bound = int(used) + _CPU_STEP
        resource.setrlimit(resource.RLIMIT_CPU, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))


def read_exactly(size: int) -> bytes:
    """That many bytes of standard input; the end of it ends the process."""
    parts = []
    while size:
        part = os.read(0, min(size, 1 << 20))
        if not part:
            os._exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_frame() -> bytes:
    return read_exactly(_LENGTH.unpack(read_exactly(4))[0])


def write_frame(frame: bytes) -> None:
    rest = memoryview(_LENGTH.pack(len(frame)) + frame)
    while rest:
        rest = rest[os.write(1, rest) :]


def answers(engine: Engine, frame: bytes) -> tuple[bytes, set[int]]:
    """The frame that answers a frame of decodes, and the codecs that were used."""
    at, used = 1, set()
    parts: list[bytes] = []
    while at < len(frame):
        number, reuse, now, size = _DECODE.unpack_from(frame, at)
        at += _DECODE.size + size
        letter, *texts = engine.decode(number, frame[at - size : at].decode(), now, reuse=reuse)
        words = [text.encode("utf-8", "replace") for text in texts]
        parts += [letter, _LENGTHS.pack(*map(len, words)), *words]
        used.add(number)
    return b"".join(parts), used


def main(folder: str) -> None:
    sys.path.append(folder)
    import _quickjs

    settings = Settings(read_frame())
    seal(settings)
    engine = Engine(settings, _quickjs.Context)
    write_frame(b"R")
    while True:
        frame = read_frame()
        letter = frame[:1]
        bound_computing()
        if letter == b"D":
            answer, used = answers(engine, frame)
            write_frame(answer)
            for number in used:
                if sys.platform == "win32" or select.select([0], [], [], 0)[0]:
                    break
                engine.prepare(number)
        elif letter == b"L":
            number, *sizes = _LEARN.unpack_from(frame, 1)
            at = 1 + _LEARN.size
            middle, last = at + sizes[0], at + sizes[0] + sizes[1]
            engine.learn(number, frame[at:middle].decode(), frame[middle:last].decode(), frame[last:].decode())
        else:
            engine.forget(_LENGTH.unpack_from(frame, 1)[0])


if __name__ == "__main__":
    main(sys.argv[1])
