/* test_file.c: a whole file or none: its limit, what cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "hub/base/file.h"

static char path[] = "/tmp/cityhub-test-file-XXXXXX";
static char problem[FILE_PROBLEM_MAX];

static void put(size_t length) {
    FILE *file = fopen(path, "w");
    for (size_t i = 0; i < length; i++) {
        fputc((int)(i % 251), file);
    }
    assert_int_equal(fclose(file), 0);
}

static void test_sizes(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 65533, 65534, 65535, 65536, 131072, 300000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        put(sizes[s]);
        size_t length = 77;
        char *bytes = file_read(path, 300000, &length, problem);
        assert_non_null(bytes);
        assert_int_equal(length, sizes[s]);
        assert_int_equal(bytes[length], 0);
        for (size_t i = 0; i < length; i++) {
            if ((unsigned char)bytes[i] != i % 251) {
                fail_msg("byte %zu of %zu", i, length);
            }
        }
        free(bytes);
    }
}

static void test_limit(void **state) {
    (void)state;
    size_t length;
    for (size_t most = 0; most < 70000; most += 23333) {
        put(most);
        char *bytes = file_read(path, most, &length, problem);
        assert_non_null(bytes);
        assert_int_equal(length, most);
        free(bytes);
        put(most + 1);
        char expected[FILE_PROBLEM_MAX];
        snprintf(expected, sizeof expected, "is larger than %zu bytes", most);
        assert_null(file_read(path, most, &length, problem));
        assert_string_equal(problem, expected);
    }
}

static void test_what_cannot_be_read(void **state) {
    (void)state;
    size_t length;
    assert_null(file_read("/nonexistent/file", 10, &length, problem));
    assert_string_equal(problem, "No such file or directory");
    assert_null(file_read("/tmp", 10, &length, problem));
    assert_string_equal(problem, "Is a directory");
}

int main(void) {
    close(mkstemp(path));
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sizes), cmocka_unit_test(test_limit),
                                       cmocka_unit_test(test_what_cannot_be_read)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
