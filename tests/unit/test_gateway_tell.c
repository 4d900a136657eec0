/* test_gateway_tell.c: commands to terminals as frames, answers as JSON, and a command's way between hub and terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/base/error.h"
#include "hub/gateway/commands.h"
#include "hub/gateway/hj212_tell.h"
#include "hub/gateway/jt808_tell.h"

static const struct jt808_address SHORT = {.phone = "013800000001"},
                                  LONG = {.is_2019 = true, .version = 1, .phone = "00000000013800000001"};
static const struct hj212_peer PEER = {
    .st = "39", .pw = "123456", .mn = "MN-1", .version = 2017, .offset_s = 28800, .crc = HJ212_CRC_STANDARD};
static const int64_t NOW = 1767225600123; /* 2026-01-01 08:00:00.123 in China */

static void check_tell(const struct jt808_address *to, const char *command, int wanted_id, const char *wanted_body) {
    cJSON *parsed = cJSON_Parse(command);
    uint8_t out[JT808_WIRE_MAX];
    static struct jt808_frame frame;
    char shown[256] = "";
    uint16_t id = 0;
    int length = jt808_tell(to, 7, parsed, &id, out);
    cJSON_Delete(parsed);
    if (wanted_body == NULL) {
        assert_int_equal(length, CH_EINVAL);
        return;
    }
    assert_true(length > 0);
    jt808_parse(out, (size_t)length, &frame);
    assert_int_equal(frame.standing, JT808_GOOD);
    assert_int_equal(frame.serial, 7);
    assert_int_equal(frame.id, wanted_id);
    assert_int_equal(id, wanted_id);
    for (size_t i = 0; i < frame.length; i++) {
        snprintf(shown + 2 * i, 3, "%02x", frame.body[i]);
    }
    assert_string_equal(shown, wanted_body);
}

static void test_what_a_truck_is_told(void **state) {
    (void)state;
    check_tell(&SHORT, "{\"kind\": \"text\", \"text\": \"ok\", \"aloud\": true}", 0x8300, "0c6f6b");
    check_tell(&SHORT, "{\"kind\": \"text\", \"text\": \"ok\", \"urgent\": true}", 0x8300, "056f6b");
    check_tell(&LONG, "{\"kind\": \"text\", \"text\": \"ok\", \"aloud\": true}", 0x8300, "0f016f6b");
    check_tell(&LONG, "{\"kind\": \"text\", \"text\": \"ok\", \"urgent\": true}", 0x8300, "06016f6b");
    check_tell(&LONG, "{\"kind\": \"position\"}", 0x8201, "");
    check_tell(&SHORT, "{\"kind\": \"set_parameters\", \"parameters\": {\"0x0029\": 4294967295}}", 0x8103,
               "010000002904ffffffff");
    check_tell(&SHORT, "{\"kind\": \"set_parameters\", \"parameters\": {\"0x0029\": \"30\"}}", 0, NULL);
    check_tell(&SHORT, "{\"kind\": \"set_parameters\", \"parameters\": {\"speed\": 30}}", 0, NULL);
    check_tell(&SHORT, "{\"kind\": \"set_parameters\"}", 0, NULL);
    check_tell(&SHORT, "{\"kind\": \"clock\"}", 0, NULL);
}

static void check_parameters(const char *body, size_t length, const char *wanted) {
    cJSON *answer = jt808_told_parameters((const uint8_t *)body, length);
    char *text = cJSON_PrintUnformatted(answer);
    assert_string_equal(text, wanted);
    free(text);
    cJSON_Delete(answer);
}

static void test_what_a_truck_says_of_its_parameters(void **state) {
    (void)state;
    check_parameters("", 0, "{\"parameters\":{}}");
    check_parameters("\2\0\0\0\x29\4\0\0\0\x1e\0\0\0\x13\2ab", 17,
                     "{\"parameters\":{\"0x0029\":30,\"0x0013\":\"ab\"}}");
    check_parameters("\2\0\0\0\x29\4\0\0\0\x1e\0\0\0\x13\3ab", 17, "{\"parameters\":{\"0x0029\":30}}");
    check_parameters("\1\0\0\0\x13\4a\\u0", 10, "{\"parameters\":{\"0x0013\":\"615c7530\"}}");
    check_parameters("\1\0\0\0\x13\3ab\0", 9, "{\"parameters\":{\"0x0013\":\"ab\"}}");
}

static void check_request(const char *command, const char *wanted) {
    cJSON *parsed = cJSON_Parse(command);
    char out[HJ212_ANSWER_MAX] = "";
    size_t length = hj212_tell(&PEER, parsed, NOW, out);
    cJSON_Delete(parsed);
    if (wanted == NULL) {
        assert_int_equal(length, 0);
        return;
    }
    char head[128];
    snprintf(head, sizeof head, "QN=20260101080000123;ST=39;%.7s;PW=123456;MN=MN-1;Flag=5;CP=&&%s&&", wanted,
             wanted[7] == '\0' ? "" : wanted + 8);
    assert_memory_equal(out + 6, head, strlen(head));
}

static void test_what_a_monitor_is_told(void **state) {
    (void)state;
    check_request("{\"kind\": \"clock\"}", "CN=1011");
    check_request("{\"kind\": \"set_clock\"}", "CN=1012 SystemTime=20260101080000");
    check_request("{\"kind\": \"interval\"}", "CN=1061");
    check_request("{\"kind\": \"interval\", \"data\": \"minute\"}", "CN=1063");
    check_request("{\"kind\": \"set_interval\", \"data\": \"realtime\", \"interval\": 60}", "CN=1062 RtdInterval=60");
    check_request("{\"kind\": \"set_interval\", \"data\": \"minute\", \"interval\": 10}", "CN=1064 MinInterval=10");
    check_request("{\"kind\": \"history\", \"data\": \"day\", \"begin_ms\": 1767196800000, \"end_ms\": 1767283200000}",
                  "CN=2031 BeginTime=20260101000000,EndTime=20260102000000");
    check_request("{\"kind\": \"history\", \"data\": \"year\"}", NULL);
    check_request("{\"kind\": \"text\"}", NULL);
}

static void check_told(const char *segment, bool its, enum hj212_told wanted, const char *wanted_answer) {
    static struct hj212_frame frame;
    char bytes[512];
    snprintf(bytes, sizeof bytes, "##%04zu%s%04X\r\n", strlen(segment), segment,
             hj212_crc(HJ212_CRC_STANDARD, segment, strlen(segment)));
    hj212_parse(bytes, strlen(bytes), NULL, &frame);
    assert_int_equal(hj212_is_answer(&frame, NOW, 28800), its);
    cJSON *answer = cJSON_CreateObject();
    assert_int_equal(hj212_told(&frame, answer), wanted);
    char *text = cJSON_PrintUnformatted(answer);
    assert_string_equal(text, wanted_answer);
    free(text);
    cJSON_Delete(answer);
}

#define ITS "QN=20260101080000123;ST=91;MN=MN-1;"

static void test_what_a_monitor_says(void **state) {
    (void)state;
    check_told(ITS "CN=9011;Flag=4;CP=&&QnRtn=1&&", true, HJ212_TOLD_MORE, "{\"QnRtn\":\"1\"}");
    check_told(ITS "CN=9011;Flag=4;CP=&&QnRtn=3&&", true, HJ212_TOLD_FAILED, "{\"QnRtn\":\"3\"}");
    check_told(ITS "CN=9012;Flag=4;CP=&&ExeRtn=1&&", true, HJ212_TOLD_DONE, "{\"ExeRtn\":\"1\"}");
    check_told(ITS "CN=9012;Flag=4;CP=&&ExeRtn=100&&", true, HJ212_TOLD_FAILED, "{\"ExeRtn\":\"100\"}");
    check_told(ITS "CN=1061;Flag=4;CP=&&RtdInterval=3\\u0&&", true, HJ212_TOLD_MORE, "{}");
    check_told(ITS "CN=2011;Flag=5;CP=&&DataTime=20260101080000;a34004-Rtd=1&&", true, HJ212_TOLD_NOTHING, "{}");
    check_told("QN=20260101080000124;ST=91;MN=MN-1;CN=9012;Flag=4;CP=&&ExeRtn=1&&", false, HJ212_TOLD_DONE,
               "{\"ExeRtn\":\"1\"}");
    check_told("ST=91;MN=MN-1;CN=9012;CP=&&ExeRtn=1&&", true, HJ212_TOLD_DONE, "{\"ExeRtn\":\"1\"}");
    /* HJ/T 212-2005 has the QN in the content. */
    check_told("ST=91;MN=MN-1;CN=9012;CP=&&QN=20260101080000124;ExeRtn=1&&", false, HJ212_TOLD_DONE,
               "{\"ExeRtn\":\"1\"}");
    check_told("ST=39;MN=MN-1;CN=1061;CP=&&QN=20260101080000123;RtdInterval=60&&", true, HJ212_TOLD_MORE,
               "{\"RtdInterval\":\"60\"}");
    check_told("ST=39;MN=MN-1;CN=1061;CP=&&RtdInterval=60&&", false, HJ212_TOLD_MORE, "{\"RtdInterval\":\"60\"}");
}

/* ---- between hub and terminal ---- */

static int settled_in(cJSON *letter) {
    int count = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(letter, "settled"));
    cJSON_Delete(letter);
    return count;
}

static void test_a_command_is_begun_once_a_taking(void **state) {
    struct commands *commands = commands_new();
    (void)state;
    assert_null(commands_take_letter(commands));
    commands_want(commands, 0);
    for (int64_t id = 1; id <= 150; id++) {
        commands_want(commands, id);
    }
    cJSON *letter = commands_take_letter(commands);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(letter, "take")), 100);
    cJSON_Delete(letter);
    assert_null(commands_take_letter(commands));
    assert_true(commands_begin(commands, (struct command_name){.id = 5, .take = 1}));
    assert_false(commands_begin(commands, (struct command_name){.id = 5, .take = 1}));
    assert_true(commands_begin(commands, (struct command_name){.id = 5, .take = 2}));
    assert_false(commands_begin(commands, (struct command_name){.id = 0, .take = 0}));
    commands_free(commands);
}

static void test_what_the_hub_has_not_kept_is_said_again(void **state) {
    struct commands *commands = commands_new();
    struct parcel *parcel = NULL;
    (void)state;
    assert_null(commands_settled_letter(commands, &parcel));
    commands_settle(commands, (struct command_name){.id = 1, .take = 1}, COMMAND_SENT, NULL);
    assert_int_equal(settled_in(commands_settled_letter(commands, &parcel)), 1);
    commands_settle(commands, (struct command_name){.id = 1, .take = 1}, COMMAND_ACKNOWLEDGED, cJSON_CreateObject());
    struct parcel *second = NULL;
    assert_null(commands_settled_letter(commands, &second)); /* one after the other */
    parcel->worst = PARCEL_UNSURE;
    parcel_seal(parcel);
    assert_int_equal(settled_in(commands_settled_letter(commands, &parcel)), 2);
    commands_settle(commands, (struct command_name){.id = 2, .take = 1}, COMMAND_FAILED, NULL);
    parcel_seal(parcel);
    assert_int_equal(settled_in(commands_settled_letter(commands, &parcel)), 1);
    parcel->worst = PARCEL_REFUSED; /* it will never be kept */
    parcel_seal(parcel);
    assert_null(commands_settled_letter(commands, &parcel));
    commands_free(commands);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_truck_is_told),
        cmocka_unit_test(test_what_a_truck_says_of_its_parameters),
        cmocka_unit_test(test_what_a_monitor_is_told),
        cmocka_unit_test(test_what_a_monitor_says),
        cmocka_unit_test(test_a_command_is_begun_once_a_taking),
        cmocka_unit_test(test_what_the_hub_has_not_kept_is_said_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
