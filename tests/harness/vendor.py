"""A vendor's platform as the guides describe it: an MQTT client that publishes with QoS 1 and reads its receipts. It speaks MQTT 5,
or 3.1.1 with a broker that knows no other."""
import collections
import hashlib
import itertools
import json
import re
import socket
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from . import messages
from .process import wait_until


class VendorClient:
    """publish() returns after the broker's PUBACK; send() after the hub's receipt. `receipts` are the entries of all
    receipt messages so far, in their order; `arrived` says when (time.monotonic()) a message's newest came, which send() sees up
    to a quarter of a second later."""

    def __init__(self, broker, subsystem, vendor, username=None, password=None, session_expiry_s=0):
        self.broker, self.subsystem, self.vendor = broker, subsystem, vendor
        self.receipts, self.arrived = [], {}
        self.lock = threading.Lock()
        self.acknowledged = set()
        self.sent_again = collections.Counter()  # by packet identifier: PUBLISH with the DUP flag
        self.numbers = itertools.count(1)
        self.subscribed = threading.Event()
        self.refusal = None
        self.session_expiry_s = session_expiry_s
        client_id = f"{vendor}-{subsystem}" if username is None else broker.client_id(username)
        if broker.version == 5:
            self.client = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv5)
        else:
            self.client = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv311, clean_session=not session_expiry_s)
        self.client.max_inflight_messages_set(1000)
        if username is not None:
            self.client.username_pw_set(username, password)
        self.client.on_socket_open = lambda client, user, connection: connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self.subscribed.set()
        self.client.on_message = self._on_message
        self.client.on_publish = self._on_publish
        self.client.on_log = self._on_log
        self.client.reconnect_delay_set(min_delay=1, max_delay=1)

    def topic(self, kind):
        return f"cityhub/v1/{self.subsystem}/{self.vendor}/{kind}"

    def connect(self):
        options = {}
        if self.broker.version == 5:
            options = {"clean_start": not self.session_expiry_s, "properties": Properties(PacketTypes.CONNECT)}
            options["properties"].SessionExpiryInterval = self.session_expiry_s
        self.subscribed.clear()
        self.client.connect(self.broker.host, self.broker.vendor_port, keepalive=60, **options)
        self.client.loop_start()
        wait_until(lambda: self.subscribed.is_set() or self.refusal, 30, f"{self.vendor} is connected to the broker")
        assert self.refusal is None, f"the broker refused {self.vendor}: {self.refusal}"
        return self

    def disconnect(self):
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, client, user, flags, reason, properties=None):
        if getattr(reason, "value", reason) != 0:
            self.refusal = str(reason)
        else:
            client.subscribe(self.topic("receipt"), qos=1)

    def _on_publish(self, client, user, mid):
        with self.lock:
            self.acknowledged.add(mid)

    def _on_log(self, client, user, level, words):
        again = re.match(r"Sending PUBLISH \(d1, q1, r\d, m(\d+)\)", words)
        if again:
            with self.lock:
                self.sent_again[int(again[1])] += 1

    def _on_message(self, client, user, message):
        entries, now = json.loads(message.payload)["receipts"], time.monotonic()
        with self.lock:
            self.arrived.update((entry["message"], now) for entry in entries)
            self.receipts.extend(entries)

    def encode(self, kind, payload):
        """bytes go as they are, a dict or list as JSON, a protobuf message in its wire form."""
        if isinstance(payload, (bytes, bytearray)):
            return bytes(payload)
        if isinstance(payload, (dict, list)):
            return messages.json_bytes(payload)
        return payload.SerializeToString()

    def publish_start(self, kind, payload, message=None, topic=None, user_properties=()):
        """Hands a message to the client and returns (its MessageInfo, its name in the receipt)."""
        data, properties = self.encode(kind, payload), None
        if self.broker.version == 5:
            name, properties = message or f"m-{next(self.numbers)}", Properties(PacketTypes.PUBLISH)
            properties.CorrelationData = name.encode()
            if user_properties:
                properties.UserProperty = list(user_properties)
        else:
            name = f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"
        return self.client.publish(topic or self.topic(kind), data, qos=1, properties=properties), name

    def publish(self, kind, payload, message=None, topic=None, user_properties=(), timeout_s=30):
        """Publishes and waits for the PUBACK; returns the message's name in the receipt."""
        info, name = self.publish_start(kind, payload, message, topic, user_properties)
        info.wait_for_publish(timeout_s)
        assert info.is_published(), f"no PUBACK within {timeout_s} s"
        return name

    def receipts_of(self, message):
        with self.lock:
            return [receipt for receipt in self.receipts if receipt["message"] == message]

    def receipt(self, message, timeout_s=60):
        """The receipt of a message, waited for."""
        return wait_until(lambda: self.receipts_of(message), timeout_s,
                          f"a receipt for {message} on {self.topic('receipt')}")[0]

    def send(self, kind, payload, **options):
        """Publishes and returns the message's receipt."""
        return self.receipt(self.publish(kind, payload, **options))

    def send_telemetry(self, *records):
        """Publishes records (dicts) as one protobuf message and returns its receipt."""
        return self.send("telemetry", messages.protobuf(self.subsystem, records))
