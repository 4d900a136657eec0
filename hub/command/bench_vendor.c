/* bench_vendor.c: a message is made once; for each that is sent only the times in it are written over, so that the
 * vendor costs the measured machine little. Must never call a record stored that no receipt names. */
#include "hub/command/bench_vendor.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/base/buffer.h"
#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/base/topic.h"
#include "hub/cli/command.h"
#include "hub/link/mqtt_login.h"

#define LOST                                                                                                           \
    "the connection to the broker is lost (if its log says that the login sends too much: raise "                      \
    "plugin_opt_messages_per_s and plugin_opt_bytes_per_s while you measure)"

enum { WAIT_MS = 30 * 1000, LOOP_MS = 100, STEP_MS = 1000, TIME_DIGITS = 13, SEND_MOST = 65535 };

struct bench_vendor {
    const struct config *config;
    const struct adapter *adapter;
    const char *name;
    struct mosquitto *session;
    char topic[128], receipts[128];
    bool ready;
    char refusal[256];           /* why nothing goes on; "" = it does */
    int64_t receipted, records;  /* of the load that runs: messages with a receipt, records stored */
    struct buffer message;       /* BENCH_DEVICES records */
    size_t ends[BENCH_DEVICES];  /* where each record ends in it */
    size_t times[BENCH_DEVICES]; /* where its time stands */
};

static void refuse(struct bench_vendor *vendor, const char *what, const char *why) {
    if (vendor->refusal[0] == '\0') {
        snprintf(vendor->refusal, sizeof vendor->refusal, "%s: %s", what, why);
    }
}

static void on_connect(struct mosquitto *session, void *user, int code) {
    struct bench_vendor *vendor = user;
    if (code != 0) {
        refuse(vendor, "the broker refuses the login", mqtt_refusal(vendor->config, code));
        return;
    }
    mosquitto_subscribe(session, NULL, vendor->receipts, 1);
}

static void on_subscribe(struct mosquitto *session, void *user, int mid, int count, const int *granted) {
    (void)session;
    (void)mid;
    struct bench_vendor *vendor = user;
    vendor->ready = count == 1 && granted[0] <= 2;
    if (!vendor->ready) {
        refuse(vendor, vendor->receipts, "the broker refuses the subscription");
    }
}

static void on_disconnect(struct mosquitto *session, void *user, int code) {
    (void)session;
    if (code != 0) {
        refuse(user, LOST, mosquitto_strerror(code));
    }
}

static void on_message(struct mosquitto *session, void *user, const struct mosquitto_message *message) {
    (void)session;
    struct bench_vendor *vendor = user;
    cJSON *document = cJSON_ParseWithLength(message->payload, (size_t)message->payloadlen);
    const cJSON *receipt, *problems;
    cJSON_ArrayForEach(receipt, member_get(document, "receipts")) {
        vendor->receipted++;
        vendor->records += (int64_t)member_number(receipt, "accepted", 0);
        problems = member_get(receipt, "problems");
        if (cJSON_GetArraySize(problems) > 0) {
            refuse(vendor, "a record is not stored", member_text(cJSON_GetArrayItem(problems, 0), "reason"));
        }
    }
    cJSON_Delete(document);
}

/* The middle of what a metric may be; counters and states stand still. */
static double middle(const struct metric *metric) {
    return metric->kind == METRIC_GAUGE ? metric->min + (metric->max - metric->min) / 4 : metric->min;
}

static int make_message(struct bench_vendor *vendor) {
    struct buffer *out = &vendor->message;
    for (int i = 0; i < BENCH_DEVICES; i++) {
        buffer_format(out, "%c{\"device_code\":\"bench-%03d\",\"observed_at_ms\":", i == 0 ? '[' : ',', i);
        vendor->times[i] = out->length;
        buffer_format(out, "%0*d", TIME_DIGITS, 0);
        for (size_t m = 0; m < vendor->adapter->metric_count; m++) {
            const struct metric *metric = &vendor->adapter->metrics[m];
            if (metric->kind == METRIC_GAUGE || metric->kind == METRIC_COUNTER) {
                buffer_format(out, ",\"%s\":%.6g", metric->key, middle(metric));
            }
        }
        buffer_text(out, "}");
        vendor->ends[i] = out->length;
    }
    buffer_text(out, "]");
    return out->failed ? CH_EMEMORY : 0;
}

/* What the network has, for so long at the most. */
static int turn(struct bench_vendor *vendor, int timeout_ms) {
    int code = mosquitto_loop(vendor->session, timeout_ms, 1);
    if (code != MOSQ_ERR_SUCCESS) {
        refuse(vendor, LOST, mosquitto_strerror(code));
    }
    return vendor->refusal[0] == '\0' ? 0 : CH_EIO;
}

static int log_in(struct bench_vendor *vendor, const char *name, const char *password) {
    int code = mqtt_login(vendor->session, vendor->config, password == NULL ? NULL : name, password);
    mosquitto_connect_callback_set(vendor->session, on_connect);
    mosquitto_subscribe_callback_set(vendor->session, on_subscribe);
    mosquitto_disconnect_callback_set(vendor->session, on_disconnect);
    mosquitto_message_callback_set(vendor->session, on_message);
    mosquitto_int_option(vendor->session, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_int_option(vendor->session, MOSQ_OPT_SEND_MAXIMUM, SEND_MOST);
    if (code == MOSQ_ERR_SUCCESS) {
        code = mosquitto_connect(vendor->session, vendor->config->mqtt_host, (int)vendor->config->mqtt_port,
                                 (int)vendor->config->mqtt_keepalive_s);
    }
    if (code != MOSQ_ERR_SUCCESS) {
        refuse(vendor, "there is no connection to the broker", mosquitto_strerror(code));
        return CH_EIO;
    }
    int64_t until = clock_steady_ms() + WAIT_MS;
    while (!vendor->ready && clock_steady_ms() < until && turn(vendor, LOOP_MS) == 0) {
    }
    return vendor->ready ? 0 : CH_EIO;
}

struct bench_vendor *bench_vendor_open(const struct config *config, const struct adapter *adapter, const char *name,
                                       const char *password) {
    struct bench_vendor *vendor = calloc(1, sizeof *vendor);
    char id[96];
    mosquitto_lib_init();
    if (vendor == NULL) {
        command_fail("memory is out");
        return NULL;
    }
    *vendor = (struct bench_vendor){.config = config, .adapter = adapter, .name = name};
    snprintf(vendor->topic, sizeof vendor->topic, TOPIC_FORMAT, adapter->key, name, topic_words[TOPIC_TELEMETRY]);
    snprintf(vendor->receipts, sizeof vendor->receipts, TOPIC_FORMAT, adapter->key, name, topic_words[TOPIC_RECEIPT]);
    snprintf(id, sizeof id, "%s-bench-%ld", name, (long)getpid());
    vendor->session = mosquitto_new(id, true, vendor);
    if (vendor->session == NULL || make_message(vendor) != 0) {
        refuse(vendor, "bench", "memory is out");
    }
    if (vendor->refusal[0] != '\0' || log_in(vendor, name, password) != 0) {
        command_fail("%s", vendor->refusal[0] == '\0' ? "the broker does not answer" : vendor->refusal);
        bench_vendor_close(vendor);
        return NULL;
    }
    return vendor;
}

/* Message `number` of a load: its records are those of the next devices in turn. Writes their times; where it is. */
static const char *message_of(struct bench_vendor *vendor, const struct bench_load *load, int64_t number, char **copy,
                              size_t *length) {
    int64_t first = number * load->records;
    size_t from = (size_t)(first % BENCH_DEVICES), behind = from + (size_t)load->records;
    char time[TIME_DIGITS + 1];
    snprintf(time, sizeof time, "%0*" PRId64, TIME_DIGITS, load->start_ms + first / BENCH_DEVICES * STEP_MS);
    for (size_t i = from; i < behind; i++) {
        memcpy(vendor->message.data + vendor->times[i], time, TIME_DIGITS);
    }
    size_t begin = from == 0 ? 1 : vendor->ends[from - 1] + 1;
    *length = vendor->ends[behind - 1] - begin;
    (*copy)[0] = '[';
    memcpy(*copy + 1, vendor->message.data + begin, *length);
    (*copy)[*length + 1] = ']';
    *length += 2;
    return *copy;
}

static int send_one(struct bench_vendor *vendor, const struct bench_load *load, int64_t number, char *copy) {
    size_t length;
    const char *message = message_of(vendor, load, number, &copy, &length);
    int code = mosquitto_publish(vendor->session, NULL, vendor->topic, (int)length, message, 1, false);
    if (code != MOSQ_ERR_SUCCESS) {
        refuse(vendor, "a message cannot be sent", mosquitto_strerror(code));
        return CH_EIO;
    }
    return 0;
}

static int send_and_wait(struct bench_vendor *vendor, const struct bench_load *load, char *copy, int64_t *sent) {
    int64_t started = clock_steady_ms(), progress = started, seen = 0;
    int code = 0;
    while (code == 0) {
        int64_t now = clock_steady_ms();
        bool sending = now - started < load->run_ms;
        while (code == 0 && sending && *sent - vendor->receipted < load->window) {
            code = send_one(vendor, load, (*sent)++, copy);
        }
        if (!sending && vendor->receipted >= *sent) {
            break;
        }
        if (vendor->receipted > seen) {
            seen = vendor->receipted;
            progress = now;
        } else if (now - progress > WAIT_MS) {
            refuse(vendor, "no receipt for 30 s", "does the hub run on this configuration? `cityhub status` tells");
        }
        code = code == 0 ? turn(vendor, LOOP_MS) : code;
    }
    return code;
}

int bench_vendor_place(struct bench_vendor *vendor, double lon, double lat, double step) {
    enum { SIDE = 23 }; /* its square holds them all */
    struct buffer message = {0};
    char topic[sizeof vendor->topic];
    const struct device_kind *kind = vendor->adapter->kinds;
    for (size_t i = vendor->adapter->kind_count; i-- > 0;) {
        kind = vendor->adapter->kinds[i].mobile ? kind : &vendor->adapter->kinds[i];
    }
    snprintf(topic, sizeof topic, TOPIC_FORMAT, vendor->adapter->key, vendor->name, topic_words[TOPIC_INVENTORY]);
    for (int i = 0; i < BENCH_DEVICES; i++) {
        int column = i % SIDE - SIDE / 2, row = i / SIDE - SIDE / 2;
        buffer_format(&message,
                      "%c{\"device_code\":\"bench-%03d\",\"kind\":\"%s\","
                      "\"position\":{\"lon\":%.6f,\"lat\":%.6f,\"system\":\"WGS84\"}}",
                      i == 0 ? '[' : ',', i, kind->key, lon + step * column, lat + step * row);
    }
    buffer_text(&message, "]");
    vendor->receipted = vendor->records = 0;
    if (message.failed || mosquitto_publish(vendor->session, NULL, topic, (int)message.length, message.data, 1,
                                            false) != MOSQ_ERR_SUCCESS) {
        refuse(vendor, "the inventory cannot be sent", "memory is out, or there is no connection");
    }
    buffer_free(&message);
    for (int64_t until = clock_steady_ms() + WAIT_MS; vendor->receipted == 0 && turn(vendor, LOOP_MS) == 0;) {
        if (clock_steady_ms() > until) {
            refuse(vendor, "the inventory has no receipt for 30 s", "`cityhub status` tells how the hub is");
        }
    }
    if (vendor->refusal[0] != '\0') {
        command_fail("%s", vendor->refusal);
        return CH_EIO;
    }
    return 0;
}

int bench_vendor_run(struct bench_vendor *vendor, const struct bench_load *load, struct bench_rate *rate) {
    int64_t sent = 0, started = clock_steady_ms();
    char *copy = malloc(vendor->message.length + 2);
    vendor->receipted = vendor->records = 0;
    int code = copy == NULL ? CH_EMEMORY : send_and_wait(vendor, load, copy, &sent);
    free(copy);
    *rate = (struct bench_rate){.records = vendor->records,
                                .seconds = (double)(clock_steady_ms() - started) / 1000,
                                .last_ms = load->start_ms + sent * load->records / BENCH_DEVICES * STEP_MS};
    if (code != 0) {
        command_fail("%s", vendor->refusal[0] == '\0' ? "memory is out" : vendor->refusal);
    }
    return code;
}

void bench_vendor_close(struct bench_vendor *vendor) {
    if (vendor == NULL) {
        return;
    }
    if (vendor->session != NULL) {
        mosquitto_disconnect(vendor->session);
        mosquitto_loop_write(vendor->session, 1);
        mosquitto_destroy(vendor->session);
    }
    buffer_free(&vendor->message);
    free(vendor);
    mosquitto_lib_cleanup();
}
