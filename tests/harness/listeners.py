"""Many that listen to the live stream, in processes of their own. Each keeps what it is told as docs/stream.md says: behind `snapshot` and
`resync` it reads the lists, then lays over them what came meanwhile; a device that it does not know it reads by its route. While they are
shaken, their connections break and they stop reading at random; they come back by themselves."""
import collections
import copy
import datetime
import json
import multiprocessing
import random
import resource
import selectors
import socket
import struct
import time

import requests

PROCESSES = 2
LISTS = {"state": ("devices", {"readings": "true"}), "alarm": ("alarms", {"open": "true"}), "case": ("cases", {"is": "open"})}
NAMES = {"bbox": "box", "subsystem": "subsystem"}  # of a stream's filters in a list


def _layers(parameters):
    """Those whose things are kept; of the layer `position` the places of `state`."""
    return parameters.get("layer", ",".join(LISTS)).split(",")


def _ms(text):
    return round(datetime.datetime.fromisoformat(text).timestamp() * 1000)


class _Device:
    """Its place, and of each metric the reading of the later time."""

    def __init__(self, lon=None, lat=None, readings=()):
        self.readings, self.place = {}, None
        self.put(lon, lat)
        self.newest({name: (_ms(reading["at"]), reading["value"]) for name, reading in readings})

    def put(self, lon, lat):
        self.place = None if lon is None else [round(lon, 7), round(lat, 7)]

    def newest(self, readings):
        for name, (at, value) in readings.items():
            if at >= self.readings.get(name, (0,))[0]:
                self.readings[name] = (at, value)

    def is_now(self):
        return [self.place, {name: value for name, (_, value) in self.readings.items()}]


def _of_list(layer, thing):
    """(id, what is kept of it), of a list's entry."""
    if layer == "state":
        return thing["id"], _Device(thing["lon"], thing["lat"], (thing["readings"] or {}).items())
    return thing["id"], thing["severity"] if layer == "alarm" else [thing["case"], thing["version"], thing["state"], thing["department"]]


class _Listener:
    def __init__(self, port, number, headers, parameters):
        self.port, self.number, self.headers, self.parameters = port, number, headers, parameters
        self.layers = _layers(parameters)
        self.box = [float(edge) for edge in parameters.get("bbox", "-180,-90,180,90").split(",")]
        self.kept, self.behind, self.unknown = {layer: {} for layer in self.layers}, None, set()
        self.socket, self.data, self.answered, self.last_event_id, self.due = None, b"", False, None, 0
        self.counts = collections.Counter()

    def open(self):  # HTTP/1.0 has no chunks
        query = "&".join(f"{name}={value}" for name, value in {**self.parameters, "layer": ",".join([*self.layers, "position"])}.items())
        headers = {"Host": "localhost", **self.headers, **({"Last-Event-ID": self.last_event_id} if self.last_event_id else {})}
        self.data, self.answered = b"", False
        self.socket = socket.create_connection(("127.0.0.1", self.port), 2)
        lines = [f"GET /api/v1/stream?{query} HTTP/1.0", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.socket.setblocking(False)

    def close(self, due):
        """As a network does that breaks."""
        if self.socket is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.close()
        self.socket, self.due = None, due

    def take(self, data):
        """False: the hub said no."""
        self.data += data
        if not self.answered:
            head, end, rest = self.data.partition(b"\r\n\r\n")
            if not end:
                return True
            status = head.split(b" ", 2)[1].decode()
            self.counts[status] += 1
            if status != "200":
                return False
            self.answered, self.data = True, rest
        *events, self.data = self.data.split(b"\n\n")
        for event in events:
            fields = dict(line.partition(": ")[::2] for line in event.decode().split("\n"))
            if "data" in fields:
                self.event(fields["event"], json.loads(fields["data"]))
            self.last_event_id = fields.get("id", self.last_event_id)
        return True

    def event(self, kind, things):
        self.counts[kind] += 1
        if kind in ("snapshot", "resync"):
            self.behind = []
        elif self.behind is not None:
            self.behind.append((kind, things))
        else:
            self.apply(kind, things)

    def is_in_box(self, lon, lat):
        west, south, east, north = self.box
        return west <= lon <= east and south <= lat <= north

    def apply(self, kind, things):
        kept = self.kept["state" if kind == "position" else kind]
        for thing in things:
            key = thing["id"]
            if "left" in thing or thing.get("closed_at") or thing.get("ended_at") or kind == "position" and not self.is_in_box(thing["lon"], thing["lat"]):
                kept.pop(key, None)
            elif kind == "position":
                kept[key].put(thing["lon"], thing["lat"]) if key in kept else None  # what is not kept is another subsystem's
            elif kind == "state":
                if key not in kept:
                    self.unknown.add(key)
                times = thing.get("times", {})
                kept.setdefault(key, _Device()).newest({name: (times.get(name, thing["observed_at_ms"]), value) for name, value in thing.get("values", {}).items()})
            else:
                kept[key] = thing["severity"] if kind == "alarm" else [thing[name] for name in ("code", "version", "state", "department")]

    def read(self, lists):
        behind, self.behind = self.behind, None
        self.kept = copy.deepcopy(lists)
        for kind, things in behind:
            self.apply(kind, things)

    def learn(self, key, device):
        """What the route says of one that it asked for, or None: there is none. Its place may have been told meanwhile."""
        kept = self.kept["state"].get(key)
        self.unknown.discard(key)
        if device is None:
            self.kept["state"].pop(key, None)
        elif kept is not None:
            kept.newest(device.readings)
            kept.place = kept.place or device.place

    def differences(self, expected):
        """What it keeps that is not so, or does not keep: (layer, id, kept, expected)."""
        now = {layer: {key: thing.is_now() if layer == "state" else thing for key, thing in things.items()} for layer, things in self.kept.items()}
        return [(layer, key, now[layer].get(key), expected[layer].get(key)) for layer in self.layers for key in {*now[layer], *expected[layer]}
                if now[layer].get(key) != expected[layer].get(key)]


class _Group:
    """What runs in one of the processes."""

    def __init__(self, url, port, filters, numbers, pipe):
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        self.url, self.pipe, self.filters, self.shaken, self.paused = f"{url}/api/v1", pipe, filters, False, {}
        self.selector, self.random, self.session = selectors.DefaultSelector(), random.Random(numbers[0]), requests.Session()
        self.listeners = [_Listener(port, n % len(filters), *filters[n % len(filters)]) for n in numbers]

    def close(self, listener, due):
        if listener.socket is not None and listener not in self.paused:
            self.selector.unregister(listener.socket)
        self.paused.pop(listener, None)
        listener.close(time.monotonic() + due)

    def hear(self):
        for listener in self.listeners:
            if listener.socket is None and listener.due <= time.monotonic():
                try:
                    listener.open()
                    self.selector.register(listener.socket, selectors.EVENT_READ, listener)
                except OSError:
                    listener.close(time.monotonic() + 0.5)
        for key, _ in self.selector.select(0.05):
            try:
                data = key.fileobj.recv(1 << 18)
                more = data and key.data.take(data)
            except ConnectionError:
                more = False
            if not more:
                self.close(key.data, 0.2 + self.random.random())

    def ask(self, number, path, **parameters):
        return self.session.get(f"{self.url}/{path}", params=parameters, headers=self.filters[number][0], timeout=30)

    def lists(self, number):
        narrowed = {NAMES[name]: value for name, value in self.filters[number][1].items() if name in NAMES}
        lists = {}
        for layer in _layers(self.filters[number][1]):
            name, parameters = LISTS[layer]
            answer = self.ask(number, name, limit=1000, **parameters, **narrowed)
            answer.raise_for_status()
            assert not answer.json().get("next"), f"{name} has more than a page"
            lists[layer] = dict(_of_list(layer, thing) for thing in answer.json()[name])
        return lists

    def read(self):
        """Lists and devices for those that wait for them, once for all that listen alike: what is asked for now is newer than what each was told."""
        for number in {listener.number for listener in self.listeners if listener.behind is not None}:
            waiting = [listener for listener in self.listeners if listener.number == number and listener.behind is not None]
            lists = self.lists(number)
            for listener in waiting:
                listener.read(lists)
        for number, device in sorted({(listener.number, device) for listener in self.listeners for device in listener.unknown}):
            answer = self.ask(number, f"devices/{device}")
            if answer.status_code != 404:
                answer.raise_for_status()
            told = answer.json() if answer.status_code == 200 else None
            found = told and _Device(told["lon"], told["lat"], [(reading["key"], reading) for reading in told["readings"]])
            for listener in self.listeners:
                if listener.number == number and device in listener.unknown:
                    listener.learn(device, found)

    def shake(self):
        now = time.monotonic()
        for listener in [listener for listener, until in self.paused.items() if until <= now or not self.shaken]:
            del self.paused[listener]
            self.selector.register(listener.socket, selectors.EVENT_READ, listener)
        if not self.shaken:
            return
        for listener in self.random.sample(self.listeners, max(1, len(self.listeners) // 50)):
            if self.random.random() < 0.5:
                self.close(listener, self.random.random())
            elif listener.socket is not None and listener not in self.paused:
                self.selector.unregister(listener.socket)
                self.paused[listener] = now + self.random.choice((0.5, 2, 8))

    def run(self):
        turn = 0.0
        while True:
            self.hear()
            if time.monotonic() >= turn:
                turn = time.monotonic() + 0.25
                self.shake()
            try:
                self.read()
            except requests.RequestException:
                pass  # in the next turn
            while self.pipe.poll():
                command, data = self.pipe.recv()
                if command == "end":
                    return
                self.pipe.send(getattr(self, f"do_{command}")(data))

    def do_shake(self, shaken):
        self.shaken = shaken

    def do_listening(self, _):
        return sum(listener.socket is not None and listener.answered and listener.behind is None and listener.last_event_id is not None for listener in self.listeners)

    def do_differences(self, expected):
        return [(*difference, self.filters[listener.number][1]) for listener in self.listeners for difference in listener.differences(expected[listener.number])]

    def do_counts(self, _):
        return sum((listener.counts for listener in self.listeners), collections.Counter())


class Listeners:
    """`filters`: (headers, parameters of the stream) that they take in turn. Ended by close()."""

    def __init__(self, hub, count, filters):
        self.count, self.pipes, self.processes = count, [], []
        for n in range(PROCESSES):
            here, there = multiprocessing.Pipe()
            self.pipes.append(here)
            self.processes.append(multiprocessing.Process(target=lambda pipe=there, n=n: _Group(hub.http_url, hub.http_port, filters, range(n, count, PROCESSES), pipe).run(), daemon=True))
            self.processes[-1].start()

    def ask(self, command, data=None):
        for pipe in self.pipes:
            pipe.send((command, data))
        answers = []
        for pipe in self.pipes:
            assert pipe.poll(60), "a process of listeners does not answer"
            answers.append(pipe.recv())
        return answers

    def listening(self):
        return sum(self.ask("listening")) == self.count

    def shake(self, shaken):
        self.ask("shake", shaken)

    def differences(self, expected):
        """Of all, against {layer: {id: what is so}} of each filter: (layer, id, kept, expected, parameters)."""
        return sum(self.ask("differences", expected), [])

    def counts(self):
        """How often they were told each event, and answered with each status."""
        return sum(self.ask("counts"), collections.Counter())

    def close(self):
        for pipe in self.pipes:
            pipe.send(("end", None))
        for process in self.processes:
            process.join(10)
            process.kill()
