/* test_jt808_build.c: answers and commands to terminals: the bytes as they travel, whatever has to be escaped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/base/error.h"
#include "hub/gateway/jt808_build.h"
#include "jt808_rows.h"

static const struct jt808_address SHORT = {.phone = "012345678901"};
static const struct jt808_address LONG = {.is_2019 = true, .version = 1, .phone = "00000000017299841738"};
static uint8_t out[JT808_WIRE_MAX];

static void check(int length, const char *hex) {
    uint8_t bytes[256];
    size_t expected = bytes_of(hex, bytes, sizeof bytes);
    assert_int_equal(length, expected);
    assert_memory_equal(out, bytes, expected);
}

/* The body of what was built, by our own reader. */
static const struct jt808_frame *built(int length) {
    static struct jt808_frame frame;
    struct reading_result result;
    assert_true(length > 0);
    assert_int_equal(jt808_read(out, (size_t)length, true, &result), READING_FRAME);
    assert_int_equal(result.length, length);
    assert_null(memchr(out + 1, 0x7e, (size_t)length - 2));
    jt808_parse(out, (size_t)length, &frame);
    assert_int_equal(frame.standing, JT808_GOOD);
    return &frame;
}

static void check_body(int length, uint16_t id, const char *hex) {
    uint8_t bytes[256];
    const struct jt808_frame *frame = built(length);
    size_t expected = bytes_of(hex, bytes, sizeof bytes);
    assert_int_equal(frame->id, id);
    assert_int_equal(frame->length, expected);
    assert_memory_equal(frame->body, bytes, expected);
}

static void test_answers(void **state) {
    (void)state;
    check(jt808_build_answer(&SHORT, 7, 0x7fff, 0x0002, JT808_DONE, out), "7e8001000501234567890100077fff000200897e");
    check_body(jt808_build_answer(&LONG, 1, 0x1234, 0x0200, JT808_FAILED, out), 0x8001, "1234020001");
    check_body(jt808_build_registered(&SHORT, 1, 5, JT808_REGISTERED, "abc", out), 0x8100, "000500616263");
    check_body(jt808_build_registered(&SHORT, 1, 5, JT808_NO_SUCH_TERMINAL, "abc", out), 0x8100, "000504");
    static const uint16_t missing[] = {2, 0x7e7d};
    check_body(jt808_build_media(&SHORT, 1, 0x7e0000ff, NULL, 0, out), 0x8800, "7e0000ff");
    check_body(jt808_build_media(&SHORT, 1, 9, missing, 2, out), 0x8800, "000000090200027e7d");
    check_body(jt808_build_ask_again(&SHORT, 1, 0x0102, missing, 2, out), 0x8003, "01020200027e7d");
    check_body(jt808_build_ask_again(&LONG, 1, 0x0102, missing, 2, out), 0x8003,
               "0102000200027e7d"); /* 2019: two bytes */
}

static void test_commands(void **state) {
    (void)state;
    const int64_t moment = INT64_C(1798848000000); /* 2027-01-02 00:00:00 UTC */
    check_body(jt808_build_time(&LONG, 1, JT808_TIME_2019, moment + 3723000, out), 0x8004, "270102010203");
    check_body(jt808_build_time(&LONG, 1, JT808_TIME, moment + 3723000, out), 0x8109, "07eb0102010203");
    assert_int_equal(jt808_build_time(&LONG, 1, JT808_TIME, 0, out), CH_EINVAL);
    check_body(jt808_build_text(&SHORT, 1, 1, "请减速", out), 0x8300, "01c7ebbcf5cbd9");
    check_body(jt808_build_text(&LONG, 1, 1, "ok", out), 0x8300, "01016f6b");
    assert_int_equal(jt808_build_text(&SHORT, 1, 1, "\xf0\x9f\x9a\x9b", out), CH_EINVAL); /* GBK has no such picture */
    check_body(jt808_build_query_position(&SHORT, 1, out), 0x8201, "");
    check_body(jt808_build_query_parameters(&LONG, 1, out), 0x8104, "");
    static const struct jt808_parameter parameters[] = {{0x29, 4, (const uint8_t *)"\0\0\0\x0a"},
                                                        {0x13, 3, (const uint8_t *)"abc"}};
    check_body(jt808_build_set_parameters(&SHORT, 1, parameters, 2, out), 0x8103,
               "0200000029040000000a0000001303616263");
    assert_int_equal(jt808_build_set_parameters(&SHORT, 1, parameters, 0, out), CH_EINVAL);
}

/* Whatever the bytes are, the XOR byte too: over 256 serials one frame has 7d there and one 7e. */
static void test_escapes(void **state) {
    (void)state;
    uint8_t body[JT808_BODY_MAX];
    bool marks = false, escapes = false;
    for (unsigned i = 0; i < 256; i++) {
        int length = jt808_build_answer(&SHORT, (uint16_t)i, 0x7d7e, 0x0200, 0, out);
        const struct jt808_frame *frame = built(length);
        marks = marks || frame->check == 0x7e;
        escapes = escapes || frame->check == 0x7d;
        assert_int_equal(jt808_u16(frame->body), 0x7d7e);
    }
    assert_true(marks && escapes);
    memset(body, 0x7e, sizeof body);
    assert_int_equal(built(jt808_build(&LONG, 0x8300, 1, body, sizeof body, out))->length, JT808_BODY_MAX);
    assert_int_equal(jt808_build(&LONG, 0x8300, 1, body, JT808_BODY_MAX + 1, out), CH_EINVAL);
    struct jt808_address wrong = {.phone = "12345"};
    assert_int_equal(jt808_build_query_position(&wrong, 1, out), CH_EINVAL);
    const struct jt808_frame *frame = built(jt808_build_query_position(&LONG, 1, out));
    struct jt808_address back = jt808_address_of(frame);
    assert_true(back.is_2019 && back.version == 1 && strcmp(back.phone, LONG.phone) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
