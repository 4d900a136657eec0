/* test_closing.c: a part of the daemon is freed when the loop has let go of all of it, and not before. */
#include "fake_loop.h"

#include "hub/base/closing.h"

struct part {
    uv_timer_t first, second;
    struct closing closing;
};

static struct part part;
static int released, told;

static void release(void *user) {
    assert_ptr_equal(user, &part);
    assert_int_equal(told, 0); /* whoever is told may open it anew */
    released++;
}

static void tell(void *user) {
    assert_ptr_equal(user, &told);
    assert_int_equal(released, 1);
    told++;
}

static int begin(void **state) {
    uv_loop_t *loop = calloc(1, sizeof *loop);
    assert_non_null(loop);
    fake_loop_begin(loop);
    part = (struct part){0};
    released = told = 0;
    uv_timer_init(loop, &part.first);
    uv_timer_init(loop, &part.second);
    *state = loop;
    return 0;
}

static int end(void **state) {
    fake_loop_end(*state);
    free(*state);
    return 0;
}

/* Two handles and another part, which is the last. */
static void test_handles_and_parts(void **state) {
    closing_begin(&part.closing, release, &part, tell, &told);
    closing_handle(&part.closing, (uv_handle_t *)&part.first);
    closing_handle(&part.closing, (uv_handle_t *)&part.second);
    closing_await(&part.closing);
    fake_loop_turn(*state);
    assert_int_equal(released, 0);
    closing_over(&part.closing);
    assert_int_equal(released, 1);
    assert_int_equal(told, 1);
}

/* What was given up before the part itself is closed: by then it may be gone, or not. */
static void test_given_up_before(void **state) {
    for (int gone = 0; gone < 2; gone++) {
        if (gone == 1) {
            begin(state);
        }
        closing_await(&part.closing);
        closing_await(&part.closing);
        closing_over(&part.closing);
        if (gone == 1) {
            closing_over(&part.closing);
        }
        assert_int_equal(released, 0);
        closing_begin(&part.closing, release, &part, NULL, NULL);
        closing_handle(&part.closing, (uv_handle_t *)&part.first);
        closing_handle(&part.closing, (uv_handle_t *)&part.second);
        fake_loop_turn(*state);
        assert_int_equal(released, gone);
        if (gone == 0) {
            closing_over(&part.closing);
            end(state);
        }
        assert_int_equal(released, 1);
        assert_int_equal(told, 0); /* nobody asked */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_handles_and_parts, begin, end),
        cmocka_unit_test_setup_teardown(test_given_up_before, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
