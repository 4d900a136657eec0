/* test_push_body.c: pushed bodies: gzip in pieces, its end and its bound; lines of NDJSON made one array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/base/error.h"
#include "hub/gateway/push_body.h"
#include "hub/http/gzip.h"

/* Adds it in pieces of `step` bytes; the first code that is not 0. */
static int add(struct push_body *body, const char *bytes, size_t length, size_t step) {
    int code = 0;
    for (size_t at = 0; at < length && code == 0; at += step) {
        code = push_body_add(body, bytes + at, length - at < step ? length - at : step);
    }
    return code;
}

static void test_gzip(void **state) {
    (void)state;
    struct push_body body;
    char plain[20000];
    size_t size = 0;
    /* Bytes that compress little: half way into the member is content, not a table that nothing uses. */
    for (size_t i = 0; i < sizeof plain; i++) {
        plain[i] = (char)(i * i * 31 >> 4);
    }
    char *packed = gzip_whole(plain, sizeof plain, &size);
    assert_non_null(packed);
    for (size_t step = 1; step <= size; step += 7) {
        assert_int_equal(push_body_begin(&body, sizeof plain, true), 0);
        assert_false(push_body_whole(&body));
        assert_int_equal(add(&body, packed, size, step), 0);
        assert_true(push_body_whole(&body));
        assert_int_equal(body.bytes.length, sizeof plain);
        assert_memory_equal(body.bytes.data, plain, sizeof plain);
        /* Something behind its end is no member, however it comes. */
        assert_true(push_body_add(&body, "x", 1) == CH_EINVAL || !push_body_whole(&body));
        assert_int_equal(push_body_add(&body, "xx", 2), CH_EINVAL);
        push_body_free(&body);
        /* A second member goes on where the first ends. */
        assert_int_equal(push_body_begin(&body, 2 * sizeof plain, true), 0);
        assert_int_equal(add(&body, packed, size, step), 0);
        assert_int_equal(add(&body, packed, size - 1, step), 0);
        assert_false(push_body_whole(&body));
        assert_int_equal(push_body_add(&body, packed + size - 1, 1), 0);
        assert_true(push_body_whole(&body));
        assert_int_equal(body.bytes.length, 2 * sizeof plain);
        push_body_free(&body);
    }
    assert_int_equal(push_body_begin(&body, sizeof plain - 1, true), 0);
    assert_int_equal(add(&body, packed, size, size), CH_EFULL);
    assert_true(body.bytes.length < sizeof plain);
    push_body_free(&body);
    assert_int_equal(push_body_begin(&body, sizeof plain, true), 0);
    assert_int_equal(add(&body, packed, size - 1, size), 0);
    assert_false(push_body_whole(&body)); /* cut: not to be taken for whole */
    push_body_free(&body);
    packed[size / 2] = (char)(packed[size / 2] ^ 0x55);
    assert_int_equal(push_body_begin(&body, sizeof plain, true), 0);
    assert_true(add(&body, packed, size, 3) == CH_EINVAL || !push_body_whole(&body));
    push_body_free(&body);
    free(packed);
}

static void test_plain(void **state) {
    (void)state;
    struct push_body body;
    assert_int_equal(push_body_begin(&body, 4, false), 0);
    assert_int_equal(push_body_add(&body, "abcd", 4), 0);
    assert_int_equal(push_body_add(&body, "e", 1), CH_EFULL);
    assert_true(push_body_whole(&body));
    push_body_free(&body);
}

static void test_lines(void **state) {
    (void)state;
    static const struct {
        const char *lines, *array; /* NULL = refused */
        const char *reason;
    } cases[] = {
        {"{\"a\":1}", "[{\"a\":1}]", NULL},
        {"{\"a\":1}\n{\"b\":2}\n", "[{\"a\":1},\n{\"b\":2}]", NULL},
        {"\r\n{\"a\":1}  \r\n\n \t\n{\"b\":[{}]}\r", "[{\"a\":1},\n{\"b\":[{}]}]", NULL},
        {"\n\n", "[]", NULL},
        {"\xef\xbb\xbf{\"a\":1}\n\xef\xbb\xbf\n\xef\xbb\xbf{\"b\":2}", "[{\"a\":1},\n{\"b\":2}]", NULL},
        {"{\"a\":1}\n\n{\"a\":", NULL, "line 3 is not one JSON object"},
        {"{\"a\":1},{\"b\":2}", NULL, "line 1 is not one JSON object"},
        {"{\"a\":1}\n[1]", NULL, "line 2 is not one JSON object"},
        {"{\"a\":1}]\n", NULL, "line 1 is not one JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct push_body body;
        char reason[PUSH_BODY_REASON_MAX] = "";
        assert_int_equal(push_body_begin(&body, 1000, false), 0);
        assert_int_equal(push_body_add(&body, cases[i].lines, strlen(cases[i].lines)), 0);
        assert_int_equal(push_body_lines(&body, reason), cases[i].array == NULL ? CH_EINVAL : 0);
        if (cases[i].array != NULL) {
            assert_string_equal(buffer_string(&body.bytes), cases[i].array);
        } else {
            assert_string_equal(reason, cases[i].reason);
        }
        push_body_free(&body);
    }
}

/* As C programs send them. */
static void test_nul_behind_lines(void **state) {
    (void)state;
    static const char ends[] = "{\"a\":1}\n\0\0\r\n\0", within[] = "{\"a\":1}\n\0\n{\"b\":2}";
    struct push_body body;
    char reason[PUSH_BODY_REASON_MAX] = "";
    assert_int_equal(push_body_begin(&body, 1000, false), 0);
    assert_int_equal(push_body_add(&body, ends, sizeof ends), 0);
    assert_int_equal(push_body_lines(&body, reason), 0);
    assert_string_equal(buffer_string(&body.bytes), "[{\"a\":1}]");
    push_body_free(&body);
    assert_int_equal(push_body_begin(&body, 1000, false), 0);
    assert_int_equal(push_body_add(&body, within, sizeof within), 0);
    assert_int_equal(push_body_lines(&body, reason), CH_EINVAL);
    assert_string_equal(reason, "line 2 is not one JSON object");
    push_body_free(&body);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gzip), cmocka_unit_test(test_plain),
                                       cmocka_unit_test(test_lines), cmocka_unit_test(test_nul_behind_lines)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
