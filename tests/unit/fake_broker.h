/* fake_broker.h: the broker at the other end of a client without a network, and what the client was seen to do. What
 * the broker sent and got no acknowledgement for, it sends again on the next connection. */
#ifndef CITYHUB_TEST_FAKE_BROKER_H
#define CITYHUB_TEST_FAKE_BROKER_H

#include "fake_mosquitto.h"

/* As over TLS: with the first packet that the client reads, all that were sent before are off the socket. */
void fake_broker_encrypt(struct mosquitto *client);

/* Answers CONNECT, which must have been written. Then sends what it has. */
void fake_broker_accept(struct mosquitto *client, int reason, bool session_present);
/* Answers the last SUBSCRIBE: each filter gets this. */
void fake_broker_subscribe(struct mosquitto *client, int reason);
/* A message with QoS 1; `name` is its correlation data, NULL = none. Returns its number, from 0. */
int fake_broker_send(struct mosquitto *client, const char *topic, const void *payload, size_t length, const char *name);
/* One that the broker had retained, and sends for a subscription's sake. */
int fake_broker_send_retained(struct mosquitto *client, const char *topic, const void *payload, size_t length);
/* Acknowledges a message that the client has published. */
void fake_broker_acknowledge(struct mosquitto *client, int mid, int reason);
/* Whatever the client has written is answered with yes: CONNECT, SUBSCRIBE, what it has published. */
void fake_broker_serve(struct mosquitto *client);
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
int fake_subscribe_options(const struct mosquitto *client); /* of the last SUBSCRIBE: MQTT_SUB_OPT_... */
/* Messages published on the present connection, in the order in which they were written. */
size_t fake_published(const struct mosquitto *client, const struct fake_published **list);
bool fake_disconnected(const struct mosquitto *client,
                       int64_t *session_expiry_s); /* it said DISCONNECT; -1 = no expiry */
int fake_writes(const struct mosquitto *client);   /* calls of mosquitto_loop_write */
int fake_miscs(const struct mosquitto *client);    /* calls of mosquitto_loop_misc */
bool fake_logs(const struct mosquitto *client);    /* a log callback is set */

#endif
