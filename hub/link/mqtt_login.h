/* mqtt_login.h: how a session of libmosquitto comes to the broker: version of MQTT, login, TLS. One way for the daemon,
 * for replays and for the simulator's vendors. */
#ifndef CITYHUB_MQTT_LOGIN_H
#define CITYHUB_MQTT_LOGIN_H

#include <mosquitto.h>
#include <stdbool.h>

#include "hub/base/config.h"

/* Whether [mqtt] protocol is MQTT 5. MQTT 3.1.1 has no shared subscriptions, no reasons and no properties. */
bool mqtt_is_5(const struct config *config);
/* It as the library's number. */
int mqtt_version(const struct config *config);
/* What a broker says by the code of its refusal to let a client in. */
const char *mqtt_refusal(const struct config *config, int code);

/* Gives a session that does not connect yet its protocol version, its login (`username` NULL or "" = anonymous,
 * `password` NULL = none) and, if [mqtt] tls_ca_file is set, TLS. The password is copied by the library. Returns
 * MOSQ_ERR_SUCCESS or the library's code. */
int mqtt_login(struct mosquitto *session, const struct config *config, const char *username, const char *password);

/* The same with the hub's own login: [mqtt] username and password_file. Returns also MOSQ_ERR_ERRNO, if the password's
 * file cannot be read; that has been logged. */
int mqtt_login_hub(struct mosquitto *session, const struct config *config);

#endif
