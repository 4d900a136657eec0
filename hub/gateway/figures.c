/* figures.c: the gateway's counters and their two forms. Must never block. */
#include "hub/gateway/figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/buffer.h"

_Static_assert((int)FRAME_FATES == (int)GATEWAY_FATES && (int)PUSH_FATES == (int)GATEWAY_PUSH_FATES,
               "the hub's words for them");

struct figures figures = {.acknowledged_s = {.bounds = gateway_second_bounds, .bound_count = GATEWAY_BOUNDS},
                          .pushed_s = {.bounds = gateway_second_bounds, .bound_count = GATEWAY_BOUNDS}};

static void put(struct buffer *text, const char *name, const char *type, const char *help) {
    buffer_format(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_gauge(struct buffer *text, const char *name, const char *help, int64_t value) {
    put(text, name, "gauge", help);
    buffer_format(text, "%s %lld\n", name, (long long)value);
}

static void put_frames(struct buffer *text) {
    put(text, "cityhub_gateway_frames_total", "counter", "Frames by what became of them.");
    for (size_t p = 0; p < FIGURES_PROTOCOLS; p++) {
        for (size_t f = 0; figures.protocols[p].name != NULL && f < FRAME_FATES; f++) {
            buffer_format(text, "cityhub_gateway_frames_total{protocol=\"%s\",outcome=\"%s\"} %llu\n",
                          figures.protocols[p].name, gateway_fates[f],
                          (unsigned long long)figures.protocols[p].frames[f]);
        }
    }
}

/* One counter or gauge of each protocol. */
static void put_of_protocols(struct buffer *text, const char *name, const char *type, const char *help, size_t offset) {
    put(text, name, type, help);
    for (size_t p = 0; p < FIGURES_PROTOCOLS; p++) {
        if (figures.protocols[p].name != NULL) {
            uint64_t value;
            memcpy(&value, (const char *)&figures.protocols[p] + offset, sizeof value);
            buffer_format(text, "%s{protocol=\"%s\"} %lld\n", name, figures.protocols[p].name, (long long)value);
        }
    }
}

static void put_seconds(struct buffer *text, const char *name, const char *help, const struct histogram *histogram) {
    uint64_t count = 0;
    put(text, name, "histogram", help);
    for (size_t i = 0; i < histogram->bound_count; i++) {
        count += histogram->counts[i];
        buffer_format(text, "%s_bucket{le=\"%g\"} %llu\n", name, histogram->bounds[i], (unsigned long long)count);
    }
    count += histogram->counts[histogram->bound_count];
    buffer_format(text, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name, (unsigned long long)count,
                  name, histogram->sum, name, (unsigned long long)count);
}

#define OF_PROTOCOL(member) ((size_t)((const char *)&figures.protocols[0].member - (const char *)&figures.protocols[0]))

char *figures_text(void) {
    struct buffer text = {0};
    put_gauge(&text, "cityhub_gateway_broker_connected", "1 if the broker lets the gateway in and receipts come.",
              figures.connected);
    put_gauge(&text, "cityhub_gateway_terminals", "Terminals in the gateway's list.", figures.terminals);
    put_gauge(&text, "cityhub_gateway_terminals_pending", "Terminals that called and were refused.", figures.pending);
    put_gauge(&text, "cityhub_gateway_waiting", "Messages that wait for the hub's receipt, of frames and of pushes.",
              figures.waiting);
    put_frames(&text);
    put_of_protocols(&text, "cityhub_gateway_records_total", "counter", "Records made of frames.",
                     OF_PROTOCOL(records));
    put_of_protocols(&text, "cityhub_gateway_bytes_total", "counter", "Bytes that terminals sent.", OF_PROTOCOL(bytes));
    put_of_protocols(&text, "cityhub_gateway_connections", "gauge", "Open connections.", OF_PROTOCOL(connections));
    put_of_protocols(&text, "cityhub_gateway_connections_total", "counter", "Connections taken.",
                     OF_PROTOCOL(accepted));
    put_of_protocols(&text, "cityhub_gateway_connections_refused_total", "counter",
                     "Connections closed at once: beyond a bound.", OF_PROTOCOL(refused));
    put_of_protocols(&text, "cityhub_gateway_connections_closed_total", "counter",
                     "Connections that the gateway ended: silent, garbage, or a newer one of their terminal.",
                     OF_PROTOCOL(closed));
    put(&text, "cityhub_gateway_pushes_total", "counter", "HTTP pushes by what became of them.");
    for (size_t i = 0; i < PUSH_FATES; i++) {
        buffer_format(&text, "cityhub_gateway_pushes_total{outcome=\"%s\"} %llu\n", gateway_push_fates[i],
                      (unsigned long long)figures.pushes[i]);
    }
    put(&text, "cityhub_gateway_push_records_total", "counter", "Records pushed over HTTP that have a receipt.");
    buffer_format(&text, "cityhub_gateway_push_records_total %llu\n", (unsigned long long)figures.push_records);
    put_gauge(&text, "cityhub_gateway_push_sessions", "Vendors' sessions at the broker.", figures.push_sessions);
    put_seconds(&text, "cityhub_gateway_acknowledge_seconds",
                "From a frame's last byte to its acknowledgement, which follows the commit.", &figures.acknowledged_s);
    put_seconds(&text, "cityhub_gateway_push_seconds", "From a push's last byte to its answer.", &figures.pushed_s);
    put_gauge(&text, "cityhub_gateway_http_connections", "Open HTTP connections.", hub_metrics.http_connections);
    put(&text, "process_start_time_seconds", "gauge", "Unix time of the process's start.");
    buffer_format(&text, "process_start_time_seconds %.3f\n", (double)figures.started_at_ms / 1000);
    if (buffer_string(&text) == NULL) {
        buffer_free(&text);
        return NULL;
    }
    return text.data;
}

cJSON *figures_json(void) {
    cJSON *root = cJSON_CreateObject(), *protocols = cJSON_AddObjectToObject(root, "protocols");
    cJSON_AddNumberToObject(root, "started_at_ms", (double)figures.started_at_ms);
    cJSON_AddNumberToObject(root, "terminals", (double)figures.terminals);
    cJSON_AddNumberToObject(root, "pending", (double)figures.pending);
    cJSON_AddNumberToObject(root, "waiting", (double)figures.waiting);
    for (size_t p = 0; p < FIGURES_PROTOCOLS; p++) {
        if (figures.protocols[p].name == NULL) {
            continue;
        }
        cJSON *one = cJSON_AddObjectToObject(protocols, figures.protocols[p].name);
        cJSON_AddNumberToObject(one, "connections", (double)figures.protocols[p].connections);
        cJSON_AddNumberToObject(one, "records", (double)figures.protocols[p].records);
        for (size_t f = 0; f < FRAME_FATES; f++) {
            cJSON_AddNumberToObject(one, gateway_fates[f], (double)figures.protocols[p].frames[f]);
        }
    }
    cJSON *pushes = cJSON_AddObjectToObject(root, "pushes");
    for (size_t i = 0; i < PUSH_FATES; i++) {
        cJSON_AddNumberToObject(pushes, gateway_push_fates[i], (double)figures.pushes[i]);
    }
    cJSON *acknowledged = cJSON_AddObjectToObject(root, "acknowledged_s"),
          *counts = cJSON_AddArrayToObject(acknowledged, "counts");
    cJSON_AddNumberToObject(acknowledged, "sum", figures.acknowledged_s.sum);
    for (size_t i = 0; i <= GATEWAY_BOUNDS; i++) {
        cJSON_AddItemToArray(counts, cJSON_CreateNumber((double)figures.acknowledged_s.counts[i]));
    }
    return root;
}
