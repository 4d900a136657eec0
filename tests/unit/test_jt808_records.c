/* test_jt808_records.c: positions as a vendor's records, by dialects; the dialects that are shipped, and files that are
 * wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <glob.h>
#include <stdbool.h>

#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/gateway/jt808_records.h"
#include "jt808_rows.h"

static char problem[DIALECT_PROBLEM_MAX];

static struct jt808_dialect *parse(const char *text) {
    struct jt808_dialect *dialect = jt808_dialect_parse(text, strlen(text), problem);
    if (dialect == NULL) {
        fail_msg("%s", problem);
    }
    return dialect;
}

static struct jt808_dialect *shipped(const char *name) {
    char path[256], why[FILE_PROBLEM_MAX];
    size_t length;
    snprintf(path, sizeof path, "%s/config/gateway/jt808/%s.json", CITYHUB_SOURCE_DIR, name);
    char *text = file_read(path, 1 << 16, &length, why);
    assert_non_null(text);
    struct jt808_dialect *dialect = parse(text);
    free(text);
    return dialect;
}

/* ---- positions to read */

/* One of 2026-11-27 10:00:00 Beijing time at 34.058300, 114.392500, with items in hexadecimal behind it. */
struct place {
    uint32_t alarm, status, lat, lon;
    const char *time, *items;
};
static const struct place HERE = {.status = 3, .lat = 34058300, .lon = 114392500, .time = "261127100000", .items = ""};
static const int64_t HERE_MS = INT64_C(1795744800000);

static size_t body_of(const struct place *place, uint8_t body[static 512]) {
    char hex[1024];
    snprintf(hex, sizeof hex, "%08x%08x%08x%08x0064019000b4%s%s", place->alarm, place->status, place->lat, place->lon,
             place->time, place->items);
    return bytes_of(hex, body, 512);
}

static struct jt808_track track;
static struct jt808_outcome outcome;
static cJSON *intervals; /* of the last records_of */
static bool is_2019;     /* the frames of records_of */

static cJSON *records_of(const struct jt808_dialect *dialect, uint16_t id, const uint8_t *body, size_t length) {
    const struct jt808_origin origin = {
        .dialect = dialect, .device_code = "T-1", .is_2019 = is_2019, .offset_minutes = 480};
    cJSON *records = cJSON_CreateArray();
    cJSON_Delete(intervals);
    intervals = cJSON_CreateArray();
    const struct jt808_out out = {.records = records, .intervals = intervals, .outcome = &outcome};
    assert_int_equal(jt808_records(id, body, length, &origin, &track, &out), 0);
    return records;
}

/* The record of one position as text. */
static char *record_of(const struct jt808_dialect *dialect, const struct place *place) {
    uint8_t body[512];
    size_t length = body_of(place, body);
    cJSON *records = records_of(dialect, JT808_POSITION, body, length);
    assert_int_equal(cJSON_GetArraySize(records), 1);
    char *text = cJSON_PrintUnformatted(cJSON_GetArrayItem(records, 0));
    cJSON_Delete(records);
    return text;
}

static void check_record(const struct jt808_dialect *dialect, const struct place *place, const char *expected) {
    char *text = record_of(dialect, place);
    assert_string_equal(text, expected);
    free(text);
}

/* The value of one field, as JSON; "" = it has none. */
static void check_field(const struct jt808_dialect *dialect, const struct place *place, const char *field,
                        const char *value) {
    char *text = record_of(dialect, place);
    cJSON *record = cJSON_Parse(text), *item = cJSON_GetObjectItemCaseSensitive(record, field);
    char *given = item == NULL ? NULL : cJSON_PrintUnformatted(item);
    if (strcmp(given == NULL ? "" : given, value) != 0) {
        fail_msg("%s of %s must be %s", field, text, value);
    }
    free(given);
    cJSON_Delete(record);
    free(text);
}

static struct place with(uint32_t status, const char *items) {
    struct place place = HERE;
    place.status |= status;
    place.items = items;
    return place;
}

static void test_record(void **state) {
    (void)state;
    struct jt808_dialect *dialect = shipped("construction_waste");
    struct place place = with(3 << 8, "01040000000a300118");
    place.alarm = 1 << 4 | 1 << 8;
    track = (struct jt808_track){0};
    check_record(
        dialect, &place,
        "{\"device_code\":\"T-1\",\"observed_at_ms\":1795744800000,\"position\":{\"lon\":114.3925,\"lat\":34.0583,"
        "\"system\":\"WGS84\"},\"speed_km_h\":40,\"heading_deg\":180,\"mileage_km\":1,\"engine_on\":true,"
        "\"load_percent\":100,\"fault_text\":\"GNSS 模块故障、终端主电源掉电\"}");
    place = with(1 << 5, "0102000a"); /* offset coordinates; a mileage of two bytes is none */
    check_field(dialect, &place, "mileage_km", "");
    check_field(dialect, &place, "position", "{\"lon\":114.3925,\"lat\":34.0583,\"system\":\"GCJ02\"}");
    place = with(1 << 9, ""); /* load 10 is reserved */
    check_field(dialect, &place, "load_percent", "");
    check_field(dialect, &HERE, "load_percent", "0");
    check_field(dialect, &HERE, "fault_text", "");
    place = with(12, ""); /* south and west; and a terminal that sends the sign itself */
    track = (struct jt808_track){0};
    check_field(dialect, &place, "position", "{\"lon\":-114.3925,\"lat\":-34.0583,\"system\":\"WGS84\"}");
    place.lat = (uint32_t)-34058300;
    check_field(dialect, &place, "position", "{\"lon\":-114.3925,\"lat\":-34.0583,\"system\":\"WGS84\"}");
    jt808_dialect_free(dialect);
}

static void test_polarity(void **state) {
    (void)state;
    struct jt808_dialect *dialect = shipped("construction_waste-example-status");
    struct place place = with(1U << 28 | 1U << 29, "");
    check_field(dialect, &place, "cover_closed", "false");
    check_field(dialect, &place, "bed_lifted", "true");
    check_field(dialect, &HERE, "cover_closed", "true");
    check_field(dialect, &HERE, "bed_lifted", "false");
    jt808_dialect_free(dialect);
    dialect = shipped("construction_waste-example-item");
    place = with(0, "E503010202E60200FF");
    check_field(dialect, &place, "cover_closed", "true");
    check_field(dialect, &place, "bed_lifted", "true");
    check_field(dialect, &place, "load_percent", "100");
    check_field(dialect, &place, "load_kg", "2550");
    place = with(0, "E50501"); /* it says five bytes and has one: which one that is, nobody knows */
    check_field(dialect, &place, "cover_closed", "");
    place = with(0, "E5020201E602FFFFE101"); /* shorter than known; no value; the last one is cut */
    check_field(dialect, &place, "cover_closed", "false");
    check_field(dialect, &place, "bed_lifted", "false");
    check_field(dialect, &place, "load_percent", "");
    check_field(dialect, &place, "load_kg", "");
    place = with(
        0, "E503090909E6050000000001"); /* codes that are not in the map; longer than wanted: the first two bytes */
    check_field(dialect, &place, "cover_closed", "");
    check_field(dialect, &place, "load_kg", "0");
    jt808_dialect_free(dialect);
    dialect = shipped("sanitation-example");
    place = with(0, "2A02000CE70163");
    check_field(dialect, &place, "sweeping_on", "true");
    check_field(dialect, &place, "spraying_on", "true");
    check_field(dialect, &place, "compacting_on", "false");
    check_field(dialect, &place, "water_tank_percent", "99");
    jt808_dialect_free(dialect);
    dialect = shipped("enforcement");
    place.alarm = 1;
    check_field(dialect, &place, "sos", "true");
    jt808_dialect_free(dialect);
}

static void test_numbers(void **state) {
    (void)state;
    struct jt808_dialect *dialect =
        parse("{\"subsystem\": \"enforcement\", \"fields\": ["
              "{\"field\": \"altitude_m\", \"from\": \"position\", \"value\": \"altitude\"},"
              "{\"field\": \"battery_percent\", \"from\": \"item\", \"item\": \"e1\", \"at\": 1, \"bytes\": 2, "
              "\"little_endian\": true, \"signed\": true, \"scale\": 0.5, \"add\": 100},"
              "{\"field\": \"plate\", \"from\": \"item\", \"item\": \"E2\", \"at\": 1},"
              "{\"field\": \"events_total\", \"from\": \"item\", \"item\": \"E3\", \"bit\": 4, \"bits\": 4},"
              "{\"field\": \"fault_text\", \"from\": \"item\", \"item\": \"E3\", \"map\": {\"18\": \"十八\"}}]}");
    struct place place = with(0, "E103FFFEFFE20801D4C14131323334E30112");
    check_field(dialect, &place, "altitude_m", "100");
    check_field(dialect, &place, "battery_percent", "99");
    check_field(dialect, &place, "plate", "\"粤A1234\"");
    check_field(dialect, &place, "events_total", "1");
    check_field(dialect, &place, "fault_text", "\"十八\"");
    place.items = "E3050102030405"; /* five bytes are no number */
    check_field(dialect, &place, "events_total", "");
    jt808_dialect_free(dialect);
}

static void test_times(void **state) {
    (void)state;
    int64_t ms;
    static const uint8_t leap[6] = {0x28, 0x02, 0x29, 0x23, 0x59, 0x59}, none[6] = {0x27, 0x02, 0x29, 0, 0, 0};
    static const uint8_t month[6] = {0x28, 0x35, 0x01, 0, 0, 0}, hexadecimal[6] = {0x2a, 1, 1, 0, 0, 0};
    static const uint8_t first[6] = {0x00, 0x03, 0x01, 0x08, 0, 0};
    assert_int_equal(jt808_time_ms(leap, 480, &ms), 0);
    assert_int_equal(ms, INT64_C(1835452799000)); /* 2028-02-29 15:59:59 UTC */
    assert_int_equal(jt808_time_ms(leap, 0, &ms), 0);
    assert_int_equal(ms, INT64_C(1835481599000));
    assert_int_equal(jt808_time_ms(first, 480, &ms), 0);
    assert_int_equal(ms, INT64_C(951868800000)); /* 2000-03-01 00:00:00 UTC */
    assert_int_equal(jt808_time_ms(none, 480, &ms), CH_EINVAL);
    assert_int_equal(jt808_time_ms(month, 480, &ms), CH_EINVAL);
    assert_int_equal(jt808_time_ms(hexadecimal, 480, &ms), CH_EINVAL);
}

/* ---- places that are not to be trusted */

static const char SURE[] = "{\"lon\":114.3925,\"lat\":34.0583,\"system\":\"WGS84\"}";

static void test_no_fix(void **state) {
    (void)state;
    struct jt808_dialect *dialect = shipped("sanitation");
    struct place place = HERE;
    place.status = 1;
    track = (struct jt808_track){0};
    check_field(dialect, &place, "position",
                "{\"lon\":114.3925,\"lat\":34.0583,\"system\":\"WGS84\",\"doubt\":\"POSITION_NO_FIX\"}");
    assert_int_equal(outcome.no_fix, 1);
    assert_false(track.known);
    place.lat = place.lon = 0; /* nothing to keep, with the fix bit or without */
    check_field(dialect, &place, "position", "");
    place.status = 3;
    check_field(dialect, &place, "position", "");
    assert_int_equal(outcome.no_fix, 1);
    place.lat = 116307629; /* exchanged */
    place.lon = 40058359;
    check_field(dialect, &place, "position", "");
    assert_non_null(strstr(outcome.problem, "exchange"));
    check_field(dialect, &place, "speed_km_h", "40"); /* the rest of the record counts */
    jt808_dialect_free(dialect);
}

static void test_jump(void **state) {
    (void)state;
    struct jt808_dialect *dialect = shipped("sanitation");
    struct place place = HERE;
    track = (struct jt808_track){0};
    check_field(dialect, &place, "position", SURE);
    place.time = "261127100010"; /* 10 s later 11 km to the north */
    place.lat += 100000;
    check_field(dialect, &place, "position",
                "{\"lon\":114.3925,\"lat\":34.1583,\"system\":\"WGS84\",\"doubt\":\"POSITION_JUMP\"}");
    assert_int_equal(outcome.jumps, 1);
    place.time = "261127100020"; /* and back: that is no jump */
    place.lat = HERE.lat;
    check_field(dialect, &place, "position", SURE);
    assert_int_equal(outcome.jumps, 0);
    place.time = "261127095950"; /* backfill of before, far away: a jump, and the newest place stays */
    place.lat += 100000;
    check_field(dialect, &place, "position",
                "{\"lon\":114.3925,\"lat\":34.1583,\"system\":\"WGS84\",\"doubt\":\"POSITION_JUMP\"}");
    static const char *const times[] = {"261127100030", "261127100040", "261127100050"};
    for (size_t i = 0; i < 3; i++) { /* three that agree are believed: it was on a ferry, or the first was wrong */
        place.time = times[i];
        free(record_of(dialect, &place));
        assert_int_equal(outcome.jumps, i < 2);
    }
    place.time = "261127101050"; /* 11 km in 10 minutes are driven */
    place.lat = HERE.lat;
    check_field(dialect, &place, "position", SURE);
    jt808_dialect_free(dialect);
}

static void test_batch(void **state) {
    (void)state;
    struct jt808_dialect *dialect = shipped("sanitation");
    uint8_t batch[1024] = {0, 3, 1}, body[512];
    size_t length = 3;
    struct place place = HERE;
    track = (struct jt808_track){0};
    static const char *const times[] = {"261127100000", "261327100000", "261127100001"}; /* the second has a month 13 */
    for (size_t i = 0; i < 3; i++) {
        place.time = times[i];
        size_t one = body_of(&place, body);
        batch[length] = (uint8_t)(one >> 8);
        batch[length + 1] = (uint8_t)one;
        memcpy(batch + length + 2, body, one);
        length += 2 + one;
    }
    cJSON *records = records_of(dialect, JT808_BATCH, batch, length);
    assert_int_equal(cJSON_GetArraySize(records), 2);
    assert_true(outcome.records == 2 && outcome.refused == 1);
    assert_non_null(strstr(outcome.problem, "position 2 has a time that is none: 26-13-27"));
    const cJSON *last = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(records, 1), "observed_at_ms");
    assert_true(last->valuedouble == (double)(HERE_MS + 1000));
    cJSON_Delete(records);
    records = records_of(dialect, JT808_BATCH, batch, length - 5); /* cut: what is left of the last is too short */
    assert_true(outcome.records == 1 && outcome.refused == 2);
    cJSON_Delete(records);
    batch[0] = 9;
    records = records_of(dialect, JT808_BATCH, batch, length);
    assert_int_equal(outcome.records, 2);
    cJSON_Delete(records);
    const struct jt808_origin origin = {.dialect = dialect, .device_code = "T-1"};
    records = cJSON_CreateArray();
    const struct jt808_out out = {.records = records, .intervals = intervals, .outcome = &outcome};
    assert_int_equal(jt808_records(JT808_BATCH, batch, 2, &origin, &track, &out), CH_EINVAL);
    assert_int_equal(jt808_records(JT808_HEARTBEAT, batch, 0, &origin, &track, &out), CH_EINVAL);
    assert_int_equal(jt808_records(JT808_POSITION_ANSWER, batch, 1, &origin, &track, &out), CH_EINVAL);
    assert_int_equal(jt808_records(JT808_POSITION, body, 27, &origin, &track, &out), 0);
    assert_int_equal(outcome.refused, 1);
    memmove(body + 2, body, 28);
    assert_int_equal(jt808_records(JT808_POSITION_ANSWER, body, 30, &origin, &track, &out), 0);
    assert_int_equal(outcome.records, 1);
    cJSON_Delete(records);
    jt808_dialect_free(dialect);
}

/* ---- what no field takes */

static void check_others(const struct jt808_dialect *dialect, const struct place *place, const char *expected) {
    char *text = record_of(dialect, place);
    free(text);
    cJSON *others = cJSON_CreateArray();
    const cJSON *record, *other;
    assert_int_equal(cJSON_GetArraySize(intervals),
                     outcome.left_over == 0 ? 0 : (int)(outcome.left_over - 1) / 100 + 1);
    cJSON_ArrayForEach(record, intervals) {
        assert_string_equal(cJSON_GetObjectItem(record, "device_code")->valuestring, "T-1");
        assert_true(cJSON_GetObjectItem(record, "began_at_ms")->valuedouble == (double)HERE_MS);
        assert_true(cJSON_GetObjectItem(record, "seconds")->valuedouble == 0);
        assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(record, "others")) <= 100);
        cJSON_ArrayForEach(other, cJSON_GetObjectItem(record, "others")) {
            char pair[600];
            snprintf(pair, sizeof pair, "%s=%s", cJSON_GetObjectItem(other, "key")->valuestring,
                     cJSON_GetObjectItem(other, "value")->valuestring);
            cJSON_AddItemToArray(others, cJSON_CreateString(pair));
        }
    }
    assert_int_equal(cJSON_GetArraySize(others), outcome.left_over);
    text = cJSON_PrintUnformatted(others);
    if (expected != NULL) {
        assert_string_equal(text, expected);
    }
    free(text);
    cJSON_Delete(others);
}

static void test_others(void **state) {
    (void)state;
    struct jt808_dialect *dialect = shipped("construction_waste-example-item");
    struct place place = HERE;
    check_others(dialect, &place, "[]");
    place.items =
        "01040000001e3001043101092b00"; /* mileage is a field, signal and satellites are ignored, 2B says nothing */
    check_others(dialect, &place, "[]");
    place.items = "E1020a0bE1010cE503010201E6010525047f"; /* E6 is shorter than its field, 25 than it says */
    check_others(dialect, &place, "[\"item_E1=0a0b\",\"item_E1_2=0c\",\"item_E6=05\",\"item_25=7f\"]");
    place.items = "E503010201E503020202"; /* the last one counts, and the first is not lost */
    check_others(dialect, &place, "[\"item_E5=010201\"]");
    place.items = "E503010902E602FFFF"; /* 09 is a code that the map has not; FFFF says nothing */
    check_others(dialect, &place, "[\"item_E5=010902\"]");
    place.items = "";
    place.alarm = 1 << 4 | 1; /* bit 4 is a text's */
    place.status |= UINT32_C(1) << 30 | 1 << 10;
    check_others(dialect, &place, "[\"alarm=0x00000011\",\"status=0x40000403\"]");
    place.alarm = 1 << 4;
    /* Bit 22 is a maker's own until 2019, when the vehicle moves by it, as bits 18 to 21 are the systems it has its
     * place by. */
    place.status = UINT32_C(1) << 22 | 1 << 21 | 3;
    check_others(dialect, &place, "[\"status=0x00600003\"]");
    is_2019 = true;
    check_others(dialect, &place, "[]");
    is_2019 = false;
    place.status = 3;
    jt808_dialect_free(dialect);
    dialect = shipped("construction_waste-example-status");
    place.items = "";
    place.alarm = 0;
    place.status = UINT32_C(3) << 28 | 3;
    check_others(dialect, &place, "[]");
    place.status = 2 << 8 | 3; /* a load that is reserved */
    check_others(dialect, &place, "[\"status=0x00000203\"]");
    place.status = 3;
    char items[6 * 70 + 1] = "";
    for (int i = 0; i < 70; i++) {
        snprintf(items + 6 * i, 7, "F001%02x", i);
    }
    place.items = items;
    check_others(dialect, &place, NULL);
    assert_int_equal(outcome.left_over, 70);
    jt808_dialect_free(dialect);
    dialect = parse("{\"subsystem\": \"enforcement\", \"fields\": [{\"field\": \"fault_text\", \"from\": \"item\", "
                    "\"item\": \"E3\", \"texts\": {\"0\": \"断线\", \"3\": \"短路\"}}]}");
    place.items = "E30109";
    check_others(dialect, &place, "[]");
    place.items = "E3010b"; /* bit 1 has no text */
    check_others(dialect, &place, "[\"item_E3=0b\"]");
    jt808_dialect_free(dialect);
    dialect = shipped("sanitation-example"); /* bits 2 to 4 of 2A, two bytes of E6 */
    place.items = "2A02001cE60403e80000";
    check_others(dialect, &place, "[]");
    place.items = "2A02041cE60403e80001";
    check_others(dialect, &place, "[\"item_2A=041c\",\"item_E6=03e80001\"]");
    jt808_dialect_free(dialect);
    dialect = parse(
        "{\"subsystem\": \"sanitation\", \"ignore\": [\"E7\"], \"fields\": ["
        "{\"field\": \"sweeping_on\", \"from\": \"item\", \"item\": \"E3\", \"bytes\": 2, \"little_endian\": true, \"bit\": 9}, "
        "{\"field\": \"spraying_on\", \"from\": \"item\", \"item\": \"E7\", \"bytes\": 1, \"bit\": 0}]}");
    place.items = "E3020002E70181"; /* who ignores an item that he reads wants no more of it */
    check_others(dialect, &place, "[]");
    place.items = "E3020200";
    check_others(dialect, &place, "[\"item_E3=0200\"]");
    jt808_dialect_free(dialect);
}

/* ---- files */

static void test_shipped(void **state) {
    (void)state;
    glob_t found;
    assert_int_equal(glob(CITYHUB_SOURCE_DIR "/config/gateway/jt808/*.json", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 6);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        char why[FILE_PROBLEM_MAX];
        size_t length;
        char *text = file_read(found.gl_pathv[i], 1 << 16, &length, why);
        struct jt808_dialect *dialect = jt808_dialect_parse(text, length, problem);
        if (dialect == NULL) {
            fail_msg("%s: %s", found.gl_pathv[i], problem);
        }
        const char *name = strrchr(found.gl_pathv[i], '/') + 1, *subsystem = jt808_dialect_subsystem(dialect);
        assert_memory_equal(name, subsystem, strlen(subsystem)); /* a file is named by its subsystem */
        jt808_dialect_free(dialect);
        free(text);
    }
    globfree(&found);
}

/* The example of the guide is a dialect. */
static void test_guide(void **state) {
    (void)state;
    char why[FILE_PROBLEM_MAX];
    size_t length;
    char *text = file_read(CITYHUB_SOURCE_DIR "/docs/jt808.md", 1 << 16, &length, why);
    assert_non_null(text);
    char *start = strstr(text, "```json\n");
    assert_non_null(start);
    *strstr(start + 8, "```") = '\0';
    struct jt808_dialect *dialect = parse(start + 8);
    struct place place = with(1U << 28, "E60301FFFF");
    check_field(dialect, &place, "cover_closed", "false");
    check_field(dialect, &place, "load_kg", "");
    jt808_dialect_free(dialect);
    free(text);
}

#define ENFORCEMENT "{\"subsystem\": \"enforcement\", \"fields\": [{\"field\": \"sos\", \"from\": "

/* A key of 400 letters: its fault has room where a reason has. */
#define FORTY "abcdefghijklmnopqrstuvwxyzabcdefghijklmn"
#define LONG_KEY FORTY FORTY FORTY FORTY FORTY FORTY FORTY FORTY FORTY FORTY

static void test_wrong_files(void **state) {
    (void)state;
    static const struct {
        const char *text, *problem;
    } files[] = {
        {"", "the file: is no JSON at line 1"},
        {"{\n\"title\": }", "the file: is no JSON at line 2"},
        {"[]", "the file: must be a JSON object"},
        {"{\"subsystems\": 1}", "subsystems: there is no such key here"},
        {"{\"" LONG_KEY "\": 1}", FORTY ": there is no such key here"},
        {"{\"title\": 1, \"title\": 2}", "title: stands here twice"},
        {"{\"subsystem\": \"trucks\"}", "subsystem: must be a subsystem, such as construction_waste"},
        {"{\"subsystem\": \"enforcement\"}", "fields: must be a list of one entry or more"},
        {"{\"subsystem\": \"enforcement\", \"max_speed_km_h\": 0}", "max_speed_km_h: must be 10 to 2000"},
        {"{\"subsystem\": \"enforcement\", \"coordinate_system\": \"UTM\"}",
         "coordinate_system: must be one of WGS84, CGCS2000, GCJ02, BD09"},
        {"{\"subsystem\": \"enforcement\", \"fields\": [{\"field\": \"load_kg\"}]}",
         "fields[0].field: must be a field of enforcement; \"load_kg\" is none"},
        {"{\"subsystem\": \"enforcement\", \"ignore\": [30]}",
         "ignore: must be a list of two hexadecimal digits each, such as \"30\""},
        {"{\"subsystem\": \"enforcement\", \"ignore\": \"30\"}", "ignore: must be a list of items"},
        {ENFORCEMENT "\"alarms\"}]}", "fields[0].from: must be one of status, alarm, position, item"},
        {ENFORCEMENT "\"alarm\"}]}", "fields[0].bit: is missing: which bit of the alarm?"},
        {ENFORCEMENT "\"alarm\", \"bit\": 32}]}", "fields[0].bit: must be a whole number of 0 to 31"},
        {ENFORCEMENT "\"alarm\", \"bit\": 31, \"bits\": 2}]}", "fields[0].bits: must be a whole number of 1 to 1"},
        {ENFORCEMENT "\"alarm\", \"bits\": 2}]}", "fields[0].bits: needs \"bit\", the lowest of them"},
        {ENFORCEMENT "\"alarm\", \"bit\": 1, \"invert\": true}]}", "fields[0].invert: there is no such key here"},
        {ENFORCEMENT "\"alarm\", \"bit\": 1, \"at\": 1}]}", "fields[0].at: is for \"from\": \"item\" only"},
        {ENFORCEMENT "\"item\", \"item\": \"E\"}]}", "fields[0].item: must be two hexadecimal digits, such as \"2B\""},
        {ENFORCEMENT "\"item\", \"item\": \"E1\", \"bytes\": 5}]}",
         "fields[0].bytes: must be a whole number of 1 to 4"},
        {ENFORCEMENT "\"item\", \"item\": \"E1\", \"map\": {\"1\": 5}}]}",
         "fields[0].map: \"1\" must mean a true or false"},
        {ENFORCEMENT "\"item\", \"item\": \"E1\", \"map\": {\"x\": true}}]}",
         "fields[0].map: \"x\" is no whole number"},
        {ENFORCEMENT "\"item\", \"item\": \"E1\", \"none\": [\"x\"]}]}",
         "fields[0].none: must be a list of at most 16 numbers"},
        {ENFORCEMENT "\"item\", \"item\": \"E1\", \"signed\": 1}]}", "fields[0].signed: must be true or false"},
        {ENFORCEMENT "\"item\", \"item\": \"E1\", \"scale\": \"x\"}]}", "fields[0].scale: must be a number"},
        {ENFORCEMENT "\"position\", \"value\": \"x\"}]}", "fields[0].value: must be one of speed, direction, altitude"},
        {ENFORCEMENT "\"alarm\", \"texts\": {\"1\": \"x\"}}]}",
         "fields[0].texts: must be an object of bits and texts, for a field that is a text"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        assert_null(jt808_dialect_parse(files[i].text, strlen(files[i].text), problem));
        assert_string_equal(problem, files[i].problem);
    }
}

/* Where the data of a medium begin, of a position and data in hexadecimal. */
static void check_media(const char *place, const char *data) {
    uint8_t body[8 + 64] = {0, 0, 0, 7, 0, 0, 1, 1};
    struct jt808_media media;
    size_t before = bytes_of(place, body + 8, 32), length = bytes_of(data, body + 8 + before, 32);
    assert_int_equal(jt808_media(JT808_MEDIA, body, 8 + before + length, &media), 0);
    assert_int_equal(media.has_position, before > 0);
    assert_ptr_equal(media.data, body + 8 + before);
    assert_int_equal(media.length, length);
}

/* From 2013 on a position stands before the data; of editions before, nothing of the data may be taken for one. */
static void test_media(void **state) {
    (void)state;
    static const char *const data[] = {
        "ffd8ffe000104a46494600010100000100010000ffdb004300080606", /* JPEG */
        "3026b2758e66cf11a6d900aa0062ce6c1a0200000000000006000000", /* WMV */
        "49492a00080000000f00fe00040001000000000000000001030001ff", /* TIF */
        "0000000167640020ac2b402802dd80880000000168ee3cb000000001", /* H.264 */
        "ffd8",
    };
    for (size_t i = 0; i < sizeof data / sizeof *data; i++) {
        check_media("", data[i]);
        check_media("000000000000000302085c8006c5f5510058000000b4240801120000", data[i]);
        check_media("00000000000000000000000000000000000000000000000000000000", data[i]); /* no fix, and no clock yet */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record),      cmocka_unit_test(test_polarity), cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_times),       cmocka_unit_test(test_no_fix),   cmocka_unit_test(test_jump),
        cmocka_unit_test(test_batch),       cmocka_unit_test(test_shipped),  cmocka_unit_test(test_guide),
        cmocka_unit_test(test_wrong_files), cmocka_unit_test(test_others),   cmocka_unit_test(test_media),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
