"""MQTT 3.1.1 and 5 by hand, on a bare socket: for packets that no client library would send, and for answers that none would show."""
import itertools
import socket
import struct
import time

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, \
    DISCONNECT, AUTH = range(1, 16)

# MQTT 5, 2.2.2.2: identifiers and forms of properties.
PROPERTIES = {
    "payload_format": (0x01, "B"), "message_expiry": (0x02, "I"), "content_type": (0x03, "text"), "response_topic": (0x08, "text"),
    "correlation_data": (0x09, "text"), "subscription_identifier": (0x0B, "varint"), "session_expiry": (0x11, "I"),
    "authentication_method": (0x15, "text"), "authentication_data": (0x16, "text"), "request_problem": (0x17, "B"),
    "will_delay": (0x18, "I"), "receive_maximum": (0x21, "H"), "topic_alias_maximum": (0x22, "H"), "topic_alias": (0x23, "H"),
    "maximum_packet_size": (0x27, "I"), "user_property": (0x26, "pair"),
}


def varint(number):
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def text(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def properties(**values):
    """Their length and themselves; a list has its property several times."""
    body = b""
    for name, value in values.items():
        identifier, form = PROPERTIES[name]
        for one in value if isinstance(value, list) else [value]:
            body += bytes([identifier])
            body += (text(one) if form == "text" else varint(one) if form == "varint" else text(one[0]) + text(one[1]) if form == "pair"
                     else struct.pack(f">{form}", one))
    return varint(len(body)) + body


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


class Gone(ConnectionError):
    """The broker has ended the connection."""


class Wire:
    """One connection. `version` is 4 for MQTT 3.1.1, 5 for MQTT 5."""

    def __init__(self, host, port, version=5, timeout_s=20):
        self.version, self.buffer, self.numbers = version, b"", itertools.count(1)
        self.socket = socket.create_connection((host, port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    # -- bytes

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Gone from error

    def _take(self, count):
        while len(self.buffer) < count:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError as error:
                raise Gone from error
            if not data:
                raise Gone
            self.buffer += data
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def read(self):
        """The next packet: (kind, flags, body). Raises Gone, or socket.timeout."""
        first, = self._take(1)
        length, factor = 0, 1
        while True:
            byte, = self._take(1)
            length += (byte & 127) * factor
            factor *= 128
            if byte < 128:
                return first >> 4, first & 15, self._take(length)

    def await_kind(self, kind):
        while True:
            found, flags, body = self.read()
            if found == kind:
                return body

    def gone(self, timeout_s=20):
        """Whether the broker ends the connection within that time; what it says before is read away."""
        deadline = time.monotonic() + timeout_s
        try:
            while time.monotonic() < deadline:
                self.socket.settimeout(max(0.01, deadline - time.monotonic()))
                self.read()
        except Gone:
            return True
        except socket.timeout:
            pass
        return False

    # -- packets

    def _with(self, given):
        return properties(**given) if self.version == 5 else b""

    def connect_bytes(self, client_id, username=None, password=None, clean=True, keepalive=60, will=None, **given):
        """`will`: (topic, payload, qos, retain, properties)."""
        flags = (0x02 if clean else 0) | (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
        body = text(client_id)
        if will is not None:
            topic, payload, qos, retain, of_will = will
            flags |= 0x04 | qos << 3 | (0x20 if retain else 0)
            body += self._with(of_will) + text(topic) + text(payload)
        body += (text(username) if username is not None else b"") + (text(password) if password is not None else b"")
        return packet(CONNECT, 0, text("MQTT") + bytes([self.version, flags]) + struct.pack(">H", keepalive) + self._with(given) + body)

    def connect(self, *arguments, **given):
        """Returns the reason code of the CONNACK; 0 is yes. `session_present` is set by it."""
        self.send(self.connect_bytes(*arguments, **given))
        body = self.await_kind(CONNACK)
        self.session_present = bool(body[0] & 1)
        return body[1]

    def publish_bytes(self, topic, payload=b"{}", qos=1, retain=False, dup=False, mid=None, **given):
        mid = next(self.numbers) % 65535 + 1 if mid is None else mid
        body = text(topic) + (struct.pack(">H", mid) if qos else b"") + self._with(given)
        return packet(PUBLISH, (8 if dup else 0) | qos << 1 | (1 if retain else 0), body + (payload.encode() if isinstance(payload, str) else payload))

    def publish(self, topic, payload=b"{}", **given):
        """With QoS 1; returns the reason code of the PUBACK (3.1.1 has none: 0)."""
        self.send(self.publish_bytes(topic, payload, **given))
        body = self.await_kind(PUBACK)
        return body[2] if len(body) > 2 else 0

    def subscribe_bytes(self, *filters, options=1, **given):
        body = struct.pack(">H", next(self.numbers) % 65535 + 1) + self._with(given)
        return packet(SUBSCRIBE, 2, body + b"".join(text(one) + bytes([options]) for one in filters))

    def subscribe(self, *filters, **given):
        """Returns the reason codes of the SUBACK."""
        self.send(self.subscribe_bytes(*filters, **given))
        body = self.await_kind(SUBACK)
        return list(body[3 + body[2]:] if self.version == 5 else body[2:])

    def message(self):
        """The next message that comes: (topic, payload); it is acknowledged."""
        while True:
            kind, flags, body = self.read()
            if kind == PUBLISH:
                break
        length, = struct.unpack(">H", body[:2])
        topic, at = body[2:2 + length].decode(), 2 + length
        if flags & 6:
            self.send(packet(PUBACK, 0, body[at:at + 2]))
            at += 2
        if self.version == 5:
            assert body[at] < 128, "more properties than this reads"
            at += 1 + body[at]
        return topic, body[at:]

    def disconnect(self):
        self.send(packet(DISCONNECT, 0, b""))
        self.close()
