/* fake_loop.h: a real libuv loop whose clocks stand still until a test moves them, so that a test of timers waits for
 * nothing and gives the same every time. Whatever program includes this has its clock_gettime replaced. */
#ifndef CITYHUB_TEST_FAKE_LOOP_H
#define CITYHUB_TEST_FAKE_LOOP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdbool.h>
#include <uv.h>

/* Both clocks at their beginning: 2025-10-09T08:53:20Z. */
#define FAKE_NOW_MS INT64_C(1760000000000)

void fake_loop_begin(uv_loop_t *loop);
/* Everything must have been closed: turns until the loop has let go of it. */
void fake_loop_end(uv_loop_t *loop);

/* Whatever can happen now, happens. */
void fake_loop_turn(uv_loop_t *loop);
/* So much time goes by; timers fire one after the other, each at its time. */
void fake_loop_pass(uv_loop_t *loop, int64_t ms);
/* Time goes by until `holds` does, at most so much. Returns whether it does. */
bool fake_loop_await(uv_loop_t *loop, int64_t most_ms, bool (*holds)(void *user), void *user);
/* Milliseconds that went by since fake_loop_begin. */
int64_t fake_loop_passed(void);

/* Above 0 while a fake does its own work: what it asks for then is not the hub's (fake_memory.h). */
extern int fake_at_work;

/* The time of day alone is set. */
void fake_clock_set(int64_t by_ms);

#endif
