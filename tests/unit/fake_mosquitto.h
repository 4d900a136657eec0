/* fake_mosquitto.h: libmosquitto's client without a network, and the broker at the other end, both played by the test.
 * A program that includes this has the library's functions replaced, and libuv's thread pool, which only dials. What
 * hub/ relies on is as in the library: an acknowledgement is queued before the message is handed over, nothing is
 * written before mosquitto_loop_write, which writes all that is queued, and what was not written when a connection
 * ended is forgotten. */
#ifndef CITYHUB_TEST_FAKE_MOSQUITTO_H
#define CITYHUB_TEST_FAKE_MOSQUITTO_H

#include <mosquitto.h>
#include <mqtt_protocol.h>

#include "fake_loop.h"

enum { FAKE_PACKETS_MAX = 4096, FAKE_FILTERS_MAX = 8 };

/* The client of that id ("" = the broker gives it one), NULL = there is none. */
struct mosquitto *fake_client(const char *client_id);
int fake_client_count(void);

/* How the client was set up. */
struct fake_setup {
    bool clean_session, threaded;
    int protocol, receive_maximum, send_maximum, no_delay, keepalive;
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

/* A message that the client has published. */
struct fake_published {
    int mid, length;
    char topic[128], payload[128];
};

/* The next call of that function fails once. */
enum fake_function { FAKE_READ, FAKE_WRITE, FAKE_MISC, FAKE_SUBSCRIBE, FAKE_PUBLISH, FAKE_NEW, FAKE_FUNCTIONS };
void fake_library_fail(enum fake_function function, int code);
/* mosquitto_loop_write writes so many packets a call; 0 = all. */
void fake_socket_room(int packets);

#endif
