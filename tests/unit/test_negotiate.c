/* test_negotiate.c: what Accept, Accept-Encoding, Accept-Language and If-None-Match say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

#include "hub/http/negotiate.h"

static void test_type(void **state) {
    (void)state;
    static const struct {
        const char *accept;
        bool taken;
    } cases[] = {
        {NULL, true},
        {"", true},
        {" , ,", true},
        {"application/json", true},
        {"APPLICATION/Json;q=1", true},
        {"application/json;q=0", false},
        {"application/json ; q=0.000", false},
        {"application/json;q=0.001", true},
        {"application/*", true},
        {"application/*;q=0", false},
        {"*/*", true},
        {"*/*;q=0", false},
        {"text/html", false},
        {"text/*, image/png", false},
        {"text/html, */*;q=0.1", true},
        {"*/*, application/json;q=0", false},
        {"*/*;q=0, application/json", true},
        {"application/*;q=0, application/json;q=0.5, */*", true},
        {"application/jsonx", false},
        {"application", false},
        {"*", false},
        {"text/html;level=\"1,2;q=0\", application/json", true},
        {"application/json;charset=\"a\\\"b,\";q=0", false},
        {"application/json;q=nonsense", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (negotiate_type(cases[i].accept, "application/json; charset=utf-8") != cases[i].taken) {
            fail_msg("Accept: %s", cases[i].accept);
        }
    }
}

/* Whoever takes JSON takes GeoJSON and OpenAPI; not the other way round. */
static void test_types_of_json(void **state) {
    (void)state;
    static const struct {
        const char *accept;
        bool taken;
    } cases[] = {
        {"application/json", true},
        {"application/json, application/*+json", true},
        {"application/*+json;q=0.5", true},
        {"application/geo+json", true},
        {"application/json, application/geo+json;q=0", false},
        {"application/json;q=0", false},
        {"application/schema+json", false},
        {"text/json", false},
        {"text/csv, application/xml", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (negotiate_type(cases[i].accept, "application/geo+json") != cases[i].taken) {
            fail_msg("Accept: %s", cases[i].accept);
        }
    }
    assert_true(negotiate_type("application/json", "application/vnd.oai.openapi+json;version=3.0"));
    assert_false(negotiate_type("application/geo+json", "application/json"));
    assert_false(negotiate_type("application/json", "+json/text"));
}

static void test_gzip(void **state) {
    (void)state;
    static const char *const taken[] = {"gzip", "GZIP",        "x-gzip",    "deflate, gzip;q=0.5",
                                        "*",    "br, *;q=0.1", "gzip;q=1.0"};
    static const char *const not_taken[] = {"",         "deflate", "gzip;q=0", "*;q=0", "gzip;q=0.000, *",
                                            "identity", "gzipped"};
    assert_false(negotiate_gzip(NULL));
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        assert_true(negotiate_gzip(taken[i]));
    }
    for (size_t i = 0; i < sizeof not_taken / sizeof not_taken[0]; i++) {
        assert_false(negotiate_gzip(not_taken[i]));
    }
}

static void test_language(void **state) {
    (void)state;
    static const char *const english[] = {
        "en", "en-GB", "en-US,en;q=0.9", "EN", "fr, en;q=0.5", "zh;q=0.4, en;q=0.5", "zh;q=0, *", "zh;q=0.5, *"};
    static const char *const chinese[] = {
        "",        "zh", "zh-CN,zh;q=0.9,en;q=0.8", "en;q=0.5, zh-Hans-CN;q=0.5", "fr", "*", "en;q=0",
        "english", "e",  "en;q=0.3, *;q=0.9"};
    assert_int_equal(negotiate_language(NULL), LANGUAGE_ZH);
    for (size_t i = 0; i < sizeof english / sizeof english[0]; i++) {
        if (negotiate_language(english[i]) != LANGUAGE_EN) {
            fail_msg("%s", english[i]);
        }
    }
    for (size_t i = 0; i < sizeof chinese / sizeof chinese[0]; i++) {
        if (negotiate_language(chinese[i]) != LANGUAGE_ZH) {
            fail_msg("%s", chinese[i]);
        }
    }
}

static void test_matches(void **state) {
    (void)state;
    static const char *const same[] = {"\"a-1\"", "W/\"a-1\"",    "\"x\", \"a-1\"", "\"x\",\"y\" , W/\"a-1\"", "*",
                                       " *",      "\"a-1-gzip\"", "W/\"a-1-gzip\"", "\"a,b\", \"a-1\""};
    static const char *const other[] = {"",           "\"a-2\"", "a-1",  "\"a-1", "\"a-1-gzi\"", "\"a-1-gzip-gzip\"",
                                        "\"a-1-gzip", "\"A-1\"", "\"\"", ",,,",   "W/"};
    assert_false(negotiate_matches(NULL, "\"a-1\""));
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (!negotiate_matches(same[i], "\"a-1\"") || !negotiate_matches(same[i], "W/\"a-1\"")) {
            fail_msg("%s", same[i]);
        }
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        if (negotiate_matches(other[i], "\"a-1\"")) {
            fail_msg("%s", other[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type),     cmocka_unit_test(test_types_of_json), cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_language), cmocka_unit_test(test_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
