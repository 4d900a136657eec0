/* gateway_metrics.c: see gateway_metrics.h. Must never show a family under the name that the gateways' own /metrics
 * have: who scrapes both would count twice. */
#include "hub/base/gateway_metrics.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/count.h"

const char *const gateway_protocols[GATEWAY_PROTOCOLS] = {"hj212", "jt808"};
const char *const gateway_fates[GATEWAY_FATES] = {"stored", "answered", "refused", "unsure", "broken", "unknown"};
const char *const gateway_push_fates[GATEWAY_PUSH_FATES] = {"stored", "refused", "unsure"};
const double gateway_second_bounds[GATEWAY_BOUNDS] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30};
_Static_assert((int)GATEWAY_BOUNDS <= (int)HISTOGRAM_BUCKETS_MAX, "buckets");

static struct gateway_metrics gateways[GATEWAY_METRICS_MAX];
static size_t gateway_count;

struct gateway_metrics *gateway_metrics_of(const char *name) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    for (size_t i = 0; i < gateway_count; i++) {
        if (strcmp(gateways[i].name, name) == 0) {
            return &gateways[i];
        }
    }
    size_t length = strlen(name);
    if (gateway_count == GATEWAY_METRICS_MAX || length == 0 || length >= GATEWAY_NAME_MAX ||
        strspn(name, letters) != length) {
        return NULL;
    }
    struct gateway_metrics *gateway = &gateways[gateway_count++];
    *gateway = (struct gateway_metrics){0};
    memcpy(gateway->name, name, length + 1);
    return gateway;
}

size_t gateway_metrics_count(void) {
    return gateway_count;
}

const struct gateway_metrics *gateway_metrics_at(size_t index) {
    return &gateways[index];
}

void gateway_metrics_free(void) {
    gateway_count = 0;
}

double gateway_metrics_p99_s(const struct gateway_metrics *gateway) {
    const struct histogram *histogram = &gateway->acknowledged_s;
    double all = 0, below = 0;
    for (size_t i = 0; i <= histogram->bound_count; i++) {
        all += (double)histogram->counts[i];
    }
    for (size_t i = 0; i < histogram->bound_count && all > 0; i++) {
        below += (double)histogram->counts[i];
        if (below >= all * 0.99) {
            return histogram->bounds[i];
        }
    }
    return NAN;
}

double gateway_metrics_age_s(const struct gateway_metrics *gateway) {
    return fmax(0, (double)(clock_now_ms() - gateway->reported_at_ms) / 1000);
}

/* ---- text ---- */

static void put_head(struct buffer *text, const char *name, const char *help, const char *type) {
    buffer_format(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_ages(struct buffer *text) {
    put_head(text, "cityhub_gateways_report_age_seconds", "Since the gateway's last report; one is due every 3 s.",
             "gauge");
    for (size_t i = 0; i < gateway_count; i++) {
        buffer_format(text, "cityhub_gateways_report_age_seconds{gateway=\"%s\"} %.3f\n", gateways[i].name,
                      gateway_metrics_age_s(&gateways[i]));
    }
}

static int64_t pending_of(const struct gateway_metrics *gateway) {
    return gateway->pending;
}

static int64_t waiting_of(const struct gateway_metrics *gateway) {
    return gateway->waiting;
}

/* One gauge of each gateway. */
static void put_gauge(struct buffer *text, const char *name, const char *help,
                      int64_t (*of)(const struct gateway_metrics *)) {
    put_head(text, name, help, "gauge");
    for (size_t i = 0; i < gateway_count; i++) {
        buffer_format(text, "%s{gateway=\"%s\"} %lld\n", name, gateways[i].name, (long long)of(&gateways[i]));
    }
}

static void put_connections(struct buffer *text) {
    put_head(text, "cityhub_gateways_connections", "Open connections of devices.", "gauge");
    for (size_t i = 0; i < gateway_count; i++) {
        for (size_t p = 0; p < GATEWAY_PROTOCOLS; p++) {
            buffer_format(text, "cityhub_gateways_connections{gateway=\"%s\",protocol=\"%s\"} %lld\n", gateways[i].name,
                          gateway_protocols[p], (long long)gateways[i].protocols[p].connections);
        }
    }
}

static void put_frames(struct buffer *text) {
    put_head(text, "cityhub_gateways_frames_total", "Devices' frames by what became of them.", "counter");
    for (size_t i = 0; i < gateway_count; i++) {
        for (size_t p = 0; p < GATEWAY_PROTOCOLS; p++) {
            for (size_t f = 0; f < GATEWAY_FATES; f++) {
                buffer_format(text,
                              "cityhub_gateways_frames_total{gateway=\"%s\",protocol=\"%s\",outcome=\"%s\"} %llu\n",
                              gateways[i].name, gateway_protocols[p], gateway_fates[f],
                              (unsigned long long)gateways[i].protocols[p].frames[f]);
            }
        }
    }
}

static void put_pushes(struct buffer *text) {
    put_head(text, "cityhub_gateways_pushes_total", "HTTP pushes by what became of them.", "counter");
    for (size_t i = 0; i < gateway_count; i++) {
        for (size_t f = 0; f < GATEWAY_PUSH_FATES; f++) {
            buffer_format(text, "cityhub_gateways_pushes_total{gateway=\"%s\",outcome=\"%s\"} %llu\n", gateways[i].name,
                          gateway_push_fates[f], (unsigned long long)gateways[i].pushes[f]);
        }
    }
}

static void put_acknowledged(struct buffer *text, const struct gateway_metrics *gateway) {
    static const char name[] = "cityhub_gateways_acknowledge_seconds";
    const struct histogram *histogram = &gateway->acknowledged_s;
    uint64_t count = 0;
    for (size_t i = 0; i < histogram->bound_count; i++) {
        count += histogram->counts[i];
        buffer_format(text, "%s_bucket{gateway=\"%s\",le=\"%g\"} %llu\n", name, gateway->name, histogram->bounds[i],
                      (unsigned long long)count);
    }
    count += histogram->counts[histogram->bound_count];
    buffer_format(text, "%s_bucket{gateway=\"%s\",le=\"+Inf\"} %llu\n", name, gateway->name, (unsigned long long)count);
    buffer_format(text, "%s_sum{gateway=\"%s\"} %.6f\n%s_count{gateway=\"%s\"} %llu\n", name, gateway->name,
                  histogram->sum, name, gateway->name, (unsigned long long)count);
}

void gateway_metrics_text(struct buffer *text) {
    if (gateway_count == 0) {
        return;
    }
    put_ages(text);
    put_gauge(text, "cityhub_gateways_terminals_pending", "Terminals that called the gateway and were refused.",
              pending_of);
    put_gauge(text, "cityhub_gateways_waiting", "Messages of the gateway that wait for the hub's receipt.", waiting_of);
    put_connections(text);
    put_frames(text);
    put_pushes(text);
    put_head(text, "cityhub_gateways_acknowledge_seconds",
             "From a frame's last byte to its acknowledgement, which follows the commit.", "histogram");
    for (size_t i = 0; i < gateway_count; i++) {
        if (gateways[i].acknowledged_s.bounds != NULL) {
            put_acknowledged(text, &gateways[i]);
        }
    }
}
