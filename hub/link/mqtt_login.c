/* mqtt_login.c: login and TLS of a session, see mqtt_login.h. Must never log a password, nor keep one. */
#include "hub/link/mqtt_login.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

bool mqtt_is_5(const struct config *config) {
    return strcmp(config->mqtt_protocol, "5") == 0;
}

int mqtt_version(const struct config *config) {
    return mqtt_is_5(config) ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311;
}

const char *mqtt_refusal(const struct config *config, int code) {
    return mqtt_is_5(config) ? mosquitto_reason_string(code) : mosquitto_connack_string(code);
}

int mqtt_login(struct mosquitto *session, const struct config *config, const char *username, const char *password) {
    int code = mosquitto_int_option(session, MOSQ_OPT_PROTOCOL_VERSION, mqtt_version(config));
    if (code == MOSQ_ERR_SUCCESS && username != NULL && username[0] != '\0') {
        code = mosquitto_username_pw_set(session, username, password);
    }
    if (code == MOSQ_ERR_SUCCESS && config->mqtt_tls_ca_file[0] != '\0') {
        code = mosquitto_tls_set(session, config->mqtt_tls_ca_file, NULL, NULL, NULL, NULL);
    }
    return code;
}

int mqtt_login_hub(struct mosquitto *session, const struct config *config) {
    bool named = config->mqtt_username[0] != '\0' && config->mqtt_password_file[0] != '\0';
    char *password = named ? config_secret(config->mqtt_password_file) : NULL;
    if (named && password == NULL) {
        return MOSQ_ERR_ERRNO;
    }
    int code = mqtt_login(session, config, config->mqtt_username, password);
    if (password != NULL) {
        OPENSSL_cleanse(password, strlen(password));
        free(password);
    }
    return code;
}
