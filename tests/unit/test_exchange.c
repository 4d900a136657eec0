/* test_exchange.c: which addresses a target may have, what a template makes of a record, what an answer means. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "hub/base/address_range.h"
#include "hub/base/count.h"
#include "hub/base/member.h"
#include "hub/base/text.h"
#include "hub/exchange/message.h"
#include "hub/exchange/verdict.h"

/* ---- addresses ---- */

static bool allowed(const char *text, const char *ranges) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    cJSON *list = ranges == NULL ? NULL : cJSON_Parse(ranges);
    bool is_four = inet_pton(AF_INET, text, &four.sin_addr) == 1;
    assert_true(is_four || inet_pton(AF_INET6, text, &six.sin6_addr) == 1);
    bool result = address_range_allowed(is_four ? (struct sockaddr *)&four : (struct sockaddr *)&six, list);
    cJSON_Delete(list);
    return result;
}

static void test_addresses(void **state) {
    (void)state;
    static const char *const closed[] = {"127.0.0.1",        "10.0.0.1",        "172.31.255.255",
                                         "192.168.1.1",      "169.254.169.254", "100.64.0.1",
                                         "0.0.0.0",          "224.0.0.1",       "::1",
                                         "fd00::1",          "fe80::1",         "::ffff:10.0.0.1",
                                         "::ffff:127.0.0.1", "64:ff9b::a00:1",  "2002:a00:1::1",
                                         "255.255.255.255",  "ff02::1",         "::"};
    static const char *const open[] = {"8.8.8.8",      "172.32.0.1",     "172.15.255.255", "11.0.0.0",
                                       "2400:3200::1", "::ffff:8.8.8.8", "223.255.255.255"};
    for (size_t i = 0; i < COUNT_OF(closed); i++) {
        assert_false(allowed(closed[i], NULL));
        assert_false(allowed(closed[i], "[\"9.9.9.0/24\"]"));
    }
    for (size_t i = 0; i < COUNT_OF(open); i++) {
        assert_true(allowed(open[i], NULL));
    }
    assert_true(allowed("10.20.3.4", "[\"10.20.0.0/16\"]"));
    assert_true(allowed("::ffff:10.20.3.4", "[\"10.20.0.0/16\"]"));
    assert_false(allowed("10.21.3.4", "[\"10.20.0.0/16\"]"));
    assert_true(allowed("10.20.3.7", "[\"10.20.3.4/30\"]"));
    assert_false(allowed("10.20.3.8", "[\"10.20.3.4/30\"]"));
    assert_true(allowed("fd12::9", "[\"fd12::/32\"]"));
    static const char *const wrong[] = {"10.0.0.0",    "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "x/8", "fd00::/129",
                                        "10.0.0.0/8x", "/8",          ""};
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_false(address_range_valid(wrong[i]));
    }
    assert_false(address_range_valid(NULL));
    assert_true(address_range_valid("0.0.0.0/0") && address_range_valid("::/0") && address_range_valid("1.2.3.4/32"));
}

/* ---- templates ---- */

/* What one field makes of a record's content, as text, "-" if it is left out; a problem is told with ! before it. */
static void field(const char *described, const char *content, const char *expected) {
    char problem[MESSAGE_PROBLEM_MAX], text[512];
    snprintf(
        text, sizeof text,
        "{\"maps\": {\"m\": {\"values\": {\"a\": \"甲\", \"2\": 20}}, \"o\": {\"values\": {}, \"otherwise\": null}},"
        " \"resources\": {\"r\": {\"fields\": {\"f\": %s}}}}",
        described);
    cJSON *document = cJSON_Parse(text), *parsed = cJSON_Parse(content);
    assert_non_null(document);
    assert_non_null(parsed);
    struct platform target = {
        .document = document, .maps = member_get(document, "maps"), .resources = member_get(document, "resources")};
    struct outgoing record = {"17", "r", "R/1", "2", "abc", "{}", parsed};
    cJSON *object = message_record(&target, &record, problem);
    const cJSON *value = member_get(object, "f");
    char *shown = value == NULL ? NULL : cJSON_PrintUnformatted(value);
    if (object == NULL) {
        snprintf(text, sizeof text, "!%s", problem);
    } else {
        snprintf(text, sizeof text, "%s", shown == NULL ? "-" : shown);
    }
    assert_string_equal(text, expected);
    cJSON_free(shown);
    cJSON_Delete(object);
    cJSON_Delete(parsed);
    cJSON_Delete(document);
}

static void test_fields(void **state) {
    (void)state;
    field("{\"from\": \"x\"}", "{\"x\": \"街\"}", "\"街\"");
    field("{\"from\": \"x\"}", "{\"x\": [1, null]}", "[1,null]");
    field("{\"from\": \"x\"}", "{\"x\": null}", "-");
    field("{\"from\": \"x\", \"otherwise\": 0}", "{}", "0");
    field("{\"from\": \"x\", \"required\": true}", "{}", "!f: must be there, and the record has no x");
    field("{\"from\": \"x\", \"map\": \"m\"}", "{\"x\": \"a\"}", "\"甲\"");
    field("{\"from\": \"x\", \"map\": \"m\"}", "{\"x\": 2}", "20");
    field("{\"from\": \"x\", \"map\": \"m\"}", "{\"x\": \"b\"}", "!f: map m has no \"b\"");
    field("{\"from\": \"x\", \"map\": \"o\"}", "{\"x\": \"b\"}", "null");
    field("{\"from\": \"x\", \"type\": \"integer\"}", "{\"x\": 2.5}", "3");
    field("{\"from\": \"x\", \"type\": \"integer\"}", "{\"x\": \"2\"}", "!f: x is no integer");
    field("{\"from\": \"x\", \"type\": \"boolean\"}", "{\"x\": false}", "false");
    field("{\"from\": \"x\", \"type\": \"text\"}", "{\"x\": 20102}", "\"20102\"");
    field("{\"from\": \"x\", \"type\": \"text\"}", "{\"x\": [\"a\"]}", "\"[\\\"a\\\"]\"");
    field("{\"from\": \"x\", \"type\": \"time\"}", "{\"x\": \"2026-11-27T20:00:00.5+00:00\"}",
          "\"2026-11-28 04:00:00\"");
    field("{\"from\": \"x\", \"type\": \"time\"}", "{\"x\": \"2026-11-27\"}", "\"2026-11-27\"");
    field("{\"from\": \"x\", \"type\": \"time\", \"format\": \"%Y%m%d%H%M%S\", \"offset_minutes\": 0}",
          "{\"x\": \"2026-11-27T20:00:00+00:00\"}", "\"20261127200000\"");
    field("{\"from\": \"x\", \"type\": \"time\", \"format\": \"unix_ms\"}", "{\"x\": \"1970-01-01T00:00:01.25+00:00\"}",
          "1250");
    field("{\"from\": \"x\", \"type\": \"time\"}", "{\"x\": \"2026-11-27T20:00:00+08:00\"}", "!f: x is no time");
    field("{\"from\": \"$number\"}", "{}", "\"17\"");
    field("{\"from\": \"$version\"}", "{}", "2");
    field("{\"from\": \"$correction\"}", "{}", "true");
    field("{\"value\": {\"a\": 1}}", "{}", "{\"a\":1}");
}

/* ---- answers ---- */

/* The outcomes of numbers 1 to `count`, or what the message as a whole became. */
static void judge(const char *described, long status, const char *body, size_t count, const char *expected) {
    static const char *const numbers[] = {"1", "2", "3"};
    char reason[TRANSPORT_PROBLEM_MAX], text[256] = "";
    cJSON *answer = cJSON_Parse(described), *outcomes = cJSON_CreateArray();
    const cJSON *row;
    struct platform target = {
        .answer = answer, .records = count > 1 ? "records" : "", .batch = (int)count, .url = "https://x"};
    struct reply reply = {.status = status, .retry_after_s = -1};
    buffer_text(&reply.body, body);
    enum verdict verdict = verdict_judge(&target, &reply, numbers, count, outcomes, reason);
    cJSON_ArrayForEach(row, outcomes) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s:%s:%s", used == 0 ? "" : " ", member_text(row, "number"),
                 member_text(row, "outcome"), member_text(row, "receipt_number"));
    }
    assert_string_equal(verdict == VERDICT_AWAY ? "away" : verdict == VERDICT_REFUSED ? "refused" : text, expected);
    reply_free(&reply);
    cJSON_Delete(outcomes);
    cJSON_Delete(answer);
}

static void test_answers(void **state) {
    (void)state;
    static const char by_code[] =
        "{\"success\": {\"member\": \"code\", \"values\": [0, \"ok\"]}, \"again\": [7], \"receipt_member\": \"id\", \"accepted_status\": [409]}";
    static const char by_record[] =
        "{\"success\": {\"member\": \"code\", \"values\": [0]}, \"records\": \"results\", \"number\": \"n\"}";
    judge("{}", 200, "", 1, "1:accepted:");
    judge("{}", 204, "", 1, "1:accepted:");
    judge("{}", 422, "no", 1, "1:refused:");
    judge(by_code, 200, "{\"code\": 0, \"id\": 12345678901}", 1, "1:accepted:12345678901");
    judge(by_code, 200, "{\"code\": \"ok\", \"id\": \"R\"}", 1, "1:accepted:R");
    judge(by_code, 200, "{\"code\": \"0\"}", 1, "1:refused:");
    judge(by_code, 200, "{\"code\": 7}", 1, "1:again:");
    judge(by_code, 200, "{}", 1, "1:again:");
    judge(by_code, 200, "busy", 1, "1:again:");
    /* A page for people says nothing of a record, whatever its status: a gateway's login, a maintenance notice. */
    judge(by_code, 200, "\xef\xbb\xbf\r\n<!DOCTYPE html><html>", 1, "away");
    judge("{}", 200, "<HTML lang=zh>", 1, "away");
    judge("{}", 200, "<answer/>", 1, "1:accepted:");
    judge(by_code, 200, "\xef\xbb\xbf{\"code\": 0, \"id\": \"R\"}", 1, "1:accepted:R");
    /* A receipt is what was written, or none. */
    judge(by_code, 200, "{\"code\": 0, \"id\": 1234567890123456}", 1, "1:accepted:1234567890123456");
    judge(by_code, 200, "{\"code\": 0, \"id\": 1234567890123456789}", 1, "1:accepted:1234567890123456789");
    judge(by_code, 200, "{\"code\": 0, \"id\": \"\xff\xfe\"}", 1, "1:accepted:??");
    judge(by_code, 409, "", 1, "1:accepted:");
    static const long away[] = {0, 301, 401, 403, 404, 408, 429, 500, 503};
    for (size_t i = 0; i < COUNT_OF(away); i++) {
        judge(by_code, away[i], "{\"code\": 0}", 1, "away");
    }
    judge(by_record, 200, "{\"results\": [{\"n\": 2, \"code\": 0}, {\"n\": \"1\", \"code\": 9}]}", 3,
          "1:refused: 2:accepted: 3:again:");
    judge(by_record, 200, "{\"results\": [{\"n\": 1, \"code\": 0}, {\"n\": 1, \"code\": 0}, {\"n\": 2, \"code\": 0}]}",
          2, "1:accepted: 2:accepted:");
    judge(by_record, 200, "{}", 2, "1:again: 2:again:");
    judge(by_record, 400, "{}", 2, "refused");
    judge(by_record, 500, "{}", 2, "away");
}

/* A page in Chinese is cut between two characters, wherever the ledger's room ends. */
static void test_answer_in_chinese(void **state) {
    (void)state;
    static const char *const numbers[] = {"1"};
    char reason[TRANSPORT_PROBLEM_MAX];
    struct platform target = {.records = "", .batch = 1, .url = "https://x"};
    for (size_t blanks = 0; blanks < 3; blanks++) {
        struct reply reply = {.status = 500};
        buffer_bytes(&reply.body, "   ", blanks);
        for (int i = 0; i < 400; i++) {
            buffer_text(&reply.body, "系统繁忙");
        }
        assert_int_equal(verdict_judge(&target, &reply, numbers, 1, NULL, reason), VERDICT_AWAY);
        assert_in_range(strlen(reason), 250, TRANSPORT_PROBLEM_MAX - 1);
        assert_null(text_flaw(reason, strlen(reason), false));
        reply_free(&reply);
    }
}

/* What a platform says in GBK is told as far as it can be, in its message and in its receipt. */
static void test_answer_in_gbk(void **state) {
    (void)state;
    static const char *const numbers[] = {"1"};
    static const char body[] =
        "{\"code\": 9, \"msg\": \"\xb2\xbb\xc4\xdc\xbd\xd3\xca\xd5 R1\", \"id\": \"\xba\xc5 7\"}";
    char reason[TRANSPORT_PROBLEM_MAX];
    cJSON *answer = cJSON_Parse(
        "{\"success\": {\"member\": \"code\", \"values\": [0]}, \"message\": \"msg\", \"receipt_member\": \"id\"}");
    cJSON *outcomes = cJSON_CreateArray();
    struct platform target = {.answer = answer, .records = "", .batch = 1, .url = "https://x"};
    struct reply reply = {.status = 200};
    buffer_text(&reply.body, body);
    assert_int_equal(verdict_judge(&target, &reply, numbers, 1, outcomes, reason), VERDICT_RECORDS);
    const cJSON *row = cJSON_GetArrayItem(outcomes, 0);
    assert_string_equal(member_text(row, "outcome"), "refused");
    const char *told = member_text(row, "answer");
    assert_null(text_flaw(told, strlen(told), false));
    assert_non_null(strstr(told, "? R1"));
    assert_non_null(strstr(member_text(row, "receipt_number"), "? 7"));
    reply_free(&reply);
    cJSON_Delete(outcomes);
    cJSON_Delete(answer);
}

/* Whatever bytes an answer has, the ledger gets valid text of bounded length. */
static void test_answer_of_any_bytes(void **state) {
    (void)state;
    static const char *const numbers[] = {"1"};
    char reason[TRANSPORT_PROBLEM_MAX];
    struct platform target = {.records = "", .batch = 1, .url = "https://x"};
    for (unsigned seed = 0; seed < 512; seed++) {
        struct reply reply = {.status = seed % 2 == 0 ? 400 : 500};
        cJSON *outcomes = cJSON_CreateArray();
        for (unsigned i = 0; i < 600; i++) {
            unsigned char byte = (unsigned char)((i * 131 + seed * 7 + i * i * seed) >> (seed % 3));
            buffer_bytes(&reply.body, &byte, 1);
        }
        enum verdict verdict = verdict_judge(&target, &reply, numbers, 1, outcomes, reason);
        assert_int_equal(verdict, seed % 2 == 0 ? VERDICT_RECORDS : VERDICT_AWAY);
        const char *told = seed % 2 == 0 ? member_text(cJSON_GetArrayItem(outcomes, 0), "answer") : reason;
        assert_in_range(strlen(told), 4, 499);
        assert_null(text_flaw(told, strlen(told), false));
        reply_free(&reply);
        cJSON_Delete(outcomes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),     cmocka_unit_test(test_fields),
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_answer_in_chinese),
        cmocka_unit_test(test_answer_in_gbk), cmocka_unit_test(test_answer_of_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
