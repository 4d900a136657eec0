/* lane.c: read, commit, acknowledge. What everything rests on: while a batch holds a message that is not committed,
 * may_write is false, so nothing is acknowledged. While the writer has a few batches, the lane reads on into the next;
 * but after ROUND_BATCHES it reads no more until all are committed, as writing acknowledges everything read so far. */
#include "hub/ingest/lane.h"

#include <stdlib.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/closing.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/topic.h"
#include "hub/ingest/commit.h"
#include "hub/ingest/delivery.h"
#include "hub/ingest/pace.h"
#include "hub/link/mqtt.h"
#include "hub/link/mqtt_login.h"

enum {
    BATCH_BYTES_MAX = 16 * 1024 * 1024, /* bound of a batch's memory, whatever its number of records */
    DRAIN_QUIET_MS = 10000,             /* so long without a message, and the session holds none */
    NAME_MAX_BYTES = 128,
    IN_FLIGHT_MAX = 3,         /* two write while another waits for the disk; more would only crowd out other lanes */
    SLOTS = IN_FLIGHT_MAX + 1, /* and one fills */
    ROUND_BATCHES = 64,
    HELD_BYTES_MAX = 64 * 1024 * 1024, /* of all lanes together */
};

/* What the lanes hold together. Beyond HELD_BYTES_MAX only a lane that holds nothing reads on: it has to get somewhere.
 */
static size_t held_bytes;

struct lane {
    struct lane_settings settings;
    size_t held_bytes; /* its part */
    char name[NAME_MAX_BYTES], client_id[NAME_MAX_BYTES], share[NAME_MAX_BYTES];
    struct mqtt *mqtt;
    struct intake *intake;
    struct deliveries *deliveries;
    char remembered_as[NAME_MAX_BYTES]; /* its name in onemap.delivery */
    struct lane_metrics *metrics;
    struct slot {
        struct lane *lane;
        struct batch batch;
        struct writer_job job;
        bool committing; /* the writer has it */
    } slots[SLOTS];
    struct slot *filling; /* takes what is read; never committing */
    bool waits;           /* for sessions of an earlier configuration, see lane_settings */
    /* Read, and not to be judged before what its vendor's inventories say is committed: kept as they came. While there
     * is one, nothing is read. */
    struct waiting {
        struct waiting *next;
        struct intake_message message; /* its texts follow the struct */
    } * waiting;
    int in_flight; /* slots that the writer has */
    int round;     /* batches handed over since the last acknowledgement */
    bool held;     /* the filling one is to be handed over, and must wait for others */
    bool stopping;
    bool drained;
    struct pace pace;
    uv_timer_t timer; /* when the filling batch is looked at again; when draining: of the quiet */
    int subscribe_mid;
    struct closing closing;
};

static struct pace_batch filling(const struct lane *lane) {
    const struct config *config = lane->settings.world->config;
    return (struct pace_batch){.now = uv_now(lane->settings.loop),
                               .records = (size_t)lane->filling->batch.records,
                               .large = batch_bytes(&lane->filling->batch) >= BATCH_BYTES_MAX,
                               .in_flight = lane->in_flight,
                               .spare = writer_spare(lane->settings.writer),
                               .records_most = config->lane_batch_records,
                               .age_most_ms = (uint64_t)config->lane_batch_age_ms};
}

static bool batch_full(const struct lane *lane) {
    struct pace_batch batch = filling(lane);
    return pace_full(&lane->pace, &batch);
}

/* Nothing is read that is not committed. */
static bool all_committed(const struct lane *lane) {
    return lane->in_flight == 0 && lane->filling->batch.message_count == 0 && lane->waiting == NULL;
}

static void count_held(struct lane *lane) {
    held_bytes -= lane->held_bytes;
    lane->held_bytes = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        lane->held_bytes += batch_bytes(&lane->slots[i].batch);
    }
    for (const struct waiting *entry = lane->waiting; entry != NULL; entry = entry->next) {
        lane->held_bytes += entry->message.length;
    }
    held_bytes += lane->held_bytes;
}

static void count_queue(struct lane *lane) {
    count_held(lane);
    lane->metrics->queue_messages = lane->metrics->queue_records = lane->metrics->oldest_at_ms = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        const struct batch *batch = &lane->slots[i].batch;
        int64_t first_ms = batch->message_count == 0 ? 0 : batch->messages[0].received_at_ms;
        if (first_ms != 0 && (lane->metrics->oldest_at_ms == 0 || first_ms < lane->metrics->oldest_at_ms)) {
            lane->metrics->oldest_at_ms = first_ms;
        }
        lane->metrics->queue_messages += (int64_t)lane->slots[i].batch.message_count;
        lane->metrics->queue_records += lane->slots[i].batch.records;
    }
    for (const struct waiting *entry = lane->waiting; entry != NULL; entry = entry->next) {
        lane->metrics->queue_messages++; /* behind an inventory, which is older */
    }
}

/* Batches that only add rows may be committed in any order; one that changes what is there (alarms, devices, people,
 * work), or may have another value for a row of a batch before it, comes after all before it. */
static bool needs_order(const struct batch *batch) {
    return batch->operation_count > 0 || batch->check_count > 0 || batch->document_count > 0 || batch->revisits;
}

/* Hands the filling batch to the writer, now or as soon as those before it allow. */
static void batch_submit(struct lane *lane) {
    struct slot *slot = lane->filling;
    if (slot->batch.message_count == 0) {
        return;
    }
    uv_timer_stop(&lane->timer);
    lane->held = lane->in_flight == IN_FLIGHT_MAX || (lane->in_flight > 0 && needs_order(&slot->batch));
    if (lane->held) {
        return;
    }
    slot->committing = true;
    struct pace_batch handed = filling(lane);
    slot->job.yields = pace_handed(&lane->pace, &handed);
    slot->batch.forget_before_us = deliveries_oldest_us(lane->deliveries);
    lane->in_flight++;
    lane->round++;
    for (size_t i = 0; i < SLOTS; i++) {
        if (!lane->slots[i].committing) {
            lane->filling = &lane->slots[i];
        }
    }
    writer_submit(lane->settings.writer, &slot->job);
}

static void drain_over(uv_timer_t *timer) {
    struct lane *lane = timer->data;
    if (!all_committed(lane) || !mqtt_connected(lane->mqtt)) {
        return;
    }
    lane->drained = true;
    uv_timer_stop(timer);
    lane->settings.drained(lane->settings.user, lane->client_id);
}

static void await_quiet(struct lane *lane) {
    if (lane->settings.draining && all_committed(lane)) {
        uv_timer_start(&lane->timer, drain_over, DRAIN_QUIET_MS, DRAIN_QUIET_MS);
    }
}

/* ---- messages ---- */

static void consider(uv_timer_t *timer);

/* Hands the filling batch over if its time has come, and sees to it that it will be. */
static void batch_consider(struct lane *lane) {
    if (lane->filling->batch.message_count == 0 || lane->held) {
        return;
    }
    struct pace_batch batch = filling(lane);
    uint64_t due = pace_due(&lane->pace, &batch);
    if (due == 0) {
        batch_submit(lane);
    } else if (due == PACE_WAIT) {
        uv_timer_stop(&lane->timer);
    } else {
        uv_timer_start(&lane->timer, consider, due, 0);
    }
}

static void consider(uv_timer_t *timer) {
    batch_consider(timer->data);
}

static void turn_over(void *user) {
    batch_consider(user);
}

static int message_take(struct lane *lane, const struct intake_message *message) {
    struct batch *batch = &lane->filling->batch;
    int code = intake_take(lane->intake, batch, message);
    count_queue(lane);
    if (code == 0 && batch->message_count == 1) {
        lane->pace.filled_at = uv_now(lane->settings.loop);
    }
    if (batch_full(lane)) {
        batch_consider(lane);
    }
    return code;
}

/* Nothing that the lane was not able to keep may be acknowledged, and the next write would: without a connection there
 * is none, and the broker sends it again. */
static void give_up(struct lane *lane, size_t bytes) {
    log_error("out_of_memory", "lane=%s bytes=%zu", lane->name, bytes);
    mqtt_lose(lane->mqtt, "no memory for a message");
}

/* Whether its vendor has said something of its devices that is not committed: who has the receipt of an inventory, or
 * does not wait for it, may count on it. */
static bool must_wait(const struct lane *lane, const struct intake_message *message) {
    struct topic levels;
    size_t inventories = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        inventories += lane->slots[i].batch.inventory_count;
    }
    if ((inventories == 0 && lane->waiting == NULL) || !topic_split(message->topic, &levels) ||
        levels.kind.length != strlen(topic_words[TOPIC_TELEMETRY]) ||
        memcmp(levels.kind.text, topic_words[TOPIC_TELEMETRY], levels.kind.length) != 0) {
        return lane->waiting != NULL; /* nothing passes what waits */
    }
    for (size_t i = 0; i < SLOTS; i++) {
        const struct batch *batch = &lane->slots[i].batch;
        for (size_t m = 0; batch->inventory_count > 0 && m < batch->message_count; m++) {
            const char *vendor = batch_text(batch, batch->messages[m].vendor_name);
            if (batch->messages[m].inventory && strlen(vendor) == levels.vendor.length &&
                memcmp(vendor, levels.vendor.text, levels.vendor.length) == 0) {
                return true;
            }
        }
    }
    return lane->waiting != NULL;
}

static int waiting_add(struct lane *lane, const struct intake_message *message) {
    size_t topic = strlen(message->topic) + 1;
    struct waiting *entry = malloc(sizeof *entry + topic + message->length + message->name_length);
    if (entry == NULL) {
        return CH_EMEMORY;
    }
    char *text = (char *)(entry + 1), *payload = text + topic, *name = payload + message->length;
    entry->next = NULL;
    entry->message = *message;
    entry->message.topic = memcpy(text, message->topic, topic);
    if (message->length > 0) {
        entry->message.payload = memcpy(payload, message->payload, message->length);
    }
    if (message->name != NULL) {
        entry->message.name = memcpy(name, message->name, message->name_length);
    }
    struct waiting **end = &lane->waiting;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = entry;
    count_queue(lane);
    batch_submit(lane); /* what it waits for, if that is in the filling batch: at once */
    return 0;
}

/* What waited is judged by what is committed now. */
static void waiting_take(struct lane *lane) {
    struct waiting *entry = lane->waiting;
    int code = 0;
    for (lane->waiting = NULL; entry != NULL && code == 0;) {
        struct waiting *next = entry->next;
        if (must_wait(lane, &entry->message)) {
            lane->waiting = entry; /* and all behind it */
            return;
        }
        code = message_take(lane, &entry->message);
        if (code != 0) {
            give_up(lane, entry->message.length);
        }
        free(entry);
        entry = next;
    }
    while (entry != NULL) { /* the broker sends them again */
        struct waiting *next = entry->next;
        free(entry);
        entry = next;
    }
}

static void batch_committed(void *user) {
    struct slot *slot = user;
    struct lane *lane = slot->lane;
    slot->committing = false;
    lane->in_flight--;
    pace_committed(&lane->pace, (uv_hrtime() - slot->job.submitted_at) / 1000000);
    deliveries_committed(lane->deliveries, &slot->batch);
    if (commit_take(lane->settings.world, &slot->batch) && lane->settings.refused != NULL) {
        lane->settings.refused(lane->settings.user);
    }
    batch_reset(&slot->batch);
    waiting_take(lane);
    count_queue(lane);
    if (lane->held || lane->stopping) {
        batch_submit(lane);
    } else {
        batch_consider(lane);
    }
    if (all_committed(lane)) {
        lane->round = 0;
    }
    await_quiet(lane);
    mqtt_wake(lane->mqtt); /* the acknowledgements go out, reading goes on */
}

/* ---- the broker's side ---- */

static bool may_read(void *user) {
    const struct lane *lane = user;
    return !lane->stopping && !lane->held && lane->waiting == NULL &&
           (held_bytes < HELD_BYTES_MAX || lane->held_bytes == 0) && lane->round < ROUND_BATCHES && !batch_full(lane) &&
           !(lane->waits && lane->metrics->connected);
}

static bool may_write(void *user) {
    return all_committed(user);
}

static void subscribe(struct lane *lane, bool shared, bool on) {
    char filters[TOPIC_KINDS_IN][NAME_MAX_BYTES + 128];
    char *list[TOPIC_KINDS_IN];
    for (size_t i = 0; i < TOPIC_KINDS_IN; i++) {
        int at = shared ? snprintf(filters[i], sizeof filters[i], "$share/%s/", lane->share) : 0;
        snprintf(filters[i] + at, sizeof filters[i] - (size_t)at, TOPIC_FORMAT, lane->settings.adapter->key, "+",
                 topic_words[i]);
        list[i] = filters[i];
    }
    struct mosquitto *session = mqtt_session(lane->mqtt);
    int mid = 0;
    int code =
        on ? mosquitto_subscribe_multiple(session, &mid, TOPIC_KINDS_IN, list, 1, MQTT_SUB_OPT_SEND_RETAIN_NEVER, NULL)
           : mosquitto_unsubscribe_multiple(session, NULL, TOPIC_KINDS_IN, list, NULL);
    if (code != MOSQ_ERR_SUCCESS) {
        log_error("lane_subscribe", "lane=%s reason=%s", lane->name, log_quote(mosquitto_strerror(code)));
    }
    lane->subscribe_mid = on ? mid : lane->subscribe_mid;
}

/* The session gets no more messages, and what it holds is taken. */
static void drain(struct lane *lane, bool session_present) {
    bool is_5 = mqtt_is_5(lane->settings.world->config);
    lane->metrics->connected = true;
    if (!session_present) {
        uv_timer_start(&lane->timer, drain_over, 0, DRAIN_QUIET_MS);
        return;
    }
    /* RabbitMQ takes back only a subscription that it has seen on this connection, and knows no shared ones. */
    subscribe(lane, is_5, !is_5);
    subscribe(lane, false, false);
    await_quiet(lane);
}

static void on_connected(void *user, bool session_present) {
    struct lane *lane = user;
    bool shared = lane->settings.of > 1;
    lane->metrics->connects++;
    deliveries_connected(lane->deliveries, session_present);
    for (size_t i = 0; session_present && i < SLOTS; i++) {
        deliveries_held(lane->deliveries, &lane->slots[i].batch);
    }
    for (const struct waiting *entry = lane->waiting; session_present && entry != NULL; entry = entry->next) {
        deliveries_held_message(lane->deliveries, entry->message.key, entry->message.identifier);
    }
    if (lane->settings.draining) {
        drain(lane, session_present);
        return;
    }
    log_info("lane_connected", "lane=%s session=%s", lane->name, session_present ? "resumed" : "new");
    subscribe(lane, shared, true);
    if (session_present && mqtt_is_5(lane->settings.world->config)) {
        subscribe(lane, !shared, false); /* that of an earlier number of lanes */
    }
}

static void on_subscribed(void *user, int mid, int count, const int *reasons) {
    struct lane *lane = user;
    if (mid != lane->subscribe_mid) {
        return;
    }
    lane->metrics->connected = true;
    for (int i = 0; i < count; i++) {
        if (reasons[i] >= 0x80) {
            /* Whoever gives the right back does not tell us: we ask again, at the pace of reconnections. */
            log_error("lane_subscription_refused", "lane=%s reason=%s", lane->name,
                      log_quote(mosquitto_reason_string(reasons[i])));
            mqtt_lose(lane->mqtt, "the broker refuses the subscription");
            return;
        }
    }
}

static void on_lost(void *user, const char *why) {
    struct lane *lane = user;
    (void)why;
    lane->metrics->connected = false;
    /* What was read is stored all the same; the broker sends it again, and then it is a duplicate. */
    batch_submit(lane);
}

/* When a replayed message came first, ms: what `cityhub quarantine replay` says of it; 0 = it is none. */
static int64_t first_received_ms(const mosquitto_property *properties) {
    int64_t found = 0;
    bool skip_first = false;
    for (const mosquitto_property *at = properties; at != NULL && found == 0; skip_first = true) {
        char *name = NULL, *value = NULL;
        at = mosquitto_property_read_string_pair(at, MQTT_PROP_USER_PROPERTY, &name, &value, skip_first);
        if (at != NULL && name != NULL && value != NULL && strcmp(name, TOPIC_FIRST_RECEIVED) == 0) {
            found = strtoll(value, NULL, 10);
        }
        free(name);
        free(value);
    }
    return found;
}

/* Who names a topic for the answer waits for one. It goes where receipts go, whatever the name. */
static bool wants_receipt(const mosquitto_property *properties) {
    char *topic = NULL;
    bool wants = mosquitto_property_read_string(properties, MQTT_PROP_RESPONSE_TOPIC, &topic, false) != NULL;
    free(topic);
    return wants;
}

static void on_message(void *user, const struct mosquitto_message *message, const mosquitto_property *properties) {
    struct lane *lane = user;
    void *name = NULL;
    uint16_t name_length = 0;
    mosquitto_property_read_binary(properties, MQTT_PROP_CORRELATION_DATA, &name, &name_length, false);
    struct intake_message taken = {.topic = message->topic,
                                   .payload = message->payload,
                                   .length = (size_t)message->payloadlen,
                                   .name = name,
                                   .name_length = name_length,
                                   .received_at_ms = clock_now_ms(),
                                   .first_received_ms = first_received_ms(properties),
                                   .wants_receipt = wants_receipt(properties),
                                   .identifier = (uint16_t)message->mid};
    bool by_identifier = mqtt_is_5(lane->settings.world->config); /* RabbitMQ gives new ones when it delivers again */
    /* A name without its bytes: there was no memory for them. */
    int code = name == NULL && name_length > 0 ? CH_EMEMORY : intake_digest(lane->intake, &taken);
    if (!by_identifier) {
        taken.first_received_ms =
            topic_cut_first_received(message->topic); /* after the digest: a replay is no redelivery */
    }
    if (code == 0 && deliveries_met(lane->deliveries, taken.key, taken.identifier, by_identifier)) {
        lane->metrics->messages_redelivered++;
    } else if (code == 0) {
        code = must_wait(lane, &taken) ? waiting_add(lane, &taken) : message_take(lane, &taken);
    }
    free(name);
    if (code != 0) {
        give_up(lane, taken.length);
    }
}

static void lane_free(void *part) {
    struct lane *lane = part;
    held_bytes -= lane->held_bytes;
    pace_forget(&lane->pace);
    intake_free(lane->intake);
    deliveries_free(lane->deliveries);
    for (size_t i = 0; i < SLOTS; i++) {
        batch_free(&lane->slots[i].batch);
    }
    for (struct waiting *entry = lane->waiting, *next; entry != NULL; entry = next) {
        next = entry->next;
        free(entry);
    }
    free(lane);
}

/* What a hub that ran before has committed: rows of lanes' names, stamps and messages, the oldest first. */
static void take_deliveries(struct lane *lane, const PGresult *rows) {
    for (int row = 0; rows != NULL && row < PQntuples(rows); row++) {
        size_t length = 0;
        unsigned char *packed = NULL;
        if (strcmp(PQgetvalue(rows, row, 0), lane->remembered_as) == 0) {
            packed = PQunescapeBytea((const unsigned char *)PQgetvalue(rows, row, 2), &length);
        }
        if (packed != NULL) {
            deliveries_take(lane->deliveries, strtoll(PQgetvalue(rows, row, 1), NULL, 10), packed, length);
        }
        PQfreemem(packed);
    }
}

struct lane *lane_open(const struct lane_settings *settings) {
    const struct config *config = settings->world->config;
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        log_error("out_of_memory", "what=lane");
        return NULL;
    }
    lane->settings = *settings;
    snprintf(lane->name, sizeof lane->name, "%s-%s", config->hub_instance, settings->label);
    snprintf(lane->client_id, sizeof lane->client_id, "%s", settings->client_id);
    snprintf(lane->share, sizeof lane->share, "%s%s%s", config->hub_instance, settings->secret[0] == '\0' ? "" : "-",
             settings->secret);
    lane->waits = settings->waits;
    lane->metrics = metrics_lane_add(settings->label, settings->adapter->key);
    lane->intake = intake_new(settings->world, settings->adapter);
    lane->deliveries = deliveries_new((size_t)config->mqtt_receive_maximum);
    snprintf(lane->remembered_as, sizeof lane->remembered_as, "%s/%s", config->hub_instance, settings->label);
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &lane->slots[i];
        slot->lane = lane;
        slot->batch.metrics = lane->metrics;
        slot->batch.lane = lane->remembered_as;
        slot->batch.quarantine_budget = config->quarantine_daily_mib * 1024 * 1024;
        slot->job = (struct writer_job){.batch = &slot->batch, .committed = batch_committed, .user = slot};
    }
    lane->filling = &lane->slots[0];
    struct mqtt_settings mqtt_settings = {.name = lane->name,
                                          .client_id = lane->client_id,
                                          .session_expiry_s = config->mqtt_session_expiry_s,
                                          .receive_maximum = config->mqtt_receive_maximum};
    struct mqtt_handlers handlers = {.connected = on_connected,
                                     .lost = on_lost,
                                     .message = on_message,
                                     .subscribed = on_subscribed,
                                     .may_read = may_read,
                                     .may_write = may_write,
                                     .turn = turn_over,
                                     .user = lane};
    if (lane->metrics == NULL || lane->intake == NULL || lane->deliveries == NULL) {
        log_error("lane_open", "lane=%s reason=\"out of memory, or too many lanes\"", lane->name);
    } else {
        lane->mqtt = mqtt_open(settings->loop, config, &mqtt_settings, &handlers); /* says itself why it fails */
    }
    if (lane->mqtt == NULL) {
        lane_free(lane);
        return NULL;
    }
    take_deliveries(lane, settings->deliveries);
    uv_timer_init(settings->loop, &lane->timer);
    lane->timer.data = lane;
    return lane;
}

const char *lane_client_id(const struct lane *lane) {
    return lane->client_id;
}

const char *lane_name(const struct lane *lane) {
    return lane->name;
}

const struct adapter *lane_adapter(const struct lane *lane) {
    return lane->settings.adapter;
}

void lane_go_on(struct lane *lane) {
    lane->waits = false;
    mqtt_wake(lane->mqtt);
}

bool lane_connected(const struct lane *lane) {
    return lane->metrics->connected;
}

void lane_trouble(const struct lane *lane, struct words *why) {
    const struct lane_metrics *metrics = lane->metrics;
    /* Whatever it wrote, its subscription too, would acknowledge what it has read. */
    if (mqtt_connected(lane->mqtt) && !all_committed(lane)) {
        double lag_s = metrics_lane_lag_s(metrics);
        if (metrics->failure[0] == '\0') {
            words_set(why, "通道 %s 的消息等待入库，已 %.0f 秒",
                      "lane %s waits until its messages are stored, for %.0f s now: that takes long", lane->name,
                      lag_s);
        } else {
            words_set(why, "通道 %s 的消息等待入库，已 %.0f 秒：%s",
                      "lane %s waits until its messages are stored, for %.0f s now: %s", lane->name, lag_s,
                      metrics->failure);
        }
    } else {
        words_set(why, "通道 %s 没有连上消息服务器", "lane %s is not connected to the broker", lane->name);
    }
}

void lane_stop(struct lane *lane) {
    lane->stopping = true;
    batch_submit(lane);
    mqtt_wake(lane->mqtt);
}

bool lane_idle(const struct lane *lane) {
    return all_committed(lane);
}

void lane_close(struct lane *lane, void (*closed)(void *user), void *user) {
    lane->metrics->connected = false;
    closing_begin(&lane->closing, lane_free, lane, closed, user);
    closing_handle(&lane->closing, (uv_handle_t *)&lane->timer);
    closing_await(&lane->closing);
    mqtt_close(lane->mqtt, lane->drained, closing_over, &lane->closing);
}
