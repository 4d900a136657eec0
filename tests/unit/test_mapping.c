/* test_mapping.c: what the JSON of foreign platforms becomes: each shipped mapping with a sample of its platform;
 * paths, times, units and code maps; what is left over is kept; what is wrong with a mapping is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/file.h"
#include "hub/base/member.h"
#include "hub/decode/json_document.h"
#include "hub/gateway/mapping.h"

#define SHIPPED_FOLDER CITYHUB_SOURCE_DIR "/config/mappings/"
#define SAMPLES CITYHUB_SOURCE_DIR "/tests/data/mappings/"
#define DIALECT CITYHUB_SOURCE_DIR "/config/gateway/hj212/dust.json"

enum { FILE_MOST = 65536, SHIPPED = 7 };

static const int64_t arrival_ms = 1790000000000;

static char *load(const char *path, size_t *length) {
    char problem[FILE_PROBLEM_MAX];
    char *text = file_read(path, FILE_MOST, length, problem);
    if (text == NULL) {
        fail_msg("%s: %s", path, problem);
    }
    return text;
}

static cJSON *load_json(const char *name, const char *ending) {
    char path[512];
    size_t length = 0;
    snprintf(path, sizeof path, SAMPLES "%s.%s.json", name, ending);
    char *text = load(path, &length);
    cJSON *json = cJSON_ParseWithLength(text, length);
    assert_non_null(json);
    free(text);
    return json;
}

static void compare(const char *name, const cJSON *made, const cJSON *wanted) {
    if (!cJSON_Compare(made, wanted, true)) {
        char *text = cJSON_PrintUnformatted(made);
        fail_msg("%s: another than expected: %s", name, text);
    }
}

static void check_shipped(const char *name) {
    char path[512], problem[DIALECT_PROBLEM_MAX];
    size_t length = 0;
    snprintf(path, sizeof path, SHIPPED_FOLDER "%s.json", name);
    char *text = load(path, &length);
    struct mapping *mapping = mapping_parse(text, length, problem);
    free(text);
    if (mapping == NULL) {
        fail_msg("%s: %s", name, problem);
    }
    assert_string_not_equal(member_text(mapping->file, "title"), "");
    text = load(DIALECT, &length);
    struct hj212_dialect *dialect = hj212_dialect_parse(text, length, problem);
    free(text);
    const struct mapping_origin origin = {
        .adapter = adapter_find("dust"), .device = "X", .now_ms = arrival_ms, .dialect = dialect};
    struct mapping_outcome outcome;
    cJSON *sample = load_json(name, "sample"), *wanted = load_json(name, "expected");
    cJSON *telemetry = cJSON_CreateArray(), *intervals = cJSON_CreateArray();
    assert_int_equal(mapping_apply(mapping, sample, &origin, telemetry, intervals, &outcome), 0);
    assert_string_equal(outcome.problem, "");
    assert_int_equal(outcome.readings, cJSON_GetArraySize(telemetry));
    assert_int_equal(outcome.intervals, cJSON_GetArraySize(intervals));
    assert_true(outcome.readings > 0);
    compare(name, telemetry, member_get(wanted, "telemetry"));
    compare(name, intervals, member_get(wanted, "interval"));
    cJSON_Delete(sample);
    cJSON_Delete(wanted);
    cJSON_Delete(telemetry);
    cJSON_Delete(intervals);
    hj212_dialect_free(dialect);
    mapping_free(mapping);
}

static void test_shipped(void **state) {
    (void)state;
    DIR *folder = opendir(SHIPPED_FOLDER);
    int count = 0;
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char name[256];
        char *dot = strrchr(entry->d_name, '.');
        if (entry->d_name[0] != '.' && dot != NULL) {
            snprintf(name, sizeof name, "%.*s", (int)(dot - entry->d_name), entry->d_name);
            check_shipped(name);
            count++;
        }
    }
    closedir(folder);
    assert_int_equal(count, SHIPPED);
}

/* "telemetry others problem" of a mapping's text and a message. */
static void expect(const char *mapping_text, const char *message, const char *wanted) {
    char problem[DIALECT_PROBLEM_MAX], shown[2048];
    struct mapping *mapping = mapping_parse(mapping_text, strlen(mapping_text), problem);
    if (mapping == NULL) {
        fail_msg("%s", problem);
    }
    const struct mapping_origin origin = {.adapter = adapter_find("dust"), .device = "X", .now_ms = arrival_ms};
    struct mapping_outcome outcome;
    cJSON *document = json_document(message, strlen(message)), *telemetry = cJSON_CreateArray();
    cJSON *intervals = cJSON_CreateArray(), *others = cJSON_CreateArray(), *record;
    assert_non_null(document);
    assert_int_equal(mapping_apply(mapping, document, &origin, telemetry, intervals, &outcome), 0);
    cJSON_ArrayForEach(record, intervals) {
        assert_true(member_is_number(record, "began_at_ms"));
        cJSON_AddItemToArray(others, cJSON_Duplicate(member_get(record, "others"), true));
    }
    char *first = cJSON_PrintUnformatted(telemetry), *second = cJSON_PrintUnformatted(others);
    snprintf(shown, sizeof shown, "%s %s %s", first, second, outcome.problem);
    assert_string_equal(shown, wanted);
    assert_int_equal(outcome.failed > 0, outcome.problem[0] != '\0');
    cJSON_free(first);
    cJSON_free(second);
    cJSON_Delete(document);
    cJSON_Delete(telemetry);
    cJSON_Delete(intervals);
    cJSON_Delete(others);
    mapping_free(mapping);
}

#define FIELDS(fields) "{\"subsystem\": \"dust\", \"values\": \"\", \"fields\": {" fields "}}"
#define AT "\"device_code\":\"X\",\"observed_at_ms\":1790000000000"

static void test_values(void **state) {
    (void)state;
    expect(
        FIELDS(
            "\"a\": {\"field\": \"pm25_ug_m3\", \"unit\": \"mg/m3\"}, \"b\": {\"field\": \"air_temp_c\", "
            "\"scale\": 0.1, \"add\": -40}, \"c\": {\"field\": \"spraying_on\", \"map\": {\"on\": true, \"0\": false}}"),
        "{\"a\": \" 0.0351\\r\\n\", \"b\": 653, \"c\": \"on\", \"d\": {\"x\": [1]}, \"e\": null, \"noise_dba\": 60}",
        "[{" AT ",\"pm25_ug_m3\":35.1,\"air_temp_c\":25.3,\"spraying_on\":true,\"noise_dba\":60}] "
        "[[{\"key\":\"d\",\"value\":\"{\\\"x\\\":[1]}\"}]] ");
    /* What is no number, what the code map does not have, and a field that is there already. */
    expect(FIELDS("\"a\": {\"field\": \"pm25_ug_m3\"}, \"b\": {\"field\": \"pm25_ug_m3\"}, \"c\": {\"field\": "
                  "\"spraying_on\", \"map\": {\"on\": 1}}"),
           "{\"a\": 1, \"b\": 2, \"c\": \"off\", \"noise_dba\": \"loud\"}",
           "[{" AT ",\"pm25_ug_m3\":1}] [[{\"key\":\"b\",\"value\":\"2\"},{\"key\":\"c\",\"value\":\"off\"},"
           "{\"key\":\"noise_dba\",\"value\":\"loud\"}]] ");
    expect("{\"values\": \"data\", \"position\": {\"lon\": \"x\", \"lat\": \"y\", \"system\": \"GCJ02\"}}",
           "{\"x\": 114.5, \"y\": \"34.1\", \"data\": {}}",
           "[{" AT ",\"position\":{\"lon\":114.5,\"lat\":34.1,\"system\":\"GCJ02\"}}] [] ");
}

static void test_paths(void **state) {
    (void)state;
    expect(
        "{\"records\": \"/sites/*/rows/[]\", \"device\": [\"code\", \"$1\"], \"pairs\": {\"list\": \"l/*\", \"name\": "
        "\"n\", \"value\": [\"v\", \"s\"]}}",
        "{\"sites\": {\"A\": {\"rows\": [{\"l\": [{\"n\": \"pm25_ug_m3\", \"v\": 1}, {\"n\": \"zz\", \"s\": \"t\"}]}]}, "
        "\"B\": {\"rows\": {\"code\": 7, \"l\": [{\"n\": \"pm25_ug_m3\", \"v\": 2}]}}}}",
        "[{\"device_code\":\"A\",\"observed_at_ms\":1790000000000,\"pm25_ug_m3\":1},{\"device_code\":\"7\","
        "\"observed_at_ms\":1790000000000,\"pm25_ug_m3\":2}] [[{\"key\":\"zz\",\"value\":\"t\"}]] ");
    expect("{\"records\": \"a~1b/[]\", \"values\": \"\"}", "{\"a/b\": [{\"pm25_ug_m3\": 1}]}",
           "[{" AT ",\"pm25_ug_m3\":1}] [] ");
    /* Of several paths the first that leads to a record. */
    expect("{\"records\": [\"one\", \"many/[]\"], \"values\": \"\"}",
           "{\"many\": [{\"pm25_ug_m3\": 1}, {\"pm25_ug_m3\": 2}]}",
           "[{" AT ",\"pm25_ug_m3\":1},{" AT ",\"pm25_ug_m3\":2}] [] ");
    expect("{\"records\": [\"one\", \"many/[]\"], \"values\": \"\"}",
           "{\"one\": {\"pm25_ug_m3\": 1}, \"many\": [{\"pm25_ug_m3\": 2}]}", "[{" AT ",\"pm25_ug_m3\":1}] [] ");
    expect("{\"records\": \"/rows/*\", \"values\": \"\"}", "{\"row\": []}",
           "[] [] record 0: there is no record where the "
           "mapping says");
}

static void test_failures(void **state) {
    (void)state;
    expect(
        "{\"records\": \"[]\", \"values\": \"\", \"ignore\": [\"t\"], \"time\": {\"at\": \"t\", \"form\": \"iso\"}}",
        "[{\"pm25_ug_m3\": 1}, {\"t\": \"soon\", \"pm25_ug_m3\": 2}, {\"t\": \"2026-08-01 08:58:57\", \"pm25_ug_m3\": 3}]",
        "[{\"device_code\":\"X\",\"observed_at_ms\":1785545937000,\"pm25_ug_m3\":3}] [] record 1: its time is missing");
    expect("{\"values\": \"d\"}", "{\"d\": {}}", "[] [] record 1: there is no value in it");
    expect("{\"values\": \"d\", \"frames\": {\"at\": \"f\"}}", "{\"f\": \"IyMw\"}",
           "[] [] record 1: its frames cannot be read");
    expect("{\"format\": \"senml\", \"records\": \"[]\", \"values\": \"\"}", "{}",
           "[] [] record 0: it is no SenML pack, which is a list");
}

#define SENML                                                                                                            \
    "{\"format\": \"senml\", \"records\": \"[]\", \"device\": \"device\", \"time\": {\"at\": \"ms\", \"form\": \"ms\", " \
    "\"arrival\": true}, \"pairs\": {\"name\": \"name\", \"value\": \"value\"}}"

/* What is no number is neither 0 nor now: it is kept as it came, or the message is. */
static void test_senml(void **state) {
    (void)state;
    expect(SENML, "[{\"n\":\"pm25_ug_m3\",\"v\":\" 35 \"}]", "[{" AT ",\"pm25_ug_m3\":35}] [] ");
    expect(SENML,
           "[{\"n\":\"pm25_ug_m3\",\"v\":\"--\"},{\"n\":\"noise_dba\",\"v\":NaN},{\"n\":\"pm10_ug_m3\",\"v\":null}]",
           "[] [[{\"key\":\"pm25_ug_m3\",\"value\":\"--\"}],[{\"key\":\"noise_dba\",\"value\":\"NaN\"}]] ");
    expect(
        SENML, "[{\"bv\":\"x\",\"n\":\"pm25_ug_m3\",\"v\":5}]",
        "[] [[{\"key\":\"pm25_ug_m3\",\"value\":\"{\\\"bv\\\":\\\"x\\\",\\\"n\\\":\\\"pm25_ug_m3\\\",\\\"v\\\":5}\"}]] ");
    expect(SENML, "[{\"bt\":\"1790000000\",\"n\":\"pm25_ug_m3\",\"t\":\"-0.0\",\"v\":35}]",
           "[{" AT ",\"pm25_ug_m3\":35}] [] ");
    expect(SENML, "[{\"bt\":NaN,\"n\":\"pm25_ug_m3\",\"v\":35}]",
           "[] [] record 1: its time is none of the form that the mapping says: t or bt is no number");
    expect(SENML, "[{\"n\":\"pm25_ug_m3\",\"t\":\"x\",\"v\":35},{\"n\":\"pm25_ug_m3\",\"v\":36}]",
           "[{" AT ",\"pm25_ug_m3\":36}] [] record 1: its time is none of the form that the mapping says: "
           "t or bt is no number");
}

/* Numbers of more digits than a double holds: a device's code, and what no field takes. */
static void test_long_numbers(void **state) {
    (void)state;
    expect("{\"device\": \"id\", \"values\": \"v\"}",
           "{\"id\": 1523456789012345678, \"v\": {\"noise_dba\": 60, \"sn\": -12345678901234567890, \"f\": 0.1}}",
           "[{\"device_code\":\"1523456789012345678\",\"observed_at_ms\":1790000000000,\"noise_dba\":60}] "
           "[[{\"key\":\"sn\",\"value\":\"-12345678901234567890\"},{\"key\":\"f\",\"value\":\"0.1\"}]] ");
    expect("{\"device\": \"id\", \"values\": \"\", \"ignore\": [\"id\"]}",
           "{\"id\": 0012, \"noise_dba\": 0000060, \"pm25_ug_m3\": 35.300000000000004, \"x\": 1e400}",
           "[{\"device_code\":\"0012\",\"observed_at_ms\":1790000000000,\"noise_dba\":60,\"pm25_ug_m3\":35.3}] "
           "[[{\"key\":\"x\",\"value\":\"1e400\"}]] ");
}

static void expect_time(const char *value, enum mapping_form form, int64_t wanted) {
    int64_t ms = 0;
    cJSON *item = cJSON_Parse(value);
    int code = mapping_time(item, form, 480, &ms);
    cJSON_Delete(item);
    if ((code == 0 ? ms : -1) != wanted) {
        fail_msg("%s is %lld, not %lld", value, code == 0 ? (long long)ms : -1LL, (long long)wanted);
    }
}

static void test_times(void **state) {
    (void)state;
    expect_time("1785545937000", MAPPING_MS, 1785545937000);
    expect_time("\"1785545937000\"", MAPPING_MS, 1785545937000);
    expect_time("1785545937.25", MAPPING_S, 1785545937250);
    expect_time("\"20260801T005857Z\"", MAPPING_ISO, 1785545937000);
    expect_time("\"2026-08-01T08:58:57\"", MAPPING_ISO, 1785545937000);
    expect_time("\"2026-08-01T00:58:57.123+00:00\"", MAPPING_ISO, 1785545937123);
    expect_time("\"2026-07-31T19:58:57-0500\"", MAPPING_ISO, 1785545937000);
    expect_time("\"20260801085857\"", MAPPING_DIGITS, 1785545937000);
    expect_time("20260801085857", MAPPING_DIGITS, 1785545937000);
    expect_time("\"2026-06-31T00:00:00\"", MAPPING_ISO, -1);
    expect_time("\"2026-08-01\"", MAPPING_ISO, -1);
    expect_time("\"2026-08-01T08:58:57 CST\"", MAPPING_ISO, -1);
    expect_time("\"\"", MAPPING_MS, -1);
    expect_time("-5", MAPPING_MS, -1);
    expect_time("1785545937", MAPPING_MS, -1); /* seconds, and milliseconds, where the other ones are said */
    expect_time("1785545937000", MAPPING_S, -1);
    expect_time("86400", MAPPING_S, -1); /* since a start */
    expect_time("1e300", MAPPING_S, -1);
    expect_time("true", MAPPING_MS, -1);
}

static void refuse(const char *text, const char *wanted) {
    char problem[DIALECT_PROBLEM_MAX];
    assert_null(mapping_parse(text, strlen(text), problem));
    assert_string_equal(problem, wanted);
}

static void test_refused(void **state) {
    (void)state;
    refuse("[]", "file: is no JSON object");
    refuse("{}", "values: is missing, and so are pairs and frames: there would be nothing to store");
    refuse("{\"value\": \"a\"}", "value: there is no such key here");
    refuse("{\"subsystem\": \"dusty\", \"values\": \"\"}", "subsystem: there is no subsystem \"dusty\"");
    refuse("{\"values\": \"a/*\"}", "values: the path \"a/*\" must name one item, without * and []");
    refuse("{\"values\": [\"a\", 1]}", "values: the path \"\" is no text");
    refuse("{\"values\": \"\", \"records\": \"*/*/*/*\"}", "records: the path \"*/*/*/*\" has more than 3 stars");
    refuse("{\"values\": \"\", \"time\": {\"at\": \"t\"}}", "time.form: is missing");
    refuse("{\"values\": \"\", \"time\": {\"at\": \"t\", \"form\": \"hours\"}}",
           "time.form: must be one of ms, s, iso, digits");
    refuse("{\"values\": \"\", \"time\": {\"at\": \"t\", \"form\": \"ms\", \"offset_minutes\": 9000}}",
           "time.offset_minutes: must be a whole number from -720 to 840");
    refuse("{\"values\": \"\", \"fields\": {}}", "subsystem: must say whose fields `fields` names");
    refuse(FIELDS("\"a\": {\"field\": \"co_mg_m3\"}"), "fields.a.field: \"co_mg_m3\" is no field of dust");
    refuse(FIELDS("\"a\": {\"field\": \"noise_dba\", \"unit\": \"kPa\"}"), "fields.a.unit: must be one of dB(A)");
    refuse(FIELDS("\"a\": {\"field\": \"noise_dba\", \"scale\": 0}"), "fields.a.scale: must not be 0");
    refuse("{\"frames\": {\"at\": \"f\", \"dialect\": \"../x\"}}",
           "frames.dialect: must be the name of a file of config/gateway/hj212 without .json");
    refuse("{\"pairs\": {\"name\": \"n\"}}", "pairs.value: is missing");
    refuse("{\"values\": \"\", \"signature\": \"md5\"}", "signature: must be one of onenet");
}

/* What JSON has not costs itself; what is no JSON then either is none. */
static void test_documents(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *wanted; /* NULL = it is no JSON */
    } cases[] = {
        {"{\"a\":1,\"b\":[true,null,-2.5e3]}", "{\"a\":1,\"b\":[true,null,-2500]}"},
        {"{\"a\":NaN,\"b\":5}", "{\"a\":\"NaN\",\"b\":5}"},
        {"\xef\xbb\xbf[-Infinity, --,\t1.#QNAN,None ,false, 7e1]",
         "[\"-Infinity\",\"--\",\"1.#QNAN\",\"None\",false,70]"},
        {"{\"NaN: -\\\" x\":\"a NaN, b\",\"c\":nan}", "{\"NaN: -\\\" x\":\"a NaN, b\",\"c\":\"nan\"}"},
        {"[NaN]\r\n", "[\"NaN\"]"},
        {"[NaN", NULL},
        {"[NaN] and more", NULL},
        {"words", NULL},
        {"two words", NULL},
        {"[\"a\\", NULL},
        {"[\"a\" NaN]", NULL},
        {"{\"a\": NaN \"b\"}", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t length = strlen(cases[i].bytes);
        char *exact = malloc(length + (length == 0)); /* so that the sanitizer sees a read too far */
        memcpy(exact, cases[i].bytes, length);
        cJSON *document = json_document(exact, length);
        char *text = document == NULL ? NULL : cJSON_PrintUnformatted(document);
        if (cases[i].wanted == NULL) {
            assert_null(document);
        } else {
            assert_non_null(text);
            assert_string_equal(text, cases[i].wanted);
        }
        cJSON_free(text);
        cJSON_Delete(document);
        free(exact);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shipped),   cmocka_unit_test(test_values), cmocka_unit_test(test_paths),
        cmocka_unit_test(test_failures),  cmocka_unit_test(test_times),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_documents), cmocka_unit_test(test_senml),  cmocka_unit_test(test_long_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
