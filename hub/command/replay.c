/* replay.c: a small blocking publisher. Must never hold more than a window of messages in memory, nor take a
 * message for delivered that the broker has not acknowledged. */
#include "hub/command/replay.h"

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/base/error.h"
#include "hub/base/topic.h"
#include "hub/cli/command.h"
#include "hub/link/mqtt_login.h"

enum {
    WINDOW_MESSAGES = 16,
    WINDOW_BYTES = 32 * 1024 * 1024, /* a single larger message may still go, alone */
    CONNECT_TIMEOUT_S = 10,
    ACKNOWLEDGE_TIMEOUT_S = 30, /* without any progress */
    LOOP_MS = 100,
    MQTT_SUCCESS = 0x00,
    MQTT_NO_MATCHING_SUBSCRIBERS = 0x10,
};

struct flight {
    int mid; /* 0 = free */
    struct replay_message message;
    size_t bytes;
};

struct replay {
    const struct config *config;
    struct mosquitto *session;
    replay_outcome *outcome;
    void *user;
    bool connected;
    bool refused; /* by the broker, told already */
    struct flight flights[WINDOW_MESSAGES];
    size_t count, bytes;
    time_t progress_at;
};

static time_t monotonic_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void on_connect(struct mosquitto *session, void *user, int code, int flags,
                       const mosquitto_property *properties) {
    (void)session;
    (void)flags;
    (void)properties;
    struct replay *replay = user;
    replay->connected = code == 0;
    replay->refused = code != 0;
    if (code != 0) {
        command_fail("the broker refused the hub's login: %s; see [mqtt] username and password_file",
                     mqtt_refusal(replay->config, code));
    }
}

static void on_disconnect(struct mosquitto *session, void *user, int code, const mosquitto_property *properties) {
    (void)session;
    (void)code;
    (void)properties;
    ((struct replay *)user)->connected = false;
}

static void on_publish(struct mosquitto *session, void *user, int mid, int code, const mosquitto_property *properties) {
    (void)session;
    (void)properties;
    struct replay *replay = user;
    for (size_t i = 0; i < WINDOW_MESSAGES; i++) {
        struct flight *flight = &replay->flights[i];
        if (flight->mid != mid) {
            continue;
        }
        struct replay_message message = flight->message;
        replay->bytes -= flight->bytes;
        replay->count--;
        *flight = (struct flight){0};
        replay->progress_at = monotonic_s();
        const char *problem = code == MQTT_SUCCESS ? NULL
                              : code == MQTT_NO_MATCHING_SUBSCRIBERS
                                  ? "nobody receives this topic: has the hub ever been started with this broker?"
                                  : mosquitto_reason_string(code);
        replay->outcome(replay->user, &message, problem);
        return;
    }
}

static int configure(struct replay *replay, const struct config *config) {
    mosquitto_connect_v5_callback_set(replay->session, on_connect);
    mosquitto_disconnect_v5_callback_set(replay->session, on_disconnect);
    mosquitto_publish_v5_callback_set(replay->session, on_publish);
    int code = mqtt_login_hub(replay->session, config);
    if (code != MOSQ_ERR_SUCCESS) {
        command_fail("the connection to the broker cannot be set up: %s", mosquitto_strerror(code));
        return CH_EBROKER;
    }
    return 0;
}

static int wait_connected(struct replay *replay, const struct config *config) {
    int code =
        mosquitto_connect(replay->session, config->mqtt_host, (int)config->mqtt_port, (int)config->mqtt_keepalive_s);
    time_t until = monotonic_s() + CONNECT_TIMEOUT_S;
    while (code == MOSQ_ERR_SUCCESS && !replay->connected && !replay->refused && monotonic_s() < until) {
        code = mosquitto_loop(replay->session, LOOP_MS, 1);
    }
    if (replay->connected) {
        return 0;
    }
    if (!replay->refused) {
        command_fail("cannot connect to the broker at %s port %lld: %s", config->mqtt_host,
                     (long long)config->mqtt_port,
                     code == MOSQ_ERR_SUCCESS ? "no answer in time" : mosquitto_strerror(code));
    }
    return CH_EBROKER;
}

struct replay *replay_open(const struct config *config, replay_outcome *outcome, void *user) {
    mosquitto_lib_init();
    struct replay *replay = calloc(1, sizeof *replay);
    if (replay == NULL || (replay->session = mosquitto_new(NULL, true, replay)) == NULL) {
        command_fail("out of memory");
        replay_close(replay);
        return NULL;
    }
    replay->config = config;
    replay->outcome = outcome;
    replay->user = user;
    if (configure(replay, config) != 0 || wait_connected(replay, config) != 0) {
        replay_close(replay);
        return NULL;
    }
    replay->progress_at = monotonic_s();
    return replay;
}

/* One turn of the network. */
static int turn(struct replay *replay) {
    int code = mosquitto_loop(replay->session, LOOP_MS, 1);
    if (code != MOSQ_ERR_SUCCESS || !replay->connected) {
        command_fail("the connection to the broker is lost: %s", mosquitto_strerror(code));
        return CH_EBROKER;
    }
    if (replay->count > 0 && monotonic_s() - replay->progress_at > ACKNOWLEDGE_TIMEOUT_S) {
        command_fail("the broker has acknowledged nothing for %d s", ACKNOWLEDGE_TIMEOUT_S);
        return CH_EBROKER;
    }
    return 0;
}

static int publish_5(struct replay *replay, int *mid, int64_t id, const char *received_ms, const char *topic,
                     const void *payload, size_t length) {
    char mark[24];
    snprintf(mark, sizeof mark, "%lld", (long long)id);
    mosquitto_property *properties = NULL;
    int code = mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, "cityhub-replay", mark);
    if (code == MOSQ_ERR_SUCCESS) {
        code =
            mosquitto_property_add_string_pair(&properties, MQTT_PROP_USER_PROPERTY, TOPIC_FIRST_RECEIVED, received_ms);
    }
    if (code == MOSQ_ERR_SUCCESS) {
        code = mosquitto_publish_v5(replay->session, mid, topic, (int)length, payload, 1, false, properties);
    }
    mosquitto_property_free_all(&properties);
    return code;
}

static int publish_3(struct replay *replay, int *mid, const char *received_ms, const char *topic, const void *payload,
                     size_t length) {
    char *marked = topic_put_first_received(topic, received_ms);
    if (marked == NULL) {
        return MOSQ_ERR_NOMEM;
    }
    int code = mosquitto_publish(replay->session, mid, marked, (int)length, payload, 1, false);
    free(marked);
    return code;
}

int replay_send(struct replay *replay, struct replay_message message, const char *received_ms, const char *topic,
                const void *payload, size_t length) {
    while (replay->count == WINDOW_MESSAGES || (replay->count > 0 && replay->bytes + length > WINDOW_BYTES)) {
        int code = turn(replay);
        if (code != 0) {
            return code;
        }
    }
    struct flight *flight = replay->flights;
    while (flight->mid != 0) {
        flight++;
    }
    int mid = 0;
    int code = mqtt_is_5(replay->config) ? publish_5(replay, &mid, message.id, received_ms, topic, payload, length)
                                         : publish_3(replay, &mid, received_ms, topic, payload, length);
    if (code == MOSQ_ERR_INVAL || code == MOSQ_ERR_PAYLOAD_SIZE || code == MOSQ_ERR_OVERSIZE_PACKET ||
        code == MOSQ_ERR_MALFORMED_UTF8) {
        replay->outcome(replay->user, &message, mosquitto_strerror(code)); /* this message's fault alone */
        return 0;
    }
    if (code != MOSQ_ERR_SUCCESS) {
        command_fail("message %lld cannot be published: %s", (long long)message.id, mosquitto_strerror(code));
        return CH_EBROKER;
    }
    *flight = (struct flight){.mid = mid, .message = message, .bytes = length};
    if (replay->count++ == 0) {
        replay->progress_at = monotonic_s();
    }
    replay->bytes += length;
    return 0;
}

int replay_finish(struct replay *replay) {
    while (replay->count > 0) {
        int code = turn(replay);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

void replay_close(struct replay *replay) {
    if (replay != NULL && replay->session != NULL) {
        if (replay->connected) {
            mosquitto_disconnect(replay->session);
            mosquitto_loop(replay->session, LOOP_MS, 1);
        }
        mosquitto_destroy(replay->session);
    }
    free(replay);
    mosquitto_lib_cleanup();
}
