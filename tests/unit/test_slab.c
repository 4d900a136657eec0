/* test_slab.c: things of one size that come and go in any order: each has its own bytes, all zero at first, and what
 * has gone is used again. */
#include "fake_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/base/slab.h"

enum { THINGS = 5000, SIZE = 56 };

static void expect_zero(const void *thing) {
    static const char zero[SIZE];
    assert_memory_equal(thing, zero, SIZE);
}

static void test_come_and_go(void **state) {
    (void)state;
    static unsigned char *things[THINGS];
    struct slab slab = {NULL};
    uint32_t random = 1;
    fake_memory_fail(0, 0);
    for (int turn = 0; turn < 20 * THINGS; turn++) {
        random = random * 1664525 + 1013904223;
        size_t n = random / 65536 % THINGS;
        if (things[n] == NULL) {
            things[n] = slab_take(&slab, SIZE);
            expect_zero(things[n]);
            memset(things[n], (int)(n % 255) + 1, SIZE);
        } else {
            assert_int_equal(things[n][0], n % 255 + 1);
            assert_int_equal(things[n][SIZE - 1], n % 255 + 1);
            slab_give(&slab, things[n]);
            things[n] = NULL;
        }
    }
    long asked = fake_memory_asked();
    assert_in_range(asked, THINGS * SIZE / 2 / 65536, THINGS * SIZE / 65536 + 20); /* not one for each */
    for (size_t n = 0; n < THINGS; n++) {
        if (things[n] != NULL) {
            slab_give(&slab, things[n]);
        }
    }
    void *again = slab_take(&slab, SIZE);
    assert_int_equal(fake_memory_asked(), asked); /* of the block that stayed */
    slab_give(&slab, again);
    slab_free(&slab);
}

static void test_without_memory(void **state) {
    (void)state;
    struct slab slab = {NULL};
    fake_memory_fail(1, 1);
    assert_null(slab_take(&slab, SLAB_SIZE_MAX));
    void *thing = slab_take(&slab, SLAB_SIZE_MAX);
    assert_non_null(thing);
    fake_memory_fail(0, 0);
    slab_give(&slab, thing);
    slab_free(&slab);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_come_and_go), cmocka_unit_test(test_without_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
