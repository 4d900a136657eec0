/* test_terminal.c: the gateway's list of terminals: taken whole or not at all, found, kept in a file; secrets; unknown
 * ones; connections an address may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "hub/base/error.h"
#include "hub/gateway/address_count.h"
#include "hub/gateway/pending.h"
#include "hub/gateway/terminal.h"

#define ONE                                                                                                            \
    "{\"protocol\":\"hj212\",\"identity\":\"MN1\",\"subsystem\":\"dust\",\"vendor\":\"acme\",\"device\":\"D-1\"}"

static int take(struct terminals *terminals, const char *text) {
    cJSON *list = cJSON_Parse(text);
    int code = terminals_take(terminals, list);
    cJSON_Delete(list);
    return code;
}

static void test_list(void **state) {
    (void)state;
    static const char *const bad[] = {
        "{\"version\":\"2\"}",
        "{\"terminals\":[]}",
        "{\"version\":\"2\",\"terminals\":[" ONE ",{}]}",
        "{\"version\":\"2\",\"terminals\":[{\"protocol\":\"hj212\",\"identity\":\"x\",\"subsystem\":\"dust\",\"vendor\":\"a\"}]}",
        "{\"version\":\"2\",\"terminals\":[{\"protocol\":\"hj212\",\"identity\":\"x\",\"subsystem\":\"dust\",\"vendor\":\"a\","
        "\"device\":\"d\",\"secret\":\"abc\"}]}",
    };
    struct terminals *terminals = terminals_new();
    assert_int_equal(take(terminals, "{\"version\":\"1\",\"terminals\":[" ONE "]}"), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(take(terminals, bad[i]), CH_EINVAL);
        assert_string_equal(terminals_version(terminals), "1");
        assert_int_equal(terminals_count(terminals), 1);
    }
    const struct terminal *found = terminals_find(terminals, "hj212", "MN1");
    assert_non_null(found);
    assert_string_equal(found->device, "D-1");
    assert_int_equal(found->offset_minutes, 480);
    assert_null(terminals_find(terminals, "jt808", "MN1"));
    assert_null(terminals_find(terminals, "hj212", "MN2"));
    assert_int_equal(take(terminals, "{\"version\":\"2\",\"terminals\":[],\"ended\":[" ONE "]}"), 0);
    assert_null(terminals_find(terminals, "hj212", "MN1"));
    assert_int_equal(terminals_count(terminals), 0);
    assert_string_equal(terminals_find_ever(terminals, "hj212", "MN1")->device, "D-1");
    terminals_free(terminals);
}

static void test_file(void **state) {
    (void)state;
    static const char text[] = "{\"version\":\"7\",\"terminals\":[" ONE "]}";
    char folder[] = "/tmp/cityhub-terminal-XXXXXX", path[64];
    struct stat facts;
    struct terminals *terminals = terminals_new();
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/list", folder);
    assert_int_equal(terminals_read(terminals, path), CH_ENOTFOUND);
    assert_int_equal(terminals_write(path, text, strlen(text)), 0);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    assert_int_equal(terminals_read(terminals, path), 0);
    assert_string_equal(terminals_version(terminals), "7");
    assert_int_equal(terminals_write(path, "{", 1), 0);
    assert_int_equal(terminals_read(terminals, path), CH_EINVAL);
    assert_int_equal(terminals_count(terminals), 1); /* what was there stays */
    assert_int_equal(terminals_write("/nonexistent/list", text, 1), CH_EIO);
    unlink(path);
    rmdir(folder);
    terminals_free(terminals);
}

/* printf 'hj212:MN1:123456' | sha256sum */
static void test_secret(void **state) {
    (void)state;
    static const unsigned char expected[SECRET_HASH_BYTES] = {
        0x60, 0xf5, 0x69, 0xd9, 0x5e, 0x40, 0x54, 0x81, 0x37, 0x8c, 0xa5, 0x58, 0x43, 0xf8, 0xd1, 0x99,
        0xcc, 0xe5, 0x5e, 0x50, 0x7f, 0x54, 0x1e, 0x33, 0x23, 0x2b, 0x61, 0xd1, 0xe7, 0xbe, 0x25, 0x8b};
    struct terminal terminal = {.protocol = (char[]){"hj212"}, .identity = (char[]){"MN1"}};
    unsigned char hash[SECRET_HASH_BYTES];
    terminal_secret("hj212", "MN1", "123456", hash);
    assert_memory_equal(hash, expected, sizeof hash);
    assert_true(terminal_secret_fits(&terminal, "anything")); /* it has none */
    terminal.has_secret = true;
    memcpy(terminal.secret, hash, sizeof hash);
    assert_true(terminal_secret_fits(&terminal, "123456"));
    assert_false(terminal_secret_fits(&terminal, "123457"));
    assert_false(terminal_secret_fits(&terminal, ""));
    terminal.identity = (char[]){"MN2"}; /* the same secret of another is another */
    assert_false(terminal_secret_fits(&terminal, "123456"));
}

static void note(struct pending *pending, const char *identity, const char *frame, size_t length, int64_t at_ms) {
    pending_note(pending,
                 &(struct refused){.protocol = "hj212",
                                   .identity = identity,
                                   .reason = frame == NULL ? "wrong_secret" : "not_listed",
                                   .address = "1.2.3.4",
                                   .frame = frame,
                                   .length = length},
                 at_ms);
}

static void test_pending(void **state) {
    (void)state;
    struct pending *pending = pending_new();
    struct terminals *terminals = terminals_new();
    char identity[32], frame[2 * PENDING_FRAME_BYTES];
    memset(frame, 'f', sizeof frame);
    for (int i = 0; i < PENDING_MAX + 10; i++) { /* the bound holds, those that were heard longest ago go */
        snprintf(identity, sizeof identity, "MN%d", i);
        note(pending, identity, frame, sizeof frame, 1000 + i);
    }
    assert_int_equal(pending_count(pending), PENDING_MAX);
    for (int i = 0; i < 5; i++) {
        note(pending, "MN500", frame, 1, 9000);
    }
    cJSON *some = pending_report(pending, 3, false), *rest = pending_report(pending, PENDING_MAX, false);
    cJSON *none = pending_report(pending, PENDING_MAX, false), *all = pending_report(pending, PENDING_MAX, true);
    assert_int_equal(cJSON_GetArraySize(some), 3);
    assert_int_equal(cJSON_GetArraySize(rest), PENDING_MAX - 3);
    assert_int_equal(cJSON_GetArraySize(none), 0);
    assert_int_equal(cJSON_GetArraySize(all), PENDING_MAX);
    const cJSON *entry;
    cJSON_ArrayForEach(entry, all) {
        const cJSON *samples = cJSON_GetObjectItemCaseSensitive(entry, "samples");
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "identity"));
        bool again = strcmp(name, "MN500") == 0;
        assert_int_equal(cJSON_GetArraySize(samples), again ? PENDING_FRAMES : 1);
        assert_int_equal(strlen(cJSON_GetStringValue(cJSON_GetArrayItem(samples, 0))), 2 * PENDING_FRAME_BYTES);
        assert_true(strcmp(name, "MN9") != 0);
    }
    assert_int_equal(take(terminals, "{\"version\":\"1\",\"terminals\":[{\"protocol\":\"hj212\",\"identity\":\"MN500\","
                                     "\"subsystem\":\"dust\",\"vendor\":\"acme\",\"device\":\"D\"}]}"),
                     0);
    pending_settle(pending, terminals);
    assert_int_equal(pending_count(pending), PENDING_MAX - 1);
    note(pending, "MN500", NULL, 0, 10000); /* which is in the list now, and has its secret in its frames */
    cJSON *changed = pending_report(pending, PENDING_MAX, false);
    assert_int_equal(cJSON_GetArraySize(changed), 1);
    entry = cJSON_GetArrayItem(changed, 0);
    assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "reason")), "wrong_secret");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(entry, "samples")), 0);
    cJSON_Delete(changed);
    cJSON_Delete(some);
    cJSON_Delete(rest);
    cJSON_Delete(none);
    cJSON_Delete(all);
    terminals_free(terminals);
    pending_free(pending);
}

static void test_addresses(void **state) {
    (void)state;
    static struct address_counts counts;
    struct in6_addr one, other;
    char text[INET6_ADDRSTRLEN];
    inet_pton(AF_INET6, "::ffff:10.0.0.1", &one);
    inet_pton(AF_INET6, "2001:db8::", &other);
    assert_true(address_count_more(&counts, &one, 2) && address_count_more(&counts, &one, 2));
    assert_false(address_count_more(&counts, &one, 2));
    assert_true(address_count_more(&counts, &other, 2)); /* another's are its own */
    address_count_less(&counts, &one);
    assert_true(address_count_more(&counts, &one, 2));
    for (int i = 0; i < 2; i++) {
        address_count_less(&counts, &one);
    }
    address_count_less(&counts, &other);
    for (size_t i = 0; i < ADDRESS_BUCKETS; i++) {
        assert_null(counts.buckets[i]);
    }
    address_shown(&one, text);
    assert_string_equal(text, "10.0.0.1");
    address_shown(&other, text);
    assert_string_equal(text, "2001:db8::");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_list), cmocka_unit_test(test_file),
                                       cmocka_unit_test(test_secret), cmocka_unit_test(test_pending),
                                       cmocka_unit_test(test_addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
