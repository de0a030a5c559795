"""Manufacturers' codecs in JavaScript, unmodified, in a process of their own that can reach nothing.

with Sandbox() as sandbox:
    codec = codec_of(Path("decoder.js").read_bytes())
    readings = sandbox.decode(codec, payload, port, time)      # CodecError, and nothing else, when it cannot
"""

from devices.codecs.javascript.codec import JavaScriptCodec, Limits, UnloadableCodec, codec_of
from devices.codecs.javascript.flatten import field_units, flatten
from devices.codecs.javascript.sandbox import Answer, Request, Sandbox, check_loads
from devices.codecs.javascript.vectors import Failure, Vector, VectorsResult, run_vectors

__all__ = [
    "Answer",
    "Failure",
    "JavaScriptCodec",
    "Limits",
    "Request",
    "Sandbox",
    "UnloadableCodec",
    "Vector",
    "VectorsResult",
    "check_loads",
    "codec_of",
    "field_units",
    "flatten",
    "run_vectors",
]
