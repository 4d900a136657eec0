/* publisher.c: publications that wait for receipts, by name and in their order. Must never say that a message is stored
 * without the hub's receipt of this very message, nor keep one waiting without an end. */
#include "hub/gateway/publisher.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/hash.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/base/topic.h"
#include "hub/gateway/figures.h"
#include "hub/link/mqtt.h"

enum {
    BUCKETS = 256,
    TICK_MS = 100,
    RECEIVE_MAXIMUM = 1000, /* receipts that the broker may send before the first is acknowledged */
    REASON_FAILED = 0x80,   /* from here on a reason of PUBACK and SUBACK is a refusal */
    REASON_NOBODY = 0x10,   /* and this one says that no hub has a session: the broker has not kept it */
};

/* In two lists: by age, so that the first is late first, and in its name's bucket. */
struct waiting {
    struct waiting *next, *previous;
    struct waiting *next_in_bucket;
    uint64_t late_at;
    int mid;
    publisher_ended *ended; /* NULL = nobody waits any more */
    void *user;
    size_t bucket;
    char key[]; /* subsystem/vendor/kind/name */
};

struct publisher {
    uv_loop_t *loop;
    struct publisher_handlers handlers;
    char *client_id, *vendor, *prefix, *also;
    struct mqtt *mqtt;
    uv_timer_t timer;
    struct waiting *oldest, *newest;
    struct waiting *buckets[BUCKETS];
    size_t count, window;
    uint64_t wait_ms;
    int subscriptions; /* that the broker has not confirmed yet; -1 = not connected */
    struct closing closing;
};

/* ---- what waits ---- */

static size_t bucket_of(const char *key) {
    return hash_bytes(HASH_FIRST, key, strlen(key)) % BUCKETS;
}

static void bucket_leave(struct publisher *publisher, const struct waiting *entry) {
    struct waiting **at = &publisher->buckets[entry->bucket];
    while (*at != entry) {
        at = &(*at)->next_in_bucket;
    }
    *at = entry->next_in_bucket;
    publisher->count--;
    figures.waiting--;
}

static void waiting_unlink(struct publisher *publisher, struct waiting *entry) {
    bucket_leave(publisher, entry);
    *(entry->previous == NULL ? &publisher->oldest : &entry->previous->next) = entry->next;
    *(entry->next == NULL ? &publisher->newest : &entry->next->previous) = entry->previous;
}

static void waiting_link(struct publisher *publisher, struct waiting *entry) {
    struct waiting **at = &publisher->buckets[entry->bucket];
    while (*at != NULL) { /* behind others of its name: they were published before */
        at = &(*at)->next_in_bucket;
    }
    *at = entry;
    entry->previous = publisher->newest;
    *(entry->previous == NULL ? &publisher->oldest : &entry->previous->next) = entry;
    publisher->newest = entry;
    publisher->count++;
    figures.waiting++;
}

static void waiting_tell(struct waiting *entry, enum publisher_end end, const cJSON *receipt, int reason) {
    if (entry->ended != NULL) {
        entry->ended(entry->user, end, receipt, reason);
    }
    free(entry);
}

static void waiting_end(struct publisher *publisher, struct waiting *entry, enum publisher_end end,
                        const cJSON *receipt, int reason) {
    waiting_unlink(publisher, entry);
    waiting_tell(entry, end, receipt, reason);
}

static void end_oldest(struct publisher *publisher, enum publisher_end end) {
    struct waiting *entry = publisher->oldest;
    bucket_leave(publisher, entry);
    publisher->oldest = entry->next;
    *(entry->next == NULL ? &publisher->newest : &entry->next->previous) = NULL;
    waiting_tell(entry, end, NULL, 0);
}

static void end_all(struct publisher *publisher) {
    while (publisher->oldest != NULL) {
        end_oldest(publisher, PUBLISHER_LOST);
    }
}

static void on_timer(uv_timer_t *timer) {
    struct publisher *publisher = timer->data;
    uint64_t now = uv_now(publisher->loop);
    while (publisher->oldest != NULL && publisher->oldest->late_at <= now) {
        end_oldest(publisher, PUBLISHER_LATE);
    }
    if (publisher->oldest == NULL) {
        uv_timer_stop(timer);
    }
}

/* ---- receipts ---- */

static void take_receipt(struct publisher *publisher, const char *place, const cJSON *receipt) {
    char *key = NULL;
    if (asprintf(&key, "%s/%s/%s", place, member_text(receipt, "kind"), member_text(receipt, "message")) < 0) {
        return; /* without memory it is late */
    }
    struct waiting *entry = publisher->buckets[bucket_of(key)];
    while (entry != NULL && strcmp(entry->key, key) != 0) {
        entry = entry->next_in_bucket;
    }
    free(key);
    if (entry != NULL) {
        waiting_end(publisher, entry, PUBLISHER_RECEIPT, receipt, 0);
    }
}

static void on_message(void *user, const struct mosquitto_message *message, const mosquitto_property *properties) {
    struct publisher *publisher = user;
    struct topic topic;
    (void)properties;
    size_t length = (size_t)message->payloadlen;
    if (publisher->also != NULL && strcmp(message->topic, publisher->also) == 0) {
        publisher->handlers.also(publisher->handlers.user, message->payload, length);
        return;
    }
    /* Others' receipts come on the same topics: most of them need not be read. */
    if (length == 0 || !topic_split(message->topic, &topic) ||
        memmem(message->payload, length, publisher->prefix, strlen(publisher->prefix)) == NULL) {
        return;
    }
    char place[256];
    snprintf(place, sizeof place, "%.*s/%.*s", (int)topic.subsystem.length, topic.subsystem.text,
             (int)topic.vendor.length, topic.vendor.text);
    cJSON *receipts = cJSON_ParseWithLength(message->payload, length);
    const cJSON *receipt;
    cJSON_ArrayForEach(receipt, member_get(receipts, "receipts")) {
        if (publisher->closing.begun) {
            break;
        }
        take_receipt(publisher, place, receipt);
    }
    cJSON_Delete(receipts);
}

/* ---- the broker ---- */

static void on_connected(void *user, bool session_present) {
    struct publisher *publisher = user;
    char filter[256];
    (void)session_present;
    snprintf(filter, sizeof filter, TOPIC_FORMAT, "+", publisher->vendor, topic_words[TOPIC_RECEIPT]);
    int code = mosquitto_subscribe(mqtt_session(publisher->mqtt), NULL, filter, 1);
    publisher->subscriptions = 1;
    if (code == MOSQ_ERR_SUCCESS && publisher->also != NULL) {
        code = mosquitto_subscribe(mqtt_session(publisher->mqtt), NULL, publisher->also, 1);
        publisher->subscriptions = 2;
    }
    if (code != MOSQ_ERR_SUCCESS) {
        mqtt_lose(publisher->mqtt, mosquitto_strerror(code));
        return;
    }
    mqtt_wake(publisher->mqtt);
}

/* Without its receipts nothing can be said to be stored. */
static void on_subscribed(void *user, int mid, int count, const int *reasons) {
    struct publisher *publisher = user;
    (void)mid;
    for (int i = 0; i < count; i++) {
        if (reasons[i] >= REASON_FAILED) {
            mqtt_lose(publisher->mqtt, "the broker's ACL does not let this login read its receipts");
            return;
        }
    }
    if (publisher->subscriptions > 0 && --publisher->subscriptions == 0) {
        publisher->handlers.ready(publisher->handlers.user);
    }
}

static void on_published(void *user, int mid, int reason) {
    struct publisher *publisher = user;
    if (reason < REASON_FAILED && reason != REASON_NOBODY) {
        return;
    }
    struct waiting *entry = publisher->oldest;
    while (entry != NULL && entry->mid != mid) {
        entry = entry->next;
    }
    if (entry != NULL) {
        waiting_end(publisher, entry, PUBLISHER_REFUSED, NULL, reason);
    }
}

static void on_lost(void *user, const char *why) {
    struct publisher *publisher = user;
    (void)why;
    publisher->subscriptions = -1;
    end_all(publisher);
    if (publisher->handlers.lost != NULL && !publisher->closing.begun) {
        publisher->handlers.lost(publisher->handlers.user);
    }
}

static void on_refused(void *user, int reason) {
    struct publisher *publisher = user;
    if (publisher->handlers.refused != NULL) {
        publisher->handlers.refused(publisher->handlers.user, reason);
    }
}

/* ---- publishing ---- */

bool publisher_ready(const struct publisher *publisher) {
    return publisher->subscriptions == 0 && mqtt_connected(publisher->mqtt);
}

bool publisher_has_room(const struct publisher *publisher) {
    return publisher_ready(publisher) && publisher->count < publisher->window;
}

/* With its own receipts' topic for the answer: it has a receipt whatever its vendor is content with. */
static int publish(struct publisher *publisher, const struct publisher_message *message, int *mid) {
    char topic[256], answer[256];
    mosquitto_property *properties = NULL;
    snprintf(topic, sizeof topic, TOPIC_FORMAT, message->subsystem, message->vendor, message->kind);
    snprintf(answer, sizeof answer, TOPIC_FORMAT, message->subsystem, message->vendor, topic_words[TOPIC_RECEIPT]);
    int code = mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, message->name,
                                             (uint16_t)strlen(message->name));
    code = code == 0 ? mosquitto_property_add_string(&properties, MQTT_PROP_RESPONSE_TOPIC, answer) : code;
    code = code == 0 ? mosquitto_publish_v5(mqtt_session(publisher->mqtt), mid, topic, (int)message->length,
                                            message->payload, 1, false, properties)
                     : code;
    mosquitto_property_free_all(&properties);
    return code == MOSQ_ERR_SUCCESS ? 0 : code == MOSQ_ERR_NOMEM ? CH_EMEMORY : CH_EBROKER;
}

int publisher_publish(struct publisher *publisher, const struct publisher_message *message) {
    if (!publisher_ready(publisher)) {
        return CH_EBROKER;
    }
    if (publisher->count >= publisher->window) {
        return CH_EFULL;
    }
    size_t size =
        strlen(message->subsystem) + strlen(message->vendor) + strlen(message->kind) + strlen(message->name) + 4;
    struct waiting *entry = malloc(sizeof *entry + size);
    if (entry == NULL) {
        return CH_EMEMORY;
    }
    *entry = (struct waiting){
        .late_at = uv_now(publisher->loop) + publisher->wait_ms, .ended = message->ended, .user = message->user};
    snprintf(entry->key, size, "%s/%s/%s/%s", message->subsystem, message->vendor, message->kind, message->name);
    entry->bucket = bucket_of(entry->key);
    int code = publish(publisher, message, &entry->mid);
    if (code != 0) {
        free(entry);
        return code;
    }
    waiting_link(publisher, entry);
    if (!uv_is_active((uv_handle_t *)&publisher->timer)) {
        uv_timer_start(&publisher->timer, on_timer, TICK_MS, TICK_MS);
    }
    mqtt_wake(publisher->mqtt);
    return 0;
}

void publisher_forget(struct publisher *publisher, const void *user) {
    for (struct waiting *entry = publisher->oldest; entry != NULL; entry = entry->next) {
        if (entry->user == user) {
            entry->ended = NULL;
        }
    }
}

int publisher_tell(struct publisher *publisher, const char *topic, const void *payload, size_t length) {
    if (!publisher_ready(publisher)) {
        return CH_EBROKER;
    }
    int code = mosquitto_publish_v5(mqtt_session(publisher->mqtt), NULL, topic, (int)length, payload, 1, false, NULL);
    mqtt_wake(publisher->mqtt);
    return code == MOSQ_ERR_SUCCESS ? 0 : CH_EBROKER;
}

/* ---- open and close ---- */

static void publisher_free(void *part) {
    struct publisher *publisher = part;
    free(publisher->client_id);
    free(publisher->vendor);
    free(publisher->prefix);
    free(publisher->also);
    free(publisher);
}

struct publisher *publisher_open(const struct publisher_settings *settings, const struct publisher_handlers *handlers) {
    struct publisher *publisher = calloc(1, sizeof *publisher);
    if (publisher == NULL) {
        log_error("out_of_memory", "what=publisher");
        return NULL;
    }
    publisher->loop = settings->loop;
    publisher->handlers = *handlers;
    publisher->window = settings->window;
    publisher->wait_ms = settings->wait_ms;
    publisher->subscriptions = -1;
    publisher->client_id = strdup(settings->client_id);
    publisher->vendor = strdup(settings->vendor);
    publisher->prefix = strdup(settings->prefix);
    publisher->also = settings->also == NULL ? NULL : strdup(settings->also);
    if (publisher->client_id == NULL || publisher->vendor == NULL || publisher->prefix == NULL ||
        (settings->also != NULL && publisher->also == NULL)) {
        log_error("out_of_memory", "what=publisher");
        publisher_free(publisher);
        return NULL;
    }
    const struct mqtt_settings session = {.name = publisher->client_id,
                                          .client_id = publisher->client_id,
                                          .username = settings->username,
                                          .password = settings->password,
                                          .receive_maximum = RECEIVE_MAXIMUM};
    const struct mqtt_handlers events = {.connected = on_connected,
                                         .lost = on_lost,
                                         .message = on_message,
                                         .subscribed = on_subscribed,
                                         .published = on_published,
                                         .refused = on_refused,
                                         .user = publisher};
    publisher->mqtt = mqtt_open(settings->loop, settings->config, &session, &events);
    if (publisher->mqtt == NULL) {
        publisher_free(publisher);
        return NULL;
    }
    uv_timer_init(settings->loop, &publisher->timer);
    publisher->timer.data = publisher;
    return publisher;
}

void publisher_close(struct publisher *publisher, void (*closed)(void *user), void *user) {
    publisher->subscriptions = -1;
    closing_begin(&publisher->closing, publisher_free, publisher, closed, user);
    closing_handle(&publisher->closing, (uv_handle_t *)&publisher->timer);
    closing_await(&publisher->closing);
    mqtt_close(publisher->mqtt, true, closing_over, &publisher->closing);
    end_all(publisher);
}
