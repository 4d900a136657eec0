/* test_target.c: requests' targets taken apart: segments, pairs, escapes, UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/text.h"
#include "hub/http/target.h"

/* The target as "segment/segment?name=value&..." after decoding, or "!flaw" of the path, or of the query. */
static const char *shown(const char *text) {
    static char out[8192];
    struct target target;
    enum target_flaw flaw;
    size_t used = 0;
    if (target_parse(&target, text, &flaw) != 0) {
        snprintf(out, sizeof out, "!%d", flaw);
    } else if (target.asterisk) {
        snprintf(out, sizeof out, "*");
    } else if (target_query(&target, &flaw) != 0) {
        snprintf(out, sizeof out, "?!%d", flaw);
    } else {
        out[0] = '\0';
        size_t count = target.segment_count > TARGET_SEGMENTS_MAX ? TARGET_SEGMENTS_MAX : target.segment_count;
        for (size_t i = 0; i < count; i++) {
            used += (size_t)snprintf(out + used, sizeof out - used, "/%s", target.segments[i]);
        }
        if (target.segment_count > TARGET_SEGMENTS_MAX) {
            used += (size_t)snprintf(out + used, sizeof out - used, "/...");
        }
        for (size_t i = 0; i < target.pair_count; i++) {
            used += (size_t)snprintf(out + used, sizeof out - used, "%c%s=%s", i == 0 ? '?' : '&', target.pairs[i].name,
                                     target.pairs[i].value);
        }
    }
    target_free(&target);
    return out;
}

static void test_paths(void **state) {
    (void)state;
    assert_string_equal(shown("/"), "/");
    assert_string_equal(shown("/a/b"), "/a/b");
    assert_string_equal(shown("/a/"), "/a/");
    assert_string_equal(shown("//"), "//");
    assert_string_equal(shown("/%41%2f%42/c+d"), "/A/B/c+d"); /* one segment "A/B": see test_escaped_slash */
    assert_string_equal(shown("/%e6%89%ac\xe5\xb0\x98"), "/\xe6\x89\xac\xe5\xb0\x98");
    assert_string_equal(shown("/../%2e%2e"), "/../.."); /* nothing is resolved: no route has such a segment */
    assert_string_equal(shown("http://host/a?b"), "/a?b=");
    assert_string_equal(shown("HTTPS://host:1/a"), "/a");
    assert_string_equal(shown("http://host"), "/");
    assert_string_equal(shown("http://host?q=1"), "/?q=1");
    assert_string_equal(shown("*"), "*");
    assert_string_equal(shown("/1/2/3/4/5/6/7/8/9/10/11/12"), "/1/2/3/4/5/6/7/8/9/10/11/12");
    assert_string_equal(shown("/1/2/3/4/5/6/7/8/9/10/11/12/13/14"), "/1/2/3/4/5/6/7/8/9/10/11/12/...");
}

static void test_escaped_slash(void **state) {
    (void)state;
    struct target target;
    enum target_flaw flaw;
    assert_int_equal(target_parse(&target, "/a%2Fb/c", &flaw), 0);
    assert_int_equal(target.segment_count, 2);
    assert_string_equal(target.segments[0], "a/b");
    target_free(&target);
}

static void test_queries(void **state) {
    (void)state;
    assert_string_equal(shown("/?"), "/");
    assert_string_equal(shown("/?a=1&b=2"), "/?a=1&b=2");
    assert_string_equal(shown("/?a"), "/?a=");
    assert_string_equal(shown("/?a=b=c"), "/?a=b=c");
    assert_string_equal(shown("/?&&a=1&&"), "/?a=1");
    assert_string_equal(shown("/?=1"), "/?=1");
    assert_string_equal(shown("/?a+b=c+d%2B"), "/?a b=c d+");
    assert_string_equal(shown("/?a%3Db=%26"), "/?a=b=&");
    assert_string_equal(shown("/?a=1?b"), "/?a=1?b");
}

static void test_flaws(void **state) {
    (void)state;
    static const char *const forms[] = {"", "a", "a/b", "?a", "ftp://x/", "httpx", "**"};
    static const char *const escapes[] = {"/%", "/%1", "/%g1", "/%1g", "/a/%%41"};
    static const char *const texts[] = {"/%00",          "/a%00b",  "/%0a",    "/%1f",          "/%7f",
                                        "/%80",          "/%c0%80", "/%c1%bf", "/%e0%80%af",    "/%ed%a0%80",
                                        "/%f5%80%80%80", "/%c3",    "/\xff",   "/%f4%90%80%80", "/%c2%85"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        assert_string_equal(shown(forms[i]), "!0");
    }
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        assert_string_equal(shown(escapes[i]), "!1");
    }
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char query[64];
        assert_string_equal(shown(texts[i]), "!2");
        snprintf(query, sizeof query, "/?a=%s", texts[i] + 1);
        assert_string_equal(shown(query), "?!2");
        snprintf(query, sizeof query, "/?%s=a", texts[i] + 1);
        assert_string_equal(shown(query), "?!2");
    }
    char many[256] = "/?a";
    for (int i = 1; i < TARGET_PAIRS_MAX; i++) {
        strcat(many, "&a");
    }
    assert_int_equal(shown(many)[0], '/');
    strcat(many, "&a");
    assert_string_equal(shown(many), "?!3");
}

/* Whatever was sent: what comes out is clean text, and any text that is escaped comes out as it was. */
static void test_random(void **state) {
    (void)state;
    uint32_t seed = 20261126;
    for (int round = 0; round < 20000; round++) {
        char text[64] = "/";
        size_t length = 1 + seed % (sizeof text - 2);
        for (size_t i = 1; i < length; i++) {
            static const char often[] = "/?&=%+aA09%%%%\xe6\x89\xac\xff";
            seed = seed * 1664525u + 1013904223u;
            text[i] = seed >> 31 ? often[(seed >> 8) % (sizeof often - 1)] : (char)(1 + (seed >> 8) % 255);
        }
        text[length] = '\0';
        const char *out = shown(text);
        assert_true(out[0] == '!' || out[0] == '?' || text_flaw(out, strlen(out), false) == NULL);
    }
    for (int round = 0; round < 2000; round++) {
        char plain[32], target[128] = "/?q=";
        size_t length = 1 + (seed >> 16) % 20;
        for (size_t i = 0; i < length; i++) {
            seed = seed * 1664525u + 1013904223u;
            plain[i] = (char)(' ' + (seed >> 8) % 95);
        }
        plain[length] = '\0';
        for (size_t i = 0; i < length; i++) {
            snprintf(target + strlen(target), 4, "%%%02X", (unsigned)plain[i]);
        }
        struct target parsed;
        enum target_flaw flaw;
        assert_int_equal(target_parse(&parsed, target, &flaw), 0);
        assert_int_equal(target_query(&parsed, &flaw), 0);
        assert_string_equal(parsed.pairs[0].value, plain);
        target_free(&parsed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths), cmocka_unit_test(test_escaped_slash), cmocka_unit_test(test_queries),
        cmocka_unit_test(test_flaws), cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
