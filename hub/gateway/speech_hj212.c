/* speech_hj212.c: HJ 212 on a connection: who speaks, what is stored, what is answered. Must never answer a frame whose
 * data is not stored. */
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/topic.h"
#include "hub/gateway/connection.h"
#include "hub/gateway/dialects.h"
#include "hub/gateway/hj212.h"
#include "hub/gateway/hj212_records.h"
#include "hub/gateway/raw.h"
#include "hub/gateway/speech.h"

static int64_t port(const struct config *config) {
    return config->gateway_hj212_port;
}

static enum reading next_frame(const char *bytes, size_t length, struct reading_result *result) {
    return hj212_read(bytes, length, false, result);
}

static enum hj212_crc crc_of(const struct terminal *terminal) {
    for (size_t i = 0; i <= HJ212_CRC_OFF; i++) {
        if (strcmp(hj212_crc_words[i], terminal->crc) == 0) {
            return (enum hj212_crc)i;
        }
    }
    return HJ212_CRC_STANDARD;
}

/* The terminal that may have sent it; NULL: it is over. */
static const struct terminal *sender(struct connection *connection, const struct hj212_frame *frame, const char *bytes,
                                     size_t length) {
    char reason[HJ212_REASON_MAX], answer[HJ212_ANSWER_MAX];
    const char *why = hj212_refusal(frame, HJ212_CRC_OFF, reason);
    const struct terminal *terminal = why == NULL ? connection_caller(connection, frame->mn, bytes, length) : NULL;
    if (why == NULL && terminal == NULL) {
        return NULL;
    }
    why = why == NULL ? hj212_refusal(frame, crc_of(terminal), reason) : why;
    if (why != NULL) {
        log_info("hj212_frame", "mn=%s reason=%s", log_quote(frame->mn), log_quote(why));
        connection_count(connection, FRAME_BROKEN);
        return NULL;
    }
    if (!terminal_secret_fits(terminal, frame->pw == NULL ? "" : frame->pw)) {
        log_warning("hj212_frame", "mn=%s reason=\"its PW is not this terminal's\"", log_quote(frame->mn));
        connection_count(connection, FRAME_UNKNOWN);
        connection_send(connection, answer, hj212_refuse(frame, HJ212_WRONG_PW, crc_of(terminal), answer));
        return NULL;
    }
    return terminal;
}

/* What it waits for, and behind a question for the time the time. */
static void put_answer(struct buffer *out, const struct hj212_frame *frame, const struct terminal *terminal) {
    enum { SET_CLOCK = 1013 };
    char answer[HJ212_ANSWER_MAX];
    enum hj212_crc crc = crc_of(terminal);
    buffer_bytes(out, answer, hj212_answer(frame, crc, answer));
    if (frame->command == SET_CLOCK) {
        const struct hj212_peer peer = {.st = frame->st,
                                        .pw = frame->pw == NULL ? "" : frame->pw,
                                        .mn = frame->mn,
                                        .version = frame->version == 0 ? 2025 : frame->version,
                                        .offset_s = terminal->offset_minutes * 60,
                                        .crc = crc};
        buffer_bytes(out, answer, hj212_set_clock(&peer, hj212_value(frame, "PolId"), clock_now_ms(), answer));
    }
}

/* Its records, to the hub. False: something of it could not be put. */
static bool put_records(struct holding *holding, const struct terminal *terminal, const cJSON *telemetry,
                        const cJSON *intervals) {
    const struct {
        enum topic_kind kind;
        const cJSON *records;
    } parts[] = {{TOPIC_TELEMETRY, telemetry}, {TOPIC_INTERVAL, intervals}};
    bool whole = true;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        whole &= cJSON_GetArraySize(parts[i].records) == 0 ||
                 holding_put(holding, terminal, topic_words[parts[i].kind], parts[i].records) == 0;
    }
    return whole;
}

static void store(struct connection *connection, const struct hj212_frame *frame, const struct terminal *terminal,
                  const char *bytes, size_t length) {
    const struct hj212_dialect *dialect = dialects_hj212(connection_parts(connection)->dialects, terminal);
    cJSON *telemetry = cJSON_CreateArray(), *intervals = cJSON_CreateArray();
    struct hj212_outcome outcome = {0};
    const struct hj212_origin origin = {
        .dialect = dialect, .device_code = terminal->device, .offset_minutes = terminal->offset_minutes};
    int code = dialect == NULL ? CH_ENOTFOUND : hj212_records(frame, &origin, telemetry, intervals, &outcome);
    unsigned made = outcome.readings + outcome.intervals;
    if (code == 0 && made == 0 && outcome.left_over == 0) { /* it says nothing to be stored */
        struct buffer answer = {0};
        put_answer(&answer, frame, terminal);
        connection_send(connection, answer.data, answer.length);
        buffer_free(&answer);
        connection_count(connection, FRAME_ANSWERED);
    } else if (code == CH_ENOTFOUND || code == CH_EMEMORY) {
        connection_count(connection, FRAME_UNSURE);
    } else {
        if (outcome.left_over > 0) {
            log_info("hj212_left_over", "mn=%s values=%u first=%s", log_quote(frame->mn), outcome.left_over,
                     log_quote(outcome.first_left_over));
        }
        if (made == 0) { /* kept as it is, in quarantine */
            raw_record(telemetry, terminal, bytes, length);
        }
        struct holding *holding = holding_new(connection);
        if (holding == NULL) {
            connection_count(connection, FRAME_UNSURE);
        } else {
            put_answer(holding_stored(holding), frame, terminal);
            holding_seal(holding, put_records(holding, terminal, telemetry, intervals));
        }
    }
    cJSON_Delete(telemetry);
    cJSON_Delete(intervals);
}

static void take(struct connection *connection, const char *bytes, size_t length) {
    static struct hj212_frame frame; /* large; the loop has one thread */
    hj212_parse(bytes, length, NULL, &frame);
    const struct terminal *terminal = sender(connection, &frame, bytes, length);
    if (terminal != NULL) {
        connection_heard(connection);
        connection_claim(connection, frame.mn);
        store(connection, &frame, terminal, bytes, length);
    }
}

const struct speech speech_hj212 = {
    .name = "hj212", .port = port, .frame_max = HJ212_FRAME_MAX, .read = next_frame, .take = take};
