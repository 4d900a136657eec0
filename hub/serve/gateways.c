/* gateways.c: gateways' reports and letters, and what the broker tells of logins that it refused. Must never give the
 * database what it cannot take, nor say that a letter is kept before that is committed, nor hold more than a few: of
 * reports each gateway's newest says all, and a letter that is not answered the device sends again. */
#include "hub/serve/gateways.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/closing.h"
#include "hub/base/gateway_metrics.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/base/text.h"
#include "hub/base/topic.h"
#include "hub/link/mqtt.h"

enum {
    GATEWAYS_MAX = 64,
    AT_ONCE = 8,
    REPORT_MAX = 1024 * 1024, /* bytes; a larger one is not taken */
    LETTERS_MAX = 32,
    LETTER_MAX = 2 * 1024 * 1024, /* likewise */
    INSTANCE_MAX = 41,
    RECEIVE_MAXIMUM = 20,
    NAME_BYTES = 64,
};

struct gateway {
    char instance[INSTANCE_MAX];
    char *report; /* NULL = none that is not stored */
};

struct letter {
    size_t gateway; /* in the list */
    char *text;
};

struct gateways {
    uv_loop_t *loop;
    char name[NAME_BYTES];
    struct mqtt *mqtt;
    struct gateway list[GATEWAYS_MAX];
    size_t count, waiting;
    char *refused;                      /* the broker's newest word; NULL = none that is not stored */
    struct letter letters[LETTERS_MAX]; /* in the order in which they came */
    size_t letter_count;
    size_t asked[AT_ONCE]; /* of the running job: whose report or letter each statement has */
    size_t letters_from;   /* likewise: the first statement that has a letter */
    struct letter answers[AT_ONCE];
    size_t answer_count; /* of letters: they go when they are committed */
    struct closing closing;
};

/* The place of an instance, which must have the form of a level of a topic; NULL = there are too many. */
static struct gateway *gateway_of(struct gateways *gateways, const char *instance, size_t length) {
    if (length == 0 || length >= INSTANCE_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < gateways->count; i++) {
        if (strlen(gateways->list[i].instance) == length && memcmp(gateways->list[i].instance, instance, length) == 0) {
            return &gateways->list[i];
        }
    }
    if (gateways->count == GATEWAYS_MAX) {
        return NULL;
    }
    struct gateway *gateway = &gateways->list[gateways->count++];
    memcpy(gateway->instance, instance, length);
    return gateway;
}

/* ---- what /metrics and the status say of them ---- */

static uint64_t counted(const cJSON *object, const char *name) {
    double number = member_number(object, name, 0);
    return number >= 0 && number < 9e15 ? (uint64_t)number : 0;
}

/* A gateway of another build may have other buckets: then there is no histogram. */
static void note_histogram(struct gateway_metrics *metrics, const cJSON *reported) {
    const cJSON *counts = member_get(reported, "counts"), *one;
    size_t i = 0;
    metrics->acknowledged_s = (struct histogram){0};
    if (cJSON_GetArraySize(counts) != GATEWAY_BOUNDS + 1) {
        return;
    }
    metrics->acknowledged_s.bounds = gateway_second_bounds;
    metrics->acknowledged_s.bound_count = GATEWAY_BOUNDS;
    metrics->acknowledged_s.sum = member_number(reported, "sum", 0);
    cJSON_ArrayForEach(one, counts) {
        double number = cJSON_IsNumber(one) && one->valuedouble >= 0 && one->valuedouble < 9e15 ? one->valuedouble : 0;
        metrics->acknowledged_s.counts[i++] = (uint64_t)number;
    }
}

static void note(const char *instance, const cJSON *report) {
    struct gateway_metrics *metrics = gateway_metrics_of(instance);
    const cJSON *figures = member_get(report, "figures");
    if (metrics == NULL) {
        return; /* the database does not take such a name either */
    }
    metrics->reported_at_ms = clock_now_ms();
    metrics->terminals = (int64_t)counted(figures, "terminals");
    metrics->pending = (int64_t)counted(figures, "pending");
    metrics->waiting = (int64_t)counted(figures, "waiting");
    for (size_t p = 0; p < GATEWAY_PROTOCOLS; p++) {
        const cJSON *protocol = member_get(member_get(figures, "protocols"), gateway_protocols[p]);
        metrics->protocols[p].connections = (int64_t)counted(protocol, "connections");
        metrics->protocols[p].records = counted(protocol, "records");
        for (size_t f = 0; f < GATEWAY_FATES; f++) {
            metrics->protocols[p].frames[f] = counted(protocol, gateway_fates[f]);
        }
    }
    for (size_t f = 0; f < GATEWAY_PUSH_FATES; f++) {
        metrics->pushes[f] = counted(member_get(figures, "pushes"), gateway_push_fates[f]);
    }
    note_histogram(metrics, member_get(figures, "acknowledged_s"));
}

/* ---- reports ---- */

/* A report or letter that the database can read as jsonb; NULL = it is none. The caller frees. */
static cJSON *parse(const char *text, size_t length, bool *is_letter) {
    cJSON *parsed = length == 0 || length > LETTER_MAX || text_flaw(text, length, true) != NULL
                        ? NULL
                        : cJSON_ParseWithLengthOpts(text, length, NULL, false);
    *is_letter = cJSON_HasObjectItem(parsed, "letter");
    if (!cJSON_IsObject(parsed) || (!*is_letter && length > REPORT_MAX) ||
        memmem(text, length, "\\u", 2) != NULL) { /* \u0000 is no text there */
        cJSON_Delete(parsed);
        return NULL;
    }
    return parsed;
}

static void take_letter(struct gateways *gateways, const struct gateway *gateway, char *text) {
    if (gateways->letter_count == LETTERS_MAX) {
        free(text);
        return;
    }
    gateways->letters[gateways->letter_count++] =
        (struct letter){.gateway = (size_t)(gateway - gateways->list), .text = text};
}

/* It says all, as a gateway's report does. */
static void take_refused(struct gateways *gateways, const char *payload, size_t length) {
    bool is_letter = false;
    cJSON *parsed = parse(payload, length, &is_letter);
    if (parsed != NULL) {
        free(gateways->refused);
        gateways->refused = strndup(payload, length);
    }
    cJSON_Delete(parsed);
}

static void on_message(void *user, const struct mosquitto_message *message, const mosquitto_property *properties) {
    struct gateways *gateways = user;
    struct topic topic;
    (void)properties;
    if (strcmp(message->topic, TOPIC_BROKER_REFUSED) == 0) {
        take_refused(gateways, message->payload, (size_t)message->payloadlen);
        return;
    }
    if (!topic_split(message->topic, &topic)) {
        return;
    }
    struct gateway *gateway = gateway_of(gateways, topic.vendor.text, topic.vendor.length);
    const char *payload = message->payload;
    size_t length = (size_t)message->payloadlen;
    bool is_letter = false;
    cJSON *parsed = gateway == NULL ? NULL : parse(payload, length, &is_letter);
    char *report = parsed == NULL ? NULL : strndup(payload, length);
    if (report != NULL && !is_letter) {
        note(gateway->instance, parsed);
    }
    cJSON_Delete(parsed);
    if (report == NULL) {
        log_warning("gateway_report", "topic=%s bytes=%zu reason=\"it is no report, or there are too many gateways\"",
                    log_quote(message->topic), length);
        return;
    }
    if (is_letter) {
        take_letter(gateways, gateway, report);
        return;
    }
    gateways->waiting += gateway->report == NULL;
    free(gateway->report);
    gateway->report = report;
}

static void on_connected(void *user, bool session_present) {
    struct gateways *gateways = user;
    char filter[64];
    (void)session_present;
    snprintf(filter, sizeof filter, TOPIC_GATEWAY_REPORT, "+");
    mosquitto_subscribe(mqtt_session(gateways->mqtt), NULL, filter, 1);
    mosquitto_subscribe(mqtt_session(gateways->mqtt), NULL, TOPIC_BROKER_REFUSED, 1);
    mqtt_wake(gateways->mqtt);
}

/* ---- the job ---- */

bool gateways_due(const struct gateways *gateways) {
    return gateways->waiting > 0 || gateways->letter_count > 0 || gateways->refused != NULL;
}

static void ask(struct gateways *gateways, struct buffer *sql, const char *function, size_t at, char *text) {
    const char *instance = gateways->list[at].instance;
    buffer_format(sql, "%sSELECT onemap.%s(", sql->length == 0 ? "" : "; ", function);
    buffer_literal(sql, instance, strlen(instance));
    buffer_text(sql, ", ");
    buffer_literal(sql, text, strlen(text));
    buffer_text(sql, "::jsonb)");
    free(text);
}

bool gateways_sql(struct gateways *gateways, struct buffer *sql) {
    size_t asked = 0, letters = 0;
    for (size_t i = 0; i < gateways->count && asked < AT_ONCE / 2; i++) {
        struct gateway *gateway = &gateways->list[i];
        if (gateway->report != NULL) {
            ask(gateways, sql, "gateway_report", i, gateway->report);
            gateway->report = NULL;
            gateways->waiting--;
            gateways->asked[asked++] = i;
        }
    }
    gateways->letters_from = asked;
    for (; letters < gateways->letter_count && asked < AT_ONCE; letters++) {
        ask(gateways, sql, "gateway_letter", gateways->letters[letters].gateway, gateways->letters[letters].text);
        gateways->asked[asked++] = gateways->letters[letters].gateway;
    }
    gateways->letter_count -= letters;
    memmove(gateways->letters, gateways->letters + letters, gateways->letter_count * sizeof *gateways->letters);
    if (gateways->refused != NULL) { /* last: it has no answer */
        buffer_format(sql, "%sSELECT NULL FROM onemap.broker_refused(", sql->length == 0 ? "" : "; ");
        buffer_literal(sql, gateways->refused, strlen(gateways->refused));
        buffer_text(sql, "::jsonb)");
        free(gateways->refused);
        gateways->refused = NULL;
        return true;
    }
    return asked > 0;
}

static void tell(struct gateways *gateways, size_t at, const char *what, const char *text, size_t length) {
    char topic[128];
    if (!mqtt_connected(gateways->mqtt)) {
        return; /* it reports again, or the device does */
    }
    snprintf(topic, sizeof topic, TOPIC_GATEWAY_TERMINALS, gateways->list[at].instance);
    int code = mosquitto_publish_v5(mqtt_session(gateways->mqtt), NULL, topic, (int)length, text, 1, false, NULL);
    if (code == MOSQ_ERR_SUCCESS) {
        log_info("gateway_told", "gateway=%s what=%s bytes=%zu", gateways->list[at].instance, what, length);
        return;
    }
    log_warning("gateway_untold",
                "gateway=%s what=%s bytes=%zu reason=%s advice=\"if it is too large: "
                "max_packet_size, max_message_size at the broker\"",
                gateways->list[at].instance, what, length, log_quote(mosquitto_strerror(code)));
}

void gateways_take(struct gateways *gateways, int statement, const PGresult *result) {
    if (statement >= AT_ONCE || PQntuples(result) != 1 || PQgetisnull(result, 0, 0)) {
        return; /* it has the list */
    }
    size_t at = gateways->asked[statement], length = (size_t)PQgetlength(result, 0, 0);
    const char *text = PQgetvalue(result, 0, 0);
    if ((size_t)statement < gateways->letters_from) {
        tell(gateways, at, "terminals", text, length);
        return;
    }
    char *answer = strndup(text, length);
    if (answer != NULL && gateways->answer_count < AT_ONCE) {
        gateways->answers[gateways->answer_count++] = (struct letter){.gateway = at, .text = answer};
    } else {
        free(answer);
    }
}

void gateways_end(struct gateways *gateways, bool committed) {
    for (size_t i = 0; i < gateways->answer_count; i++) {
        struct letter *answer = &gateways->answers[i];
        if (committed) {
            tell(gateways, answer->gateway, "letter", answer->text, strlen(answer->text));
        }
        free(answer->text);
    }
    gateways->answer_count = 0;
    mqtt_wake(gateways->mqtt);
}

/* ---- open and close ---- */

static void gateways_free(void *part) {
    struct gateways *gateways = part;
    for (size_t i = 0; i < gateways->count; i++) {
        free(gateways->list[i].report);
    }
    for (size_t i = 0; i < gateways->letter_count; i++) {
        free(gateways->letters[i].text);
    }
    for (size_t i = 0; i < gateways->answer_count; i++) {
        free(gateways->answers[i].text);
    }
    free(gateways->refused);
    free(gateways);
}

struct gateways *gateways_open(uv_loop_t *loop, const struct config *config) {
    struct gateways *gateways = calloc(1, sizeof *gateways);
    if (gateways == NULL) {
        log_error("out_of_memory", "what=gateways");
        return NULL;
    }
    gateways->loop = loop;
    snprintf(gateways->name, sizeof gateways->name, "%.40s-gateways", config->hub_instance);
    const struct mqtt_settings settings = {.name = gateways->name, .receive_maximum = RECEIVE_MAXIMUM};
    const struct mqtt_handlers handlers = {.connected = on_connected, .message = on_message, .user = gateways};
    gateways->mqtt = mqtt_open(loop, config, &settings, &handlers);
    if (gateways->mqtt == NULL) {
        free(gateways);
        return NULL;
    }
    return gateways;
}

void gateways_close(void *part) {
    struct gateways *gateways = part;
    closing_begin(&gateways->closing, gateways_free, gateways, NULL, NULL);
    closing_await(&gateways->closing);
    mqtt_close(gateways->mqtt, true, closing_over, &gateways->closing);
}
