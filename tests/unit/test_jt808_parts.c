/* test_jt808_parts.c: messages from sub-packets: in any order, twice, with holes, too many, of several terminals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/gateway/jt808_parts.h"
#include "jt808_rows.h"

/* A position of 2019 in three pieces, by a public test of another server. */
static const char *const PIECES[] = {
    "7e0200601001000000000139123443290000000300010000006f0000001601dc9a07074562465a7e",
    "7e020060100100000000013912344329000100030002007b0042000325012922334402020064017e",
    "7e02006006010000000001391234432900020003000301040000000c1a7e",
};
static const char WHOLE[] = "0000006f0000001601dc9a0707456246007b004200032501292233440202006401040000000c";

static struct jt808_frame frame;
static struct jt808_whole whole;

static int add(struct jt808_parts *parts, const char *hex, int64_t now_ms) {
    uint8_t bytes[JT808_WIRE_MAX];
    jt808_parse(bytes, bytes_of(hex, bytes, sizeof bytes), &frame);
    assert_int_equal(frame.standing, JT808_GOOD);
    return jt808_parts_add(parts, &frame, now_ms, &whole);
}

static void check_whole(void) {
    uint8_t bytes[64];
    size_t length = bytes_of(WHOLE, bytes, sizeof bytes);
    assert_int_equal(whole.id, 0x0200);
    assert_int_equal(whole.length, length);
    assert_memory_equal(whole.body, bytes, length);
    assert_int_equal(whole.packets, 3);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(whole.serials[i], i);
    }
}

static void test_orders(void **state) {
    (void)state;
    static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
    struct jt808_parts *parts = jt808_parts_new(4096);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(add(parts, PIECES[orders[i][0]], 0), JT808_PART_KEPT);
        assert_int_equal(add(parts, PIECES[orders[i][0]], 0), JT808_PART_AGAIN);
        assert_int_equal(add(parts, PIECES[orders[i][1]], 0), JT808_PART_KEPT);
        assert_int_equal(add(parts, PIECES[orders[i][2]], 0), JT808_PART_WHOLE);
        check_whole();
        assert_int_equal(jt808_parts_bytes(parts), 0);
    }
    jt808_parts_free(parts);
}

static void test_missing(void **state) {
    (void)state;
    struct jt808_parts *parts = jt808_parts_new(4096);
    struct jt808_missing missing;
    add(parts, PIECES[1], 1000);
    assert_false(jt808_parts_missing(parts, 5999, 5000, 2, &missing));
    assert_true(jt808_parts_missing(parts, 6000, 5000, 2, &missing));
    assert_true(!missing.given_up && missing.id == 0x0200 && missing.first_serial == 0);
    assert_string_equal(missing.phone, "00000000013912344329");
    assert_int_equal(missing.count, 2);
    assert_true(missing.numbers[0] == 1 && missing.numbers[1] == 3);
    assert_false(jt808_parts_missing(parts, 6000, 5000, 2, &missing)); /* it was asked for */
    assert_int_equal(add(parts, PIECES[2], 7000), JT808_PART_KEPT);    /* one came: patience again */
    assert_true(jt808_parts_missing(parts, 12000, 5000, 2, &missing));
    assert_true(jt808_parts_missing(parts, 17000, 5000, 2, &missing));
    assert_int_equal(missing.count, 1);
    assert_true(jt808_parts_missing(parts, 22000, 5000, 2, &missing));
    assert_true(missing.given_up);
    assert_int_equal(jt808_parts_bytes(parts), 0);
    assert_false(jt808_parts_missing(parts, 99000, 5000, 2, &missing));
    jt808_parts_free(parts);
}

/* A frame of a set, as the parser would give it. */
static void make(uint16_t id, uint16_t packets, uint16_t number, size_t length, uint8_t filling) {
    frame = (struct jt808_frame){.standing = JT808_GOOD, .has_header = true, .id = id, .is_packet = true};
    frame.packets = packets;
    frame.packet_number = number;
    frame.length = length;
    memset(frame.body, filling, length);
    strcpy(frame.phone, "012345678901");
}

static void test_bounds(void **state) {
    (void)state;
    struct jt808_parts *parts = jt808_parts_new(2500);
    make(0x0801, 3, 0, 1, 0);
    assert_int_equal(jt808_parts_add(parts, &frame, 0, &whole), JT808_PART_REFUSED);
    make(0x0801, 3, 4, 1, 0);
    assert_int_equal(jt808_parts_add(parts, &frame, 0, &whole), JT808_PART_REFUSED);
    make(0x0801, JT808_PACKETS_MAX + 1, 1, 1, 0);
    assert_int_equal(jt808_parts_add(parts, &frame, 0, &whole), JT808_PART_REFUSED);
    assert_non_null(whole.why);
    for (uint16_t i = 1; i <= 3; i++) { /* 3,000 bytes are too many: all of it goes, others have room again */
        make(0x0801, 4, i, 1000, (uint8_t)i);
        assert_int_equal(jt808_parts_add(parts, &frame, 0, &whole), i < 3 ? JT808_PART_KEPT : JT808_PART_REFUSED);
    }
    assert_int_equal(jt808_parts_bytes(parts), 0);
    for (uint16_t id = 1; id <= JT808_SETS_MAX + 2; id++) { /* the ones silent for longest go */
        make(id, 2, 1, 10, 1);
        assert_int_equal(jt808_parts_add(parts, &frame, id, &whole), JT808_PART_KEPT);
        assert_true(jt808_parts_bytes(parts) <= JT808_SETS_MAX * 10);
    }
    make(2, 2, 2, 10, 1);
    assert_int_equal(jt808_parts_add(parts, &frame, 9, &whole), JT808_PART_KEPT); /* its first piece is gone */
    make(JT808_SETS_MAX + 2, 2, 2, 10, 1);
    assert_int_equal(jt808_parts_add(parts, &frame, 9, &whole), JT808_PART_WHOLE);
    jt808_parts_free(parts);
    jt808_parts_free(NULL);
}

/* The next message of the same kind and size, while one has a hole: nothing of the two is mixed. */
static void test_next_one(void **state) {
    (void)state;
    struct jt808_parts *parts = jt808_parts_new(4096);
    make(0x0801, 2, 1, 10, 1);
    jt808_parts_add(parts, &frame, 0, &whole);
    make(0x0801, 2, 1, 10, 2);
    assert_int_equal(jt808_parts_add(parts, &frame, 0, &whole), JT808_PART_KEPT);
    make(0x0801, 2, 2, 10, 2);
    strcpy(frame.phone, "012345678902"); /* another terminal on the same connection */
    assert_int_equal(jt808_parts_add(parts, &frame, 0, &whole), JT808_PART_KEPT);
    make(0x0801, 2, 2, 10, 2);
    assert_int_equal(jt808_parts_add(parts, &frame, 0, &whole), JT808_PART_WHOLE);
    assert_int_equal(whole.body[0], 2);
    jt808_parts_free(parts);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_next_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
