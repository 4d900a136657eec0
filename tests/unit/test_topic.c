/* test_topic.c: the words of the topics are those that vendors were told, and a topic is built and taken apart alike.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/base/topic.h"

/* Spelled here once more: vendors' programs rely on them. */
static const char *const told[] = {"telemetry", "inventory", "staff", "work", "case", "interval", "receipt"};

static void test_words(void **state) {
    (void)state;
    assert_int_equal(TOPIC_NONE, sizeof told / sizeof told[0]);
    for (int kind = 0; kind < TOPIC_NONE; kind++) {
        assert_string_equal(topic_words[kind], told[kind]);
        assert_int_equal(topic_kind(told[kind]), kind);
        assert_int_equal(strstr(TOPIC_WORDS_IN, told[kind]) != NULL, kind < TOPIC_KINDS_IN);
    }
    static const char *const others[] = {"", "Telemetry", "telemetr", "telemetry ", "rubbish", "+"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(topic_kind(others[i]), TOPIC_NONE);
    }
}

static void level_is(struct topic_level level, const char *text) {
    assert_int_equal(level.length, strlen(text));
    assert_memory_equal(level.text, text, level.length);
}

static void test_there_and_back(void **state) {
    (void)state;
    char text[64];
    struct topic topic;
    snprintf(text, sizeof text, TOPIC_FORMAT, "dust", "acme", topic_words[TOPIC_STAFF]);
    assert_string_equal(text, "cityhub/v1/dust/acme/staff");
    assert_true(topic_split(text, &topic));
    level_is(topic.subsystem, "dust");
    level_is(topic.vendor, "acme");
    level_is(topic.kind, "staff");
}

static void test_split(void **state) {
    (void)state;
    static const struct {
        const char *text, *subsystem, *vendor, *kind; /* subsystem NULL: it is no topic of ours */
    } cases[] = {
        {"cityhub/v1/dust//telemetry", "dust", "", "telemetry"},
        {"cityhub/v1///", "", "", ""},
        {"cityhub/v1/a/b/c d", "a", "b", "c d"},
        {"cityhub/v1/dust/acme", NULL, NULL, NULL},
        {"cityhub/v1/dust/acme/telemetry/more", NULL, NULL, NULL},
        {"cityhub/v1/dust/acme/telemetry/", NULL, NULL, NULL},
        {"cityhub/v2/dust/acme/telemetry", NULL, NULL, NULL},
        {"/cityhub/v1/dust/acme/telemetry", NULL, NULL, NULL},
        {"cityhub/v1", NULL, NULL, NULL},
        {"cityhub/v1/", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct topic topic;
        bool split = topic_split(cases[i].text, &topic);
        if (split != (cases[i].subsystem != NULL)) {
            fail_msg("%s", cases[i].text);
        }
        if (split) {
            level_is(topic.subsystem, cases[i].subsystem);
            level_is(topic.vendor, cases[i].vendor);
            level_is(topic.kind, cases[i].kind);
        }
    }
}

static void test_first_received(void **state) {
    (void)state;
    static const struct {
        const char *text, *left;
        int64_t first_received_ms;
    } cases[] = {
        {"cityhub/v1/dust/acme@1760000000000/work", "cityhub/v1/dust/acme/work", 1760000000000},
        {"cityhub/v1/dust/acme/work", "cityhub/v1/dust/acme/work", 0},
        {"cityhub/v1/dust/acme@/work", "cityhub/v1/dust/acme@/work", 0},
        {"cityhub/v1/dust/acme@12a/work", "cityhub/v1/dust/acme@12a/work", 0},
        {"cityhub/v1/dust/acme@-1/work", "cityhub/v1/dust/acme@-1/work", 0},
        {"cityhub/v1/dust/acme@1@2/work", "cityhub/v1/dust/acme@1@2/work", 0},
        {"cityhub/v1/dust@1/acme/work", "cityhub/v1/dust@1/acme/work", 0},
        {"cityhub/v1/dust/acme/work@1", "cityhub/v1/dust/acme/work@1", 0},
        {"cityhub/v1/dust/acme@1/work/more", "cityhub/v1/dust/acme@1/work/more", 0},
        {"cityhub/v1/a/@999999999999999999/b", "cityhub/v1/a//b", 999999999999999999},
        {"cityhub/v1/a/@1000000000000000000/b", "cityhub/v1/a/@1000000000000000000/b", 0},
        {"", "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s", cases[i].text);
        assert_int_equal(topic_cut_first_received(text), cases[i].first_received_ms);
        assert_string_equal(text, cases[i].left);
    }
    char *marked = topic_put_first_received("cityhub/v1/dust/acme/case", "17");
    assert_string_equal(marked, "cityhub/v1/dust/acme@17/case");
    assert_int_equal(topic_cut_first_received(marked), 17);
    assert_string_equal(marked, "cityhub/v1/dust/acme/case");
    free(marked);
    marked = topic_put_first_received("other", "17");
    assert_string_equal(marked, "other");
    free(marked);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_first_received),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
