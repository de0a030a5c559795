// A water level logger as manufacturers write their codecs: several kinds of messages, fields by type, a history.
// It belongs to `mimamori bench codecs`; no such device exists.

var MESSAGES = { 1: "measurement", 2: "history", 3: "status", 4: "alarm" };
var ALARMS = ["none", "level_high", "level_low", "rising_fast", "sensor_lost", "tilted", "battery_low"];
var CHANNELS = {
  0x01: { name: "level", size: 2, unit: "m", scale: 0.001, signed: true },
  0x02: { name: "distance", size: 2, unit: "mm", scale: 1, signed: false },
  0x03: { name: "water_temperature", size: 2, unit: "Cel", scale: 0.01, signed: true },
  0x04: { name: "air_temperature", size: 2, unit: "Cel", scale: 0.01, signed: true },
  0x05: { name: "air_pressure", size: 2, unit: "hPa", scale: 0.1, signed: false },
  0x06: { name: "conductivity", size: 4, unit: "uS/cm", scale: 0.1, signed: false },
  0x07: { name: "turbidity", size: 2, unit: "{NTU}", scale: 0.1, signed: false },
  0x08: { name: "battery", size: 2, unit: "V", scale: 0.001, signed: false },
  0x09: { name: "solar", size: 2, unit: "V", scale: 0.001, signed: false },
  0x0a: { name: "rain_tips", size: 4, unit: "1", scale: 1, signed: false }
};

function readUnsigned(bytes, offset, size) {
  if (offset + size > bytes.length) {
    throw new Error("message ends within a value at byte " + offset);
  }
  var value = 0;
  for (var i = 0; i < size; i++) {
    value = value * 256 + bytes[offset + i];
  }
  return value;
}

function readSigned(bytes, offset, size) {
  var value = readUnsigned(bytes, offset, size);
  var limit = Math.pow(2, size * 8 - 1);
  return value >= limit ? value - 2 * limit : value;
}

function checksum(bytes, end) {
  var sum = 0xffff;
  for (var i = 0; i < end; i++) {
    sum ^= bytes[i] << 8;
    for (var bit = 0; bit < 8; bit++) {
      sum = sum & 0x8000 ? ((sum << 1) ^ 0x1021) & 0xffff : (sum << 1) & 0xffff;
    }
  }
  return sum;
}

function round(value, scale) {
  var digits = scale >= 1 ? 0 : Math.ceil(-Math.log10(scale));
  return Number(value.toFixed(digits));
}

function isMissing(raw, size, signed) {
  return raw === (signed ? Math.pow(2, size * 8 - 1) - 1 : Math.pow(2, size * 8) - 1);
}

function readChannel(bytes, offset, channel) {
  var raw = channel.signed
    ? readSigned(bytes, offset, channel.size)
    : readUnsigned(bytes, offset, channel.size);
  if (isMissing(raw, channel.size, channel.signed)) {
    return null;
  }
  return round(raw * channel.scale, channel.scale);
}

function decodeMeasurement(bytes, offset, end) {
  var data = {};
  while (offset < end) {
    var channel = CHANNELS[bytes[offset]];
    if (channel === undefined) {
      throw new Error("unknown channel " + bytes[offset] + " at byte " + offset);
    }
    data[channel.name] = { value: readChannel(bytes, offset + 1, channel), unit: channel.unit };
    offset += 1 + channel.size;
  }
  return data;
}

function decodeHistory(bytes, offset, end) {
  var channel = CHANNELS[bytes[offset]];
  if (channel === undefined) {
    throw new Error("unknown channel " + bytes[offset]);
  }
  var newest = readUnsigned(bytes, offset + 1, 4);
  var step = readUnsigned(bytes, offset + 5, 2);
  var count = Math.floor((end - offset - 7) / channel.size);
  var history = [];
  for (var i = 0; i < count; i++) {
    var entry = { timestamp: new Date((newest - step * (count - 1 - i)) * 1000).toISOString() };
    entry[channel.name] = readChannel(bytes, offset + 7 + i * channel.size, channel);
    history.push(entry);
  }
  return { history: history };
}

function decodeStatus(bytes, offset) {
  var flags = readUnsigned(bytes, offset + 4, 1);
  return {
    firmware: bytes[offset] + "." + bytes[offset + 1] + "." + bytes[offset + 2],
    resets: readUnsigned(bytes, offset + 3, 1),
    status: {
      tilted: (flags & 0x01) !== 0,
      charging: (flags & 0x02) !== 0,
      door_open: (flags & 0x04) !== 0,
      weak_echo: (flags & 0x08) !== 0
    },
    battery: { value: round(readUnsigned(bytes, offset + 5, 2) * 0.001, 0.001), unit: "V" },
    uptime_hours: readUnsigned(bytes, offset + 7, 2)
  };
}

function decodeAlarm(bytes, offset, end) {
  var data = decodeMeasurement(bytes, offset + 1, end);
  data.alarm = ALARMS[bytes[offset]] || "unknown";
  data.alarm_active = bytes[offset] !== 0;
  return data;
}

function decodeUplink(input) {
  var bytes = input.bytes;
  var kind = MESSAGES[input.fPort];
  if (kind === undefined) {
    return { errors: ["unknown port " + input.fPort] };
  }
  if (bytes.length < 4) {
    return { errors: ["message of " + bytes.length + " bytes"] };
  }
  var end = bytes.length - 2;
  if (checksum(bytes, end) !== readUnsigned(bytes, end, 2)) {
    return { errors: ["checksum does not match"] };
  }
  var data;
  switch (kind) {
    case "measurement":
      data = decodeMeasurement(bytes, 0, end);
      break;
    case "history":
      data = decodeHistory(bytes, 0, end);
      break;
    case "status":
      data = decodeStatus(bytes, 0);
      break;
    default:
      data = decodeAlarm(bytes, 0, end);
  }
  var warnings = [];
  if (data.battery !== undefined && data.battery.value !== null && data.battery.value < 3.3) {
    warnings.push("battery low");
  }
  return { data: data, warnings: warnings };
}
