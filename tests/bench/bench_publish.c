/* bench_publish.c: a vendor that publishes as fast as its window allows: COUNT telemetry messages of dust, each with
 * RECORDS records of eight values, QoS 1. Prints "started_ns ended_ns": before the first message, after the last PUBACK
 * (CLOCK_MONOTONIC). Every message is encoded beforehand, so that it costs the machine little.
 *     bench_publish HOST PORT VENDOR COUNT RECORDS DEVICES WINDOW START_MS [RATE]
 * Record number n is of device n % DEVICES at START_MS + n / DEVICES * STEP_MS. RATE: messages a second, 0 = no limit.
 * Environment: BENCH_FORM=json (else protobuf), BENCH_PROTOCOL=3.1.1 (else 5), BENCH_LOGIN and BENCH_PASSWORD (else
 * anonymous), BENCH_AGAIN_MS: who is cut off comes again so much later, and sends what is not acknowledged (else it
 * fails). */
#include <mosquitto.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dust.pb-c.h"
#include "hub/base/buffer.h"
#include "hub/base/topic.h"

enum { STEP_MS = 1000, LOOP_MS = 100 };

struct state {
    int window, flying, acknowledged;
    bool connected;
    int again_ms; /* -1 = not at all */
};

static int64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void on_connect(struct mosquitto *session, void *user, int code) {
    (void)session;
    ((struct state *)user)->connected = code == 0;
}

static void on_publish(struct mosquitto *session, void *user, int mid) {
    (void)session;
    (void)mid;
    struct state *state = user;
    state->flying--;
    state->acknowledged++;
}

static size_t write_json(uint8_t **payload, const Cityhub__V1__DustBatch *batch) {
    struct buffer out = {0};
    for (size_t i = 0; i < batch->n_records; i++) {
        const Cityhub__V1__DustRecord *r = batch->records[i];
        buffer_format(&out,
                      "%s{\"device_code\":\"%s\",\"observed_at_ms\":%lld,\"pm25_ug_m3\":%g,\"pm10_ug_m3\":%g,"
                      "\"tsp_ug_m3\":%g,\"noise_dba\":%g,\"wind_speed_m_s\":%g,\"wind_direction_deg\":%g,"
                      "\"air_temp_c\":%g,\"humidity_percent\":%g}",
                      i == 0 ? "[" : ",", r->device_code, (long long)r->observed_at_ms, r->pm25_ug_m3, r->pm10_ug_m3,
                      r->tsp_ug_m3, r->noise_dba, r->wind_speed_m_s, r->wind_direction_deg, r->air_temp_c,
                      r->humidity_percent);
    }
    buffer_text(&out, "]");
    *payload = (uint8_t *)out.data;
    return out.length;
}

static size_t encode(uint8_t **payload, int64_t first, int records, int devices, int64_t start_ms, bool json) {
    Cityhub__V1__DustBatch batch = CITYHUB__V1__DUST_BATCH__INIT;
    Cityhub__V1__DustRecord *list = calloc((size_t)records, sizeof *list);
    Cityhub__V1__DustRecord **pointers = calloc((size_t)records, sizeof *pointers);
    char(*codes)[24] = calloc((size_t)records, sizeof *codes);
    for (int i = 0; i < records; i++) {
        Cityhub__V1__DustRecord *record = &list[i];
        int64_t n = first + i;
        cityhub__v1__dust_record__init(record);
        snprintf(codes[i], sizeof codes[i], "bench-%06d", (int)(n % devices));
        record->device_code = codes[i];
        record->has_observed_at_ms = 1;
        record->observed_at_ms = start_ms + n / devices * STEP_MS;
#define SET(field, value) (record->has_##field = 1, record->field = (value))
        SET(pm25_ug_m3, 20 + (double)(n % 50));
        SET(pm10_ug_m3, 40 + (double)(n % 70));
        SET(tsp_ug_m3, 80 + (double)(n % 200));
        SET(noise_dba, 45 + (double)(n % 20));
        SET(wind_speed_m_s, (double)(n % 6));
        SET(wind_direction_deg, (double)(n % 360));
        SET(air_temp_c, 10 + (double)(n % 15));
        SET(humidity_percent, 30 + (double)(n % 50));
        pointers[i] = record;
    }
    batch.n_records = (size_t)records;
    batch.records = pointers;
    size_t length = json ? write_json(payload, &batch) : cityhub__v1__dust_batch__get_packed_size(&batch);
    if (!json) {
        *payload = malloc(length);
        cityhub__v1__dust_batch__pack(&batch, *payload);
    }
    free(list);
    free(pointers);
    free(codes);
    return length;
}

static int await_connection(struct mosquitto *session, const struct state *state) {
    int code = MOSQ_ERR_SUCCESS;
    while (code == MOSQ_ERR_SUCCESS && !state->connected) {
        code = mosquitto_loop(session, LOOP_MS, 1);
    }
    return code;
}

/* The connection is lost: false = for good. What is not acknowledged the library sends again by itself. */
static bool come_again(struct mosquitto *session, struct state *state) {
    int code = MOSQ_ERR_CONN_LOST;
    while (state->again_ms >= 0 && code != MOSQ_ERR_SUCCESS) {
        struct timespec pause = {.tv_sec = state->again_ms / 1000, .tv_nsec = state->again_ms % 1000 * 1000000L};
        nanosleep(&pause, NULL);
        state->connected = false;
        code = mosquitto_reconnect(session);
        code = code != MOSQ_ERR_SUCCESS ? code : await_connection(session, state);
    }
    return code == MOSQ_ERR_SUCCESS;
}

int main(int argc, char **argv) {
    if (argc < 9) {
        fprintf(stderr, "usage: bench_publish HOST PORT VENDOR COUNT RECORDS DEVICES WINDOW START_MS [RATE]\n");
        return 2;
    }
    int count = atoi(argv[4]);
    int records = atoi(argv[5]);
    int devices = atoi(argv[6]);
    int64_t start_ms = strtoll(argv[8], NULL, 10);
    double rate = argc > 9 ? strtod(argv[9], NULL) : 0;
    const char *again = getenv("BENCH_AGAIN_MS");
    struct state state = {.window = atoi(argv[7]), .again_ms = again == NULL ? -1 : atoi(again)};
    const char *form = getenv("BENCH_FORM");
    bool json = form != NULL && strcmp(form, "json") == 0;
    char topic[128];
    snprintf(topic, sizeof topic, TOPIC_FORMAT, "dust", argv[3], topic_words[TOPIC_TELEMETRY]);
    uint8_t **payloads = calloc((size_t)count, sizeof *payloads);
    size_t *lengths = calloc((size_t)count, sizeof *lengths);
    for (int i = 0; i < count; i++) {
        lengths[i] = encode(&payloads[i], (int64_t)i * records, records, devices, start_ms, json);
    }
    mosquitto_lib_init();
    struct mosquitto *session = mosquitto_new(getenv("BENCH_CLIENT_ID"), true, &state);
    const char *protocol = getenv("BENCH_PROTOCOL");
    bool is_311 = protocol != NULL && strcmp(protocol, "3.1.1") == 0;
    mosquitto_int_option(session, MOSQ_OPT_PROTOCOL_VERSION, is_311 ? MQTT_PROTOCOL_V311 : MQTT_PROTOCOL_V5);
    mosquitto_username_pw_set(session, getenv("BENCH_LOGIN"), getenv("BENCH_PASSWORD"));
    mosquitto_int_option(session, MOSQ_OPT_SEND_MAXIMUM, 65535);
    mosquitto_connect_callback_set(session, on_connect);
    mosquitto_publish_callback_set(session, on_publish);
    if (mosquitto_connect(session, argv[1], atoi(argv[2]), 60) != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "bench_publish: cannot connect\n");
        return 1;
    }
    if (await_connection(session, &state) != MOSQ_ERR_SUCCESS) {
        return 1;
    }
    int64_t started = monotonic_ns();
    for (int sent = 0; state.acknowledged < count;) {
        while (sent < count && state.flying < state.window &&
               (rate <= 0 || (double)(monotonic_ns() - started) / 1e9 * rate >= sent)) {
            /* The library keeps it in any case. */
            if (mosquitto_publish(session, NULL, topic, (int)lengths[sent], payloads[sent], 1, false) !=
                    MOSQ_ERR_SUCCESS &&
                !come_again(session, &state)) {
                return 1;
            }
            state.flying++;
            sent++;
        }
        if (mosquitto_loop(session, rate > 0 ? 1 : LOOP_MS, 1) != MOSQ_ERR_SUCCESS && !come_again(session, &state)) {
            fprintf(stderr, "bench_publish: the connection is lost\n");
            return 1;
        }
    }
    printf("%lld %lld\n", (long long)started, (long long)monotonic_ns());
    mosquitto_disconnect(session);
    mosquitto_destroy(session);
    mosquitto_lib_cleanup();
    return 0;
}
