/* test_command.c: what the commands share: help, actions, complaints, numbers; and `cityhub check-config`. */
#include "captured.h"

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/know/adapter_json.h"

static struct captured captured;

/* Arguments as a command gets them: words parted by blanks. */
struct arguments {
    char text[200];
    char *list[20];
    int count;
};

static struct arguments *arguments_of(const char *text) {
    static struct arguments arguments;
    arguments = (struct arguments){0};
    snprintf(arguments.text, sizeof arguments.text, "%s", text);
    for (char *word = strtok(arguments.text, " "); word != NULL; word = strtok(NULL, " ")) {
        arguments.list[arguments.count++] = word;
    }
    return &arguments;
}

static void test_wants_help(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool wants;
    } cases[] = {
        {"vendor", false},           {"vendor --help", true},     {"vendor -h", true},
        {"vendor add x -h", true},   {"vendor -- --help", false}, {"--help", false},
        {"vendor --helpful", false}, {"vendor help", false},      {"vendor --help -- x", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arguments *arguments = arguments_of(cases[i].text);
        if (command_wants_help(arguments->count, arguments->list) != cases[i].wants) {
            fail_msg("%s", cases[i].text);
        }
    }
}

static int called_with;

static int action_list(const struct config *config, int argc, char **argv) {
    assert_null(config);
    assert_string_equal(argv[0], "list");
    assert_null(argv[argc]);
    called_with = argc;
    return 7;
}

static int act(const char *text) {
    static const struct command_action actions[] = {{"add", NULL}, {"list", action_list}};
    struct arguments *arguments = arguments_of(text);
    called_with = 0;
    return command_act(NULL, arguments->count, arguments->list, actions, 2, "usage: thing add|list\n");
}

static void test_actions(void **state) {
    (void)state;
    assert_int_equal(act("thing list a b"), 7);
    assert_int_equal(called_with, 3);
    captured_begin(&captured, stderr);
    assert_int_equal(act("thing"), EXIT_USAGE);
    assert_string_equal(captured_end(&captured), "usage: thing add|list\n");
    captured_begin(&captured, stderr);
    assert_int_equal(act("thing lists"), EXIT_USAGE);
    assert_string_equal(captured_end(&captured), "cityhub thing: `lists` is no action\nusage: thing add|list\n");
    captured_begin(&captured, stdout);
    assert_int_equal(act("thing list --help"), EXIT_DONE);
    assert_string_equal(captured_end(&captured), "usage: thing add|list\n");
    assert_int_equal(called_with, 0);
}

static void test_complaints(void **state) {
    (void)state;
    captured_begin(&captured, stderr);
    assert_int_equal(command_fail("no %s for %d", "room", 7), EXIT_FAILED);
    assert_string_equal(captured_end(&captured), "cityhub: no room for 7\n");
    captured_begin(&captured, stderr);
    assert_int_equal(command_misuse("cityhub vendor", "`%s` is odd", "x"), EXIT_USAGE);
    assert_string_equal(captured_end(&captured), "cityhub: `x` is odd\n`cityhub vendor --help` tells the options.\n");
}

static void test_numbers(void **state) {
    (void)state;
    static const char *const wrong[] = {"", " ", "x", "1x", "1 ", "1.5", "-6", "11", "99999999999999999999", "0x1"};
    int64_t number = 77;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (command_number(wrong[i], -5, 10, &number) != CH_EINVAL || number != 77) {
            fail_msg("\"%s\"", wrong[i]);
        }
    }
    assert_int_equal(command_number("-5", -5, 10, &number), 0);
    assert_int_equal(number, -5);
    assert_int_equal(command_number("10", -5, 10, &number), 0);
    assert_int_equal(number, 10);
    assert_int_equal(command_number("9223372036854775807", INT64_MIN, INT64_MAX, &number), 0);
    assert_int_equal(number, INT64_MAX);
    assert_int_equal(command_number("9223372036854775808", INT64_MIN, INT64_MAX, &number), CH_EINVAL);
}

static int check_config(const char *text, FILE *stream, const struct config *config) {
    struct arguments *arguments = arguments_of(text);
    captured_begin(&captured, stream);
    int code = command_check_config(config, arguments->count, arguments->list);
    captured_end(&captured);
    return code;
}

static void test_check_config(void **state) {
    (void)state;
    struct config config;
    assert_int_equal(config_load(&config, "/dev/null", stderr), 0);
    assert_int_equal(check_config("check-config", stdout, &config), EXIT_DONE);
    assert_string_equal(captured.text, "/dev/null: no faults\n");
    assert_int_equal(check_config("check-config --print", stdout, &config), EXIT_DONE);
    captured_expect(captured.text, "\n[jobs]\n");
    assert_int_equal(check_config("check-config --help", stdout, NULL), EXIT_DONE);
    captured_expect(captured.text, "usage: cityhub [--config FILE] check-config [--print | --catalogue]");
    assert_int_equal(check_config("check-config --catalogue", stdout, &config), EXIT_DONE);
    char *catalogue = adapter_json();
    assert_int_equal(strncmp(captured.text, catalogue, strlen(catalogue)), 0);
    assert_string_equal(captured.text + strlen(catalogue), "\n");
    free(catalogue);
    assert_int_equal(check_config("check-config --print --catalogue", stderr, &config), EXIT_USAGE);
    captured_expect(captured.text, "--print or --catalogue, not both");
    assert_int_equal(check_config("check-config --prnt", stderr, &config), EXIT_USAGE);
    captured_expect(captured.text, "`cityhub check-config --help` tells the options.");
    assert_int_equal(check_config("check-config file.ini", stderr, &config), EXIT_USAGE);
    captured_expect(captured.text, "cityhub: `file.ini` is one argument too many");
    free(config.path);
    config.path = NULL;
    assert_int_equal(check_config("check-config", stdout, &config), EXIT_DONE);
    assert_string_equal(captured.text, "built-in defaults (there is no file): no faults\n");
    config_free(&config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wants_help), cmocka_unit_test(test_actions),      cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_check_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
