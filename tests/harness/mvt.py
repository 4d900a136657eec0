"""A reader of Mapbox Vector Tiles (2.1), written from the specification: what a tile shows, without a client's library."""
import dataclasses
import struct


@dataclasses.dataclass
class Feature:
    id: int
    type: int
    attributes: dict
    geometry: list  # unsigned: commands and parameters as they are

    @property
    def place(self):
        """(x, y) of a point, in units of the tile."""
        assert self.type == 1 and self.geometry[0] == 9, self
        return tuple((value >> 1) ^ -(value & 1) for value in self.geometry[1:3])


@dataclasses.dataclass
class Layer:
    name: str
    extent: int
    version: int
    features: list


def _varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data):
    """(field number, number or bytes) of a message."""
    at = 0
    while at < len(data):
        head, at = _varint(data, at)
        wire = head & 7
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 2:
            length, at = _varint(data, at)
            assert at + length <= len(data), "a field is longer than its message"
            value, at = data[at:at + length], at + length
        else:
            length = {1: 8, 5: 4}[wire]
            value, at = data[at:at + length], at + length
        yield head >> 3, value


def _packed(data):
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _value(data):
    (field, value), = _fields(data)
    return {1: lambda v: v.decode(), 2: lambda v: struct.unpack("<f", v)[0], 3: lambda v: struct.unpack("<d", v)[0], 4: lambda v: v - (v >> 63 << 64),
            5: lambda v: v, 6: lambda v: (v >> 1) ^ -(v & 1), 7: bool}[field](value)


def _feature(data, keys, values):
    parts = {1: 0, 2: b"", 3: 0, 4: b"", **dict(_fields(data))}
    tags = _packed(parts[2])
    attributes = {keys[key]: values[value] for key, value in zip(tags[::2], tags[1::2])}
    return Feature(parts[1], parts[3], attributes, _packed(parts[4]))


def layers(data):
    """{name: Layer} of a tile."""
    found = {}
    for field, layer in _fields(data):
        assert field == 3
        parts = list(_fields(layer))
        keys = [value.decode() for number, value in parts if number == 3]
        values = [_value(value) for number, value in parts if number == 4]
        single = dict(parts)
        name = single[1].decode()
        found[name] = Layer(name, single[5], single[15], [_feature(value, keys, values) for number, value in parts if number == 2])
    return found
