/* status.c: the hub's state as JSON. Must never ask anybody: it shows what is known already, and is valid UTF-8
 * whatever the log quoted. */
#include "hub/http/status.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/adapter.h"
#include "hub/base/clock.h"
#include "hub/base/gateway_metrics.h"
#include "hub/base/log.h"
#include "hub/base/metrics.h"
#include "hub/base/text.h"

static void add_count(cJSON *object, const char *name, uint64_t value) {
    cJSON_AddNumberToObject(object, name, (double)value);
}

static void add_integer(cJSON *object, const char *name, int64_t value) {
    cJSON_AddNumberToObject(object, name, (double)value);
}

/* Adds `text` with each byte that is no UTF-8 as a question mark: logs may cut or quote foreign bytes. */
static void add_text(cJSON *object, const char *name, const char *text) {
    char *clean = strdup(text);
    for (char *at = clean; at != NULL && *at != '\0';) {
        unsigned char lead = (unsigned char)*at;
        size_t length = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        const char *flaw = strnlen(at, length) < length ? "" : text_flaw(at, length, true);
        if (lead >= 0x80 && flaw != NULL) {
            *at = '?';
            length = 1;
        }
        at += length;
    }
    if (clean != NULL) {
        cJSON_AddStringToObject(object, name, clean);
    }
    free(clean);
}

/* UTC as ISO 8601; 0 = never = null. */
static void add_time(cJSON *object, const char *name, int64_t at_s) {
    char text[32];
    struct tm utc;
    time_t seconds = (time_t)at_s;
    if (at_s > 0 && gmtime_r(&seconds, &utc) != NULL) {
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
        cJSON_AddStringToObject(object, name, text);
    } else {
        cJSON_AddNullToObject(object, name);
    }
}

static void add_last_problem(cJSON *status) {
    int64_t at_s;
    const char *text = log_last_problem(&at_s);
    if (at_s == 0) {
        cJSON_AddNullToObject(status, "last_problem");
        return;
    }
    cJSON *problem = cJSON_AddObjectToObject(status, "last_problem");
    add_time(problem, "at", at_s);
    add_text(problem, "text", text);
}

static void add_database(cJSON *status) {
    cJSON *database = cJSON_AddObjectToObject(status, "database");
    cJSON_AddBoolToObject(database, "connected", hub_metrics.database_connected);
    add_count(database, "losses", hub_metrics.database_losses);
    add_integer(database, "writers_connected", hub_metrics.writers_connected);
    add_integer(database, "writers_idle", hub_metrics.writers_idle);
    add_integer(database, "writer_queue", hub_metrics.writer_queue);
    add_integer(database, "device_states_dirty", hub_metrics.state_dirty);
}

static void add_lanes_sum(cJSON *object, const char *key) {
    struct lane_metrics sum = {0};
    double lag_s = 0;
    int64_t count = 0;
    int64_t connected = 0;
    for (size_t i = 0; i < metrics_lane_count(); i++) {
        const struct lane_metrics *lane = metrics_lane_at(i);
        if (strcmp(lane->subsystem, key) != 0) {
            continue;
        }
        count++;
        connected += lane->connected;
        sum.messages_received += lane->messages_received;
        sum.bytes_received += lane->bytes_received;
        sum.records_received += lane->records_received;
        sum.records_committed += lane->records_committed;
        sum.records_duplicate += lane->records_duplicate;
        sum.records_merged += lane->records_merged;
        sum.records_revised += lane->records_revised;
        sum.records_rejected += lane->records_rejected;
        sum.messages_quarantined += lane->messages_quarantined;
        sum.batch_failures += lane->batch_failures;
        sum.queue_records += lane->queue_records;
        lag_s = metrics_lane_lag_s(lane) > lag_s ? metrics_lane_lag_s(lane) : lag_s;
        sum.committed_at_ms = lane->committed_at_ms > sum.committed_at_ms ? lane->committed_at_ms : sum.committed_at_ms;
    }
    add_integer(object, "lanes", count);
    add_integer(object, "connected", connected);
    add_count(object, "messages_received", sum.messages_received);
    add_count(object, "bytes_received", sum.bytes_received);
    add_count(object, "records_received", sum.records_received);
    add_count(object, "records_committed", sum.records_committed);
    add_count(object, "records_duplicate", sum.records_duplicate);
    add_count(object, "records_merged", sum.records_merged);
    add_count(object, "records_revised", sum.records_revised);
    add_count(object, "records_rejected", sum.records_rejected);
    add_count(object, "messages_quarantined", sum.messages_quarantined);
    add_count(object, "batch_failures", sum.batch_failures);
    add_integer(object, "queue_records", sum.queue_records);
    cJSON_AddNumberToObject(object, "lag_s", lag_s);
    add_time(object, "last_commit_at", sum.committed_at_ms / 1000);
}

static void add_subsystems(cJSON *status) {
    cJSON *list = cJSON_AddArrayToObject(status, "subsystems");
    for (size_t i = 0; i < adapter_count; i++) {
        cJSON *subsystem = cJSON_CreateObject();
        cJSON_AddStringToObject(subsystem, "key", adapters[i]->key);
        cJSON_AddStringToObject(subsystem, "name_zh", adapters[i]->name_zh);
        add_lanes_sum(subsystem, adapters[i]->key);
        cJSON_AddItemToArray(list, subsystem);
    }
}

/* Of all protocols together. */
static void add_gateway(cJSON *list, const struct gateway_metrics *gateway) {
    cJSON *object = cJSON_CreateObject();
    int64_t connections = 0;
    double p99_s = gateway_metrics_p99_s(gateway);
    cJSON_AddStringToObject(object, "gateway", gateway->name);
    add_time(object, "reported_at", gateway->reported_at_ms / 1000);
    cJSON_AddBoolToObject(object, "silent", gateway_metrics_age_s(gateway) * 1000 > GATEWAY_SILENT_MS);
    add_integer(object, "terminals", gateway->terminals);
    add_integer(object, "terminals_pending", gateway->pending);
    add_integer(object, "waiting", gateway->waiting);
    for (size_t p = 0; p < GATEWAY_PROTOCOLS; p++) {
        connections += gateway->protocols[p].connections;
    }
    add_integer(object, "connections", connections);
    for (size_t f = 0; f < GATEWAY_FATES; f++) {
        char name[32];
        uint64_t frames = 0;
        for (size_t p = 0; p < GATEWAY_PROTOCOLS; p++) {
            frames += gateway->protocols[p].frames[f];
        }
        snprintf(name, sizeof name, "frames_%s", gateway_fates[f]);
        add_count(object, name, frames);
    }
    for (size_t f = 0; f < GATEWAY_PUSH_FATES; f++) {
        char name[32];
        snprintf(name, sizeof name, "pushes_%s", gateway_push_fates[f]);
        add_count(object, name, gateway->pushes[f]);
    }
    if (isnan(p99_s)) {
        cJSON_AddNullToObject(object, "acknowledge_p99_s");
    } else {
        cJSON_AddNumberToObject(object, "acknowledge_p99_s", p99_s);
    }
    cJSON_AddItemToArray(list, object);
}

static void add_gateways(cJSON *status) {
    cJSON *list = cJSON_AddArrayToObject(status, "gateways");
    for (size_t i = 0; i < gateway_metrics_count(); i++) {
        add_gateway(list, gateway_metrics_at(i));
    }
}

/* null = there is nothing to warn of. */
static void add_words(cJSON *status, const char *name, const struct words *words) {
    char name_zh[40];
    snprintf(name_zh, sizeof name_zh, "%s_zh", name);
    if (words->en[0] == '\0') {
        cJSON_AddNullToObject(status, name);
        cJSON_AddNullToObject(status, name_zh);
    } else {
        add_text(status, name, words->en);
        add_text(status, name_zh, words->zh);
    }
}

static int64_t uptime_s(void) {
    int64_t up = (clock_now_ms() - hub_metrics.started_at_ms) / 1000;
    return hub_metrics.started_at_ms == 0 || up < 0 ? 0 : up;
}

char *status_json(const struct config *config, bool ready, const struct words *why) {
    cJSON *status = cJSON_CreateObject();
    cJSON_AddStringToObject(status, "version", CITYHUB_VERSION);
    add_text(status, "instance", config->hub_instance);
    add_time(status, "started_at", hub_metrics.started_at_ms / 1000);
    add_integer(status, "uptime_s", uptime_s());
    cJSON_AddBoolToObject(status, "ready", ready);
    add_words(status, "why", ready ? &(struct words){0} : why);
    add_words(status, "calendar", &hub_metrics.calendar_warning);
    add_words(status, "terminal_keys", &hub_metrics.key_warning);
    add_words(status, "database_settings", &hub_metrics.database_advice);
    add_last_problem(status);
    add_database(status);
    add_subsystems(status);
    add_gateways(status);
    add_integer(status, "devices", hub_metrics.devices);
    add_integer(status, "devices_online", hub_metrics.devices_online);
    add_integer(status, "vendors", hub_metrics.vendors);
    add_integer(status, "alarm_rules", hub_metrics.alarm_rules);
    add_count(status, "registry_loads", hub_metrics.registry_loads);
    add_integer(status, "alarms_open", hub_metrics.alarms_open);
    add_count(status, "alarms_opened", hub_metrics.alarms_opened);
    add_count(status, "alarms_closed", hub_metrics.alarms_closed);
    add_integer(status, "quarantine_waiting", hub_metrics.quarantine_waiting);
    add_integer(status, "outbox_waiting", hub_metrics.outbox_waiting);
    add_count(status, "outbox_sent", hub_metrics.outbox_sent);
    add_count(status, "outbox_failures", hub_metrics.outbox_failures);
    add_count(status, "jobs_run", hub_metrics.jobs_run);
    add_count(status, "jobs_failed", hub_metrics.jobs_failed);
    char *text = cJSON_PrintUnformatted(status);
    cJSON_Delete(status);
    return text;
}
