/* test_hj212_frames.c: real frames of HJ 212, collected in public (tests/data/hj212.tsv): every value that is in them,
 * whether they are valid and why not, as `cityhub gateway decode` shows it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/member.h"
#include "hub/gateway/protocol.h"

enum { COLUMNS = 4, ROWS_AT_LEAST = 74 };

struct row {
    int line;
    char *columns[COLUMNS]; /* source, frame, expected, valid */
};

static int failures;

/* Says what is wrong with a row; the test fails at its end, when all rows were looked at. */
static void complain(const struct row *row, const char *what, const char *wanted, const char *given) {
    failures++;
    print_error("hj212.tsv:%d: %s: wanted %s, got %s\n", row->line, what, wanted, given == NULL ? "nothing" : given);
}

/* Keys that say where the values come from, and what a reader of the file should do. */
static bool is_advice(const char *key) {
    return strcmp(key, "basis") == 0 || strcmp(key, "suggest") == 0;
}

static int check_values(const struct row *row, const cJSON *out) {
    int count = 0;
    char *rest = NULL;
    for (char *pair = strtok_r(row->columns[2], ";", &rest); pair != NULL; pair = strtok_r(NULL, ";", &rest)) {
        char *equals = strchr(pair, '=');
        assert_non_null(equals);
        *equals = '\0';
        if (is_advice(pair)) {
            continue;
        }
        count++;
        const char *given = cJSON_GetStringValue(member_get(out, pair));
        if (given == NULL || strcmp(given, equals + 1) != 0) {
            complain(row, pair, equals + 1, given);
        }
    }
    return count;
}

/* Nothing is shown that the file does not have; of several frames it has a choice. */
static void check_count(const struct row *row, const cJSON *out, int count) {
    int shown = 0;
    const cJSON *one;
    cJSON_ArrayForEach(one, out) {
        shown +=
            strcmp(one->string, "valid") != 0 && strcmp(one->string, "why") != 0 && strcmp(one->string, "note") != 0;
        assert_null(strstr(one->string, "PW"));
    }
    if (member_get(out, "frames") == NULL && shown != count) {
        complain(row, "how many values", "as many as in the file", "others");
    }
}

static void check_validity(const struct row *row, const cJSON *out) {
    const char *wanted = row->columns[3];
    bool valid = strncmp(wanted, "yes", 3) == 0;
    if (cJSON_IsTrue(member_get(out, "valid")) != valid) {
        complain(row, "valid", wanted, member_text(out, "why"));
    }
    if (!valid) {
        char *note = strstr(row->columns[3], " [");
        if (note != NULL) {
            *note = '\0';
        }
        if (strcmp(wanted + strlen("no: "), member_text(out, "why")) != 0) {
            complain(row, "why", wanted, member_text(out, "why"));
        }
    } else {
        assert_null(member_get(out, "why"));
    }
}

static void check_row(const struct row *row) {
    const struct protocol *protocol = protocol_find("hj212");
    cJSON *out = cJSON_CreateObject();
    assert_non_null(protocol);
    assert_int_equal(protocol->decode_line(row->columns[1], strlen(row->columns[1]), out), 0);
    check_count(row, out, check_values(row, out));
    check_validity(row, out);
    cJSON_Delete(out);
}

static void test_frames(void **state) {
    (void)state;
    FILE *file = fopen(CITYHUB_SOURCE_DIR "/tests/data/hj212.tsv", "r");
    char *line = NULL;
    size_t size = 0;
    struct row row = {0};
    assert_non_null(file);
    while (getline(&line, &size, file) >= 0) {
        char *rest = line;
        line[strcspn(line, "\n")] = '\0';
        for (int i = 0; i < COLUMNS; i++) {
            row.columns[i] = strsep(&rest, "\t");
            assert_non_null(row.columns[i]);
        }
        if (row.line++ > 0) {
            check_row(&row);
        }
    }
    free(line);
    fclose(file);
    assert_true(row.line > ROWS_AT_LEAST);
    assert_int_equal(failures, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_frames)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
