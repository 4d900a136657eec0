/* test_guard_token.c: devices that log in at the broker by a token: the file, whose token is right, what they publish.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "deploy/guard/guard_token.h"
#include "hub/gateway/terminal.h"

#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000" /* a hash */

/* The line of a device, its hash as the hub makes it. */
static void put_line(char *to, size_t room, const char *identity, const char *secret) {
    unsigned char hash[SECRET_HASH_BYTES];
    terminal_secret("json", identity, secret, hash);
    size_t used = strlen(to);
    used += (size_t)snprintf(to + used, room - used, "%s:", identity);
    for (size_t i = 0; i < sizeof hash; i++, used += 2) {
        snprintf(to + used, room - used, "%02x", hash[i]);
    }
    snprintf(to + used, room - used, "\n");
}

static bool parse(struct guard_devices *devices, const char *text) {
    FILE *from = fmemopen((char *)(uintptr_t)text, strlen(text), "r");
    bool whole = guard_devices_parse(devices, from);
    fclose(from);
    return whole;
}

static void test_tokens(void **state) {
    (void)state;
    char text[1024] = "", login[GUARD_LOGIN_MAX] = "";
    struct guard_devices *devices = guard_devices_new("/nowhere/devices");
    put_line(text, sizeof text, "tb-1", "a.secret");
    put_line(text, sizeof text, "TB_2", "another");
    assert_true(parse(devices, text));
    assert_int_equal(guard_devices_count(devices), 2);
    assert_true(guard_token_fits(devices, "tb-1.a.secret", login));
    assert_string_equal(login, "device.tb-1.1");
    assert_true(guard_token_fits(devices, "TB_2.another", login));
    assert_string_equal(login, "device.TB_2.2");
    static const char *const wrong[] = {
        "",     ".",        "tb-1",          "tb-1.",       "tb-1.another", "tb-1.a.secre",
        "tb-2", "TB_2.ano", "device.tb-1",   "tb.a.secret", ".a.secret",    "tb-1.A.secret",
        "hub",  "tb-1:a",   "device.tb-1.1", "tb_2.another"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(guard_token_fits(devices, wrong[i], login));
    }
    char longest[1000] = "tb-1.";
    memset(longest + 5, 'x', sizeof longest - 6);
    assert_false(guard_token_fits(devices, longest, login));
    guard_devices_free(devices);
}

/* Who was let in by a token is known as long as it is the device's. */
static void test_known(void **state) {
    (void)state;
    char one[1024] = "", other[1024] = "";
    struct guard_devices *devices = guard_devices_new("/nowhere/devices");
    put_line(one, sizeof one, "tb-1", "secret");
    put_line(one, sizeof one, "tb-2", "secret");
    put_line(other, sizeof other, "tb-2", "secret");
    put_line(other, sizeof other, "tb-1", "new");
    assert_true(parse(devices, one));
    static const char *const strangers[] = {"device.", "device.tb-1", "device.tb-1.", "device.tb-1.2", "device.tb-3.1"};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        assert_true(guard_is_device(strangers[i]));
        assert_false(guard_device_known(devices, strangers[i]));
    }
    assert_false(guard_is_device("tb-1") || guard_is_device(NULL) || guard_is_device("devices"));
    assert_true(guard_device_known(devices, "device.tb-1.1") && guard_device_known(devices, "device.tb-2.2"));
    assert_true(parse(devices, other));
    assert_false(guard_device_known(devices, "device.tb-1.1"));
    assert_true(guard_device_known(devices, "device.tb-1.3") && guard_device_known(devices, "device.tb-2.2"));
    assert_true(parse(devices, "\n"));
    assert_false(guard_device_known(devices, "device.tb-2.2"));
    guard_devices_free(devices);
}

static void test_lines_that_say_something_else(void **state) {
    (void)state;
    char text[2048] = "\n:\nnothing\n# a word\na.dot:" ZEROS "\nshort:00ff\nlong:", login[GUARD_LOGIN_MAX];
    memset(text + strlen(text), '0', 66);
    strcat(text, "\nno-hash:xx");
    memset(text + strlen(text), '0', 62);
    strcat(text, "\n");
    memset(text + strlen(text), 'n', 65);
    strcat(text, ":");
    memset(text + strlen(text), '0', 64);
    strcat(text, "\n");
    put_line(text, sizeof text, "tb-1", "old");
    put_line(text, sizeof text, "tb-1", "new");
    struct guard_devices *devices = guard_devices_new("/nowhere/devices");
    assert_true(parse(devices, text));
    assert_int_equal(guard_devices_count(devices), 1);
    assert_false(guard_token_fits(devices, "tb-1.old", login));
    assert_true(guard_token_fits(devices, "tb-1.new", login));
    guard_devices_free(devices);
}

static void replace(const char *path, const char *text) {
    char fresh[80];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "w");
    fputs(text, file);
    fclose(file);
    assert_int_equal(rename(fresh, path), 0);
}

/* Another file is seen at the next look, whether it is as long or gone. */
static void test_the_file(void **state) {
    (void)state;
    char folder[] = "/tmp/cityhub-guard-XXXXXX", path[64], one[1024] = "", other[1024] = "";
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/devices", folder);
    put_line(one, sizeof one, "tb-1", "secret");
    put_line(other, sizeof other, "tb-2", "secret");
    struct guard_devices *devices = guard_devices_new(path);
    assert_true(guard_devices_look(devices));
    assert_int_equal(guard_devices_count(devices), 0);
    replace(path, one);
    assert_true(guard_devices_look(devices) && guard_device_known(devices, "device.tb-1.1"));
    assert_true(guard_devices_look(devices) && guard_device_known(devices, "device.tb-1.1"));
    replace(path, other);
    assert_true(guard_devices_look(devices) && guard_device_known(devices, "device.tb-2.2"));
    assert_false(guard_device_known(devices, "device.tb-1.1"));
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0); /* what cannot be read changes nothing */
    assert_false(guard_devices_look(devices));
    assert_true(guard_device_known(devices, "device.tb-2.2"));
    rmdir(path);
    assert_true(guard_devices_look(devices));
    assert_int_equal(guard_devices_count(devices), 0);
    guard_devices_free(devices);
    rmdir(folder);
}

static void test_what_a_device_may(void **state) {
    (void)state;
    static const char *const others[] = {"",
                                         "v1/devices/me",
                                         "v1/devices/me/",
                                         "v1/devices/me/telemetry/",
                                         "v1/devices/tb-2/telemetry",
                                         "v1/devices/me/rpc/request/1",
                                         "v1/gateway/telemetry",
                                         "cityhub/v1/device/tb-1/telemetry",
                                         "cityhub/v1/dust/acme/telemetry"};
    assert_true(guard_device_may_publish("v1/devices/me/telemetry"));
    assert_true(guard_device_may_publish("v1/devices/me/attributes"));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(guard_device_may_publish(others[i]));
    }
    char *topic = guard_device_topic("device.TB_2.17", calloc);
    assert_string_equal(topic, "cityhub/v1/device/TB_2/telemetry");
    free(topic);
    static const char *const ids[] = {"device.tb-1.1", "device.tb-1-2", "device.tb-", "device.tb-2", "tb-1",
                                      "acme",          "auto-1",        "",           NULL};
    assert_true(guard_device_id_fits("device.tb-1", "device.tb-1.1"));
    assert_true(guard_device_id_fits("auto-0A1B2C3D-0000-1111-2222-333344445555", "device.tb-1.1"));
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_false(guard_device_id_fits(ids[i], "device.tb-1.1"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokens), cmocka_unit_test(test_known),
                                       cmocka_unit_test(test_lines_that_say_something_else),
                                       cmocka_unit_test(test_the_file), cmocka_unit_test(test_what_a_device_may)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
