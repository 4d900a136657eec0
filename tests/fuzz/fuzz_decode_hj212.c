/* fuzz_decode_hj212.c: a connection that speaks HJ 212, cut into pieces: what is held stays bounded, every answer is a
 * frame that is right and answers no answer, records are finite and of the frame's time, and what is shown to people is
 * always an object with a verdict. The first byte chooses how the stream is cut and how frames are read. */
#include <math.h>

#include "fuzz.h"
#include "hub/base/member.h"
#include "hub/base/text.h"
#include "hub/gateway/hj212_records.h"

enum { PIECES_MAX = 256 };

static const char dialect_text[] =
    "{\"subsystem\": \"incineration\", \"use\": \"NT\", \"factors\": {\"a21002\": {\"field\": \"nox_mg_m3\", \"unit\": "
    "\"ug/m3\"}, \"a34004\": {\"field\": \"pm_mg_m3\"}, \"LA\": {\"field\": \"co_mg_m3\"}, \"107\": {\"field\": "
    "\"co_mg_m3\", \"scale\": 0.5, \"add\": -1}}, \"flag_field\": {\"field\": \"monitor_state\", \"map\": {\"N\": 0, "
    "\"D\": 4}}}";

static const uint8_t key[HJ212_KEY_BYTES] = "0000000000000000";

static struct hj212_dialect *dialect;
static struct hj212_frame frame, answered;

static void check_answer(const char *out, size_t length, enum hj212_crc crc) {
    struct reading_result result;
    REQUIRE(length < HJ212_ANSWER_MAX);
    if (length == 0) {
        return;
    }
    REQUIRE(frame.command != 0 && !(frame.command >= 9011 && frame.command <= 9014));
    REQUIRE(hj212_read(out, length, false, &result) == READING_FRAME && result.length == length);
    hj212_parse(out, length, NULL, &answered);
    enum hj212_crc sent = crc == HJ212_CRC_OFF ? HJ212_CRC_STANDARD : crc;
    REQUIRE(
        hj212_crc(sent, out + 6, length - 12) ==
        (unsigned)strtoul((char[]){out[length - 6], out[length - 5], out[length - 4], out[length - 3], 0}, NULL, 16));
    REQUIRE((answered.faults & (HJ212_LENGTH_WRONG | HJ212_CRC_WRONG | HJ212_CRC_MISSING | HJ212_NO_COMMAND)) == 0);
}

static void check_numbers(const cJSON *item) {
    for (; item != NULL; item = item->next) {
        REQUIRE(!cJSON_IsNumber(item) || isfinite(item->valuedouble));
        check_numbers(item->child);
    }
}

static void check_records(void) {
    struct hj212_origin origin = {.dialect = dialect, .device_code = "D", .offset_minutes = 480};
    struct hj212_outcome outcome;
    cJSON *telemetry = cJSON_CreateArray(), *intervals = cJSON_CreateArray();
    int code = hj212_records(&frame, &origin, telemetry, intervals, &outcome);
    REQUIRE(code == 0 || *outcome.problem != '\0');
    REQUIRE(outcome.readings == (unsigned)cJSON_GetArraySize(telemetry) && outcome.readings <= 1);
    REQUIRE(outcome.intervals == (unsigned)cJSON_GetArraySize(intervals) &&
            outcome.intervals <= 2 + (HJ212_ITEMS_MAX + 99) / 100);
    check_numbers(telemetry->child);
    check_numbers(intervals->child);
    cJSON_Delete(telemetry);
    cJSON_Delete(intervals);
}

static void check_text(const char *text) {
    REQUIRE(text == NULL || text_flaw(text, strlen(text), true) == NULL);
}

static void check_frame(const char *bytes, size_t length, uint8_t choice) {
    char reason[HJ212_REASON_MAX], out[HJ212_ANSWER_MAX];
    enum hj212_crc crc = (enum hj212_crc)(choice >> 4 & 3);
    hj212_parse(bytes, length, (choice & 8) != 0 ? key : NULL, &frame);
    REQUIRE((*hj212_why(&frame, reason) == '\0') == (frame.faults == 0));
    hj212_note(&frame, reason);
    check_text(frame.mn);
    for (size_t i = 0; i < frame.item_count; i++) {
        check_text(frame.items[i].name);
        check_text(frame.items[i].value);
    }
    check_answer(out, hj212_answer(&frame, crc, out), crc);
    check_answer(out, hj212_refuse(&frame, HJ212_WRONG_MN, crc, out), crc);
    struct hj212_peer peer = {.st = frame.st, .pw = frame.pw, .mn = frame.mn, .version = frame.version, .crc = crc};
    frame.command = frame.command >= 9011 && frame.command <= 9014 ? 0 : frame.command;
    if (frame.command != 0) {
        check_answer(out, hj212_set_clock(&peer, hj212_value(&frame, "PolId"), 1785545937223, out), crc);
        check_answer(out, hj212_fetch(&peer, 2061, 0, 1785545937223, 1785545937223, out), crc);
    }
    if (hj212_refusal(&frame, crc, reason) == NULL) {
        check_records();
    } else {
        REQUIRE(*reason != '\0');
    }
}

/* The stream in pieces of `step` bytes. */
static void check_stream(const char *bytes, size_t length, size_t step, uint8_t choice) {
    size_t begin = 0, fed = 0;
    while (true) {
        struct reading_result result = {0};
        char *held = (char *)fuzz_copy((const uint8_t *)bytes + begin, fed - begin);
        enum reading reading = hj212_read(held, fed - begin, fed == length, &result);
        REQUIRE(reading == READING_MORE ||
                (result.length > 0 && result.length <= fed - begin && result.length <= HJ212_FRAME_MAX));
        REQUIRE(reading != READING_MORE || fed - begin < HJ212_FRAME_MAX);
        if (reading == READING_FRAME) {
            check_frame(held, result.length, choice);
        }
        free(held);
        if (reading == READING_MORE && fed == length) {
            return;
        }
        begin += reading == READING_MORE ? 0 : result.length;
        fed += reading == READING_MORE ? (length - fed < step ? length - fed : step) : 0;
    }
}

static void check_shown(const uint8_t *data, size_t size) {
    cJSON *out = cJSON_CreateObject();
    char *line = (char *)fuzz_copy(data, size);
    REQUIRE(out != NULL && hj212_decode_line(line, size, out) == 0);
    REQUIRE(cJSON_IsBool(member_get(out, "valid")));
    REQUIRE(cJSON_IsTrue(member_get(out, "valid")) == (member_get(out, "why") == NULL));
    cJSON_Delete(out);
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char problem[DIALECT_PROBLEM_MAX];
    if (dialect == NULL) {
        dialect = hj212_dialect_parse(dialect_text, sizeof dialect_text - 1, problem);
        REQUIRE(dialect != NULL);
    }
    if (size == 0) {
        return 0;
    }
    /* A long one in larger pieces: all that is held is looked at anew with each. */
    static const size_t steps[] = {1, 7, 64, 100000};
    size_t step = steps[data[0] & 3] + size / PIECES_MAX;
    check_stream((const char *)data + 1, size - 1, step, data[0]);
    check_shown(data + 1, size - 1);
    hj212_dialect_free(hj212_dialect_parse((const char *)data + 1, size - 1, problem));
    return 0;
}
