"""jt808.py: writes and reads frames of JT/T 808, from the texts of the standards alone: shares nothing with the product's parser. And a
terminal that keeps what was not acknowledged and sends it again."""
import datetime
import socket
import struct
import time

BEIJING = datetime.timezone(datetime.timedelta(hours=8))
ACK, HEARTBEAT, LOGOUT, TIME_2019, RESEND, REGISTER, AUTHENTICATE, TIME = 0x0001, 0x0002, 0x0003, 0x0004, 0x0005, 0x0100, 0x0102, 0x0109
POSITION, BATCH, MEDIA_EVENT, MEDIA = 0x0200, 0x0704, 0x0800, 0x0801
GENERAL_ANSWER, ASK_AGAIN, REGISTER_ANSWER, MEDIA_ANSWER = 0x8001, 0x8003, 0x8100, 0x8800


def xor(data):
    value = 0
    for byte in data:
        value ^= byte
    return value


def escape(data):
    return data.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")


def unescape(data):
    return data.replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")


def bcd(digits, size):
    return bytes.fromhex(str(digits).rjust(2 * size, "0"))


def frame(ident, body=b"", phone="013800000001", serial=0, year=2013, packet=None, escaped=True, check=None, declared=None):
    """One frame. `packet`: (total, number). Wrong ones: `escaped` False, another `check`, another `declared` length."""
    attributes = (len(body) if declared is None else declared) | (1 << 13 if packet else 0) | (1 << 14 if year == 2019 else 0)
    data = struct.pack(">HH", ident, attributes) + (b"\x01" + bcd(phone, 10) if year == 2019 else bcd(phone, 6)) + struct.pack(">H", serial)
    data += struct.pack(">HH", *packet) if packet else b""
    data += body
    data += bytes([xor(data) if check is None else check])
    return b"\x7e" + (escape(data) if escaped else data) + b"\x7e"


def frames(ident, body, size=1000, serial=0, **options):
    """A body in sub-packets of at most `size` bytes, with serials in a row."""
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return [frame(ident, piece, serial=(serial + n) & 0xFFFF, packet=(len(pieces), n + 1), **options) for n, piece in enumerate(pieces)]


def split(data):
    """The whole frames in what came, and what is left of it."""
    found = []
    while True:
        start = data.find(b"\x7e")
        end = data.find(b"\x7e", start + 1)
        if start < 0 or end < 0:
            return found, data
        if end > start + 1:
            found.append(parse(data[start:end + 1]))
        data = data[end + 1:] if end > start + 1 else data[end:]


def parse(data):
    """{id, phone, serial, body, year} of one frame; its check byte must be right and nothing in it may be left unescaped."""
    assert data[:1] == data[-1:] == b"\x7e" and b"\x7e" not in data[1:-1], data.hex()
    content = unescape(data[1:-1])
    assert escape(content) == data[1:-1] and xor(content) == 0, data.hex()
    ident, attributes = struct.unpack(">HH", content[:4])
    year, at = (2019, 15) if attributes & 1 << 14 else (2013, 10)
    phone, serial = content[at - (10 if year == 2019 else 6):at].hex(), struct.unpack(">H", content[at:at + 2])[0]
    body = content[at + 2:-1]
    assert len(body) == attributes & 0x3FF, data.hex()
    return {"id": ident, "phone": phone, "serial": serial, "body": body, "year": year}


def item(ident, value):
    return bytes([ident, len(value)]) + value


def position(lat=34.0583, lon=114.3925, when=None, speed=40.0, direction=90, altitude=60, alarm=0, status=3, items=(), offset=BEIJING):
    """The body of 0200. `when`: seconds since the epoch (now); `items`: [(id, bytes)]."""
    moment = datetime.datetime.fromtimestamp(time.time() if when is None else when, offset)
    status |= (4 if lat < 0 else 0) | (8 if lon < 0 else 0)
    return (struct.pack(">IIIIhHH", alarm, status, round(abs(lat) * 1e6), round(abs(lon) * 1e6), altitude, round(speed * 10), direction)
            + bytes.fromhex(moment.strftime("%y%m%d%H%M%S")) + b"".join(item(*one) for one in items))


def batch(positions, kind=1):
    return struct.pack(">HB", len(positions), kind) + b"".join(struct.pack(">H", len(one)) + one for one in positions)


def registration(plate="豫A12345", year=2013, terminal="T000001", maker="70111", model="MODEL-1", province=41, city=1000, color=2):
    maker_size, model_size, terminal_size = {2011: (5, 8, 7), 2013: (5, 20, 7), 2019: (11, 30, 30)}[year]
    return (struct.pack(">HH", province, city) + maker.encode().ljust(maker_size, b"\0") + model.encode().ljust(model_size, b"\0")
            + terminal.encode().ljust(terminal_size, b"\0") + bytes([color]) + plate.encode("gbk"))


def authentication(token, year=2013, imei="123456789012345", software="1.0"):
    if year != 2019:
        return token.encode()
    return bytes([len(token)]) + token.encode() + imei.encode() + software.encode().ljust(20, b"\0")


def media(ident, data, event=0, channel=1, **place):
    """The body of 0801: a JPEG picture."""
    return struct.pack(">IBBBB", ident, 0, 0, event, channel) + position(**place) + data


class Terminal:
    """A terminal on a connection of its own. What it sent is kept until its answer came: `unanswered` {serial: frame}."""

    def __init__(self, host, port, phone="013800000001", year=2013, timeout=30):
        self.phone, self.year, self.serial, self.unanswered, self.left = phone, year, 0, {}, b""
        self.answers = []  # frames that came and that nobody has looked at yet
        self.socket = socket.create_connection((host, port), timeout=timeout)

    def close(self):
        self.socket.close()

    def send(self, ident, body=b"", **options):
        """Sends one message; returns its serial."""
        serial = self.serial = (self.serial + 1) & 0xFFFF
        data = frame(ident, body, phone=self.phone, serial=serial, year=self.year, **options)
        self.unanswered[serial] = data
        self.socket.sendall(data)
        return serial

    def send_again(self):
        for data in list(self.unanswered.values()):
            self.socket.sendall(data)

    def receive(self, ident=None, serial=None, timeout=30):
        """The next frame that came: with that id, answering that serial (8001, 8100). None after `timeout` seconds or at the end."""
        end = time.monotonic() + timeout
        while True:
            for n, one in enumerate(self.answers):
                answered = struct.unpack(">H", one["body"][:2])[0] if one["id"] in (GENERAL_ANSWER, REGISTER_ANSWER) else None
                if ident in (None, one["id"]) and serial in (None, answered):
                    return self.answers.pop(n)
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                return None
            if not data:
                return None
            self.take(data)

    def take(self, data):
        found, self.left = split(self.left + data)
        for one in found:
            if one["id"] in (GENERAL_ANSWER, REGISTER_ANSWER):
                serial, = struct.unpack(">H", one["body"][:2])
                result = one["body"][4 if one["id"] == GENERAL_ANSWER else 2]
                if result == 0:
                    self.unanswered.pop(serial, None)
        self.answers += found

    def result(self, serial, timeout=30):
        """The result of the 8001 to what had that serial; None = none came."""
        answer = self.receive(GENERAL_ANSWER, serial, timeout)
        return None if answer is None else answer["body"][4]

    def register(self, plate="豫A12345"):
        """Returns (result, token or None)."""
        serial = self.send(REGISTER, registration(plate, self.year))
        answer = self.receive(REGISTER_ANSWER, serial)
        assert answer is not None, "no 8100 came"
        return answer["body"][2], answer["body"][3:].decode() or None

    def authenticate(self, token):
        return self.result(self.send(AUTHENTICATE, authentication(token, self.year)))

    def send_media(self, ident, data, size=900):
        """A picture in sub-packets. Returns the frames by their numbers, for who is asked for some again."""
        pieces = frames(MEDIA, media(ident, data), size=size, serial=self.serial + 1, phone=self.phone, year=self.year)
        self.serial = (self.serial + len(pieces)) & 0xFFFF
        for piece in pieces:
            self.socket.sendall(piece)
        return dict(enumerate(pieces, 1))
