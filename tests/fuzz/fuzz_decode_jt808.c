/* fuzz_decode_jt808.c: any bytes on a connection of JT/T 808, by JT808_WIRE_MAX at a time. What the reader takes moves
 * on, lies within the buffer and does not depend on what comes behind a frame; what was divided adds up; used frames
 * have bodies as declared and are the same when they are built again; records are JSON with a device and a time; what
 * is shown can be shown. */
#include <cjson/cJSON.h>
#include <math.h>

#include "fuzz.h"
#include "hub/gateway/jt808_build.h"
#include "hub/gateway/jt808_decode.h"
#include "hub/gateway/jt808_records.h"
#include "hub/gateway/jt808_tell.h"

static const char DIALECT[] =
    "{\"subsystem\": \"construction_waste\", \"fields\": [{\"field\": \"load_percent\", \"from\": \"status\", \"bit\": 8, \"bits\": 2, "
    "\"map\": {\"0\": 0, \"1\": 50, \"3\": 100}}, {\"field\": \"cover_closed\", \"from\": \"item\", \"item\": \"E5\", \"bit\": 3},"
    "{\"field\": \"load_kg\", \"from\": \"item\", \"item\": \"E6\", \"at\": 1, \"bytes\": 3, \"signed\": true, \"scale\": 0.1},"
    "{\"field\": \"mileage_km\", \"from\": \"item\", \"item\": \"01\", \"little_endian\": true, \"none\": [65535]},"
    "{\"field\": \"plate\", \"from\": \"item\", \"item\": \"83\"},"
    "{\"field\": \"fault_text\", \"from\": \"alarm\", \"texts\": {\"4\": \"a\", \"31\": \"b\"}}]}";

static struct jt808_dialect *dialect(void) {
    static struct jt808_dialect *once;
    char problem[DIALECT_PROBLEM_MAX];
    if (once == NULL) {
        once = jt808_dialect_parse(DIALECT, strlen(DIALECT), problem);
        REQUIRE(once != NULL);
    }
    return once;
}

static void check_records(const struct jt808_frame *frame, struct jt808_track *track) {
    const struct jt808_origin origin = {.dialect = dialect(), .device_code = "T", .offset_minutes = 480};
    struct jt808_outcome outcome;
    cJSON *records = cJSON_CreateArray(), *intervals = cJSON_CreateArray(), *record;
    const struct jt808_out out = {.records = records, .intervals = intervals, .outcome = &outcome};
    uint8_t *body = fuzz_copy(frame->body, frame->length);
    int code = jt808_records(frame->id, body, frame->length, &origin, track, &out);
    REQUIRE(code == 0 || (outcome.problem[0] != '\0' && outcome.records == 0));
    REQUIRE((unsigned)cJSON_GetArraySize(records) == outcome.records);
    cJSON_ArrayForEach(record, records) {
        const cJSON *place = cJSON_GetObjectItemCaseSensitive(record, "position");
        REQUIRE(cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(record, "observed_at_ms")));
        if (place != NULL) {
            REQUIRE(fabs(cJSON_GetObjectItemCaseSensitive(place, "lat")->valuedouble) <= 90);
            REQUIRE(fabs(cJSON_GetObjectItemCaseSensitive(place, "lon")->valuedouble) <= 180);
        }
    }
    REQUIRE((cJSON_GetArraySize(intervals) > 0) == (outcome.left_over > 0));
    cJSON_Delete(records);
    cJSON_Delete(intervals);
    free(body);
}

static void check_bodies(const struct jt808_frame *frame) {
    struct jt808_registration registration;
    struct jt808_authentication authentication;
    struct jt808_answer answer;
    struct jt808_media media;
    uint8_t *body = fuzz_copy(frame->body, frame->length);
    cJSON *parameters = jt808_told_parameters(body, frame->length);
    char *shown = cJSON_PrintUnformatted(parameters);
    REQUIRE(shown != NULL && strchr(shown, '\\') == NULL);
    free(shown);
    free(body);
    cJSON_Delete(parameters);
    jt808_registration(frame, &registration);
    jt808_authentication(frame, &authentication);
    jt808_answer(frame, &answer);
    if (jt808_media(frame->id, frame->body, frame->length, &media) == 0 && media.data != NULL) {
        REQUIRE(media.data + media.length == frame->body + frame->length);
    }
}

/* A used frame that is no sub-packet is the same when it is built again. */
static void check_again(const struct jt808_frame *frame) {
    static uint8_t wire[JT808_WIRE_MAX];
    static struct jt808_frame again;
    struct reading_result result;
    struct jt808_address to = jt808_address_of(frame);
    int length = jt808_build(&to, frame->id, frame->serial, frame->body, frame->length, wire);
    REQUIRE(length > 0);
    REQUIRE(jt808_read(wire, (size_t)length, false, &result) == READING_FRAME && result.length == (size_t)length);
    jt808_parse(wire, (size_t)length, &again);
    REQUIRE(again.standing == JT808_GOOD && again.length == frame->length && again.serial == frame->serial);
    REQUIRE(memcmp(again.body, frame->body, frame->length) == 0 && strcmp(again.phone, frame->phone) == 0);
}

static void check_frame(const uint8_t *bytes, size_t length, struct jt808_track *track) {
    static struct jt808_frame frame;
    uint8_t *copy = fuzz_copy(bytes, length);
    jt808_parse(copy, length, &frame);
    free(copy);
    REQUIRE((frame.standing == JT808_GOOD) == (frame.problem[0] == '\0'));
    REQUIRE(frame.has_header || frame.standing == JT808_BAD);
    if (frame.standing == JT808_BAD) {
        return;
    }
    REQUIRE(frame.length == frame.declared && frame.check == frame.computed && frame.length <= JT808_BODY_MAX);
    check_bodies(&frame);
    check_records(&frame, track);
    if (jt808_is_readable(&frame)) {
        check_again(&frame);
    }
}

static void check_shown(const uint8_t *data, size_t size) {
    char *hex = malloc(2 * size + 1);
    REQUIRE(hex != NULL);
    hex[0] = '\0';
    for (size_t i = 0; i < size; i++) {
        snprintf(hex + 2 * i, 3, "%02x", data[i]);
    }
    cJSON *out = cJSON_CreateObject();
    REQUIRE(jt808_decode_line(hex, 2 * size, out) == 0);
    REQUIRE(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(out, "valid")) !=
            (cJSON_GetObjectItemCaseSensitive(out, "why") != NULL));
    cJSON_Delete(out);
    out = cJSON_CreateObject();
    jt808_decode_line((const char *)data, size, out);
    cJSON_Delete(out);
    free(hex);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct jt808_track track = {0};
    size_t at = 0;
    while (at < size) {
        size_t window = size - at < JT808_WIRE_MAX ? size - at : JT808_WIRE_MAX;
        struct reading_result result, whole;
        uint8_t *buffer = fuzz_copy(data + at, window);
        enum reading reading = jt808_read(buffer, window, window == size - at, &result);
        if (reading == READING_MORE) {
            REQUIRE(window == size - at); /* never at its bound */
            free(buffer);
            break;
        }
        REQUIRE(result.length > 0 && result.length <= window && (reading == READING_FRAME || result.why != NULL));
        if (reading == READING_FRAME) {
            check_frame(buffer, result.length, &track);
        }
        /* Told before the end was known or after: the same, if it was told. */
        if (jt808_read(buffer, window, false, &whole) != READING_MORE) {
            REQUIRE(whole.length == result.length);
        }
        at += result.length;
        free(buffer);
    }
    check_shown(data, size < 2048 ? size : 2048);
    return 0;
}
