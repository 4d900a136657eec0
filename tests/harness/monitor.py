"""A monitor that speaks HJ 212 on a connection of its own and keeps what was not acknowledged."""
import datetime
import re
import socket
import time

from . import hj212

BEIJING = datetime.timezone(datetime.timedelta(hours=8))


def stamp(moment, milliseconds=False):
    when = datetime.datetime.fromtimestamp(moment, BEIJING)
    return when.strftime("%Y%m%d%H%M%S") + (f"{when.microsecond // 1000:03}" if milliseconds else "")


class Monitor:
    def __init__(self, host, port, mn, pw="123456", kind="standard", timeout=30, key=None):
        self.mn, self.pw, self.kind, self.left, self.key = mn, pw, kind, b"", key
        self.unanswered = {}  # QN: frame
        self.answers = []  # segments that came
        self.number = 0
        self.socket = socket.create_connection((host, port), timeout=timeout)

    def close(self):
        self.socket.close()

    def frame(self, items, when=None, command=2011, qn=None, flag=5):
        """One frame and its QN; `items`: {"a34004-Rtd": 35.2}."""
        self.number += 1
        qn = qn or stamp(time.time() + self.number / 1000, True)
        header = [("QN", qn), ("ST", "39" if command < 9000 else "91"), ("CN", command), ("PW", self.pw), ("MN", self.mn), ("Flag", flag)]
        content = [] if items is None else [(";", "DataTime", stamp(time.time() if when is None else when)),
                                            *((";", name, value) for name, value in items.items())]
        return qn, hj212.frame(header, content, kind=self.kind, key=self.key)

    def send(self, items, **options):
        qn, data = self.frame(items, **options)
        self.unanswered[qn] = data
        self.socket.sendall(data)
        return qn

    def receive(self, qn, timeout=30):
        """The answer to a QN, as its segment; None after `timeout` seconds or at the end."""
        end = time.monotonic() + timeout
        while True:
            for number, one in enumerate(self.answers):
                if f"QN={qn};" in one:
                    return self.answers.pop(number)
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
            self.left += data
            *lines, self.left = self.left.split(b"\r\n")
            for line in lines:
                segment = line[6:-4]
                head, encrypted, rest = segment.partition(b"CP=&&{")
                if encrypted:
                    segment = head + b"CP=&&" + hj212.decrypt(b"{" + rest[:-2], self.key) + b"&&"
                assert int(line[2:6]) == len(segment) and hj212.crc(segment, self.kind) == int(line[-4:], 16), line
                self.answers.append(segment.decode())
                answered = re.search(r"QN=(\d+);.*CN=9014;", segment.decode())
                if answered:
                    self.unanswered.pop(answered[1], None)
