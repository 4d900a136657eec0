/* test_hj212.c: frames of HJ 212 out of a stream that is cut anywhere, check values, times, what is refused, and what
 * is answered and asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/gateway/hj212.h"

#define GOOD                                                                                                           \
    "##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80"
#define OTHER "##0077QN=20210412154520280;ST=21;CN=9014;PW=123456;MN=DXCBZ000000005;Flag=5;CP=&&&&0140"

/* Feeds a stream `step` bytes at a time, and writes what comes out: frames as their CN, skips as their length. */
static void stream(const char *bytes, size_t length, size_t step, char *shown, size_t size) {
    static struct hj212_frame frame;
    static char buffer[65536];
    size_t held = 0, fed = 0;
    shown[0] = '\0';
    while (true) {
        struct reading_result result;
        char *copy = malloc(held == 0 ? 1 : held); /* exact, so that the sanitizer sees a read too far */
        memcpy(copy, buffer, held);
        enum reading reading = hj212_read(copy, held, fed == length, &result);
        if (reading == READING_FRAME) {
            hj212_parse(copy, result.length, NULL, &frame);
            snprintf(shown + strlen(shown), size - strlen(shown), "%s%s ", frame.cn == NULL ? "?" : frame.cn,
                     frame.crc == HJ212_CRC_OFF ? "!" : "");
        } else if (reading == READING_SKIP && result.why != NULL) {
            snprintf(shown + strlen(shown), size - strlen(shown), "-%zu ", result.length);
        }
        free(copy);
        if (reading != READING_MORE) {
            assert_true(result.length > 0 && result.length <= held && result.length <= HJ212_FRAME_MAX);
            memmove(buffer, buffer + result.length, held - result.length);
            held -= result.length;
        } else if (fed == length) {
            assert_true(held < 6);
            return;
        } else {
            assert_true(held < HJ212_FRAME_MAX);
            size_t more = length - fed < step ? length - fed : step;
            memcpy(buffer + held, bytes + fed, more);
            held += more;
            fed += more;
        }
    }
}

/* Whole and one byte at a time it is the same. Words and bytes to skip may come in other pieces, so that only frames
 * are compared, unless all came at once. */
static void expect_stream(const char *bytes, const char *wanted, const char *wanted_in_pieces) {
    char shown[512];
    stream(bytes, strlen(bytes), strlen(bytes) + 1, shown, sizeof shown);
    assert_string_equal(shown, wanted);
    stream(bytes, strlen(bytes), 1, shown, sizeof shown);
    assert_string_equal(shown, wanted_in_pieces);
}

static void test_stream(void **state) {
    (void)state;
    expect_stream(GOOD "\r\n", "1062 ", "1062 ");
    expect_stream(GOOD "\r\n" OTHER "\r\n", "1062 9014 ", "1062 9014 ");
    expect_stream(GOOD OTHER, "1062 9014 ", "1062 9014 ");
    expect_stream(GOOD "\n" OTHER "\n\n", "1062 9014 ", "1062 9014 ");
    expect_stream("#" GOOD "#" OTHER, "-1 1062 -1 9014 ", "-1 1062 -1 9014 ");
    /* A declared length that would swallow the next frame. */
    expect_stream("##0239QN=1;ST=2;CP=&&a" GOOD "\r\n", "-22 1062 ", "-22 1062 ");
    expect_stream("##9999QN=1;ST=2;CN=7;CP=&&a&&ABCD\r\n" GOOD, "7! 1062 ", "7! 1062 ");
    expect_stream("##0000" GOOD, "-6 1062 ", "-6 1062 ");
    /* A length that is wrong: the frame ends behind && and its check value. */
    expect_stream("##0107QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&"
                  "RtdInterval=30&&1C80\r\n" OTHER,
                  "1062 9014 ", "1062 9014 ");
    /* A vendor's own words end with their line. */
    expect_stream("##0035SN=271909;DATETIME=20180904163444&&\r\n" GOOD, "?! 1062 ", "?! 1062 ");
    /* A frame that never ends. */
    expect_stream("##0101QN=1;CP=&&a=1", "-19 ", "-19 ");
    expect_stream("##abc" GOOD, "-5 1062 ", "-3 -1 -1 1062 ");
}

/* What looks like the end of a frame may stand in a text: neither in pieces nor with a wrong length is it taken for
 * that, but a frame whose end is followed by words is not waited for. */
static void test_an_end_in_a_text(void **state) {
    (void)state;
    static const char segment[] =
        "QN=20160801085857223;ST=32;CN=3020;PW=1;MN=M1;Flag=5;CP=&&i11001-Info=//a&&BEEF//;b=1&&";
    unsigned crc = hj212_crc(HJ212_CRC_STANDARD, segment, sizeof segment - 1);
    char bytes[512];
    for (size_t more = 0; more < 3; more++) {
        snprintf(bytes, sizeof bytes, "##%04zu%s%04X\r\n" GOOD, sizeof segment - 1 + more, segment, crc);
        expect_stream(bytes, "3020 1062 ", "3020 1062 ");
    }
    struct reading_result result;
    static const char words[] = "##0020QN=1;ST=2;CN=7;CP=&&a=1&&ABCD words";
    assert_int_equal(hj212_read(words, sizeof words - 1, false, &result), READING_FRAME);
    assert_int_equal(result.length, sizeof words - 1 - strlen(" words"));
}

static void test_stream_junk(void **state) {
    (void)state;
    static char bytes[40000];
    char shown[8192];
    /* 30000 bytes without an end, then a frame: what is held never grows beyond the bound. */
    memset(bytes, 'x', 30000);
    static const char head[] = {'#', '#', '0', '1', '0', '1'};
    memcpy(bytes, head, sizeof head);
    snprintf(bytes + 30000, sizeof bytes - 30000, "%s", GOOD);
    stream(bytes, strlen(bytes), 64, shown, sizeof shown);
    assert_string_equal(shown + strlen(shown) - 5, "1062 ");
    assert_true(strncmp(shown, "-8192 ", 6) == 0);
    /* A Modbus master that asks again and again, and a web crawler. */
    static const char modbus[] = "\0\1\0\0\0\6\1\3\0\0\0\12\0\2\0\0\0\6\1\3\0\0\0\12GET / HTTP/1.1\r\n\r\n" GOOD;
    stream(modbus, sizeof modbus - 1, sizeof modbus, shown, sizeof shown);
    assert_string_equal(shown, "-42 1062 ");
}

static void test_crc(void **state) {
    (void)state;
    /* HJ 212-2017, annex A; CRC-16/MODBUS of "123456789" is 4B37. */
    assert_int_equal(hj212_crc(HJ212_CRC_STANDARD, &GOOD[6], 101), 0x1C80);
    assert_int_equal(hj212_crc(HJ212_CRC_MODBUS, "123456789", 9), 0x4B37);
    assert_int_equal(hj212_crc(HJ212_CRC_SWAPPED, "123456789", 9), 0x374B);
    int possible = 0;
    for (unsigned value = 0; value <= 0xFFFF; value++) {
        possible += hj212_crc_possible((uint16_t)value);
    }
    assert_int_equal(possible, 256);
    assert_true(hj212_crc_possible(0x1C80) && !hj212_crc_possible(0x1C08));
}

static void check_time(const char *text, int64_t wanted) {
    int64_t ms = 7;
    int code = hj212_time(text, 28800, &ms);
    assert_int_equal(code, wanted == 0 ? CH_EINVAL : 0);
    assert_int_equal(ms, wanted == 0 ? 7 : wanted);
}

static void test_time(void **state) {
    (void)state;
    check_time("20260801085857", 1785545937000);
    check_time("202608010858571", 1785545937100);
    check_time("2026080108585712", 1785545937120);
    check_time("20260801085857123", 1785545937123);
    check_time("202608010858571234", 1785545937123);
    check_time("20260801085857123CST", 1785545937123);
    check_time("1785545937123", 1785545937123);
    const char *wrong[] = {"",
                           "2026",
                           "20260230085857",
                           "20261301085857",
                           "20260801245857",
                           "20260801085860",
                           "2026080108585712345",
                           "--",
                           "201909262113836"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        check_time(wrong[i], 0);
    }
}

/* ---- answers */

static struct hj212_frame frame;

/* Parses a frame of these fields; without a check value of its own. */
static void parse(const char *segment) {
    char bytes[1024];
    int length = snprintf(bytes, sizeof bytes, "##%04zu%s%04X\r\n", strlen(segment), segment,
                          hj212_crc(HJ212_CRC_STANDARD, segment, strlen(segment)));
    hj212_parse(bytes, (size_t)length, NULL, &frame);
}

/* What is written is a frame that is right, with this segment ("" = nothing is to be sent). */
static void check_written(const char *out, size_t length, enum hj212_crc crc, const char *segment) {
    if (*segment == '\0') {
        assert_int_equal(length, 0);
        return;
    }
    static struct hj212_frame written;
    struct reading_result result;
    assert_int_equal(hj212_read(out, length, false, &result), READING_FRAME);
    assert_int_equal(result.length, length);
    hj212_parse(out, length, NULL, &written);
    assert_int_equal(written.crc, crc);
    assert_int_equal(written.faults & ~(unsigned)HJ212_CRC_FOREIGN, 0);
    char shown[HJ212_ANSWER_MAX];
    snprintf(shown, sizeof shown, "%.*s", (int)length - 12, out + 6);
    assert_string_equal(shown, segment);
}

static void expect_answer(const char *segment, const char *wanted) {
    char out[HJ212_ANSWER_MAX];
    parse(segment);
    for (int crc = HJ212_CRC_STANDARD; crc <= HJ212_CRC_SWAPPED; crc++) {
        check_written(out, hj212_answer(&frame, (enum hj212_crc)crc, out), (enum hj212_crc)crc, wanted);
    }
}

#define FIELDS(command, flag)                                                                                          \
    "QN=20260801085857223;ST=39;CN=" command ";PW=123456;MN=M1;Flag=" flag ";CP=&&DataTime=1&&"
#define ANSWER(command, flag) "QN=20260801085857223;ST=91;CN=" command ";PW=123456;MN=M1;Flag=" flag ";CP=&&&&"
#define NAMED_ANSWER(command, content)                                                                                 \
    "QN=20260801085857223;ST=91;CN=" command ";PW=123456;MN=M1;Flag=0;CP=&&" content "&&"

static void test_answers(void **state) {
    (void)state;
    expect_answer(FIELDS("2011", "5"), ANSWER("9014", "4"));
    expect_answer(FIELDS("2051", "9"), ANSWER("9014", "8"));
    /* HJ/T 212-2005 looks for QN and CN in the content. */
    expect_answer(FIELDS("2011", "1"), NAMED_ANSWER("9014", "QN=20260801085857223;CN=2011"));
    expect_answer(FIELDS("1013", "0"), NAMED_ANSWER("9013", "QN=20260801085857223"));
    expect_answer("ST=32;CN=2011;PW=1;MN=M1;Flag=1;CP=&&a=1&&", "ST=91;CN=9014;PW=1;MN=M1;Flag=0;CP=&&&&");
    expect_answer(FIELDS("2061", "7"), ANSWER("9014", "4"));
    /* Not wanted. */
    expect_answer(FIELDS("2011", "4"), "");
    expect_answer(FIELDS("2011", "8"), "");
    expect_answer("ST=39;CN=2011;PW=123456;MN=M1;CP=&&DataTime=1&&", "");
    /* An answer is never answered, whatever it asks for. */
    expect_answer(FIELDS("9011", "5"), "");
    expect_answer(FIELDS("9012", "5"), "");
    expect_answer(FIELDS("9013", "9"), "");
    expect_answer(FIELDS("9014", "5"), "");
    /* Notices: the clock and the heartbeat in any case. */
    expect_answer(FIELDS("1013", "5"), ANSWER("9013", "4"));
    expect_answer(FIELDS("1013", "4"), ANSWER("9013", "4"));
    expect_answer(FIELDS("9015", "8"), ANSWER("9013", "8"));
    expect_answer(FIELDS("2022", "5"), ANSWER("9013", "4"));
    /* Without QN, as devices of 2005 are; with a QN that would break the answer. */
    expect_answer("ST=32;CN=2011;PW=1;MN=M1;Flag=5;CP=&&a=1&&", "ST=91;CN=9014;PW=1;MN=M1;Flag=4;CP=&&&&");
    expect_answer("QN=1&&1C80;ST=32;CN=2011;PW=##1;MN=M1;Flag=5;CP=&&a=1&&", "ST=91;CN=9014;MN=M1;Flag=4;CP=&&&&");
}

/* What is given is read back by the key that it travels by, and by no other. */
static void test_a_new_key(void **state) {
    (void)state;
    char out[HJ212_ANSWER_MAX];
    const uint8_t key[] = "0000000000000000", other[] = "1111111111111111";
    const struct hj212_peer peer = {
        .st = "39", .pw = "123456", .mn = "M1", .version = 2025, .offset_s = 28800, .crc = HJ212_CRC_MODBUS};
    const struct hj212_keys keys = {.now = key, .next = (const uint8_t *)"abcdefghIJKLM789", .made_ms = 1767225600123};
    size_t length = hj212_new_key(&peer, &keys, 1767225660456, out);
    assert_true(length > 0 && length < sizeof out);
    assert_null(strstr(out, "NewSK"));
    assert_null(strstr(out, "abcdefgh"));
    hj212_parse(out, length, key, &frame);
    assert_int_equal(frame.encryption, HJ212_DECRYPTED);
    assert_int_equal(frame.crc, HJ212_CRC_MODBUS);
    assert_int_equal(frame.faults, HJ212_CRC_FOREIGN);
    assert_int_equal(frame.command, 1014);
    assert_string_equal(frame.qn, "20260101080100456");
    assert_string_equal(frame.flag, "9");
    assert_string_equal(hj212_value(&frame, "SKCreateTime"), "20260101080000123");
    assert_string_equal(hj212_value(&frame, "NewSK"), "abcdefghIJKLM789");
    hj212_parse(out, length, other, &frame);
    assert_true((frame.faults & HJ212_LOCKED) != 0);

    const struct hj212_keys no_text = {.now = key, .next = (const uint8_t *)"abc&&efghIJKLM789", .made_ms = 1};
    assert_int_equal(hj212_new_key(&peer, &no_text, 1, out), 0);
    expect_answer(FIELDS("1014", "9"), ANSWER("9013", "8"));
    expect_answer(FIELDS("1014", "8"), "");
}

/* The check value has 256 values: without a look at the text some wrong key opens a frame. */
static void test_no_other_key_opens_a_frame(void **state) {
    (void)state;
    char out[HJ212_ANSWER_MAX];
    uint8_t key[HJ212_KEY_BYTES + 1] = "0000000000000000";
    const struct hj212_peer peer = {.st = "39", .pw = "1", .mn = "M1", .version = 2025, .crc = HJ212_CRC_STANDARD};
    const struct hj212_keys keys = {.now = key, .next = key, .made_ms = 1767225600123};
    size_t length = hj212_new_key(&peer, &keys, 1767225660456, out);
    for (unsigned n = 1; n <= 2000; n++) {
        uint8_t other[HJ212_KEY_BYTES] = {(uint8_t)n, (uint8_t)(n >> 8)};
        hj212_parse(out, length, other, &frame);
        assert_true((frame.faults & HJ212_LOCKED) != 0);
    }
}

static void test_refusals(void **state) {
    (void)state;
    char out[HJ212_ANSWER_MAX], reason[HJ212_REASON_MAX];
    parse(FIELDS("2011", "5"));
    check_written(out, hj212_refuse(&frame, HJ212_WRONG_PW, HJ212_CRC_MODBUS, out), HJ212_CRC_MODBUS,
                  "QN=20260801085857223;ST=91;CN=9011;PW=123456;MN=M1;Flag=4;CP=&&QnRtn=3&&");
    assert_null(hj212_refusal(&frame, HJ212_CRC_STANDARD, reason));
    assert_null(hj212_refusal(&frame, HJ212_CRC_OFF, reason));
    assert_string_equal(hj212_refusal(&frame, HJ212_CRC_MODBUS, reason),
                        "the CRC is of the kind standard, and this terminal's is modbus");
    parse(FIELDS("2011", "1"));
    check_written(out, hj212_refuse(&frame, HJ212_WRONG_PW, HJ212_CRC_STANDARD, out), HJ212_CRC_STANDARD,
                  NAMED_ANSWER("9011", "QN=20260801085857223;QnRtn=3"));
    parse(FIELDS("9014", "5"));
    check_written(out, hj212_refuse(&frame, HJ212_WRONG_PW, HJ212_CRC_STANDARD, out), HJ212_CRC_STANDARD, "");

    static const char wrong[] = "##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;"
                                "CP=&&RtdInterval=31&&1C80\r\n";
    hj212_parse(wrong, sizeof wrong - 1, NULL, &frame);
    assert_string_equal(hj212_refusal(&frame, HJ212_CRC_STANDARD, reason), "CRC wrong");
    assert_null(hj212_refusal(&frame, HJ212_CRC_OFF, reason));
    parse("ST=39;CN=2011;MN=null;CP=&&a=1&&");
    assert_string_equal(hj212_refusal(&frame, HJ212_CRC_OFF, reason), "MN empty or null: no device identity");
    parse("ST=39;MN=M1;CP=&&a=1&&");
    assert_string_equal(hj212_refusal(&frame, HJ212_CRC_OFF, reason), "CN missing or null");
    hj212_parse("GET / HTTP", 10, NULL, &frame);
    assert_string_equal(hj212_refusal(&frame, HJ212_CRC_OFF, reason), "no frame: ## and 4 digits are missing");
}

static void test_commands(void **state) {
    (void)state;
    char out[HJ212_ANSWER_MAX];
    struct hj212_peer peer = {.st = "39", .pw = "123456", .mn = "M1", .version = 2017, .offset_s = 28800};
    int64_t now = 1785545937223;
    check_written(out, hj212_set_clock(&peer, "w01018", now, out), HJ212_CRC_STANDARD,
                  "QN=20260801085857223;ST=39;CN=1012;PW=123456;MN=M1;Flag=5;CP=&&PolId=w01018,"
                  "SystemTime=20260801085857&&");
    peer.version = 2025;
    peer.crc = HJ212_CRC_SWAPPED;
    check_written(out, hj212_set_clock(&peer, NULL, now, out), HJ212_CRC_SWAPPED,
                  "QN=20260801085857223;ST=39;CN=1012;PW=123456;MN=M1;Flag=9;CP=&&SystemTime=20260801085857&&");
    peer.offset_s = 0;
    check_written(out, hj212_fetch(&peer, 2061, now - 7200000, now, now, out), HJ212_CRC_SWAPPED,
                  "QN=20260801005857223;ST=39;CN=2061;PW=123456;MN=M1;Flag=9;CP=&&BeginTime=20260731225857,"
                  "EndTime=20260801005857&&");
    assert_int_equal(hj212_fetch(&peer, 1012, now, now, now, out), 0);
}

/* The official encrypted frames need a key; without one, or with another, nothing of them is believed. */
static void test_encrypted(void **state) {
    (void)state;
    static const char bytes[] = "##0104QN=20240520210700000;ST=31;CN=2051;PW=123456;MN=010000A8900016F000169DC0;Flag=9;"
                                "CP=&&{0xE4,0x3E,0x15,0x9A,0xCF,0xAB,0x24,0x2C,0xB5,0x31,0x55,0xFB,0x8B,0x92,0x81,0xA1}"
                                "0520210600&&0000\r\n";
    static const uint8_t key[HJ212_KEY_BYTES] = "0000000000000000", other[HJ212_KEY_BYTES] = "0000000000000001";
    char reason[HJ212_REASON_MAX], fitting[sizeof bytes];
    hj212_parse(bytes, sizeof bytes - 1, NULL, &frame);
    assert_string_equal(hj212_refusal(&frame, HJ212_CRC_OFF, reason), "encrypted (SM4), and no key that fits is known");
    assert_string_equal(frame.mn, "010000A8900016F000169DC0");
    assert_int_equal(frame.item_count, 0);
    /* The plaintext of the first block is "DataTime=2024052" in the official vector. */
    static const char plain[] = "QN=20240520210700000;ST=31;CN=2051;PW=123456;MN=010000A8900016F000169DC0;Flag=9;"
                                "CP=&&DataTime=20240520520210600&&";
    snprintf(fitting, sizeof fitting, "%.*s%04X\r\n", (int)sizeof bytes - 7, bytes,
             hj212_crc(HJ212_CRC_STANDARD, plain, sizeof plain - 1));
    hj212_parse(fitting, strlen(fitting), other, &frame);
    assert_int_equal(frame.encryption, HJ212_ENCRYPTED);
    hj212_parse(fitting, strlen(fitting), key, &frame);
    assert_int_equal(frame.encryption, HJ212_DECRYPTED);
    assert_string_equal(hj212_value(&frame, "DataTime"), "20240520520210600");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),      cmocka_unit_test(test_an_end_in_a_text),
        cmocka_unit_test(test_stream_junk), cmocka_unit_test(test_crc),
        cmocka_unit_test(test_time),        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_a_new_key),   cmocka_unit_test(test_no_other_key_opens_a_frame),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_commands),
        cmocka_unit_test(test_encrypted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
