/* foreign.c: see foreign.h. Must never acknowledge a message that the hub has not committed or put into quarantine:
 * with one of which that is not known nothing is written to the broker, the connection is given up, and the broker
 * delivers all that was not acknowledged once more. */
#include "hub/gateway/foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/closing.h"
#include "hub/base/log.h"
#include "hub/base/topic.h"
#include "hub/gateway/bundle.h"
#include "hub/gateway/figures.h"
#include "hub/gateway/upstream.h"
#include "hub/link/mqtt.h"

enum {
    TOPICS_MAX = 16,
    IN_FLIGHT = 100, /* messages of a topic that the hub has not committed */
    AGAIN_MS = 1000,
};

struct channel {
    struct foreign *foreign;
    const char *source, *topic; /* in the foreign's text, or DEVICES and TOPIC_DEVICES, which says who it is */
    char client_id[128];
    struct mqtt *mqtt;
    size_t held;
    bool doubtful; /* of one that was read it is not known that it is kept */
};

/* No source's: identities have no dot. */
static const char DEVICES[] = "v1.devices";

struct foreign {
    struct connections_parts parts;
    struct json_desk *desk;
    char *text; /* of the setting, cut into words */
    struct channel list[TOPICS_MAX];
    size_t count;
    uv_timer_t timer;
    struct closing closing;
    bool stopping;
};

/* A message on its way to the hub. */
struct arrival {
    struct parcel parcel; /* first: it is found by it */
    struct channel *channel;
};

/* ---- who sends ---- */

static bool is_devices(const struct channel *channel) {
    return channel->source == DEVICES;
}

/* NULL = it is in no list. What a device said before its right ended is its own; the broker has let in nothing since.
 */
static const struct terminal *sender(const struct channel *channel, const char *text) {
    const struct terminals *terminals = upstream_terminals(channel->foreign->parts.upstream);
    char identity[TERMINAL_IDENTITY_MAX] = "";
    struct topic topic;
    if (!is_devices(channel)) {
        return terminals_find(terminals, "json", channel->source);
    }
    if (topic_split(text, &topic) && topic.vendor.length < sizeof identity) {
        memcpy(identity, topic.vendor.text, topic.vendor.length);
    }
    const struct terminal *terminal = terminals_find_ever(terminals, "json", identity);
    if (terminal == NULL) {
        log_warning("foreign_topic", "device=%s reason=\"it is in no list of terminals (yet); devices' messages wait\"",
                    log_quote(identity));
    }
    return terminal;
}

/* ---- messages ---- */

static void on_parcel(struct parcel *parcel, enum parcel_end end) {
    struct arrival *arrival = (struct arrival *)parcel;
    struct channel *channel = arrival->channel;
    channel->held--;
    /* A device does not hold up the others by what the hub does not take, and keeps in quarantine. */
    channel->doubtful |= end == PARCEL_UNSURE || (end == PARCEL_REFUSED && !is_devices(channel));
    figures.pushes[end == PARCEL_STORED ? PUSH_STORED : end == PARCEL_REFUSED ? PUSH_REFUSED : PUSH_UNSURE]++;
    free(arrival);
    if (!channel->foreign->stopping && channel->held == 0 && !channel->doubtful) {
        mqtt_wake(channel->mqtt);
    }
}

static void on_message(void *user, const struct mosquitto_message *message, const mosquitto_property *properties) {
    struct channel *channel = user;
    const struct terminal *terminal = sender(channel, message->topic);
    struct arrival *arrival = terminal == NULL ? NULL : calloc(1, sizeof *arrival);
    (void)properties;
    if (arrival == NULL) {
        channel->doubtful = true;
        return;
    }
    arrival->channel = channel;
    channel->held++;
    parcel_begin(&arrival->parcel, on_parcel);
    const void *payload = message->payload == NULL ? "" : message->payload;
    if (json_desk_take(channel->foreign->desk, terminal, is_devices(channel), payload, (size_t)message->payloadlen,
                       &arrival->parcel) != 0) {
        channel->doubtful = true;
    }
    parcel_seal(&arrival->parcel);
}

static bool may_read(void *user) {
    const struct channel *channel = user;
    return !channel->doubtful && !bundles_full(channel->foreign->parts.bundles);
}

static bool may_write(void *user) {
    const struct channel *channel = user;
    return channel->held == 0 && !channel->doubtful;
}

static void on_connected(void *user, bool session_present) {
    struct channel *channel = user;
    channel->doubtful = false;
    log_info("foreign_topic", "source=%s topic=%s state=connected session=%s", log_quote(channel->source),
             log_quote(channel->topic), session_present ? "kept" : "new");
    mosquitto_subscribe(mqtt_session(channel->mqtt), NULL, channel->topic, 1);
    mqtt_wake(channel->mqtt);
}

static void on_subscribed(void *user, int mid, int count, const int *reasons) {
    enum { REFUSED = 128 };
    const struct channel *channel = user;
    (void)mid;
    if (count > 0 && reasons[0] >= REFUSED) {
        log_error("foreign_topic",
                  "source=%s topic=%s reason=%d advice=\"the gateway's login must have the right to read "
                  "it: docs/gateway.md\"",
                  log_quote(channel->source), log_quote(channel->topic), reasons[0]);
    }
}

/* What waits for room is read on; what is in doubt comes again, when all that is under way has ended. */
static void on_timer(uv_timer_t *timer) {
    struct foreign *foreign = timer->data;
    for (size_t i = 0; i < foreign->count; i++) {
        struct channel *channel = &foreign->list[i];
        if (channel->doubtful && channel->held == 0 && mqtt_connected(channel->mqtt)) {
            mqtt_lose(channel->mqtt, "not known to be stored");
        } else if (!channel->doubtful) {
            mqtt_wake(channel->mqtt);
        }
    }
}

/* ---- open and close ---- */

static void foreign_free(void *part) {
    struct foreign *foreign = part;
    free(foreign->text);
    free(foreign);
}

/* SOURCE=TOPIC, or `devices`; false if it is neither. */
static bool channel_read(struct foreign *foreign, char *word) {
    char *equals = strchr(word, '=');
    if (strcmp(word, "devices") == 0 && foreign->count < TOPICS_MAX) {
        foreign->list[foreign->count++] =
            (struct channel){.foreign = foreign, .source = DEVICES, .topic = TOPIC_DEVICES};
        return true;
    }
    if (equals == NULL || equals == word || equals[1] == '\0' || foreign->count == TOPICS_MAX ||
        mosquitto_sub_topic_check(equals + 1) != MOSQ_ERR_SUCCESS || strncmp(equals + 1, "$share", 6) == 0) {
        log_error(
            "foreign_topic",
            "word=%s advice=\"[gateway] foreign_topics has up to %d of SOURCE=TOPIC, or devices, parted by blanks\"",
            log_quote(word), TOPICS_MAX);
        return false;
    }
    struct channel *channel = &foreign->list[foreign->count++];
    *equals = '\0';
    channel->foreign = foreign;
    channel->source = word;
    channel->topic = equals + 1;
    return true;
}

static bool channel_open(struct channel *channel) {
    const struct config *config = channel->foreign->parts.config;
    snprintf(channel->client_id, sizeof channel->client_id, "%.40s-%.40s.%.40s",
             config->mqtt_username[0] == '\0' ? "gateway" : config->mqtt_username, config->hub_instance,
             channel->source);
    const struct mqtt_settings settings = {.name = channel->client_id,
                                           .client_id = channel->client_id,
                                           .session_expiry_s = config->mqtt_session_expiry_s,
                                           .receive_maximum = IN_FLIGHT};
    const struct mqtt_handlers handlers = {.connected = on_connected,
                                           .message = on_message,
                                           .subscribed = on_subscribed,
                                           .may_read = may_read,
                                           .may_write = may_write,
                                           .user = channel};
    channel->mqtt = mqtt_open(channel->foreign->parts.loop, config, &settings, &handlers);
    return channel->mqtt != NULL;
}

struct foreign *foreign_open(const struct connections_parts *parts, struct json_desk *desk) {
    struct foreign *foreign = calloc(1, sizeof *foreign);
    if (foreign == NULL || (foreign->text = strdup(parts->config->gateway_foreign_topics)) == NULL) {
        log_error("out_of_memory", "what=foreign");
        free(foreign);
        return NULL;
    }
    foreign->parts = *parts;
    foreign->desk = desk;
    uv_timer_init(parts->loop, &foreign->timer);
    foreign->timer.data = foreign;
    uv_timer_start(&foreign->timer, on_timer, AGAIN_MS, AGAIN_MS);
    char *rest = NULL;
    bool good = true;
    for (char *word = strtok_r(foreign->text, " ", &rest); good && word != NULL; word = strtok_r(NULL, " ", &rest)) {
        good = channel_read(foreign, word);
    }
    for (size_t i = 0; good && i < foreign->count; i++) {
        good = channel_open(&foreign->list[i]);
    }
    if (!good) {
        foreign_close(foreign, NULL, NULL);
        return NULL;
    }
    return foreign;
}

void foreign_close(struct foreign *foreign, void (*closed)(void *user), void *user) {
    foreign->stopping = true;
    closing_begin(&foreign->closing, foreign_free, foreign, closed, user);
    closing_handle(&foreign->closing, (uv_handle_t *)&foreign->timer);
    for (size_t i = 0; i < foreign->count; i++) {
        if (foreign->list[i].mqtt != NULL) {
            closing_await(&foreign->closing);
            mqtt_close(foreign->list[i].mqtt, false, closing_over, &foreign->closing);
        }
    }
}
