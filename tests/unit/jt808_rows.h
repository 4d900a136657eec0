/* jt808_rows.h: frames of JT/T 808 that terminals, servers and their tests sent (tests/data/jt808.tsv: source, bytes,
 * what must come of them, whether they are right), and bytes from hexadecimal. */
#ifndef CITYHUB_TEST_JT808_ROWS_H
#define CITYHUB_TEST_JT808_ROWS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JT808_ROWS = 160 };

static inline size_t bytes_of(const char *hex, uint8_t *bytes, size_t size) {
    size_t length = strlen(hex) / 2;
    assert_true(length <= size);
    for (size_t i = 0; i < length; i++) {
        char pair[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        bytes[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return length;
}

struct jt808_row {
    char *source, *hex, *expected, *valid;
};

/* The rows of the file, JT808_ROWS of them; `text` is to be freed. */
static inline struct jt808_row *jt808_rows(char **text) {
    static struct jt808_row rows[JT808_ROWS];
    const char *path = CITYHUB_SOURCE_DIR "/tests/data/jt808.tsv";
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *text = calloc(1, 1 << 20);
    size_t length = fread(*text, 1, (1 << 20) - 1, file);
    fclose(file);
    assert_true(length > 0);
    char *line = strchr(*text, '\n') + 1; /* the header */
    size_t count = 0;
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        *end = '\0';
        assert_true(count < JT808_ROWS);
        char **columns[] = {&rows[count].source, &rows[count].hex, &rows[count].expected, &rows[count].valid};
        for (size_t i = 0; i < 4; i++) {
            *columns[i] = strsep(&line, "\t");
            assert_non_null(*columns[i]);
        }
        count++;
    }
    assert_int_equal(count, JT808_ROWS);
    return rows;
}

#endif
