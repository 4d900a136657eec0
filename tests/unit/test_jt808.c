/* test_jt808.c: frames of JT/T 808 in a stream that comes in pieces, with junk, without escapes, without an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/gateway/jt808.h"
#include "jt808_rows.h"

static const char HEARTBEAT[] = "7e000200000144199999990007c07e";
/* Its longitude has a 7e that was not escaped. */
static const char RAW_MARK[] =
    "7e0200005b01234567891000110000000000000000020a3aac067eaa2400000000000022083117155601040000014a30011d310100eb31000c00b2"
    "8986049401208044782200060089fffffffe000600c5ffffffe7000b00d801cc0090050fec20c7000400b71d00947e";

/* Reads a stream that comes in pieces of `step` bytes, through a buffer as a connection has it. Counts frames by
 * standing. */
static void read_stream(const uint8_t *stream, size_t length, size_t step, size_t counts[static 3]) {
    static uint8_t buffer[JT808_WIRE_MAX];
    static struct jt808_frame frame;
    size_t held = 0, taken = 0;
    memset(counts, 0, 3 * sizeof *counts);
    for (;;) {
        struct reading_result result;
        bool ended = taken == length;
        enum reading reading = jt808_read(buffer, held, ended, &result);
        if (reading == READING_MORE) {
            if (ended) {
                return;
            }
            size_t room = sizeof buffer - held, next = length - taken < step ? length - taken : step;
            assert_true(room > 0); /* never needs more than its bound */
            next = next < room ? next : room;
            memcpy(buffer + held, stream + taken, next);
            held += next;
            taken += next;
            continue;
        }
        assert_in_range(result.length, 1, held);
        if (reading == READING_FRAME) {
            jt808_parse(buffer, result.length, &frame);
            counts[frame.standing]++;
        } else {
            assert_non_null(result.why);
        }
        held -= result.length;
        memmove(buffer, buffer + result.length, held);
    }
}

static void check_stream(const char *hex, size_t good, size_t saved, size_t bad) {
    static uint8_t stream[1 << 14];
    size_t length = bytes_of(hex, stream, sizeof stream), counts[3];
    for (size_t step = 1; step <= length; step++) {
        read_stream(stream, length, step, counts);
        if (counts[JT808_GOOD] != good || counts[JT808_SAVED] != saved || counts[JT808_BAD] != bad) {
            fail_msg("%s in pieces of %zu: %zu good, %zu saved, %zu bad", hex, step, counts[JT808_GOOD],
                     counts[JT808_SAVED], counts[JT808_BAD]);
        }
    }
}

static void check_streams(const char *first, const char *second, size_t good, size_t saved, size_t bad) {
    char *both = NULL;
    assert_true(asprintf(&both, "%s%s", first, second) > 0);
    check_stream(both, good, saved, bad);
    free(both);
}

static void test_streams(void **state) {
    (void)state;
    check_stream(HEARTBEAT, 1, 0, 0);
    check_streams(HEARTBEAT, HEARTBEAT, 2, 0, 0);
    check_streams(HEARTBEAT, HEARTBEAT + 2, 2, 0, 0);      /* one 7e between the two */
    check_streams("7e7e7e", HEARTBEAT, 1, 0, 0);           /* more than needed */
    check_streams("0d0a00ff", HEARTBEAT, 1, 0, 0);         /* junk before it */
    check_streams(HEARTBEAT, "0d0a00ff", 1, 0, 0);         /* and behind it */
    check_streams("02000030deadbeef", HEARTBEAT, 1, 0, 0); /* a piece of a frame */
    check_stream(RAW_MARK, 0, 1, 0);
    check_streams(RAW_MARK, HEARTBEAT, 1, 1, 0);
    check_streams(RAW_MARK, RAW_MARK, 0, 2, 0);
    check_streams("7e01017e", HEARTBEAT, 1, 0, 1);                           /* too short to have a header */
    check_streams("7e000200000123456789017fff7e", HEARTBEAT, 1, 0, 1);       /* no XOR byte */
    check_streams("7e0200003001234567890100010000007e", HEARTBEAT, 1, 0, 1); /* cut short */
    check_streams("7e020000300123456789010001000000", HEARTBEAT, 1, 0, 1);   /* and without its end */
    check_streams("474554202f20485454502f312e310d0a0d0a", HEARTBEAT, 1, 0, 0);
    check_streams("7e00020000978290002147029e7d7e", HEARTBEAT, 1, 1, 0); /* XOR 7d, not escaped */
}

/* All rows one after the other, junk and cut ones among them: every good frame is found, however the bytes come. */
static void test_all_rows(void **state) {
    (void)state;
    char *text;
    const struct jt808_row *rows = jt808_rows(&text);
    static uint8_t stream[1 << 17];
    size_t length = 0, alone = 0, counts[3];
    for (size_t i = 0; i < JT808_ROWS; i++) {
        size_t bytes = bytes_of(rows[i].hex, stream + length, sizeof stream - length);
        read_stream(stream + length, bytes, bytes, counts);
        alone += counts[JT808_GOOD] + counts[JT808_SAVED];
        length += bytes;
    }
    assert_int_equal(alone,
                     141); /* 129 right rows, 3 good frames in wrong ones, 1 with a cut item, 8 without escapes */
    static const size_t steps[] = {1, 2, 3, 7, 31, 1000, 4096};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        read_stream(stream, length, steps[i], counts);
        assert_int_equal(counts[JT808_GOOD] + counts[JT808_SAVED], alone);
    }
    free(text);
}

static void test_bound(void **state) {
    (void)state;
    static uint8_t stream[3 * JT808_WIRE_MAX];
    size_t counts[3], length = 2 * JT808_WIRE_MAX;
    memset(stream, 0x11, length);
    stream[0] = 0x7e; /* begins and never ends */
    length += bytes_of(HEARTBEAT, stream + length, sizeof stream - length);
    read_stream(stream, length, 100, counts);
    assert_int_equal(counts[JT808_GOOD], 1);
    stream[0] = 0x11; /* what could be a frame whose 7e is missing, without an end */
    read_stream(stream, length, 100, counts);
    assert_int_equal(counts[JT808_GOOD], 1);
}

/* A bad frame holds up no good one behind it: it is told at once when that is there. */
static void test_not_held_up(void **state) {
    (void)state;
    uint8_t stream[256];
    struct reading_result result;
    size_t length = bytes_of("7e01017e", stream, sizeof stream);
    assert_int_equal(jt808_read(stream, length, false, &result), READING_MORE); /* a 7e may be inside: more may come */
    assert_int_equal(jt808_read(stream, length, true, &result), READING_FRAME);
    length += bytes_of(HEARTBEAT, stream + length, sizeof stream - length);
    assert_int_equal(jt808_read(stream, length, false, &result), READING_FRAME);
    assert_int_equal(result.length, 4);
}

static void parse_hex(const char *hex, struct jt808_frame *frame) {
    uint8_t bytes[JT808_WIRE_MAX];
    jt808_parse(bytes, bytes_of(hex, bytes, sizeof bytes), frame);
}

static void test_header(void **state) {
    (void)state;
    static struct jt808_frame frame;
    parse_hex("7e02006006010000000001391234432900020003000301040000000c1a7e", &frame);
    assert_int_equal(frame.standing, JT808_GOOD);
    assert_true(frame.is_2019 && frame.is_packet && frame.phone_is_decimal && !jt808_is_readable(&frame));
    assert_int_equal(frame.version, 1);
    assert_string_equal(frame.phone, "00000000013912344329");
    assert_int_equal(frame.serial, 2);
    assert_int_equal(frame.packets, 3);
    assert_int_equal(frame.packet_number, 3);
    assert_int_equal(frame.length, 6);
    parse_hex("7e0801040500123456789002de001a000221757e", &frame);
    assert_int_equal(frame.encryption, 1);
    assert_true(!jt808_is_readable(&frame));
    parse_hex("7e010200204f07788ef67601824f4459344f544d314d4459774d4441314d444977626d5633553235536457786cba7e", &frame);
    assert_true(jt808_is_readable(&frame) && !frame.phone_is_decimal);
    assert_string_equal(frame.phone, "4f07788ef676");
    parse_hex("7e01017e", &frame);
    assert_true(frame.standing == JT808_BAD && !frame.has_header && !jt808_is_readable(&frame));
    parse_hex("7e", &frame);
    assert_true(frame.standing == JT808_BAD && !frame.has_header);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),     cmocka_unit_test(test_all_rows), cmocka_unit_test(test_bound),
        cmocka_unit_test(test_not_held_up), cmocka_unit_test(test_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
