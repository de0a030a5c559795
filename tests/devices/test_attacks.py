"""Codecs that mean harm, or only do it: each ends in a CodecError in plain words or harmlessly, the process that asked
is as it was before, and the next decode is right."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from devices.codecs.javascript import Limits, Request, Sandbox, child, codec_of
from devices.model import CodecError

GOOD = codec_of("function decodeUplink(input) { return {data: {sum: input.bytes.reduce((a, b) => a + b, 0)}}; }")
TIME = datetime(2026, 6, 1, tzinfo=UTC)
# A busy machine may need its time; the limit of computing time is what counts.
PATIENT = Limits(patience_seconds=60.0)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(PATIENT) as made:
        yield made


# name: (body of decodeUplink(input), a piece of what the error must say)
CONTAINED = {
    "endless loop": ("while (true) {}", "stopped after 0.25 s"),
    "endless loop that catches all": ("for (;;) { try { for (;;) {} } catch (e) {} finally { continue } }", "stopped"),
    "endless recursion": ("const f = () => f() + 1; return f()", "nested too deep"),
    "mutual recursion through getters": ("const o = {get a() { return this.a }}; return {data: o}", "nested too deep"),
    "recursion in toString": ("const o = {toString() { return '' + this }}; return {data: '' + o}", "nested too deep"),
    "array that grows": ("const a = []; for (;;) a.push(new Array(1000).fill(a.length))", "16 MB of memory"),
    "string that doubles": ("let s = 'x'; for (;;) s += s; return {data: s}", "line 1 of the codec"),
    "typed arrays": ("const a = []; for (;;) a.push(new Uint8Array(2 ** 20))", "16 MB of memory"),
    "one huge buffer": ("return {data: {n: new ArrayBuffer(2 ** 31 - 8).byteLength}}", "line 1 of the codec"),
    "huge BigInt": ("let n = 3n; for (;;) n = n * n", "codec"),
    "huge BigInt shift": ("return {data: {n: String(1n << (1n << 40n))}}", "line 1 of the codec"),
    "result of 10 MB": ("return {data: {text: 'x'.repeat(10 * 2 ** 20)}}", "codec"),
    "result of 400 kB": ("return {data: {text: 'x'.repeat(400000)}}", "a result of 400,"),
    "a million members": ("const d = {}; for (let i = 0; i < 1e6; i++) d['k' + i] = i; return {data: d}", "codec"),
    "join of an endless array": ("return {data: new Array(2 ** 32 - 1).join('x')}", "did not come back"),
    "catastrophic regular expression": ("return {data: /^(a+)+$/.test('a'.repeat(40) + 'b')}", "stopped"),
    "endless native loop": ("return {data: Array.prototype.indexOf.call({length: 2 ** 53 - 1}, 1)}", "stopped"),
    "sort that never ends": ("new Array(1e6).fill(0).sort(() => { for (;;) {} })", "codec"),
    "thrown text": ("throw 'just text'", "just text"),
    "thrown nothing": ("throw undefined", "undefined"),
    "thrown object that cannot be printed": ("throw {toString() { throw this }}", "cannot be printed"),
    "thrown Proxy": ("throw new Proxy({}, {get() { throw 1 }, getPrototypeOf() { throw 2 }})", "cannot be printed"),
    "error with a poisoned stack": (
        "const e = new Error('x'); Object.defineProperty(e, 'stack', {get() { for (;;) {} }}); throw e", "codec"
    ),
    "long message": ("throw new Error('y'.repeat(1e6))", "y…"),
    "promise": ("return Promise.resolve({data: {a: 1}})", "a promise"),
    "thenable that is an object": ("return {then() {}, data: {a: 1}}", "a promise"),
    "text": ("return 'level 2.1'", "a string"),
    "NaN": ("return NaN", "number NaN"),
    "number": ("return 42", "number 42"),
    "nothing": ("return", "nothing"),
    "null": ("return null", "null"),
    "function": ("return () => 1", "a function"),
    "symbol": ("return Symbol('s')", "a symbol"),
    "big integer": ("return 1n", "a bigint"),
    "big integer within": ("return {data: {n: 1n}}", "BigInt"),
    "list": ("return [1, 2]", "as data"),
    "data that is text": ("return {data: 'level 2.1'}", "a text"),
    "data that is missing": ("return {level: 2.1}", "neither data nor errors"),
    "cyclic": ("const d = {}; d.d = d; return {data: d}", "circular"),
    "getter that throws": ("return {get data() { throw new Error('from the getter') }}", "from the getter"),
    "getter that throws within": ("return {data: {get a() { throw new Error('from the getter') }}}", "from the getter"),
    "toJSON that gives text": ("return {toJSON() { return 'x' }}", "as data"),
    "toJSON that gives nothing": ("return {toJSON() {}}", "returned"),
    "toJSON that throws": ("return {data: {toJSON() { throw new Error('from toJSON') }}}", "from toJSON"),
    "toJSON that never ends": (
        "return {data: {toJSON() { return {toJSON: this.toJSON, a: {toJSON: this.toJSON}} }}}", "codec"
    ),
    "Proxy that throws": ("return {data: new Proxy({}, {ownKeys() { throw new Error('no keys') }})}", "no keys"),
    "Proxy without end": (
        "const p = new Proxy({}, {ownKeys: () => ['a'], get: () => p, "
        "getOwnPropertyDescriptor: () => ({configurable: true, enumerable: true})}); return {data: p}",
        "codec",
    ),
    "prototype key": ("return {data: JSON.parse('{\"__proto__\": {\"a\": 1}}')}", "__proto__"),
    "key with NUL": ("return {data: {['a\\0b']: 1}}", "whose name is no text"),
    "key of half a character": ("return {data: {['\\ud800']: 1}}", "whose name is no text"),
    "endless key": ("return {data: {['k'.repeat(5000)]: 1}}", "has 5,000 characters"),
    "nested deep": ("let d = 1; for (let i = 0; i < 500; i++) d = {d}; return {data: d}", "nested"),
    "nested very deep": ("let d = []; for (let i = 0; i < 100000; i++) d = [d]; return {data: {d}}", "codec"),
    "three thousand values": ("return {data: Array.from({length: 3000}, (_, i) => i)}", "more than 1,000 values"),
    "errors stated": ("return {errors: ['sensor broken', {}, null]}", "sensor broken"),
    "errors that are no list": ("return {errors: 'broken', data: {a: 1}}", "broken"),
    "module of the system": ("return {data: require('fs').readFileSync('/etc/passwd')}", "require"),
    "process": ("return {data: process.env}", "process"),
    "fetch": ("return {data: fetch('http://127.0.0.1/')}", "fetch"),
    "std": ("return {data: std.loadFile('/etc/passwd')}", "std"),
    "os": ("return {data: os.exec(['/bin/true'])}", "os"),
    "waiting on shared memory": ("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)", "codec"),
    "no JSON any more": ("JSON.stringify = JSON.parse = () => { throw 'mine' }; return {data: {a: 1n}}", "BigInt"),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTAINED)
def test_a_codec_that_does_harm_ends_in_words_and_the_next_decode_is_right(sandbox: Sandbox, name: str) -> None:
    body, words = CONTAINED[name]
    bad = codec_of(f"function decodeUplink(input) {{ {body} }}")
    with pytest.raises(CodecError) as caught:
        sandbox.decode(bad, b"\x01\x02", 1, TIME)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600 and str(caught.value).isprintable()
    (reading,) = sandbox.decode(GOOD, b"\x01\x02", 1, TIME)
    assert (reading.field, reading.value) == ("sum", 3.0)


# Codecs that are refused while they load.
UNLOADABLE = {
    "loop while loading": ("while (true) {}", "stopped after 0.25 s"),
    "memory while loading": ("const a = []; for (;;) a.push(new Array(1000).fill(1));", "16 MB"),
    "no JavaScript": ("function decodeUplink(input) {\n  return {data: };\n}", "line 2 of the codec is not JavaScript"),
    "deep brackets": ("[" * 100_000, "codec"),
    "import": ("import fs from 'fs';\nfunction decodeUplink() {}", "line 1 of the codec is not JavaScript"),
    "no function": ("var level = 1;", "none of the functions decodeUplink, Decode, Decoder"),
    "not UTF-8 as text": ("function decodeUplink() { return {data: {a: '\ud800'}} } throw 1", "codec"),
    "closed gate": ("Object.defineProperty(globalThis, 'decodeUplink', {get() { for (;;) {} }})", "stopped"),
    "error while loading": ("\n\nnull.x;", "line 3 of the codec: TypeError"),
}


@pytest.mark.parametrize("name", UNLOADABLE)
def test_a_codec_that_does_not_load_says_why(sandbox: Sandbox, name: str) -> None:
    source, words = UNLOADABLE[name]
    with pytest.raises(CodecError, match=words):
        sandbox.decode(replace(GOOD, source=source, sha256=name), b"\x01", 1, TIME)
    assert sandbox.decode(GOOD, b"\x01", 1, TIME)[0].value == 1.0


# What must not leave the decode in which it was done. The second decode of the same codec is looked at.
LEAVING = {
    "Object.prototype": "Object.prototype.leaked = 1; Object.prototype.toJSON = () => ({data: {seen: 9}});",
    "Array.prototype": "Array.prototype.map = Array.prototype.push = () => 9;",
    "JSON": "JSON.stringify = () => '{\"data\":{\"seen\":9}}'; JSON.parse = () => ({});",
    "a global": "globalThis.leaked = 1;",
    "a variable of the codec": "count++;",
    "Date": "Date = Date.now = () => 9; Math.random = () => 9;",
    "a pending promise": "Promise.resolve().then(() => { count = 9 }); queueMicrotask(() => { count = 9 });",
    "the function itself": "decodeUplink = () => ({data: {seen: 9}});",
    "frozen things": "Object.freeze(globalThis); Object.freeze(Object.prototype); Object.freeze(Array.prototype);",
}  # fmt: skip


@pytest.mark.parametrize("name", LEAVING)
def test_nothing_of_one_decode_is_seen_in_the_next(sandbox: Sandbox, name: str) -> None:
    codec = codec_of(
        "let count = 0;\nfunction decodeUplink(input) {\n"
        "  const seen = count + (typeof leaked === 'undefined' ? 0 : 1);\n"
        f"  if (input.bytes[0]) {{ {LEAVING[name]} }}\n"
        "  return {data: {seen, n: Date.now(), list: [1].map((x) => x)}};\n}"
    )
    quiet = sandbox.raw(codec, b"\0", 1, TIME)
    with_harm = [sandbox.answers([Request(codec, b"\x01", 1, TIME), Request(codec, b"\0", 1, TIME)]) for _ in range(2)]
    for _, after in with_harm:
        assert not isinstance(after, CodecError) and after.output == quiet
    assert sandbox.raw(GOOD, b"\x05", 1, TIME) == {"data": {"sum": 5}}


CLOCKS = {
    "Date.now": "Date.now()",
    "new Date": "new Date().getTime()",
    "Date()": "new Date(Date()).getTime()",
    "constructor of a date": "new (new Date(0).constructor)().getTime()",
    "constructor of the reception time": "new input.recvTime.constructor().getTime()",
    "prototype": "new Date.prototype.constructor().getTime()",
    "a class of its own": "new (class extends Date {})().getTime()",
    "Reflect": "Reflect.construct(Date, []).getTime()",
    "eval": "eval('Da' + 'te').now()",
    "Function": "new Function('return Da' + 'te')().now()",
    "globalThis": "globalThis['Da' + 'te'].now()",
    "escaped": "\\u0044ate.now()",
}


@pytest.mark.parametrize("name", CLOCKS)
def test_the_clock_stands_at_the_time_of_the_message_however_it_is_asked_for(sandbox: Sandbox, name: str) -> None:
    codec = codec_of(f"function decodeUplink(input) {{ return {{data: {{now: {CLOCKS[name]}}}}}; }}")
    for time_of_message in (TIME, datetime(2031, 1, 2, 3, 4, 5, tzinfo=UTC)):
        (reading,) = sandbox.decode(codec, b"", 1, time_of_message)
        assert reading.value == time_of_message.timestamp() * 1000


HIDDEN_CLOCKS = (
    "performance.now()",
    "this['perfor' + 'mance'].now()",
    "this['Da' + 'te'].now()",
    "this['Ma' + 'th']['ran' + 'dom']()",
)


@pytest.mark.parametrize("asked", HIDDEN_CLOCKS)
def test_a_clock_or_dice_under_a_hidden_name_do_not_exist(sandbox: Sandbox, asked: str) -> None:
    codec = codec_of(f"var self = this; function decodeUplink(input) {{ return {{data: {{now: {asked}}}}}; }}")
    with pytest.raises(CodecError):
        sandbox.decode(codec, b"", 1, TIME)


def test_a_clock_read_while_loading_is_the_message_s_too_and_dice_fall_the_same_way(sandbox: Sandbox) -> None:
    codec = codec_of(
        "const loaded = Date.now(), first = Math.random();\n"
        "function decodeUplink() { return {data: {loaded, first, second: Math.random()}}; }"
    )
    outputs = [sandbox.raw(codec, b"", 1, each)["data"] for each in (TIME, TIME, datetime(2030, 1, 1, tzinfo=UTC))]
    assert outputs[0] == outputs[1]
    assert outputs[0]["loaded"] == TIME.timestamp() * 1000 and outputs[2]["loaded"] == 1893456000000
    assert 0 <= outputs[0]["second"] < 1 and outputs[0]["second"] != outputs[0]["first"]


def test_the_machine_is_not_to_be_seen(sandbox: Sandbox) -> None:
    codec = codec_of(
        "function decodeUplink(input) { return {data: {offset: new Date().getTimezoneOffset(), names:"
        " ['std', 'os', 'require', 'process', 'fetch', 'XMLHttpRequest', 'WebSocket', 'print', 'scriptArgs', 'Worker',"
        "  'setTimeout', 'WebAssembly', 'performance', 'navigator', 'Deno', 'Bun', 'load']"
        "   .filter((name) => name in globalThis).join()}}; }"
    )
    assert sandbox.raw(codec, b"", 1, TIME)["data"] == {"offset": 0, "names": ""}


def test_an_import_that_is_asked_for_never_comes(sandbox: Sandbox) -> None:
    codec = codec_of(
        "let got = 'nothing';\n"
        "function decodeUplink() { import('os').then((m) => { got = 'os' }, () => {}); return {data: {a: 1}, got}; }"
    )
    assert [sandbox.raw(replace(codec, stateless=True), b"", 1, TIME)["got"] for _ in range(3)] == ["nothing"] * 3


def test_one_that_hangs_among_many_fails_alone(sandbox: Sandbox) -> None:
    hangs = codec_of("function decodeUplink() { return {data: new Array(2 ** 32 - 1).join('x')}; }")
    asked = [Request(hangs if number == 7 else GOOD, bytes([number]), 1, TIME) for number in range(40)]
    answers = sandbox.answers(asked)
    assert [number for number, answer in enumerate(answers) if isinstance(answer, CodecError)] == [7]
    assert all(answers[n].output == {"data": {"sum": n}} for n in range(40) if n != 7)  # type: ignore[union-attr]


def test_a_process_that_was_killed_is_started_again() -> None:
    with Sandbox(PATIENT) as sandbox:
        assert sandbox.pid is None
        sandbox.decode(GOOD, b"\x01")
        pid = sandbox.pid
        assert pid is not None
        psutil.Process(pid).kill()
        assert sandbox.decode(GOOD, b"\x02")[0].value == 2.0
        assert sandbox.pid not in (None, pid)
    assert sandbox.pid is None
    with pytest.raises(CodecError, match="closed"):
        sandbox.decode(GOOD, b"\x01")


def test_threads_share_a_sandbox() -> None:
    wrong: list[object] = []

    def work(number: int) -> None:
        for _ in range(50):
            (reading,) = sandbox.decode(GOOD, bytes([number, 1]))
            if reading.value != number + 1:
                wrong.append(reading)

    with Sandbox(PATIENT) as sandbox:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts files as Linux does")
def test_the_process_that_asks_is_as_before() -> None:
    myself = psutil.Process()
    with Sandbox(PATIENT) as warm:  # what is imported and allocated once
        warm.decode(GOOD, b"\x01")
    files, threads, memory = len(os.listdir("/proc/self/fd")), threading.active_count(), myself.memory_info().rss  # noqa: PTH208
    children = {child.pid for child in myself.children()}
    quick = [name for name in CONTAINED if name != "join of an endless array"]
    with Sandbox(PATIENT) as sandbox:
        for name in quick:
            sandbox.answers(
                [Request(codec_of(f"function decodeUplink(input) {{ {CONTAINED[name][0]} }}"), b"\x01\x02")]
            )
        child = psutil.Process(sandbox.pid)
        assert child.children() == []
        assert child.num_fds() <= 3
        assert child.memory_info().rss < 120e6
    assert not psutil.pid_exists(child.pid) or child.status() == psutil.STATUS_ZOMBIE
    assert len(os.listdir("/proc/self/fd")) == files  # noqa: PTH208
    assert threading.active_count() == threads
    assert {each.pid for each in myself.children()} <= children
    assert myself.memory_info().rss - memory < 30e6


@pytest.mark.skipif(not Path("/proc/self/limits").is_file(), reason="reads limits as Linux shows them")
def test_the_process_of_codecs_has_given_up_what_it_could() -> None:
    with Sandbox(PATIENT) as sandbox:
        sandbox.decode(GOOD, b"\x01")
        proc = Path(f"/proc/{sandbox.pid}")
        limits = proc.joinpath("limits").read_text()
        assert "Max open files            3 " in limits
        assert "Max processes             0 " in limits
        assert "Max file size             0 " in limits
        assert f"Max address space         {512 * 2**20} " in limits
        if os.uname().machine in ("x86_64", "aarch64"):
            status = proc.joinpath("status").read_text()
            assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
        environment = proc.joinpath("environ").read_bytes()
        assert {line.split(b"=")[0] for line in environment.split(b"\0") if line} <= {b"TZ", b"LC_CTYPE"}
        assert os.getsid(int(proc.name)) == int(proc.name)


def test_the_process_of_codecs_ends_with_its_input() -> None:
    sandbox = Sandbox(PATIENT)
    sandbox.decode(GOOD, b"\x01")
    child = psutil.Process(sandbox.pid)
    assert sandbox._process is not None and sandbox._process._child.stdin is not None
    sandbox._process._child.stdin.close()  # as when the process that asks has been killed
    gone, alive = psutil.wait_procs([child], timeout=30)
    assert gone and not alive
    sandbox.close()


def test_a_slow_machine_is_waited_for() -> None:
    """A process that gets no processor time is not taken for one that hangs."""
    with Sandbox(replace(PATIENT, wall_seconds=0.2)) as sandbox:
        sandbox.decode(GOOD, b"\x01")
        child = psutil.Process(sandbox.pid)
        child.suspend()
        waker = threading.Thread(target=lambda: (time.sleep(1.0), child.resume()))
        waker.start()
        assert sandbox.decode(GOOD, b"\x04")[0].value == 4.0
        waker.join()
        assert sandbox.pid == child.pid


def test_one_that_never_gets_anywhere_is_ended_too() -> None:
    with Sandbox(Limits(wall_seconds=0.2, patience_seconds=0.5)) as sandbox:
        sandbox.decode(GOOD, b"\x01")
        psutil.Process(sandbox.pid).suspend()
        with pytest.raises(CodecError, match="did not come back in time"):
            sandbox.decode(GOOD, b"\x01")
        assert sandbox.decode(GOOD, b"\x06")[0].value == 6.0


CALLS = {
    "open a file": "os.open('/etc/passwd', os.O_RDONLY)",
    "remove a file": "os.unlink({victim!r})",
    "change a file": "os.chmod({victim!r}, 0)",
    "make a folder": "os.mkdir({victim!r} + '.d')",
    "a socket": "socket.socket()",
    "another process": "os.fork()",
    "another program": "os.execv('/bin/true', ['true'])",
    "a signal to the one that asks": "os.kill(os.getppid(), 0)",
    "the bounds of another process": "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (1, 1))",
    "who it is": "os.setuid(0)",
}


@pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"), reason="seccomp filters are Linux's"
)
@pytest.mark.parametrize("name", CALLS)
def test_even_a_broken_engine_is_refused_by_the_kernel(tmp_path: Path, name: str) -> None:
    """What machine code in the process of codecs could try, tried by Python after it gave the same up."""
    victim = tmp_path / "victim"
    victim.write_text("here")
    script = (
        "import os, resource, runpy, socket, sys\n"
        f"runpy.run_path({child.__file__!r})['refuse_calls']()\n"
        f"try:\n    {CALLS[name].format(victim=str(victim))}\n"
        "except PermissionError:\n    os.write(1, b'refused')\n"
        "sum(range(10000)), bytearray(2 ** 24), resource.getrlimit(resource.RLIMIT_CPU)\n"
        "os.write(1, b' and alive')\n"
        "os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == (b"refused and alive", 0), done.stderr
    assert victim.read_text() == "here"
