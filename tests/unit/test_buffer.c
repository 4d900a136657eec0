/* test_buffer.c: growing runs of bytes: COPY's forms, literals, growth, and memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "hub/base/buffer.h"
#include "hub/base/count.h"

static void holds(struct buffer *buffer, const void *bytes, size_t length) {
    assert_false(buffer->failed);
    assert_int_equal(buffer->length, length);
    assert_memory_equal(buffer->data, bytes, length);
    buffer_free(buffer);
    assert_null(buffer->data);
}

static void test_numbers(void **state) {
    (void)state;
    struct buffer buffer = {0};
    buffer_int16(&buffer, 0x0102);
    buffer_int16(&buffer, -1);
    buffer_int32(&buffer, 0x01020304);
    buffer_int32(&buffer, INT32_MIN);
    buffer_int64(&buffer, 0x0102030405060708);
    buffer_int64(&buffer, -2);
    holds(&buffer,
          "\x01\x02\xff\xff\x01\x02\x03\x04\x80\0\0\0"
          "\x01\x02\x03\x04\x05\x06\x07\x08\xff\xff\xff\xff\xff\xff\xff\xfe",
          28);
    buffer_float8(&buffer, 1);
    buffer_float8(&buffer, -0.0);
    buffer_float8(&buffer, -INFINITY);
    holds(&buffer, "\x3f\xf0\0\0\0\0\0\0\x80\0\0\0\0\0\0\0\xff\xf0\0\0\0\0\0\0", 24);
}

static void test_texts(void **state) {
    (void)state;
    struct buffer buffer = {0};
    buffer_text(&buffer, "a");
    buffer_text(&buffer, "");
    buffer_bytes(&buffer, "b\0c", 3);
    buffer_bytes(&buffer, NULL, 0);
    buffer_format(&buffer, "%d-%s", 42, "中");
    holds(&buffer, "ab\0c42-中", 10);
    buffer_text(&buffer, "with its end");
    assert_string_equal(buffer_string(&buffer), "with its end");
    assert_int_equal(buffer.length, 12); /* the NUL is not counted */
    buffer_text(&buffer, "!");
    assert_string_equal(buffer_string(&buffer), "with its end!");
    buffer_free(&buffer);
    assert_string_equal(buffer_string(&buffer), "");
    buffer_free(&buffer);
}

static void test_literals(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        const char *literal;
    } cases[] = {
        {"", 0, "''"},           {"plain", 5, "'plain'"},      {"it's", 4, "'it''s'"},
        {"''", 2, "''''''"},     {"'; DROP", 7, "'''; DROP'"}, {"back\\slash", 10, "'back\\slash'"},
        {"longer", 4, "'long'"}, {"中'文", 7, "'中''文'"},
    };
    struct buffer buffer = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buffer_literal(&buffer, cases[i].text, cases[i].length);
        assert_string_equal(buffer_string(&buffer), cases[i].literal);
        buffer_reset(&buffer, SIZE_MAX);
    }
    buffer_bytea(&buffer, "\x00\x7f\x80\xff", 4);
    buffer_bytea(&buffer, "", 0);
    assert_string_equal(buffer_string(&buffer), "'\\x007f80ff'::bytea'\\x'::bytea");
    buffer_free(&buffer);
}

/* Byte by byte and in pieces of every size: nothing is lost where memory grows. */
static void test_growth(void **state) {
    (void)state;
    struct buffer buffer = {0};
    for (int i = 0; i < 100000; i++) {
        char byte = (char)(i % 251);
        buffer_bytes(&buffer, &byte, 1);
    }
    assert_int_equal(buffer.length, 100000);
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(buffer.data[i], (char)(i % 251));
    }
    buffer_free(&buffer);
    char piece[3000];
    memset(piece, 'p', sizeof piece);
    size_t total = 0;
    for (size_t length = 0; length < sizeof piece; length += 7) {
        buffer_format(&buffer, "%.*s", (int)length, piece);
        total += length;
    }
    assert_int_equal(buffer.length, total);
    assert_int_equal(strspn(buffer_string(&buffer), "p"), total);
    buffer_free(&buffer);
}

static void test_reset(void **state) {
    (void)state;
    struct buffer buffer = {0};
    char piece[1000] = {0};
    buffer_bytes(&buffer, piece, sizeof piece);
    const char *data = buffer.data;
    buffer_reset(&buffer, 1000000);
    assert_int_equal(buffer.length, 0);
    assert_ptr_equal(buffer.data, data);
    buffer_reset(&buffer, 10);
    assert_null(buffer.data);
    assert_int_equal(buffer.capacity, 0);
}

/* A length that no memory can hold fails once and stays failed until it is emptied. */
static void test_failure_is_remembered(void **state) {
    (void)state;
    struct buffer buffer = {0};
    buffer_text(&buffer, "kept");
    buffer_bytes(&buffer, "x", SIZE_MAX - 2);
    assert_true(buffer.failed);
    buffer_text(&buffer, "not added");
    buffer_int32(&buffer, 1);
    buffer_format(&buffer, "%d", 1);
    buffer_literal(&buffer, "x", 1);
    buffer_bytea(&buffer, "x", 1);
    assert_int_equal(buffer.length, 4);
    assert_null(buffer_string(&buffer));
    buffer_reset(&buffer, 1000);
    assert_false(buffer.failed);
    buffer_text(&buffer, "good again");
    assert_string_equal(buffer_string(&buffer), "good again");
    buffer_free(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_texts), cmocka_unit_test(test_literals),
        cmocka_unit_test(test_growth),  cmocka_unit_test(test_reset), cmocka_unit_test(test_failure_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
