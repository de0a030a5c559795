// Node's Buffer, for codecs that use it: what can be read, written and converted, over a Uint8Array.
(function () {
  "use strict";
  const utf8Bytes = (text) => {
    const bytes = [];
    for (const letter of String(text)) {
      let code = letter.codePointAt(0);
      if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
      if (code < 0x80) bytes.push(code);
      else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
      else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
      else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    }
    return bytes;
  };
  const utf8Text = (bytes) => {
    let text = "";
    for (let i = 0; i < bytes.length; ) {
      const first = bytes[i++];
      const more = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2
        : first >= 0xf0 && first < 0xf5 ? 3 : -1;
      let code = more === 0 ? first : first & (0x3f >> more), least = [0, 0x80, 0x800, 0x10000][more], taken = 0;
      while (taken < more && i < bytes.length && (bytes[i] & 0xc0) === 0x80) {
        code = (code << 6) | (bytes[i++] & 63);
        taken++;
      }
      const valid = more >= 0 && taken === more && code >= least && code < 0x110000 && !(code >= 0xd800 && code < 0xe000);
      text += valid ? String.fromCodePoint(code) : "\ufffd";
    }
    return text;
  };
  const binary = (bytes, mask) => {
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte & mask);
    return text;
  };
  const hexBytes = (text) => {
    const bytes = [];
    for (let i = 0; i + 1 < text.length && /^[0-9a-fA-F]{2}$/.test(text.substr(i, 2)); i += 2) {
      bytes.push(parseInt(text.substr(i, 2), 16));
    }
    return bytes;
  };
  const base64Bytes = (text) => {
    const clean = String(text).replace(/-/g, "+").replace(/_/g, "/").replace(/[^A-Za-z0-9+/]/g, "");
    return Array.from(atob(clean.length % 4 === 1 ? clean.slice(0, -1) : clean), (letter) => letter.charCodeAt(0));
  };
  const encoding = (name) => {
    const known = String(name === undefined ? "utf8" : name).toLowerCase().replace("-", "");
    const found = { utf8: "utf8", hex: "hex", base64: "base64", base64url: "base64url", ascii: "ascii",
      latin1: "latin1", binary: "latin1", utf16le: "utf16le", ucs2: "utf16le" }[known];
    if (!found) throw new TypeError("Unknown encoding: " + name);
    return found;
  };
  const bytesOf = (text, name) => {
    switch (encoding(name)) {
      case "hex": return hexBytes(text);
      case "base64": case "base64url": return base64Bytes(text);
      case "ascii": case "latin1": return Array.from({ length: text.length }, (_, i) => text.charCodeAt(i) & 255);
      case "utf16le": return Array.from({ length: text.length * 2 }, (_, i) => (text.charCodeAt(i >> 1) >> (i % 2 ? 8 : 0)) & 255);
      default: return utf8Bytes(text);
    }
  };
  const inside = (buffer, offset, size) => {
    if (typeof offset !== "number") throw new TypeError('The "offset" argument must be of type number');
    if (!Number.isInteger(offset) || offset < 0 || offset + size > buffer.length) {
      throw new RangeError('The value of "offset" is out of range. It must be >= 0 and <= ' + (buffer.length - size)
        + ". Received " + offset);
    }
    return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  };
  const fits = (value, least, most) => {
    if (typeof value !== typeof least) throw new TypeError('The "value" argument must be a ' + typeof least);
    if (value < least || value > most) throw new RangeError('The value of "value" is out of range. Received ' + value);
    return value;
  };
  const width = (size) => {
    if (!Number.isInteger(size) || size < 1 || size > 6) throw new RangeError('The value of "byteLength" is out of range');
    return size;
  };

  class Buffer extends Uint8Array {
    static from(value, second, length) {
      if (typeof value === "string") return Buffer.from(bytesOf(value, second));
      if (value instanceof ArrayBuffer) return new Buffer(value, second, length);
      if (value && value.type === "Buffer" && Array.isArray(value.data)) value = value.data;
      if (value === null || typeof value !== "object") {
        throw new TypeError("The first argument must be of type string or an instance of Buffer, ArrayBuffer, or Array");
      }
      const made = new Buffer(value.length === undefined ? 0 : value.length);
      for (let i = 0; i < made.length; i++) made[i] = value[i];
      return made;
    }
    static alloc(size, fill, name) {
      const made = new Buffer(size);
      return fill === undefined ? made : made.fill(fill, 0, size, name);
    }
    static allocUnsafe(size) { return new Buffer(size); }
    static allocUnsafeSlow(size) { return new Buffer(size); }
    static isBuffer(value) { return value instanceof Buffer; }
    static isEncoding(name) { try { return typeof name === "string" && !!encoding(name); } catch { return false; } }
    static byteLength(value, name) { return typeof value === "string" ? bytesOf(value, name).length : value.byteLength; }
    static concat(list, total) {
      if (total === undefined) total = list.reduce((sum, each) => sum + each.length, 0);
      const made = Buffer.alloc(total);
      let at = 0;
      for (const each of list) for (let i = 0; i < each.length && at < total; i++) made[at++] = each[i];
      return made;
    }
    static compare(one, other) {
      for (let i = 0; i < Math.min(one.length, other.length); i++) {
        if (one[i] !== other[i]) return one[i] < other[i] ? -1 : 1;
      }
      return Math.sign(one.length - other.length);
    }
    compare(other) { return Buffer.compare(this, other); }
    equals(other) { return Buffer.compare(this, other) === 0; }
    slice(start, end) { return this.subarray(start, end); }
    toJSON() { return { type: "Buffer", data: Array.from(this) }; }
    toString(name, start, end) {
      const part = this.subarray(start === undefined ? 0 : start, end === undefined ? this.length : end);
      switch (encoding(name)) {
        case "hex": return Array.from(part, (byte) => byte.toString(16).padStart(2, "0")).join("");
        case "base64": return btoa(binary(part, 255));
        case "base64url": return btoa(binary(part, 255)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
        case "ascii": return binary(part, 127);
        case "latin1": return binary(part, 255);
        case "utf16le": {
          let text = "";
          for (let i = 0; i + 1 < part.length; i += 2) text += String.fromCharCode(part[i] | (part[i + 1] << 8));
          return text;
        }
        default: return utf8Text(part);
      }
    }
    write(text, offset, length, name) {
      if (typeof offset === "string") [offset, length, name] = [0, undefined, offset];
      else if (typeof length === "string") [length, name] = [undefined, length];
      offset = offset === undefined ? 0 : offset;
      const bytes = bytesOf(text, name), room = this.length - offset;
      const most = Math.min(bytes.length, room, length === undefined ? room : length);
      for (let i = 0; i < most; i++) this[offset + i] = bytes[i];
      return most;
    }
    fill(value, start, end, name) {
      if (typeof start === "string") [start, end, name] = [0, this.length, start];
      if (typeof value === "number") return super.fill(value, start, end);
      const bytes = typeof value === "string" ? bytesOf(value, name) : value;
      const first = start === undefined ? 0 : start, last = end === undefined ? this.length : end;
      for (let i = first; i < last; i++) this[i] = bytes.length ? bytes[(i - first) % bytes.length] : 0;
      return this;
    }
    copy(target, at, start, end) {
      const part = this.subarray(start === undefined ? 0 : start, end === undefined ? this.length : end);
      at = at === undefined ? 0 : at;
      const most = Math.max(0, Math.min(part.length, target.length - at));
      for (let i = 0; i < most; i++) target[at + i] = part[i];
      return most;
    }
    indexOf(value, from, name) {
      if (typeof value === "number") return super.indexOf(value & 255, from);
      const bytes = typeof value === "string" ? bytesOf(value, name) : value;
      for (let i = from === undefined ? 0 : from; i + bytes.length <= this.length; i++) {
        let same = true;
        for (let j = 0; same && j < bytes.length; j++) same = this[i + j] === bytes[j];
        if (same) return i;
      }
      return -1;
    }
    includes(value, from, name) { return this.indexOf(value, from, name) !== -1; }
    swap16() { return swap(this, 2); }
    swap32() { return swap(this, 4); }
    swap64() { return swap(this, 8); }
    readUIntBE(offset, size) {
      inside(this, offset, width(size));
      let value = 0;
      for (let i = 0; i < size; i++) value = value * 256 + this[offset + i];
      return value;
    }
    readUIntLE(offset, size) {
      inside(this, offset, width(size));
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = value * 256 + this[offset + i];
      return value;
    }
    readIntBE(offset, size) { return signed(this.readUIntBE(offset, size), size); }
    readIntLE(offset, size) { return signed(this.readUIntLE(offset, size), size); }
    writeUIntBE(value, offset, size) {
      inside(this, offset, width(size));
      fits(value, 0, 2 ** (8 * size) - 1);
      for (let i = size - 1; i >= 0; i--) { this[offset + i] = value % 256; value = Math.floor(value / 256); }
      return offset + size;
    }
    writeUIntLE(value, offset, size) {
      inside(this, offset, width(size));
      fits(value, 0, 2 ** (8 * size) - 1);
      for (let i = 0; i < size; i++) { this[offset + i] = value % 256; value = Math.floor(value / 256); }
      return offset + size;
    }
    writeIntBE(value, offset, size) { return this.writeUIntBE(unsigned(value, size), offset, size); }
    writeIntLE(value, offset, size) { return this.writeUIntLE(unsigned(value, size), offset, size); }
  }
  const swap = (buffer, size) => {
    if (buffer.length % size) throw new RangeError("Buffer size must be a multiple of " + size * 8 + "-bits");
    for (let i = 0; i < buffer.length; i += size) Uint8Array.prototype.reverse.call(buffer.subarray(i, i + size));
    return buffer;
  };
  const signed = (value, size) => (value >= 2 ** (8 * size - 1) ? value - 2 ** (8 * size) : value);
  const unsigned = (value, size) => {
    fits(value, -(2 ** (8 * width(size) - 1)), 2 ** (8 * size - 1) - 1);
    return value < 0 ? value + 2 ** (8 * size) : value;
  };
  const hide = (name, value) =>
    Object.defineProperty(Buffer.prototype, name, { value, writable: true, configurable: true, enumerable: false });
  const kinds = [["UInt8", "Uint8", 1, 0, 255], ["Int8", "Int8", 1, -128, 127], ["UInt16", "Uint16", 2, 0, 65535],
    ["Int16", "Int16", 2, -32768, 32767], ["UInt32", "Uint32", 4, 0, 4294967295],
    ["Int32", "Int32", 4, -2147483648, 2147483647], ["Float", "Float32", 4, -Infinity, Infinity],
    ["Double", "Float64", 8, -Infinity, Infinity], ["BigUInt64", "BigUint64", 8, 0n, 2n ** 64n - 1n],
    ["BigInt64", "BigInt64", 8, -(2n ** 63n), 2n ** 63n - 1n]];
  for (const [name, view, size, least, most] of kinds) {
    for (const [end, little] of size === 1 ? [["", true]] : [["BE", false], ["LE", true]]) {
      const read = function (offset = 0) { return inside(this, offset, size)["get" + view](offset, little); };
      const write = function (value, offset = 0) {
        inside(this, offset, size)["set" + view](offset, fits(value, least, most), little);
        return offset + size;
      };
      hide("read" + name + end, read);
      hide("write" + name + end, write);
      if (name.includes("UInt")) {
        hide("read" + name.replace("UInt", "Uint") + end, read);
        hide("write" + name.replace("UInt", "Uint") + end, write);
      }
    }
  }
  for (const end of ["BE", "LE"]) {
    hide("readUint" + end, Buffer.prototype["readUInt" + end]);
    hide("writeUint" + end, Buffer.prototype["writeUInt" + end]);
  }
  Object.defineProperty(globalThis, "Buffer", { value: Buffer, writable: true, configurable: true, enumerable: false });
})();
