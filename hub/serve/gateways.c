/* gateways.c: gateways' reports. Must never give the database what it cannot take, nor hold more reports than a few:
 * each gateway's newest says all. */
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
    INSTANCE_MAX = 41,
    RECEIVE_MAXIMUM = 20,
    NAME_BYTES = 64,
};

struct gateway {
    char instance[INSTANCE_MAX];
    char *report; /* NULL = none that is not stored */
};

struct gateways {
    uv_loop_t *loop;
    char name[NAME_BYTES];
    struct mqtt *mqtt;
    struct gateway list[GATEWAYS_MAX];
    size_t count, waiting;
    size_t asked[AT_ONCE]; /* of the running job: whose report each statement has */
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
static bool is_report(const char *text, size_t length) {
    cJSON *parsed = length == 0 || length > REPORT_MAX || text_flaw(text, length, true) != NULL
                        ? NULL
                        : cJSON_ParseWithLengthOpts(text, length, NULL, false);
    bool fits = cJSON_IsObject(parsed) && memmem(text, length, "\\u", 2) == NULL; /* \u0000 is no text there */
    cJSON_Delete(parsed);
    return fits;
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
    char *report = gateway != NULL && is_report(payload, length) ? strndup(payload, length) : NULL;
    if (report == NULL) {
        log_warning("gateway_report", "topic=%s bytes=%zu reason=\"it is no report, or there are too many gateways\"",
                    log_quote(message->topic), length);
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
    return gateways->waiting > 0;
}

bool gateways_sql(struct gateways *gateways, struct buffer *sql) {
    size_t asked = 0;
    for (size_t i = 0; i < gateways->count && asked < AT_ONCE; i++) {
        struct gateway *gateway = &gateways->list[i];
        if (gateway->report == NULL) {
            continue;
        }
        buffer_text(sql, asked == 0 ? "SELECT onemap.gateway_report(" : "; SELECT onemap.gateway_report(");
        buffer_literal(sql, gateway->instance, strlen(gateway->instance));
        buffer_text(sql, ", ");
        buffer_literal(sql, gateway->report, strlen(gateway->report));
        buffer_text(sql, "::jsonb)");
        free(gateway->report);
        gateway->report = NULL;
        gateways->waiting--;
        gateways->asked[asked++] = i;
    }
    return asked > 0;
}

void gateways_take(struct gateways *gateways, int statement, const PGresult *result) {
    char topic[128];
    if (statement >= AT_ONCE || PQntuples(result) != 1 || PQgetisnull(result, 0, 0) ||
        !mqtt_connected(gateways->mqtt)) {
        return; /* it has the list, or reports again */
    }
    snprintf(topic, sizeof topic, TOPIC_GATEWAY_TERMINALS, gateways->list[gateways->asked[statement]].instance);
    int code = mosquitto_publish_v5(mqtt_session(gateways->mqtt), NULL, topic, PQgetlength(result, 0, 0),
                                    PQgetvalue(result, 0, 0), 1, false, NULL);
    log_info("gateway_terminals", "gateway=%s bytes=%d result=%s", gateways->list[gateways->asked[statement]].instance,
             PQgetlength(result, 0, 0), log_quote(mosquitto_strerror(code)));
}

void gateways_end(struct gateways *gateways) {
    mqtt_wake(gateways->mqtt);
}

/* ---- open and close ---- */

static void gateways_free(void *part) {
    struct gateways *gateways = part;
    for (size_t i = 0; i < gateways->count; i++) {
        free(gateways->list[i].report);
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
