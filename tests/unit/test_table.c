/* test_table.c: what is found in an open table, whatever was put in and taken out before. */
#include "rows.h"

#include "hub/base/table.h"

enum { THINGS = 3000, STEPS = 60000 };

struct thing {
    uint32_t hash;
    int key;
    bool inside, visited;
};

static bool has_key(const void *entry, const void *key) {
    return ((const struct thing *)entry)->key == *(const int *)key;
}

static uint32_t random_next(uint32_t *seed) {
    *seed = *seed * UINT32_C(1664525) + UINT32_C(1013904223);
    return *seed >> 8;
}

/* Many things with few hashes, so that they stand in each other's way, and over the table's end. */
static void things_make(struct thing *things, uint32_t hashes) {
    for (int i = 0; i < THINGS; i++) {
        things[i] = (struct thing){.key = i, .hash = UINT32_MAX - (uint32_t)i % hashes};
    }
}

static void check_all(const struct table *table, struct thing *things) {
    size_t at = 0, seen = 0;
    for (struct thing *thing; (thing = table_next(table, &at)) != NULL; seen++) {
        assert_true(thing->inside);
    }
    assert_int_equal(seen, table->count);
    for (int i = 0; i < THINGS; i++) {
        assert_ptr_equal(table_find(table, things[i].hash, has_key, &things[i].key),
                         things[i].inside ? &things[i] : NULL);
    }
}

static void test_against_flags(void **state) {
    static struct thing things[THINGS];
    (void)state;
    for (uint32_t hashes = 7; hashes <= 7 * 400; hashes *= 20) {
        struct table table = {.slots = 0};
        uint32_t seed = hashes;
        things_make(things, hashes);
        for (int step = 0; step < STEPS; step++) {
            struct thing *thing = &things[random_next(&seed) % (step < STEPS / 2 ? 300 : THINGS)];
            if (thing->inside) {
                table_remove(&table, thing->hash, thing);
            } else {
                assert_int_equal(table_add(&table, thing->hash, thing), 0);
            }
            thing->inside = !thing->inside;
            if (step % (STEPS / 10) == 0) {
                check_all(&table, things);
            }
        }
        check_all(&table, things);
        table_free(&table);
    }
}

/* Taking out while going through: what stays is seen, what is taken out is gone. */
static void test_take_out_on_the_way(void **state) {
    static struct thing things[THINGS];
    struct table table = {.slots = 0};
    size_t at = 0;
    (void)state;
    things_make(things, 50);
    for (int i = 0; i < THINGS; i++) {
        things[i].inside = true;
        assert_int_equal(table_add(&table, things[i].hash, &things[i]), 0);
    }
    for (struct thing *thing; (thing = table_next(&table, &at)) != NULL;) {
        thing->visited = true;
        if (thing->key % 3 != 0) {
            thing->inside = false;
            table_remove(&table, thing->hash, thing);
            at--;
        }
    }
    for (int i = 0; i < THINGS; i++) {
        assert_true(things[i].visited);
    }
    assert_int_equal(table.count, THINGS / 3);
    check_all(&table, things);
    table_free(&table);
}

static void test_empty(void **state) {
    struct table table = {.slots = 0};
    size_t at = 0;
    int key = 1;
    (void)state;
    assert_null(table_find(&table, 1, has_key, &key));
    assert_null(table_next(&table, &at));
    table_free(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_flags), cmocka_unit_test(test_take_out_on_the_way),
                                       cmocka_unit_test(test_empty)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
