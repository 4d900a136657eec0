#!/usr/bin/python3
"""plain.py HOST PORT TOPIC CONNINFO: a plain Python program (paho-mqtt, psycopg2): reads messages of records in JSON, inserts each
message's rows with execute_values; paho acknowledges when on_message returns."""
import json
import sys

import paho.mqtt.client as mqtt
import psycopg2
from psycopg2.extras import execute_values

COLUMNS = ("pm25_ug_m3", "pm10_ug_m3", "tsp_ug_m3", "noise_dba", "wind_speed_m_s", "wind_direction_deg", "air_temp_c", "humidity_percent")
INSERT = "INSERT INTO peer.observation (device_code, observed_at, readings) VALUES %s ON CONFLICT DO NOTHING"
host, port, topic, conninfo = sys.argv[1:]
connection = psycopg2.connect(conninfo)


def on_message(_client, _user, message):
    records = json.loads(message.payload)
    with connection, connection.cursor() as cursor:
        execute_values(cursor, INSERT, [(r["device_code"], r["observed_at_ms"], [r[c] for c in COLUMNS]) for r in records],
                       template="(%s, to_timestamp(%s / 1000.0), %s)", page_size=len(records))


client = mqtt.Client(client_id="peer-python", protocol=mqtt.MQTTv5)
client.on_connect = lambda *_: client.subscribe(topic, 1)
client.on_subscribe = lambda *_: print("ready", flush=True)
client.on_message = on_message
client.connect(host, int(port))
client.loop_forever()
