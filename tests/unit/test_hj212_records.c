/* test_hj212_records.c: what values of HJ 212 become: instant values readings, means and the like intervals, both in
 * the fields' units; what a flag forbids is kept apart; dialects, and what is wrong with one. */
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
#include "hub/gateway/hj212_records.h"

#define FOLDER CITYHUB_SOURCE_DIR "/config/gateway/hj212/"

enum { FILE_MOST = 65536, SHIPPED = 8 };

/* That of a file, or of a text. */
static struct hj212_dialect *dialect_load(const char *name) {
    char path[512], problem[DIALECT_PROBLEM_MAX];
    size_t length = strlen(name);
    snprintf(path, sizeof path, FOLDER "%s", name);
    char *text = *name == '{' ? strdup(name) : file_read(path, FILE_MOST, &length, problem);
    assert_non_null(text);
    struct hj212_dialect *dialect = hj212_dialect_parse(text, length, problem);
    if (dialect == NULL) {
        fail_msg("%s: %s", name, problem);
    }
    free(text);
    return dialect;
}

/* The records of a segment's fields, as "telemetry intervals left_over", or the code and the problem. */
static void expect(const char *dialect_name, const char *segment, const char *wanted) {
    static struct hj212_frame frame;
    char bytes[HJ212_FRAME_MAX], shown[2048], reason[HJ212_REASON_MAX];
    struct hj212_dialect *dialect = dialect_load(dialect_name);
    struct hj212_origin origin = {.dialect = dialect, .device_code = "D1", .offset_minutes = 480};
    struct hj212_outcome outcome;
    cJSON *telemetry = cJSON_CreateArray(), *intervals = cJSON_CreateArray();
    int length = snprintf(bytes, sizeof bytes, "##%04zu%s%04X\r\n", strlen(segment), segment,
                          hj212_crc(HJ212_CRC_STANDARD, segment, strlen(segment)));
    hj212_parse(bytes, (size_t)length, NULL, &frame);
    assert_null(hj212_refusal(&frame, HJ212_CRC_STANDARD, reason));
    int code = hj212_records(&frame, &origin, telemetry, intervals, &outcome);
    char *first = cJSON_PrintUnformatted(telemetry), *second = cJSON_PrintUnformatted(intervals);
    if (code == 0) {
        snprintf(shown, sizeof shown, "%s %s %u%s", first, second, outcome.left_over, outcome.first_left_over);
    } else {
        assert_int_equal(cJSON_GetArraySize(telemetry) + cJSON_GetArraySize(intervals), 0);
        snprintf(shown, sizeof shown, "%d %s", code, outcome.problem);
    }
    assert_string_equal(shown, wanted);
    if (code == 0) {
        assert_int_equal(outcome.readings, cJSON_GetArraySize(telemetry));
        assert_int_equal(outcome.intervals, cJSON_GetArraySize(intervals));
    }
    cJSON_free(first);
    cJSON_free(second);
    cJSON_Delete(telemetry);
    cJSON_Delete(intervals);
    hj212_dialect_free(dialect);
}

#define HEAD(command) "QN=20260801085857223;ST=39;CN=" command ";PW=1;MN=M;Flag=5;CP=&&"
#define TIME "DataTime=20260801085857;"
#define RECORD(time) "\"device_code\":\"D1\",\"" time "\":1785545937000"

#define OTHER(name, text) "{\"key\":\"" name "\",\"value\":\"" text "\"}"
#define OTHERS(seconds, name, text)                                                                                    \
    "{" RECORD("began_at_ms") ",\"others\":[" OTHER(name, text) "],\"seconds\":" seconds "}"

static void test_instant(void **state) {
    (void)state;
    expect("dust.json", HEAD("2011") TIME "a34004-Rtd=35.5,a34004-Flag=N;LA-Rtd=61.2;a01006-Rtd=101.3&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":35.5,\"noise_dba\":61.2,\"pressure_kpa\":101.3}] [] 0");
    /* Names in any case, the suffix twice, the flag before the value, the second of two factors of one field. */
    expect("dust.json", HEAD("2011") TIME "A34004-FLAG=N,A34004-RTD=35;LA-Rtd-Rtd=70;LEQ-RTD=60&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":35,\"noise_dba\":70}] [" OTHERS("0", "LEQ-RTD",
                                                                                          "60") "] 1LEQ-RTD");
}

static void test_units(void **state) {
    (void)state;
    expect("dust-ng.json", HEAD("2011") TIME "a34004-Rtd=12000&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":12}] [] 0");
    expect("dust-ng.json", HEAD("2011") TIME "a34004-Rtd=35100.3&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":35.1003}] [] 0");
    expect("dust-mg.json", HEAD("2011") TIME "a34001-Rtd=0.16&&",
           "[{" RECORD("observed_at_ms") ",\"tsp_ug_m3\":160}] [] 0");
    expect("dust-hpa.json", HEAD("2011") TIME "a01006-Rtd=1002&&",
           "[{" RECORD("observed_at_ms") ",\"pressure_kpa\":100.2}] [] 0");
    expect("incineration.json", HEAD("2011") TIME "a00000-Rtd=10&&",
           "[{" RECORD("observed_at_ms") ",\"flue_gas_flow_m3_h\":36000}] [] 0");
}

/* One number, three meanings. */
static void test_dialects(void **state) {
    (void)state;
    expect("dust-2005-107-pm10.json", HEAD("2011") TIME "107-Rtd=56.2;127-Rtd=99.8&&",
           "[{" RECORD("observed_at_ms") ",\"pm10_ug_m3\":56.2,\"pressure_kpa\":99.8}] [] 0");
    expect("dust-2005-107-pressure.json", HEAD("2011") TIME "107-Rtd=99.8;104-Rtd=56&&",
           "[{" RECORD("observed_at_ms") ",\"noise_dba\":56,\"pressure_kpa\":99.8}] [] 0");
    expect("dust.json", HEAD("2011") TIME "107-Rtd=56.2&&", "[] [] 1107-Rtd");
}

/* Means and the like are never readings. */
static void test_intervals(void **state) {
    (void)state;
    expect(
        "dust.json", HEAD("2051") TIME "a34004-Cou=7,a34004-Min=1,a34004-Avg=2,a34004-Max=3,a34004-Flag=N;LA-Avg=60&&",
        "[] [{" RECORD(
            "began_at_ms") ",\"values\":[{\"minimum\":1,\"mean\":2,\"maximum\":3,\"total\":7,"
                           "\"metric\":\"pm25_ug_m3\",\"flag\":\"N\"},{\"mean\":60,\"metric\":\"noise_dba\"}],\"seconds\":600}] 0");
    expect("dust.json", HEAD("2061") TIME "a34004-Avg=2&&",
           "[] [{" RECORD("began_at_ms") ",\"values\":[{\"mean\":2,\"metric\":\"pm25_ug_m3\"}],\"seconds\":3600}] 0");
    expect("dust.json", HEAD("2031") TIME "a34004-Avg=2&&",
           "[] [{" RECORD("began_at_ms") ",\"values\":[{\"mean\":2,\"metric\":\"pm25_ug_m3\"}],\"seconds\":86400}] 0");
    /* Also in a frame of instant values. */
    expect("dust-mg.json", HEAD("2011") TIME "a34001-Avg=0.16,a34001-Rtd=0.2&&",
           "[{" RECORD("observed_at_ms") ",\"tsp_ug_m3\":200}] [{" RECORD(
               "began_at_ms") ",\"values\":[{\"mean\":160,\"metric\":\"tsp_ug_m3\"}],\"seconds\":60}] 0");
    /* HJ 212-2025, the furnace's temperature: means of five minutes. */
    expect("incineration.json", HEAD("2111") TIME "a01901-Avg=902.5,a01901-Flag=N&&",
           "[] [{" RECORD(
               "began_at_ms") ",\"values\":[{\"mean\":902.5,\"metric\":\"furnace_temp_middle_c\",\"flag\":\"N\"}],"
                              "\"seconds\":300}] 0");
    expect("incineration.json", HEAD("2051") TIME "a21002-Avg=80,a21002-ZsAvg=75,a21002-ZsMin=70,a21002-ZsMax=79&&",
           "[] [{" RECORD("began_at_ms") ",\"values\":[{\"mean\":80,\"converted_minimum\":70,\"converted_mean\":75,"
                                         "\"converted_maximum\":79,\"metric\":\"nox_mg_m3\"}],\"seconds\":600}] 0");
}

/* What a flag forbids is kept, but not as a reading. */
static void test_flags(void **state) {
    (void)state;
    expect("dust.json", HEAD("2011") TIME "a34004-Rtd=0.0,a34004-Flag=F;LA-Rtd=50,LA-Flag=N&&",
           "[{" RECORD("observed_at_ms") ",\"noise_dba\":50}] [{" RECORD(
               "began_at_ms") ",\"values\":[{\"mean\":0,\"metric\":\"pm25_ug_m3\",\"flag\":\"F\"}],\"seconds\":0}] 0");
    for (const char *flag = "FMSDCB"; *flag != '\0'; flag++) {
        char segment[200], wanted[300];
        snprintf(segment, sizeof segment, HEAD("2011") TIME "a34004-Rtd=9;Flag=%c&&", *flag);
        snprintf(wanted, sizeof wanted,
                 "[] [{" RECORD("began_at_ms") ",\"values\":[{\"mean\":9,\"metric\":\"pm25_ug_m3\",\"flag\":\"%c\"}],"
                                               "\"seconds\":0}] 0",
                 *flag);
        expect("dust.json", segment, wanted);
    }
    /* T: beyond the instrument's upper limit is a reading all the same, which says so. Of intervals it stays the mark.
     */
    expect("dust.json",
           HEAD("2011") TIME "a34004-Rtd=500,a34004-Flag=T;LA-Rtd=50,LA-Flag=N;a34002-Rtd=900,a34002-Flag=T&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":500,\"over_range\":[\"pm25_ug_m3\",\"pm10_ug_m3\"],"
                                         "\"pm10_ug_m3\":900,\"noise_dba\":50}] [] 0");
    expect("dust.json", HEAD("2051") TIME "a34004-Avg=500,a34004-Flag=T&&",
           "[] [{" RECORD("began_at_ms") ",\"values\":[{\"mean\":500,\"metric\":\"pm25_ug_m3\",\"flag\":\"T\"}],"
                                         "\"seconds\":600}] 0");
    /* A dialect says which flags are over range, and may say that none is. */
    expect(
        "{\"subsystem\":\"dust\",\"factors\":{\"a34004\":{\"field\":\"pm25_ug_m3\"}},\"use\":\"N\",\"over_range\":\"\"}",
        HEAD("2011") TIME "a34004-Rtd=500,a34004-Flag=T&&",
        "[] [{" RECORD(
            "began_at_ms") ",\"values\":[{\"mean\":500,\"metric\":\"pm25_ug_m3\",\"flag\":\"T\"}],\"seconds\":0}] 0");
    expect("{\"subsystem\":\"dust\",\"factors\":{\"a34004\":{\"field\":\"pm25_ug_m3\"}},\"over_range\":\"M\"}",
           HEAD("2011") TIME "a34004-Rtd=500,a34004-Flag=M&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":500,\"over_range\":[\"pm25_ug_m3\"]}] [] 0");
    /* One that nobody knows does not say N. */
    expect("dust.json", HEAD("2011") TIME "a34004-Rtd=9,a34004-Flag=OK&&",
           "[] [{" RECORD("began_at_ms") ",\"values\":[{\"mean\":9,\"metric\":\"pm25_ug_m3\",\"flag\":\"B\"}],"
                                         "\"seconds\":0}," OTHERS("0", "a34004-Flag", "OK") "] 1a34004-Flag");
    /* Small letters are the same flags. */
    expect("dust.json", HEAD("2011") TIME "a34004-Rtd=9,a34004-Flag=n;LA-Rtd=50,LA-Flag=d&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":9}] [{" RECORD(
               "began_at_ms") ",\"values\":[{\"mean\":50,\"metric\":\"noise_dba\",\"flag\":\"D\"}],\"seconds\":0}] 0");
    expect("dust.json", HEAD("2011") TIME "a34004-Rtd=,a34004-Flag=b&&",
           "[] [" OTHERS("0", "a34004-Flag", "b") "] 1a34004-Flag");
    /* Flags that contradict each other do not say N either, nor does one behind another suffix. */
    expect("dust.json", HEAD("2011") TIME "a34004-Rtd=9,Flag=N;LA-Rtd=50,LA-Flag=N,Flag=D&&",
           "[{" RECORD("observed_at_ms") ",\"noise_dba\":50}] [{" RECORD(
               "began_at_ms") ",\"values\":[{\"mean\":9,\"metric\":\"pm25_ug_m3\",\"flag\":\"B\"}],"
                              "\"seconds\":0}," OTHERS("0", "Flag", "D") "] 1Flag");
    expect("dust.json", HEAD("2051") TIME "a34004-Avg=9,a34004-Avg-Flag=D&&",
           "[] [{" RECORD("began_at_ms") ",\"values\":[{\"mean\":9,\"metric\":\"pm25_ug_m3\",\"flag\":\"D\"}],"
                                         "\"seconds\":600}] 0");
    expect("incineration.json", HEAD("2011") TIME "a21002-Rtd=80,a21002-Flag=N;a21026-Rtd=0,a21026-Flag=D&&",
           "[{" RECORD("observed_at_ms") ",\"nox_mg_m3\":80,\"monitor_state\":4}] [{" RECORD(
               "began_at_ms") ",\"values\":[{\"mean\":0,\"metric\":\"so2_mg_m3\",\"flag\":\"D\"}],\"seconds\":0}] 0");
}

static void test_none(void **state) {
    (void)state;
    expect("dust.json", HEAD("9015") TIME "a34004-Rtd=1&&", "[] [] 0");
    expect("dust.json", HEAD("9014") "a34004-Rtd=1&&", "[] [] 0");
    expect("dust.json", HEAD("2051") "BeginTime=20260801000000,EndTime=20260801010000&&", "[] [] 0");
    expect("dust.json", HEAD("2011") TIME "a34004-Rtd=,a34002-Rtd=--;a34001-Rtd=0x10;zzz-Rtd=1&&", "[] [] 3a34002-Rtd");
    expect("dust.json", HEAD("2011") "a34004-Rtd=1&&",
           "-1 DataTime is missing: nobody knows when these values were measured");
    /* An empty one says nothing, and hides none. */
    expect("dust.json", HEAD("2011") "DataTime=;a34004-Rtd=1&&",
           "-1 DataTime is missing: nobody knows when these values were measured");
    expect("dust.json", HEAD("2011") "DataTime=;a34004-Rtd=1;DataTime=20260801085857&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":1}] [] 0");
    expect("dust.json", HEAD("2021") "DataTime=;SB1-RS=1&&",
           "[] [{\"device_code\":\"D1\",\"began_at_ms\":1785545937223,\"others\":[" OTHER(
               "SB1-RS", "1") "],\"seconds\":0}] 1SB1-RS");
    expect("dust.json", HEAD("2011") "DataTime=201909262113836;a34004-Rtd=1&&",
           "-1 DataTime: \"201909262113836\" is no time; it must be YYYYMMDDhhmmss");
}

/* What no factor takes is kept as it came, beside what one does. */
static void test_others(void **state) {
    (void)state;
    expect("dust.json",
           HEAD("2011") TIME "a34004-Rtd=35.5,a34004-ZsRtd=36,a34004-Flag=N;zz1-Rtd=0x1F,zz1-Flag=D;l01001=120.5&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":35.5}] [{" RECORD("began_at_ms") ",\"others\":[" OTHER(
               "a34004-ZsRtd",
               "36") "," OTHER("zz1-Rtd", "0x1F") "," OTHER("zz1-Flag",
                                                            "D") "," OTHER("l01001",
                                                                           "120.5") "],\"seconds\":0}] 4a34004-ZsRtd");
    expect(
        "dust.json", HEAD("2051") TIME "a34004-Avg=2;zz1-Avg=3&&",
        "[] [{" RECORD("began_at_ms") ",\"values\":[{\"mean\":2,\"metric\":\"pm25_ug_m3\"}],\"seconds\":600}," OTHERS(
            "600", "zz1-Avg", "3") "] 1zz1-Avg");
    /* Said twice: the first counts, the second is kept. */
    expect("dust.json", HEAD("2011") TIME "a34004-Rtd=1;a34004-Rtd=2&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":1}] [" OTHERS("0", "a34004-Rtd", "2") "] 1a34004-Rtd");
    expect(
        "dust.json", HEAD("2011") TIME "a34004-Rtd=1;zz1-Rtd=1;zz1-Rtd=2;zz1-Rtd=2&&",
        "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":1}] [{" RECORD("began_at_ms") ",\"others\":[" OTHER(
            "zz1-Rtd", "1") "," OTHER("zz1-Rtd (2)", "2") "," OTHER("zz1-Rtd (3)", "2") "],\"seconds\":0}] 3zz1-Rtd");
    expect(
        "dust.json", HEAD("2051") TIME "LA-Avg=60;Leq-Avg=61&&",
        "[] [{" RECORD("began_at_ms") ",\"values\":[{\"mean\":60,\"metric\":\"noise_dba\"}],\"seconds\":600}," OTHERS(
            "600", "Leq-Avg", "61") "] 1Leq-Avg");
    /* States have no values; the frame's own time does where they say none. */
    expect("dust.json", HEAD("2021") TIME "SB1-RS=1&&", "[] [" OTHERS("0", "SB1-RS", "1") "] 1SB1-RS");
    expect("dust.json", HEAD("3020") "i11001-Info=//ok//&&",
           "[] [{\"device_code\":\"D1\",\"began_at_ms\":1785545937223,\"others\":[" OTHER(
               "i11001-Info", "//ok//") "],\"seconds\":0}] 1i11001-Info");
    expect("dust.json", HEAD("2021") "DataTime=never;SB1-RS=1&&",
           "-1 DataTime: \"never\" is no time; it must be YYYYMMDDhhmmss");
}

/* Whatever a frame that is acknowledged says is kept: what has no =, a second time with its values, and flags without a
 * value, which are all that a station with a broken line has to say. */
static void test_nothing_is_lost(void **state) {
    (void)state;
    expect("dust.json", HEAD("2011") TIME "a34004-Rtd=1,2;noise 61.5&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":1}] [{" RECORD("began_at_ms") ",\"others\":[" OTHER(
               "2", "") "," OTHER("noise 61.5", "") "],\"seconds\":0}] 22");
    expect("dust.json", HEAD("2021") TIME "SB1&&", "[] [" OTHERS("0", "SB1", "") "] 1SB1");
    expect("dust.json", HEAD("2011") "DataTime:20260801085857;a34004-Rtd:1&&", "[] [] 2DataTime:20260801085857");
    expect("dust.json", HEAD("2011") TIME "a34004-Rtd=1;DataTime=20260801085957;a34004-Rtd=2;" TIME "&&",
           "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":1}] [{" RECORD("began_at_ms") ",\"others\":[" OTHER(
               "DataTime", "20260801085957") "," OTHER("a34004-Rtd", "2") "],\"seconds\":0}] 2DataTime");
    expect("dust.json", HEAD("2011") TIME "a34004-Rtd=,a34004-Flag=B;a34002-Flag=D&&",
           "[] [{" RECORD("began_at_ms") ",\"others\":[" OTHER("a34004-Flag", "B") "," OTHER(
               "a34002-Flag", "D") "],\"seconds\":0}] 2a34004-Flag");
    expect("dust.json", HEAD("2051") TIME "a34004-Avg=1,a34004-Flag=N;a34002-Flag=B&&",
           "[] [{" RECORD("began_at_ms") ",\"values\":[{\"mean\":1,\"metric\":\"pm25_ug_m3\",\"flag\":\"N\"}],"
                                         "\"seconds\":600}," OTHERS("600", "a34002-Flag", "B") "] 1a34002-Flag");
}

/* A frame whose content is not where it should be is for quarantine: nothing of it may be taken for read. */
static void test_no_content(void **state) {
    (void)state;
    static const char head[] = "QN=20260801085857223;ST=39;CN=2011;PW=1;MN=M;Flag=5";
    char segment[200];
    snprintf(segment, sizeof segment, "%s;" TIME "a34004-Rtd=1", head);
    expect("dust.json", segment, "[] [] 2DataTime");
    snprintf(segment, sizeof segment, "%s;RF=1;a34004-Rtd 1", head);
    expect("dust.json", segment, "[] [] 1");
    snprintf(segment, sizeof segment, "%s;RF=1", head);
    expect("dust.json", segment, "[] [] 0");
    /* A blank in CP=&&, or no semicolon before it. */
    static const char *const ways[] = {";CP = &&", "CP=&&", ";cp= &&", ";CP=&"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        snprintf(segment, sizeof segment, "%s%s" TIME "a34004-Rtd=1&&", head, ways[i]);
        expect("dust.json", segment, "[{" RECORD("observed_at_ms") ",\"pm25_ug_m3\":1}] [] 0");
    }
}

/* More than a record may have. */
static void test_many_others(void **state) {
    (void)state;
    static struct hj212_frame frame;
    char segment[4096] = HEAD("2011") TIME "a34004-Rtd=1", bytes[HJ212_FRAME_MAX];
    size_t at = strlen(segment);
    for (int i = 0; i < 250; i++) {
        at += (size_t)snprintf(segment + at, sizeof segment - at, ";z%03d=%d", i, i);
    }
    snprintf(segment + at, sizeof segment - at, "&&");
    int length = snprintf(bytes, sizeof bytes, "##%04zu%s%04X\r\n", strlen(segment), segment,
                          hj212_crc(HJ212_CRC_STANDARD, segment, strlen(segment)));
    hj212_parse(bytes, (size_t)length, NULL, &frame);
    struct hj212_dialect *dialect = dialect_load("dust.json");
    const struct hj212_origin origin = {.dialect = dialect, .device_code = "D1", .offset_minutes = 480};
    struct hj212_outcome outcome;
    cJSON *telemetry = cJSON_CreateArray(), *intervals = cJSON_CreateArray(), *record;
    assert_int_equal(hj212_records(&frame, &origin, telemetry, intervals, &outcome), 0);
    assert_int_equal(outcome.left_over, 250);
    assert_int_equal(cJSON_GetArraySize(intervals), 3);
    int kept = 0;
    cJSON_ArrayForEach(record, intervals) {
        kept += cJSON_GetArraySize(member_get(record, "others"));
    }
    assert_int_equal(kept, 250);
    cJSON_Delete(telemetry);
    cJSON_Delete(intervals);
    hj212_dialect_free(dialect);
}

static void test_shipped(void **state) {
    (void)state;
    DIR *folder = opendir(FOLDER);
    int count = 0;
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        if (entry->d_name[0] != '.') {
            struct hj212_dialect *dialect = dialect_load(entry->d_name);
            assert_string_not_equal(member_text(dialect->file, "title"), "");
            /* Its name says the subsystem whose records it makes. */
            assert_int_equal(strncmp(entry->d_name, dialect->adapter->key, strlen(dialect->adapter->key)), 0);
            hj212_dialect_free(dialect);
            count++;
        }
    }
    closedir(folder);
    assert_int_equal(count, SHIPPED);
}

static void refuse(const char *text, const char *wanted) {
    char problem[DIALECT_PROBLEM_MAX];
    assert_null(hj212_dialect_parse(text, strlen(text), problem));
    assert_string_equal(problem, wanted);
}

#define DUST "{\"subsystem\": \"dust\", "
#define ONE DUST "\"factors\": {\"a34004\": {\"field\": \"pm25_ug_m3\"}}"

static void test_refused(void **state) {
    (void)state;
    refuse("{", "file: is no JSON object");
    refuse("[]", "file: is no JSON object");
    refuse("{\"subsystem\": \"dusty\"}", "subsystem: there is no subsystem \"dusty\"");
    refuse(DUST "\"factor\": {}}", "factor: there is no such key here");
    refuse(DUST "\"factors\": {}}", "factors: must be an object of 1 to 96 factors by their codes");
    refuse(DUST "\"factors\": {\"a\": 1}}",
           "factors.a.: must be an object such as {\"field\": \"pm10_ug_m3\", \"unit\": \"mg/m3\"}");
    refuse(DUST "\"factors\": {\"a\": {\"field\": \"co_mg_m3\"}}}",
           "factors.a.field: \"co_mg_m3\" is no field with numbers of dust");
    refuse(DUST "\"factors\": {\"a-Rtd\": {\"field\": \"pm25_ug_m3\"}}}",
           "factors.a-Rtd.: must be a code without its suffix, such as a34004");
    refuse(DUST "\"factors\": {\"a\": {\"field\": \"pm25_ug_m3\", \"unit\": \"kPa\"}}}",
           "factors.a.unit: must be one of ug/m3, ng/m3, mg/m3, g/m3");
    refuse(DUST "\"factors\": {\"a\": {\"field\": \"noise_dba\", \"unit\": \"kPa\"}}}",
           "factors.a.unit: must be one of dB(A)");
    refuse(DUST "\"factors\": {\"a\": {\"field\": \"noise_dba\", \"scale\": 0}}}", "factors.a.scale: must not be 0");
    refuse(DUST "\"factors\": {\"a\": {\"field\": \"noise_dba\", \"scale\": \"1\"}}}",
           "factors.a.scale: must be a number");
    refuse(DUST "\"factors\": {\"a\": {\"field\": \"noise_dba\"}, \"A\": {\"field\": \"noise_dba\"}}}",
           "factors.A.: stands here twice (letters are not told apart by their case)");
    refuse(ONE ", \"use\": \"NX\"}", "use: must be flags of NFMSDCTB, such as \"NT\"");
    refuse(ONE ", \"use\": \"\"}", "use: must have a flag, such as \"N\"");
    refuse(ONE ", \"over_range\": 1}", "over_range: must be flags of NFMSDCTB, such as \"NT\"");
    refuse(ONE ", \"intervals\": {\"2051\": 0}}", "intervals.2051: must be a whole number of seconds, 1 to 86400");
    refuse(ONE ", \"intervals\": {\"2052\": 60}}", "intervals.2052: there is no such key here");
    refuse(ONE ", \"flag_field\": {\"field\": \"spraying_on\", \"map\": {\"N\": 2}}}",
           "flag_field.map: must have whole numbers of 0 to 1 by flags of NFMSDCTB");
    refuse(ONE ", \"use\": \"N\", \"use\": \"D\"}", "use: stands here twice");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instant),   cmocka_unit_test(test_units),           cmocka_unit_test(test_dialects),
        cmocka_unit_test(test_intervals), cmocka_unit_test(test_flags),           cmocka_unit_test(test_none),
        cmocka_unit_test(test_others),    cmocka_unit_test(test_many_others),     cmocka_unit_test(test_shipped),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_nothing_is_lost), cmocka_unit_test(test_no_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
