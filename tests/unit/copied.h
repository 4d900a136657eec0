/* copied.h: reads data in COPY's binary form row by row, for tests. */
#ifndef CITYHUB_TEST_COPIED_H
#define CITYHUB_TEST_COPIED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <endian.h>
#include <stdbool.h>

enum { COPIED_COLUMNS_MAX = 16, COPIED_HEADER = 19 };

struct copied {
    const char *at, *end;
    int columns;
    struct {
        int length; /* -1 = NULL */
        const char *bytes;
    } fields[COPIED_COLUMNS_MAX]; /* of the row at hand */
};

static inline struct copied copied_begin(const void *data, size_t length) {
    assert_true(length >= COPIED_HEADER + 2);
    assert_memory_equal(data, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", COPIED_HEADER);
    return (struct copied){.at = (const char *)data + COPIED_HEADER, .end = (const char *)data + length};
}

static inline int64_t copied_number(const char *bytes, size_t size) {
    uint64_t value = 0;
    memcpy((char *)&value + sizeof value - size, bytes, size);
    value = be64toh(value);
    return size == 2 ? (int16_t)value : size == 4 ? (int32_t)value : (int64_t)value;
}

/* Reads on to the next row; false at the trailer, which must be the end. */
static inline bool copied_next(struct copied *copied) {
    assert_true(copied->end - copied->at >= 2);
    copied->columns = (int)copied_number(copied->at, 2);
    copied->at += 2;
    if (copied->columns == -1) {
        assert_ptr_equal(copied->at, copied->end);
        return false;
    }
    assert_in_range(copied->columns, 1, COPIED_COLUMNS_MAX);
    for (int i = 0; i < copied->columns; i++) {
        assert_true(copied->end - copied->at >= 4);
        copied->fields[i].length = (int)copied_number(copied->at, 4);
        copied->fields[i].bytes = copied->at + 4;
        copied->at += 4 + (copied->fields[i].length < 0 ? 0 : copied->fields[i].length);
        assert_true(copied->at <= copied->end);
    }
    return true;
}

static inline int64_t copied_integer(const struct copied *copied, int column) {
    assert_true(column < copied->columns);
    assert_in_range(copied->fields[column].length, 4, 8);
    return copied_number(copied->fields[column].bytes, (size_t)copied->fields[column].length);
}

/* Microseconds since the UTC epoch. */
static inline int64_t copied_time(const struct copied *copied, int column) {
    return copied_integer(copied, column) + INT64_C(946684800) * 1000000;
}

static inline void copied_expect(const struct copied *copied, int column, const char *text) {
    assert_true(column < copied->columns);
    assert_int_equal(copied->fields[column].length, (int)strlen(text));
    assert_memory_equal(copied->fields[column].bytes, text, strlen(text));
}

#endif
