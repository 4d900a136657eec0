/* test_config.c: the configuration file: what is read, what is refused with file and line, what is printed. */
#include "captured.h"

#include <errno.h>

#include "hub/adapter.h"
#include "hub/base/config.h"
#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/cli/program.h"
#include "hub/command/commands.h"

struct loaded {
    struct config config;
    char path[64];
    char *errors;
    size_t errors_length;
    int code;
};

static void load_bytes(struct loaded *loaded, const void *bytes, size_t length) {
    strcpy(loaded->path, "/tmp/cityhub-test-config-XXXXXX");
    int file = mkstemp(loaded->path);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, length), length);
    close(file);
    FILE *errors = open_memstream(&loaded->errors, &loaded->errors_length);
    loaded->code = config_load(&loaded->config, loaded->path, errors);
    fclose(errors);
    unlink(loaded->path);
}

static void unload(struct loaded *loaded) {
    config_free(&loaded->config);
    free(loaded->errors);
    *loaded = (struct loaded){0};
}

static struct loaded load(const char *text) {
    struct loaded loaded = {0};
    load_bytes(&loaded, text, strlen(text));
    return loaded;
}

/* The file is refused with exactly this complaint: after the file's name for `expected` that starts with a colon. */
static void refused_bytes(const char *text, size_t length, const char *expected) {
    struct loaded loaded = {0};
    char complaint[1000];
    load_bytes(&loaded, text, length);
    size_t used = 0;
    for (const char *line = expected; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
        used += (size_t)snprintf(complaint + used, sizeof complaint - used, "%s%.*s\n", loaded.path,
                                 (int)strcspn(line, "\n"), line);
    }
    assert_string_equal(loaded.errors, complaint);
    assert_int_equal(loaded.code, CH_EINVAL);
    unload(&loaded);
}

static void refused(const char *text, const char *expected) {
    refused_bytes(text, strlen(text), expected);
}

static void test_values(void **state) {
    (void)state;
    struct loaded loaded = load("; a comment\n# another\n\n[hub]\ninstance = 北-1 ; the rest is a comment\n"
                                "[mqtt]\r\nhost=broker.example\r\nport : 8883\n  keepalive_s = 5\n"
                                "[lane]\ncounts = dust=3, gas=2\n[mqtt]\nport = 1884");
    assert_string_equal(loaded.errors, "");
    assert_int_equal(loaded.code, 0);
    assert_string_equal(loaded.config.path, loaded.path);
    assert_string_equal(loaded.config.hub_instance, "北-1");
    assert_string_equal(loaded.config.mqtt_host, "broker.example");
    assert_int_equal(loaded.config.mqtt_port, 1884); /* the last one counts */
    assert_int_equal(loaded.config.mqtt_keepalive_s, 5);
    /* What is not in the file has its default. */
    assert_string_equal(loaded.config.hub_log_level, "info");
    assert_string_equal(loaded.config.mqtt_username, "");
    assert_int_equal(loaded.config.mqtt_session_expiry_s, INT64_C(4294967295));
    assert_int_equal(loaded.config.retention_observation_days, 730);
    assert_int_equal(config_lanes(&loaded.config, "dust"), 3);
    assert_int_equal(config_lanes(&loaded.config, "gas"), 2);
    assert_int_equal(config_lanes(&loaded.config, "water"), 1);
    assert_int_equal(config_connections(&loaded.config),
                     loaded.config.database_writers + loaded.config.http_queries + 7);
    unload(&loaded);
    loaded = load("\xef\xbb\xbf[http]\nport = 0\n");
    assert_int_equal(loaded.code, 0);
    assert_int_equal(loaded.config.http_port, 0);
    unload(&loaded);
    loaded = load("");
    assert_int_equal(loaded.code, 0);
    unload(&loaded);
}

static void test_unknown_keys(void **state) {
    (void)state;
    refused("[mqtt]\nhots = x\n", ":2: [mqtt] hots: no such key; `cityhub check-config --print` lists them all");
    refused("[mttq]\nhost = x\n", ":2: [mttq] host: no such key; `cityhub check-config --print` lists them all");
    refused("host = x\n", ":1: [] host: no such key; `cityhub check-config --print` lists them all");
    refused("[mqtt]\nHOST = x\n", ":2: [mqtt] HOST: no such key; `cityhub check-config --print` lists them all");
}

static void test_wrong_numbers(void **state) {
    (void)state;
    refused("[mqtt]\nport = 0\n", ":2: [mqtt] port = 0: is out of range (1 to 65535)");
    refused("[mqtt]\nport = 65536\n", ":2: [mqtt] port = 65536: is out of range (1 to 65535)");
    refused("[mqtt]\nport = -1\n", ":2: [mqtt] port = -1: is out of range (1 to 65535)");
    refused("[mqtt]\nport = 18a\n", ":2: [mqtt] port = 18a: is not a whole number (1 to 65535)");
    refused("[mqtt]\nport = 1.5\n", ":2: [mqtt] port = 1.5: is not a whole number (1 to 65535)");
    refused("[mqtt]\nport =\n", ":2: [mqtt] port = : is not a whole number (1 to 65535)");
    refused("[mqtt]\nport = 0x10\n", ":2: [mqtt] port = 0x10: is not a whole number (1 to 65535)");
    refused("[mqtt]\nport = 99999999999999999999\n",
            ":2: [mqtt] port = 99999999999999999999: is not a whole number (1 to 65535)");
}

static void test_wrong_lines(void **state) {
    (void)state;
    static const char form[] = "is neither a [section], a key = value, nor a comment";
    char expected[400], text[700];
    snprintf(expected, sizeof expected, ":1: %s\n:3: %s", form, form);
    refused("[mqtt\n\nhost\n[mqtt]\nport = 1\n", expected);
    snprintf(expected, sizeof expected, ":2: %s", form);
    refused("[mqtt]\nhost ; = x\n", expected);
    snprintf(expected, sizeof expected, ":1: %s", form);
    refused("[mqtt ;]\n", expected);
    refused("\x01", expected);

    memset(text, 0, sizeof text);
    strcpy(text, "[mqtt]\nhost = ");
    memset(text + strlen(text), 'h', 198 - strlen("host = "));
    struct loaded loaded = load(text);
    assert_int_equal(loaded.code, 0);
    assert_int_equal(strlen(loaded.config.mqtt_host), 198 - strlen("host = "));
    unload(&loaded);
    strcat(text, "x\n[mqtt]\nport = 0\n");
    refused(text, ":2: is longer than 198 bytes\n:4: [mqtt] port = 0: is out of range (1 to 65535)");
    memset(text + 7, ';', 500); /* a comment too */
    text[507] = '\0';
    refused(text, ":2: is longer than 198 bytes");

    static const char nul[] = "[mqtt]\nport = 18\0xx\nkeepalive_s = 1\n";
    refused_bytes(nul, sizeof nul - 1, ":2: has a NUL byte\n:3: [mqtt] keepalive_s = 1: is out of range (5 to 600)");
    refused_bytes("[mqtt]\nport = 18\0", 17, ":2: has a NUL byte");
}

/* inih joins an indented line to the value before it. */
static void test_indented_lines(void **state) {
    (void)state;
    static const char *const indents[] = {" ", "\t", "\r", "\v", "\f", " \t \v"};
    for (size_t i = 0; i < sizeof indents / sizeof indents[0]; i++) {
        char text[100];
        snprintf(text, sizeof text, "[mqtt]\nhost = a\n%susername = b\n", indents[i]);
        struct loaded loaded = load(text);
        assert_int_equal(loaded.code, 0);
        assert_string_equal(loaded.config.mqtt_host, "a");
        assert_string_equal(loaded.config.mqtt_username, "b");
        unload(&loaded);
    }
}

static void test_values_of_a_few(void **state) {
    (void)state;
    refused("[hub]\nlog_level = loud\n", ":2: [hub] log_level = loud: must be error, warning, info or debug");
    static const char *const origins[] = {
        "*", "null", "map.example.cn", "https://", "https://a.cn/", "https://a.cn,", "ftp://a.cn"};
    for (size_t i = 0; i < COUNT_OF(origins); i++) {
        char text[200], expected[200];
        snprintf(text, sizeof text, "[http]\norigins = https://b.cn\ncors = http://10.1.1.1:8080 %s\n", origins[i]);
        snprintf(expected, sizeof expected,
                 ":3: [http] cors: `%s`: must be http(s)://host[:port], with nothing behind it", origins[i]);
        refused(text, expected);
    }
    refused("[http]\norigins = https://b.cn/map\n",
            ":2: [http] origins: `https://b.cn/map`: must be http(s)://host[:port], with nothing behind it");
    refused("[hub]\n\ninstance =\n", ":3: [hub] instance: must have 1 to 40 bytes");
    refused("[hub]\ninstance = 12345678901234567890123456789012345678901\n",
            ":2: [hub] instance: must have 1 to 40 bytes");
    static const char *const counts[] = {"dust",    "dust=",   "dust=0", "dust=17",          "dust=1x",
                                         "dust=+2", "dust=-2", "=3",     "dust=99999999999", "dust=002"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char text[100], expected[200];
        snprintf(text, sizeof text, "[lane]\ncounts = gas=1 %s\n", counts[i]);
        snprintf(expected, sizeof expected, ":2: [lane] counts: `%s`: must be <subsystem>=<1 to 16>%s", counts[i],
                 counts[i][0] == '=' ? ", and there is no such subsystem" : "");
        refused(text, expected);
    }
    refused("[lane]\ncounts = smog=2\n",
            ":2: [lane] counts: `smog=2`: must be <subsystem>=<1 to 16>, and there is no such subsystem");
    refused("[lane]\ncounts = dust=2 gas=1 dust=3\n", ":2: [lane] counts: `dust=3`: comes twice");
    refused("[lane]\ncounts = dust=2\n[mqtt]\nprotocol = 3.1.1\n",
            ":2: [lane] counts: more than one lane (dust) needs [mqtt] protocol = 5");
    refused("[mqtt]\nprotocol = 4\n", ":2: [mqtt] protocol = 4: must be 5 or 3.1.1");
    /* Every fault of the file, not only the first. */
    refused("[hub]\nlog_level = x\n[lane]\ncounts = a=1 b=2\n[mqtt]\nport = x\n",
            ":6: [mqtt] port = x: is not a whole number (1 to 65535)\n"
            ":2: [hub] log_level = x: must be error, warning, info or debug\n"
            ":4: [lane] counts: `a=1`: must be <subsystem>=<1 to 16>, and there is no such subsystem\n"
            ":4: [lane] counts: `b=2`: must be <subsystem>=<1 to 16>, and there is no such subsystem");
}

static void test_files_that_cannot_be_read(void **state) {
    (void)state;
    static const char *const paths[] = {"/nonexistent/cityhub.ini", "/tmp"};
    for (size_t i = 0; i < 2; i++) {
        struct loaded loaded = {0};
        char expected[200];
        snprintf(expected, sizeof expected, "%s: cannot be read: %s\n", paths[i], strerror(i == 0 ? ENOENT : EISDIR));
        FILE *errors = open_memstream(&loaded.errors, &loaded.errors_length);
        assert_int_equal(config_load(&loaded.config, paths[i], errors), CH_EIO);
        fclose(errors);
        assert_string_equal(loaded.errors, expected);
        unload(&loaded);
    }
}

static void test_path_from_the_environment(void **state) {
    (void)state;
    struct loaded loaded = {0};
    strcpy(loaded.path, "/tmp/cityhub-test-config-XXXXXX");
    int file = mkstemp(loaded.path);
    assert_int_equal(write(file, "[mqtt]\nport = 1885\n", 19), 19);
    close(file);
    setenv("CITYHUB_CONFIG", loaded.path, 1);
    assert_int_equal(config_load(&loaded.config, NULL, stderr), 0);
    assert_int_equal(loaded.config.mqtt_port, 1885);
    assert_string_equal(loaded.config.path, loaded.path);
    unsetenv("CITYHUB_CONFIG");
    unlink(loaded.path);
    unload(&loaded);
}

/* What is printed is a configuration file that gives the same values. */
static void test_print_reads_back(void **state) {
    (void)state;
    struct loaded first = load("[hub]\ninstance = x\nlog_level = debug\n[mqtt]\nport = 99\nusername = u v\n"
                               "[lane]\ncounts = water=16\n[retention]\nobservation_days = 36500\n");
    char *text = NULL, *again = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    config_print(&first.config, out);
    fclose(out);
    captured_expect(text, "\n[mqtt]\n; broker's host name or address (default \"127.0.0.1\")\nhost = 127.0.0.1\n");
    captured_expect(text, "; broker's port (1 to 65535, default 1883)\nport = 99\n");
    captured_expect(text, "\npassword_file =\n");
    struct loaded second = load(text);
    assert_int_equal(second.code, 0);
    out = open_memstream(&again, &length);
    config_print(&second.config, out);
    fclose(out);
    assert_string_equal(text, again);
    free(text);
    free(again);
    unload(&first);
    unload(&second);
    /* Reading a configuration puts nothing into force. */
    static struct captured captured;
    captured_begin(&captured, stderr);
    log_debug("quiet", "n=1");
    assert_string_equal(captured_end(&captured), "");
}

/* config/cityhub.ini is what `cityhub check-config --print` writes for the defaults. */
static void test_shipped_file(void **state) {
    (void)state;
    static struct captured captured;
    static char shipped[sizeof captured.text];
    FILE *file = fopen(CITYHUB_SOURCE_DIR "/config/cityhub.ini", "re");
    assert_non_null(file);
    shipped[fread(shipped, 1, sizeof shipped - 1, file)] = '\0';
    fclose(file);
    static const struct command *const commands[] = {&command_check_config, NULL};
    static const struct command program = {.name = "cityhub", .actions = commands};
    char name[] = "cityhub", command[] = "check-config", option[] = "--print", config[] = "--config";
    char path[] = CITYHUB_SOURCE_DIR "/config/cityhub.ini";
    char *arguments[] = {name, config, path, command, option, NULL};
    captured_begin(&captured, stdout);
    int code = program_main(&program, 5, arguments);
    const char *printed = captured_end(&captured);
    assert_int_equal(code, EXIT_DONE);
    if (strcmp(CITYHUB_DATA_DIR, "/usr/local/share/cityhub") != 0) {
        skip(); /* a build for another place says so in the comment of data_dir */
    }
    assert_string_equal(printed, shipped);
}

static void test_secrets(void **state) {
    (void)state;
    static struct captured captured;
    static const struct {
        const char *bytes, *secret;
    } cases[] = {{"secret\n", "secret"}, {"s e\r\nrest\n", "s e"}, {"no end", "no end"}, {"\n", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[] = "/tmp/cityhub-test-secret-XXXXXX";
        int file = mkstemp(path);
        assert_int_equal(write(file, cases[i].bytes, strlen(cases[i].bytes)), strlen(cases[i].bytes));
        close(file);
        char *secret = config_secret(path);
        assert_non_null(secret);
        assert_string_equal(secret, cases[i].secret);
        free(secret);
        unlink(path);
    }
    captured_begin(&captured, stderr);
    assert_null(config_secret("/nonexistent/secret"));
    captured_expect(captured_end(&captured), "event=secret_file file=\"/nonexistent/secret\" reason=\"No such file");
    char path[] = "/tmp/cityhub-test-secret-XXXXXX";
    close(mkstemp(path));
    captured_begin(&captured, stderr);
    assert_null(config_secret(path));
    captured_expect(captured_end(&captured), "reason=\"the file is empty\"");
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_wrong_numbers),
        cmocka_unit_test(test_wrong_lines),
        cmocka_unit_test(test_indented_lines),
        cmocka_unit_test(test_values_of_a_few),
        cmocka_unit_test(test_files_that_cannot_be_read),
        cmocka_unit_test(test_path_from_the_environment),
        cmocka_unit_test(test_print_reads_back),
        cmocka_unit_test(test_shipped_file),
        cmocka_unit_test(test_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
