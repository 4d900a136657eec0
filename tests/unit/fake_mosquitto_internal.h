/* fake_mosquitto_internal.h: what fake_mosquitto.c and fake_broker.c share: a client with the packets that go to and
 * fro. */
#ifndef CITYHUB_TEST_FAKE_MOSQUITTO_INTERNAL_H
#define CITYHUB_TEST_FAKE_MOSQUITTO_INTERNAL_H

#include "fake_mosquitto.h"

enum packet_type {
    PACKET_CONNECT,
    PACKET_CONNACK,
    PACKET_PUBLISH,
    PACKET_PUBACK,
    PACKET_SUBSCRIBE,
    PACKET_SUBACK,
    PACKET_UNSUBSCRIBE,
    PACKET_DISCONNECT,
};

struct packet {
    enum packet_type type;
    int mid; /* or the message's number */
    int reason;
    bool flag; /* session present */
    char text[1024];
    struct fake_published published;
};

struct queue {
    struct packet *packets;
    size_t first, past;
};

struct message {
    char *topic, *payload, *name;
    size_t length;
    bool retained;
    enum { MESSAGE_WAITS, MESSAGE_SENT, MESSAGE_READ, MESSAGE_ACKNOWLEDGED } state;
};

struct mosquitto {
    struct mosquitto *next;
    char id[128];
    void *user;
    struct fake_setup setup;
    void (*on_connect)(struct mosquitto *, void *, int, int, const mosquitto_property *);
    void (*on_message)(struct mosquitto *, void *, const struct mosquitto_message *, const mosquitto_property *);
    void (*on_subscribe)(struct mosquitto *, void *, int, int, const int *, const mosquitto_property *);
    void (*on_publish)(struct mosquitto *, void *, int, int, const mosquitto_property *);
    void (*on_log)(struct mosquitto *, void *, int, const char *);
    int socket, broker_socket; /* -1 = none */
    struct queue in, out;
    bool connect_written, accepted, encrypted;
    struct message messages[FAKE_PACKETS_MAX];
    int message_count;
    int last_mid, subscribe_mid, filters, subscribe_options;
    char subscribed[1024], unsubscribed[1024];
    struct fake_published *published;
    size_t published_count, served; /* served: of those, acknowledged by fake_broker_serve */
    bool disconnected;
    int64_t disconnect_expiry_s;
    int writes, miscs;
};

extern struct mosquitto *fake_clients;
extern void (*fake_watcher)(void *user, const char *topic, const void *payload, size_t length);
extern void *fake_watcher_user;

struct packet *fake_queue_add(struct queue *queue, enum packet_type type, int mid);

#endif
