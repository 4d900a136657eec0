/* test_copy.c: COPY's binary form byte by byte, against PostgreSQL's documentation (COPY, "Binary Format") and the
 * binary forms of its types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hub/adapter.h"
#include "hub/base/copy.h"

static void holds(struct buffer *buffer, const void *bytes, size_t length) {
    assert_false(buffer->failed);
    assert_int_equal(buffer->length, length);
    assert_memory_equal(buffer->data, bytes, length);
    buffer_free(buffer);
}

static void test_frame(void **state) {
    (void)state;
    struct buffer buffer = {0};
    copy_header(&buffer);
    copy_trailer(&buffer);
    holds(&buffer, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\377\377", 21);
}

static void test_fields(void **state) {
    (void)state;
    struct buffer buffer = {0};
    copy_null(&buffer);
    copy_int4(&buffer, -2);
    copy_int8(&buffer, 258);
    copy_bytes(&buffer, "ab", 2);
    copy_bytes(&buffer, "", 0);
    holds(&buffer,
          "\377\377\377\377"
          "\0\0\0\4\377\377\377\376"
          "\0\0\0\10\0\0\0\0\0\0\1\2"
          "\0\0\0\2ab"
          "\0\0\0\0",
          34);
}

/* Microseconds since 2000-01-01. */
static void test_time(void **state) {
    (void)state;
    struct buffer buffer = {0};
    copy_time(&buffer, INT64_C(946684800) * 1000000 + 1);
    copy_time(&buffer, INT64_C(946684800) * 1000000 - 1);
    holds(&buffer, "\0\0\0\10\0\0\0\0\0\0\0\1\0\0\0\10\377\377\377\377\377\377\377\377", 24);
    assert_true(copy_time_value(0) == INT64_C(-946684800000000));
}

/* EWKB, little-endian, with SRID 4326 = 0x10e6. */
static void test_point(void **state) {
    (void)state;
    struct buffer buffer = {0};
    copy_point(&buffer, 1, -2);
    holds(&buffer,
          "\0\0\0\31\1\1\0\0\40\346\20\0\0"
          "\0\0\0\0\0\0\360\77"
          "\0\0\0\0\0\0\0\300",
          29);
}

/* Dimensions, has nulls, element type 701; per dimension its length and lower bound; elements. */
static void test_readings(void **state) {
    (void)state;
    struct buffer buffer = {0};
    static const double values[] = {1, -2};
    copy_readings(&buffer, 0, values);
    holds(&buffer, "\0\0\0\14\0\0\0\0\0\0\0\0\0\0\2\275", 16);
    copy_readings(&buffer, 5, values);
    holds(&buffer,
          "\0\0\0\60\0\0\0\1\0\0\0\1\0\0\2\275\0\0\0\3\0\0\0\1"
          "\0\0\0\10\77\360\0\0\0\0\0\0"
          "\377\377\377\377"
          "\0\0\0\10\300\0\0\0\0\0\0\0",
          52);
    copy_readings(&buffer, 1, values);
    holds(&buffer, "\0\0\0\40\0\0\0\1\0\0\0\0\0\0\2\275\0\0\0\1\0\0\0\1\0\0\0\10\77\360\0\0\0\0\0\0", 36);
    copy_readings(&buffer, UINT64_C(1) << 62, values);
    assert_int_equal(buffer.length, 4 + 20 + 63 * 4 + 8);
    buffer_free(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frame), cmocka_unit_test(test_fields),
                                       cmocka_unit_test(test_time), cmocka_unit_test(test_point),
                                       cmocka_unit_test(test_readings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
