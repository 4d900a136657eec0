/* test_decode_json_names.c: JSON as protobuf's own printers and careless ones write it: names in both forms, numbers
 * and enums as texts, tokens that JSON does not have. */
#include "json_message.h"

#include <math.h>

/* ---- what protobuf's own JSON printer writes (protobuf.dev/programming-guides/json) */

static void test_names_of_protobuf_json(void **state) {
    struct decoded *decoded = *state;
    for (size_t a = 0; a < adapter_count; a++) {
        for (size_t m = 0; m < adapters[a]->metric_count; m++) {
            const struct metric *metric = &adapters[a]->metrics[m];
            char camel[64] = "", text[300];
            size_t used = 0;
            for (const char *at = metric->key; *at != '\0'; at++) {
                bool upper = at > metric->key && at[-1] == '_' && *at >= 'a' && *at <= 'z';
                if (*at != '_') {
                    camel[used++] = (char)(upper ? *at - 'a' + 'A' : *at);
                }
            }
            snprintf(text, sizeof text, "{\"deviceCode\":\"X\",\"observedAtMs\":\"" NOW "\",\"%s\":%s}", camel,
                     metric->kind == METRIC_TEXT ? "\"1\"" : "1");
            run(decoded, adapters[a]->key, text);
            decoded_expect(decoded, 1, 1, 0);
            assert_int_equal(decoded->warning_count + decoded->flaw_count, 0);
            assert_int_equal(decoded->records[0].present | decoded->records[0].text_present, UINT64_C(1) << m);
        }
    }
    refused(decoded, "dust", "\"pm25UgM3\":1,\"pm25_ug_m3\":1", "duplicate_field", "pm25_ug_m3: comes twice");
    refused(decoded, "dust", "\"deviceCode\":\"Y\",\"device_code\":\"Y\",\"pm25UgM3\":1", "duplicate_field",
            "device_code: comes twice");
    accepted(decoded, "dust", "\"pm25UgM3\":1,\"Pm25UgM3\":1,\"pm25ugm3\":1,\"pm25_UgM3\":1,\"pm25Ug_M3\":1");
    assert_int_equal(decoded->warning_count, 4); /* these are no names of it */
}

static void test_numbers_as_texts(void **state) {
    struct decoded *decoded = *state;
    const struct adapter *sanitation = decoded_adapter("sanitation"), *dust = decoded_adapter("dust");
    const struct record *got = accepted(decoded, "dust",
                                        "\"pm25_ug_m3\":\"35.5\",\"position\":{\"lon\":\"114.5\",\"lat\":\"3.4e1\","
                                        "\"system\":\"GCJ02\"}");
    assert_true(decoded_value(got, dust, "pm25_ug_m3") == 35.5);
    assert_true(got->has_position);
    got = accepted(decoded, "dust", "\"pm25_ug_m3\":\"  35.5 \\r\\n\\u0000\"");
    assert_true(decoded_value(got, dust, "pm25_ug_m3") == 35.5);
    got = accepted(decoded, "sanitation", "\"stalls_total\":\"8\",\"visitors_total\":\"8.0\",\"load_kg\":\"-0\"");
    assert_true(decoded_value(got, sanitation, "stalls_total") == 8);
    assert_true(decoded_value(got, sanitation, "visitors_total") == 8);
    static const char *const bad[] = {"\"\"",   "\" \"",  "\"1 2\"",        "\"1,5\"", "\"0x10\"", "\"01\"",
                                      "\"1e\"", "\"+1\"", "\"\\u0031\\q\"", "\"N/A\"", "\"null\"", "\"true\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char members[100];
        snprintf(members, sizeof members, "\"noise_dba\":70,\"pm25_ug_m3\":%s", bad[i]);
        flawed(decoded, "dust", members, "pm25_ug_m3", "wrong_type", "it must be a number");
    }
    flawed(decoded, "sanitation", "\"load_kg\":1,\"stalls_total\":\"-1\"", "stalls_total", "wrong_type", "outside the");
}

static void test_names_of_enums(void **state) {
    static const struct {
        const char *name;
        int system;
    } cases[] = {
        {"WGS84", 0},    {"wgs84", 0},     {"WGS-84", 0},    {"wgs_84", 0},        {"WGS 84", 0}, {"EPSG:4326", 0},
        {"CGCS2000", 1}, {"cgcs-2000", 1}, {"epsg:4490", 1}, {"GCJ02", 2},         {"GCJ-02", 2}, {"gcj_02", 2},
        {"bd09", 3},     {"BD-09", 3},     {"bd09ll", 3},    {"WGS84x", -1},       {"WGS8", -1},  {"", -1},
        {"-", -1},       {"bd09mc", -1},   {"MARS", -1},     {"GCJ02\\u0000", -1},
    };
    struct decoded *decoded = *state;
    double places[4][2];
    for (int system = 0; system < 4; system++) {
        char members[200];
        snprintf(members, sizeof members, "\"pm25_ug_m3\":1,\"position\":{\"lon\":114,\"lat\":34,\"system\":%d}",
                 system);
        const struct record *got = accepted(decoded, "dust", members);
        places[system][0] = got->lon;
        places[system][1] = got->lat;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char members[200];
        snprintf(members, sizeof members, "\"pm25_ug_m3\":1,\"position\":{\"lon\":114,\"lat\":34,\"system\":\"%s\"}",
                 cases[i].name);
        if (cases[i].system < 0) {
            flawed(decoded, "dust", members, "position", "bad_enum", "WGS84 = 0, CGCS2000 = 1, GCJ02 = 2, BD09 = 3");
            continue;
        }
        const struct record *got = accepted(decoded, "dust", members);
        assert_true(got->lon == places[cases[i].system][0] && got->lat == places[cases[i].system][1]);
    }
    flawed(decoded, "streetlight", "\"voltage_v\":220,\"fault_code\":\"NO\"", "fault_code", "bad_enum", " more");
}

/* Tokens that JSON does not know, as printf and others write them: they cost their field alone. */
static void test_tokens_of_no_json(void **state) {
    static const struct {
        const char *token, *code, *word;
    } cases[] = {
        {"nan", "not_finite", "NaN"},
        {"-nan", "not_finite", "NaN"},
        {"NAN", "not_finite", "NaN"},
        {"inf", "not_finite", "infinity"},
        {"-INF", "not_finite", "infinity"},
        {"1.#QNAN", "not_finite", "NaN"},
        {"-1.#IND", "not_finite", "NaN"},
        {"-nan(ind)", "not_finite", "NaN"},
        {"--", "wrong_type", "\"--\", which is no JSON value"},
        {"01", "wrong_type", "\"01\""},
        {"1.", "wrong_type", "\"1.\""},
        {".5", "wrong_type", "\".5\""},
        {"+1", "wrong_type", "\"+1\""},
        {"0x1F", "wrong_type", "\"0x1F\""},
        {"12ug", "wrong_type", "\"12ug\""},
        {"35%", "wrong_type", "\"35%\""},
        {"None", "wrong_type", "\"None\""},
        {"undefined", "wrong_type", "\"undefined\""},
        {"True", "wrong_type", "\"True\""},
        {"无", "wrong_type", "\"无\""},
        {"", "wrong_type", "is empty"},
        {" ", "wrong_type", "is empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char members[200];
        for (int last = 0; last < 2; last++) {
            snprintf(members, sizeof members,
                     last ? "\"noise_dba\":70,\"pm25_ug_m3\":%s" : "\"pm25_ug_m3\":%s,\"noise_dba\":70",
                     cases[i].token);
            const struct record *got = flawed(*state, "dust", members, "pm25_ug_m3", cases[i].code, cases[i].word);
            assert_true(decoded_value(got, decoded_adapter("dust"), "noise_dba") == 70);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names_of_protobuf_json, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_numbers_as_texts, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_names_of_enums, decoded_setup, decoded_teardown),
        cmocka_unit_test_setup_teardown(test_tokens_of_no_json, decoded_setup, decoded_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
