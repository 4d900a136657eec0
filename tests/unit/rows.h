/* rows.h: answers of the database made by hand, for tests of what takes them in. */
#ifndef CITYHUB_TEST_ROWS_H
#define CITYHUB_TEST_ROWS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libpq-fe.h>

/* `columns` values a row, NULL = SQL's null. The caller clears it. */
static inline PGresult *rows_of(int columns, const char *const *values, int rows) {
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc attributes[16] = {0};
    char name[] = "column";
    assert_non_null(result);
    assert_in_range(columns, 1, 16);
    for (int i = 0; i < columns; i++) {
        attributes[i].name = name;
    }
    assert_int_equal(PQsetResultAttrs(result, columns, attributes), 1);
    for (int i = 0; i < rows * columns; i++) {
        char *value = values[i] == NULL ? NULL : strdup(values[i]);
        int length = value == NULL ? -1 : (int)strlen(value);
        assert_int_equal(PQsetvalue(result, i / columns, i % columns, value, length), 1);
        free(value);
    }
    return result;
}

#define ROWS(columns, ...)                                                                                             \
    rows_of((columns), (const char *const[]){__VA_ARGS__},                                                             \
            (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)) / (columns))

#endif
