"""What manufacturers' codecs find when they run: TS013 and its forerunners, Node's Buffer, lines in errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from devices.codecs.javascript import Limits, Request, Sandbox, UnloadableCodec, check_loads, codec_of
from devices.codecs.javascript.codec import LARGEST_SOURCE
from devices.model import CodecError

TIME = datetime(2026, 6, 1, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(patience_seconds=60.0)) as made:
        yield made


SHAPES = {
    "TS013": "function decodeUplink(input) { return {data: {n: input.bytes.length, port: input.fPort}}; }",
    "constant": "const decodeUplink = ({bytes, fPort}) => ({data: {n: bytes.length, port: fPort}});",
    "Decoder": "function Decoder(bytes, port) { return {n: bytes.length, port: port}; }",
    "Decode": "function Decode(fPort, bytes, variables) { return {n: bytes.length, port: fPort}; }",
    "both": "function Decode(p, b) { return {n: b.length, port: p}; }\n"
    "function decodeUplink(input) { return {data: Decode(input.fPort, input.bytes)}; }",
    "export": "export function decodeUplink(input) { return {data: {n: input.bytes.length, port: input.fPort}}; }",
    "export const": "export const decodeUplink = (input) => ({data: {n: input.bytes.length, port: input.fPort}});",
    "export default": "export default function (input) { return {data: {n: input.bytes.length, port: input.fPort}}; }",
    "export list": "const f = (i) => ({data: {n: i.bytes.length, port: i.fPort}});\nexport {\n  f as decodeUplink,\n};",
    "export object": "const f = (i) => ({data: {n: i.bytes.length, port: i.fPort}});\n"
    "export default { decodeUplink: f };",
    "module.exports": "module.exports = {decodeUplink: (i) => ({data: {n: i.bytes.length, port: i.fPort}})};",
    "exports": "exports.Decoder = (bytes, port) => ({n: bytes.length, port});",
    "byte order mark": "\ufefffunction Decoder(bytes, port) { return {n: bytes.length, port: port}; }",
    "strict": "'use strict';\nfunction Decoder(bytes, port) { return {n: bytes.length, port: port}; }",
    "loose": "function Decoder(bytes, port) { for (i = 0; i < bytes.length; i++) n = i + 1; return {n, port}; }",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_codecs_of_every_kind_run_as_they_are(sandbox: Sandbox, shape: str) -> None:
    codec = codec_of(SHAPES[shape])
    for each in (codec, codec, replace(codec, stateless=True)):
        assert sandbox.raw(each, b"\x01\x02\x03", 7) == {"data": {"n": 3, "port": 7}}


def test_the_input_is_that_of_ts013(sandbox: Sandbox) -> None:
    codec = codec_of(
        "function decodeUplink(input) { return {data: {isArray: Array.isArray(input.bytes), bytes: input.bytes,"
        " port: input.fPort, time: input.recvTime, isDate: input.recvTime instanceof Date, v: input.variables}}; }"
    )
    assert sandbox.raw(codec, b"\x00\xff\x80", None, TIME, {"offset": "1.5", "名": "川"})["data"] == {
        "isArray": True, "bytes": [0, 255, 128], "port": None, "time": "2026-06-01T09:00:00.000Z", "isDate": True,
        "v": {"offset": "1.5", "名": "川"},
    }  # fmt: skip


def test_warnings_stay_and_errors_are_raised(sandbox: Sandbox) -> None:
    codec = codec_of(
        "function decodeUplink(i) {\n"
        "  return i.bytes[0] ? {errors: ['broken', 'wet']} : {data: {a: 1}, warnings: ['low']};\n}"
    )
    assert sandbox.raw(codec, b"\0") == {"data": {"a": 1}, "warnings": ["low"]}
    assert [reading.field for reading in sandbox.decode(codec, b"\0")] == ["a"]
    assert sandbox.raw(codec, b"\1") == {"errors": ["broken", "wet"]}
    with pytest.raises(CodecError, match="the codec says: broken; wet"):
        sandbox.decode(codec, b"\1")


def test_what_is_no_number_is_told_from_what_could_not_be_measured(sandbox: Sandbox) -> None:
    codec = codec_of(
        "function decodeUplink() { return {data: {a: null, b: 0 / 0, c: [{d: 1 / 0}], e: new Date(NaN)}}; }"
    )
    readings = {reading.field: reading for reading in sandbox.decode(codec, b"")}
    assert readings["a"].problem is None and readings["a"].value is None
    assert readings["b"].problem == "b is not a number"
    assert readings["c[0].d"].problem == "c[0].d is not a number"


def test_what_a_codec_prints_is_kept_apart(sandbox: Sandbox) -> None:
    codec = codec_of(
        "function decodeUplink() { for (let i = 0; i < 50; i++) console.log('line', i, {a: 1}); console.table([1]);"
        " console.assert(false); console.anything('x'.repeat(1000)); return {data: {a: 1}}; }"
    )
    (answer,) = sandbox.answers([Request(codec, b"")])
    assert not isinstance(answer, CodecError)
    assert answer.output == {"data": {"a": 1}}
    assert len(answer.console) == 20 and answer.console[1] == "line 1 [object Object]"


def test_texts_that_cannot_be_stored_are_made_so(sandbox: Sandbox) -> None:
    codec = codec_of("function decodeUplink() { return {data: {a: 'x\\0y', b: '\\ud800z', c: '\\\\u0000', d: '川'}}; }")
    assert sandbox.raw(codec, b"")["data"] == {"a": "x\ufffdy", "b": "\ufffdz", "c": "\\u0000", "d": "川"}


LINES = {
    "thrown": (
        "function decodeUplink(input) {\n  var a = 1;\n  throw new Error('broken');\n}",
        "line 3 of the codec: Error: broken",
    ),
    "called": (
        "function f(b) {\n  return b.x.y;\n}\nfunction decodeUplink(i) {\n  return {data: f(i)};\n}",
        "line 2 of the codec: TypeError",
    ),
    "legacy": ("function Decoder(bytes) {\n\n  return nowhere;\n}", "line 3 of the codec: ReferenceError: nowhere"),
    "Buffer": (
        "function decodeUplink(i) {\n  return {data: {\n    a: Buffer.from(i.bytes).readUInt32BE(9)}};\n}",
        "line 3 of the codec: RangeError",
    ),
    "export": (
        "// first\nexport const x = 1;\nexport {\n  x,\n};\nexport function decodeUplink(i) {\n  null.n;\n}",
        "line 7 of the codec: TypeError",
    ),
    "syntax": ("function decodeUplink(i) {\n  return {data: {a: 08.5.3}};\n}", "line 2 of the codec is not JavaScript"),
    "loading": ("var a;\nvar b = a.c;\nfunction decodeUplink(i) {}", "line 2 of the codec: TypeError"),
}  # fmt: skip


@pytest.mark.parametrize("name", LINES)
def test_an_error_names_the_line_of_the_codec(sandbox: Sandbox, name: str) -> None:
    source, words = LINES[name]
    with pytest.raises(CodecError) as caught:
        sandbox.decode(codec_of(source), b"\x01\x02")
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (LINES["syntax"][0], LINES["syntax"][1]),
        (LINES["loading"][0], LINES["loading"][1]),
        ("var a = 1;", "the codec has none of the functions decodeUplink"),
    ],
)
def test_what_never_decodes_anything_does_not_load(sandbox: Sandbox, source: str, words: str) -> None:
    with pytest.raises(UnloadableCodec) as caught:
        check_loads(sandbox, codec_of(source))
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize("name", ["thrown", "called", "legacy", "Buffer"])
def test_what_only_refuses_a_payload_loads(sandbox: Sandbox, name: str) -> None:
    check_loads(sandbox, codec_of(LINES[name][0]))


BUFFER = [
    ("Buffer.from([1, 2, 255]).toString('hex')", "0102ff"),
    ("Buffer.from('0102fF', 'hex').toJSON()", {"type": "Buffer", "data": [1, 2, 255]}),
    ("Buffer.from('AQL/', 'base64').toString('hex')", "0102ff"),
    ("Buffer.from('AQL_', 'base64url').toString('base64')", "AQL/"),
    ("Buffer.from('川é\\u{1f600}').toString('hex')", "e5b79dc3a9f09f9880"),
    ("Buffer.from('e5b79dc3a9f09f9880', 'hex').toString()", "川é😀"),
    ("Buffer.from([0xff, 0x41, 0xc3]).toString('utf8')", "\ufffdA\ufffd"),
    ("Buffer.from([0x41, 0xe9]).toString('latin1')", "Aé"),
    ("Buffer.from([0x41, 0xe9]).toString('ascii')", "Ai"),
    ("Buffer.from('hi', 'utf16le').toString('hex')", "68006900"),
    ("Buffer.from([0x68, 0, 0x69, 0]).toString('ucs2')", "hi"),
    ("Buffer.from(input.bytes).readUInt8()", 0x80),
    ("Buffer.from(input.bytes).readInt8(0)", -128),
    ("Buffer.from(input.bytes).readUInt16BE(0)", 0x8001),
    ("Buffer.from(input.bytes).readUint16LE(0)", 0x0180),
    ("Buffer.from(input.bytes).readInt16BE(0)", -32767),
    ("Buffer.from(input.bytes).readUInt32LE(0)", 0x03020180),
    ("Buffer.from(input.bytes).readInt32BE(0)", -2147417597),
    ("Buffer.from(input.bytes).readUIntBE(0, 3)", 0x800102),
    ("Buffer.from(input.bytes).readIntLE(0, 3)", 0x020180),
    ("Buffer.from(input.bytes).readIntBE(0, 3)", -8388350),
    ("Buffer.from([0, 0, 0x80, 0x3f]).readFloatLE(0)", 1),
    ("Buffer.from([0x3f, 0xf8, 0, 0, 0, 0, 0, 0]).readDoubleBE(0)", 1.5),
    ("String(Buffer.from([0, 0, 0, 0, 0, 0, 1, 0]).readBigUInt64BE(0))", "256"),
    ("String(Buffer.from([255, 255, 255, 255, 255, 255, 255, 255]).readBigInt64LE(0))", "-1"),
    (
        "(() => { const b = Buffer.alloc(8); b.writeUInt16BE(0x0102); b.writeInt16LE(-2, 2); b.writeFloatBE(1, 4);"
        " return b.toString('hex') })()",
        "0102feff3f800000",
    ),
    (
        "(() => { const b = Buffer.alloc(6); b.writeUIntBE(0x010203, 0, 3); b.writeIntLE(-2, 3, 3);"
        " return b.toString('hex') })()",
        "010203feffff",
    ),
    ("Buffer.concat([Buffer.from([1]), Buffer.from([2, 3])]).length", 3),
    ("Buffer.alloc(3, 7).equals(Buffer.from([7, 7, 7]))", True),
    ("Buffer.alloc(5, 'ab').toString()", "ababa"),
    ("Buffer.isBuffer(Buffer.from([])) && !Buffer.isBuffer(new Uint8Array(1))", True),
    ("(() => { const b = Buffer.from([1, 2, 3]); b.slice(1, 2)[0] = 9; return b[1] })()", 9),
    ("Buffer.from([1, 2, 3, 4]).swap16().toString('hex')", "02010403"),
    ("Buffer.from('hello').indexOf('lo')", 3),
    ("Buffer.from('hello').includes('x')", False),
    ("Buffer.compare(Buffer.from([1]), Buffer.from([1, 2]))", -1),
    (
        "(() => { const b = Buffer.alloc(4);"
        " return [b.write('abc', 1), b.toString('hex'), Buffer.from('zz').copy(b, 3), b[3]] })()",
        [3, "00616263", 1, 122],
    ),
    ("Buffer.byteLength('川')", 3),
    ("Array.from(Buffer.from(new Uint8Array([5, 6])))", [5, 6]),
    ("atob('AQI=').length + btoa('ab')", "2YWI="),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), BUFFER)
def test_node_s_buffer(sandbox: Sandbox, expression: str, expected: Any) -> None:
    codec = codec_of(f"function decodeUplink(input) {{ return {{data: {{v: {expression}}}}}; }}")
    assert sandbox.raw(codec, b"\x80\x01\x02\x03")["data"]["v"] == expected


@pytest.mark.parametrize(
    "expression",
    ["Buffer.from([1]).readUInt16BE(0)", "Buffer.from([1]).readUInt8(-1)", "Buffer.alloc(1).writeUInt8(256)",
     "Buffer.from(5)", "Buffer.from('x', 'morse')", "Buffer.from([1, 2, 3]).swap16()",
     "Buffer.alloc(9).readUIntBE(0, 7)"],
)  # fmt: skip
def test_node_s_buffer_refuses_what_node_s_does(sandbox: Sandbox, expression: str) -> None:
    with pytest.raises(CodecError, match=r"line 1 of the codec: (Range|Type)Error"):
        sandbox.raw(codec_of(f"function decodeUplink(input) {{ return {{data: {expression}}}; }}"), b"")


def test_a_file_is_a_codec_or_says_why_not() -> None:
    with pytest.raises(CodecError, match="line 3 of the codec is not UTF-8"):
        codec_of("// 水位\n\n// 川".encode() + "水".encode("cp932"))
    with pytest.raises(CodecError, match=r"line 2 .* NUL"):
        codec_of(b"a\nb\0")
    with pytest.raises(CodecError, match="at most 1,048,576"):
        codec_of(b" " * (LARGEST_SOURCE + 1))
    assert codec_of(b"// a").sha256 == codec_of("// a").sha256 != codec_of("// b").sha256


def test_the_largest_codec_and_payload_are_taken(sandbox: Sandbox) -> None:
    source = "function decodeUplink(i) { return {data: {n: i.bytes.length}}; }\n"
    source += "//" + "x" * (LARGEST_SOURCE - len(source) - 2)
    assert sandbox.raw(codec_of(source), bytes(64 * 1024))["data"] == {"n": 65536}
    with pytest.raises(CodecError, match="at most 65,536"):
        sandbox.raw(codec_of(source), bytes(64 * 1024 + 1))


@pytest.mark.parametrize("variables", [{"a": "\ud800"}, {"a": object()}])
def test_variables_that_cannot_be_handed_over_are_a_codec_error(sandbox: Sandbox, variables: Any) -> None:
    with pytest.raises(CodecError):
        sandbox.raw(codec_of("function decodeUplink() { return {data: {}}; }"), b"", 1, TIME, variables)


def test_more_codecs_than_the_process_knows() -> None:
    codecs = [codec_of(f"function decodeUplink() {{ return {{data: {{n: {number}}}}}; }}") for number in range(12)]
    with Sandbox(Limits(codecs=4, contexts=2)) as sandbox:
        for _ in range(2):
            answers = sandbox.answers([Request(codec, b"") for codec in codecs])
            assert [answer.output["data"]["n"] for answer in answers] == list(range(12))  # type: ignore[union-attr]


def test_a_stateless_codec_keeps_its_context_and_another_does_not(sandbox: Sandbox) -> None:
    codec = codec_of("let n = 0;\nfunction decodeUplink() { return {data: {n: ++n}}; }")
    assert [sandbox.raw(codec, b"")["data"]["n"] for _ in range(3)] == [1, 1, 1]
    kept = replace(codec, stateless=True)
    assert [sandbox.raw(kept, b"")["data"]["n"] for _ in range(3)] == [1, 2, 3]
    assert sandbox.raw(codec, b"")["data"]["n"] == 1
