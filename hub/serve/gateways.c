/* gateways.c: gateways' reports and letters. Must never give the database what it cannot take, nor say that a letter is
 * kept before that is committed, nor hold more than a few: of reports each gateway's newest says all, and a letter that
 * is not answered the device sends again. */
#include "hub/serve/gateways.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/closing.h"
#include "hub/base/log.h"
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

/* Whether the database can read it as jsonb. */
static bool is_report(const char *text, size_t length, bool *is_letter) {
    cJSON *parsed = length == 0 || length > LETTER_MAX || text_flaw(text, length, true) != NULL
                        ? NULL
                        : cJSON_ParseWithLengthOpts(text, length, NULL, false);
    bool fits = cJSON_IsObject(parsed) && memmem(text, length, "\\u", 2) == NULL; /* \u0000 is no text there */
    *is_letter = cJSON_HasObjectItem(parsed, "letter");
    cJSON_Delete(parsed);
    return fits && (*is_letter || length <= REPORT_MAX);
}

static void take_letter(struct gateways *gateways, const struct gateway *gateway, char *text) {
    if (gateways->letter_count == LETTERS_MAX) {
        free(text);
        return;
    }
    gateways->letters[gateways->letter_count++] =
        (struct letter){.gateway = (size_t)(gateway - gateways->list), .text = text};
}

static void on_message(void *user, const struct mosquitto_message *message, const mosquitto_property *properties) {
    struct gateways *gateways = user;
    struct topic topic;
    (void)properties;
    if (!topic_split(message->topic, &topic)) {
        return;
    }
    struct gateway *gateway = gateway_of(gateways, topic.vendor.text, topic.vendor.length);
    const char *payload = message->payload;
    size_t length = (size_t)message->payloadlen;
    bool is_letter = false;
    char *report = gateway != NULL && is_report(payload, length, &is_letter) ? strndup(payload, length) : NULL;
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
    mqtt_wake(gateways->mqtt);
}

/* ---- the job ---- */

bool gateways_due(const struct gateways *gateways) {
    return gateways->waiting > 0 || gateways->letter_count > 0;
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
    return asked > 0;
}

static void tell(struct gateways *gateways, size_t at, const char *what, const char *text, size_t length) {
    char topic[128];
    if (!mqtt_connected(gateways->mqtt)) {
        return; /* it reports again, or the device does */
    }
    snprintf(topic, sizeof topic, TOPIC_GATEWAY_TERMINALS, gateways->list[at].instance);
    int code = mosquitto_publish_v5(mqtt_session(gateways->mqtt), NULL, topic, (int)length, text, 1, false, NULL);
    log_info("gateway_told", "gateway=%s what=%s bytes=%zu result=%s", gateways->list[at].instance, what, length,
             log_quote(mosquitto_strerror(code)));
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
