/* fake_loop.c: clock_gettime as the program's own function: libuv asks it, too. */
#include "fake_loop.h"

#include <time.h>

enum { TURNS = 8, CLOSING_TURNS = 1000 };

int fake_at_work;

static int64_t passed_ms, set_by_ms;

/* NOLINTNEXTLINE: the name is the C library's */
int clock_gettime(clockid_t clock, struct timespec *now) {
    int64_t ms = FAKE_NOW_MS + passed_ms + (clock == CLOCK_REALTIME ? set_by_ms : 0);
    now->tv_sec = ms / 1000;
    now->tv_nsec = ms % 1000 * 1000000;
    return 0;
}

void fake_loop_begin(uv_loop_t *loop) {
    passed_ms = set_by_ms = 0;
    assert_int_equal(uv_loop_init(loop), 0);
}

void fake_loop_end(uv_loop_t *loop) {
    for (int i = 0; i < CLOSING_TURNS && uv_loop_alive(loop); i++) {
        uv_run(loop, UV_RUN_NOWAIT);
    }
    if (uv_loop_close(loop) != 0) {
        uv_print_all_handles(loop, stderr);
        fail_msg("the loop still has handles");
    }
}

void fake_loop_turn(uv_loop_t *loop) {
    for (int i = 0; i < TURNS; i++) {
        uv_run(loop, UV_RUN_NOWAIT);
    }
}

static bool never(void *user) {
    (void)user;
    return false;
}

bool fake_loop_await(uv_loop_t *loop, int64_t most_ms, bool (*holds)(void *user), void *user) {
    int64_t end_ms = passed_ms + most_ms;
    fake_loop_turn(loop);
    while (!holds(user)) {
        int64_t left_ms = end_ms - passed_ms;
        int next_ms = uv_backend_timeout(loop); /* -1 or 0 = no timer runs */
        if (left_ms == 0) {
            return false;
        }
        passed_ms += next_ms <= 0 || next_ms > left_ms ? left_ms : next_ms;
        fake_loop_turn(loop);
    }
    return true;
}

void fake_loop_pass(uv_loop_t *loop, int64_t ms) {
    fake_loop_await(loop, ms, never, NULL);
}

int64_t fake_loop_passed(void) {
    return passed_ms;
}

void fake_clock_set(int64_t by_ms) {
    set_by_ms += by_ms;
}
