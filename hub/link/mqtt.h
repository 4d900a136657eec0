/* mqtt.h: one MQTT 5 connection of the daemon on its loop: connects in libuv's thread pool (libmosquitto's connect with
 * properties blocks), then reads and writes when the socket is ready; comes back with backoff. What it must guarantee
 * is that nothing is written, and so no message acknowledged, while its owner forbids it. */
#ifndef CITYHUB_MQTT_H
#define CITYHUB_MQTT_H

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdbool.h>
#include <uv.h>

#include "hub/base/config.h"

struct mqtt;

struct mqtt_handlers {
    void (*connected)(void *user, bool session_present); /* subscribe here; what is queued goes out when allowed */
    void (*lost)(void *user, const char *why);
    /* A message, as it is published: what the broker retained is not handed over. `properties`: NULL with 3.1.1. */
    void (*message)(void *user, const struct mosquitto_message *message, const mosquitto_property *properties);
    void (*subscribed)(void *user, int mid, int count, const int *reasons); /* NULL = ignore */
    void (*published)(void *user, int mid, int reason);                     /* PUBACK came; NULL = ignore */
    /* The broker does not let the client in, for this reason of CONNACK. It is tried again with backoff, unless the
     * owner closes it. NULL = ignore */
    void (*refused)(void *user, int reason);
    /* Asked before each packet: is there room for another message? NULL = always. */
    bool (*may_read)(void *user);
    void (*turn)(void *user); /* what the socket had is read, or a turn's share of it. NULL = ignore */
    /* Asked before anything is written: writing acknowledges every message read so far. NULL = always. */
    bool (*may_write)(void *user);
    void *user;
};

struct mqtt_settings {
    const char *name; /* for log lines; the strings are borrowed for the connection's life */
    /* Never logged: whoever knows it can end the session. NULL = a new one at each connection, of the broker's making;
     * then session_expiry_s is 0. */
    const char *client_id;
    /* Who logs in; NULL = [mqtt] username, with its password. The password is copied by mqtt_open and may be wiped
     * after it. */
    const char *username, *password;
    int64_t session_expiry_s; /* 0 = the session ends with the connection */
    int64_t receive_maximum;  /* unacknowledged messages that the broker may send; 1 to 65535 */
};

/* Starts connecting to [mqtt] host:port. Returns NULL after logging why (memory, unreadable password file or CA). */
struct mqtt *mqtt_open(uv_loop_t *loop, const struct config *config, const struct mqtt_settings *settings,
                       const struct mqtt_handlers *handlers);

/* Disconnects and frees; the session stays at the broker for its expiry, or ends if `end_session`. Packets that
 * may_write allows are written first. `closed` is called from the loop when nothing of it is left. No handler is called
 * after this. */
void mqtt_close(struct mqtt *mqtt, bool end_session, void (*closed)(void *user), void *user);

bool mqtt_connected(const struct mqtt *mqtt);

/* Gives the connection up as if it had been lost, and comes back with backoff. */
void mqtt_lose(struct mqtt *mqtt, const char *why);

/* For subscribe, unsubscribe and publish, while connected; then mqtt_wake. */
struct mosquitto *mqtt_session(struct mqtt *mqtt);

/* may_read or may_write has become true, or something was queued: goes on. Safe to call at any time. */
void mqtt_wake(struct mqtt *mqtt);

#endif
