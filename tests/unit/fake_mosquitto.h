/* fake_mosquitto.h: libmosquitto's client without a network, and the broker at the other end, both played by the test.
 * A program that uses this has the library's functions replaced, and libuv's thread pool, which only dials. What hub/
 * relies on is as in the library: an acknowledgement is queued before the message is handed over, nothing is written
 * before mosquitto_loop_write, which writes all that is queued, and what was not written when a connection ended is
 * forgotten. What the broker sent and got no acknowledgement for, it sends again on the next connection. */
#ifndef CITYHUB_TEST_FAKE_MOSQUITTO_H
#define CITYHUB_TEST_FAKE_MOSQUITTO_H

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include "fake_loop.h"

enum { FAKE_PACKETS_MAX = 4096, FAKE_FILTERS_MAX = 8 };

/* The client of that id, NULL = there is none. */
struct mosquitto *fake_client(const char *client_id);
int fake_client_count(void);

/* How the client was set up. */
struct fake_setup {
    bool clean_session, threaded;
    int protocol, receive_maximum, no_delay, keepalive;
    int64_t session_expiry_s; /* as the last CONNECT said; 0 = none */
    char host[64], username[64], password[64], ca_file[128];
    int port;
};
const struct fake_setup *fake_setup(const struct mosquitto *client);

/* ---- dialling: work for the pool waits until the test says how it ends */

bool fake_dialling(void);
/* All that wait: the connection is made, or it fails with a code of the library; MOSQ_ERR_ERRNO is "refused", and
 * MOSQ_ERR_TLS logs `detail` before. */
void fake_dial(int code, const char *detail);
/* The pool takes no more work. */
void fake_pool_full(bool full);

/* ---- the broker */

/* Answers CONNECT, which must have been written. Then sends what it has. */
void fake_broker_accept(struct mosquitto *client, int reason, bool session_present);
/* Answers the last SUBSCRIBE: each filter gets this. */
void fake_broker_subscribe(struct mosquitto *client, int reason);
/* A message with QoS 1; `name` is its correlation data, NULL = none. Returns its number, from 0. */
int fake_broker_send(struct mosquitto *client, const char *topic, const void *payload, size_t length, const char *name);
/* Acknowledges a message that the client has published. */
void fake_broker_acknowledge(struct mosquitto *client, int mid, int reason);
void fake_broker_close(struct mosquitto *client); /* ends the connection */
bool fake_broker_connected(const struct mosquitto *client);

/* The message was read by the client, or acknowledged. */
bool fake_message_read(const struct mosquitto *client, int number);
bool fake_message_acknowledged(const struct mosquitto *client, int number);
int fake_messages_acknowledged(const struct mosquitto *client);
/* Called for each acknowledgement when it is written. */
void fake_broker_witness(void (*acknowledged)(void *user, const char *topic, const void *payload, size_t length),
                         void *user);

/* ---- what the client did */

/* Filters of the last SUBSCRIBE, and of all UNSUBSCRIBEs, with spaces between; "" = none was written. */
const char *fake_subscribed(const struct mosquitto *client);
const char *fake_unsubscribed(const struct mosquitto *client);
/* Messages published on the present connection, in the order in which they were written. */
struct fake_published {
    int mid, length;
    char topic[128], payload[128];
};
size_t fake_published(const struct mosquitto *client, const struct fake_published **list);
bool fake_disconnected(const struct mosquitto *client,
                       int64_t *session_expiry_s); /* it said DISCONNECT; -1 = no expiry */
int fake_writes(const struct mosquitto *client);   /* calls of mosquitto_loop_write */
int fake_miscs(const struct mosquitto *client);    /* calls of mosquitto_loop_misc */
bool fake_logs(const struct mosquitto *client);    /* a log callback is set */

/* The next call of that function fails once. */
enum fake_function { FAKE_READ, FAKE_WRITE, FAKE_MISC, FAKE_SUBSCRIBE, FAKE_PUBLISH, FAKE_NEW, FAKE_FUNCTIONS };
void fake_library_fail(enum fake_function function, int code);
/* mosquitto_loop_write writes so many packets a call; 0 = all. */
void fake_socket_room(int packets);

#endif
