/* test_arguments.c: arguments read by a table: what they become in the request, what belongs together, and what is said
 * of wrong ones. */
#include "captured.h"

#include "hub/base/error.h"
#include "hub/cli/arguments.h"

static const struct command_option options[] = {
    {.name = "CODE", .kind = OPTION_TEXT, .required = true, .member = "case", .help = "h"},
    {.name = "ID", .kind = OPTION_NUMBER, .minimum = 1, .maximum = 99, .repeated = true, .help = "h"},
    {.name = "subsystem", .argument = "KEY", .kind = OPTION_SUBSYSTEM, .member = "subsystem", .help = "h"},
    {.name = "limit",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = 100,
     .initial = "50",
     .member = "limit",
     .help = "h"},
    {.name = "points",
     .argument = "N",
     .kind = OPTION_DECIMAL,
     .low = -10,
     .high = 10,
     .member = "points",
     .help = "h"},
    {.name = "month", .argument = "MONTH", .kind = OPTION_TEXT, .required = true, .member = "month", .help = "h"},
    {.name = "from",
     .argument = "DAY",
     .kind = OPTION_TEXT,
     .either = true,
     .needs = "to until",
     .member = "from",
     .help = "h"},
    {.name = "to", .argument = "DAY", .kind = OPTION_TEXT, .help = "h"},
    {.name = "until", .argument = "DAY", .kind = OPTION_TEXT, .help = "h"},
    {.name = "enable", .kind = OPTION_FLAG, .member = "enabled", .help = "h"},
    {.name = "disable", .kind = OPTION_FLAG, .either = true, .member = "enabled", .value = "false", .help = "h"},
    {.name = "no-category", .kind = OPTION_FLAG, .member = "category", .value = "null", .help = "h"},
    {.name = "speed", .argument = "X", .kind = OPTION_DECIMAL, .low = 0, .high = 10, .initial = "1", .help = "h"},
    {.name = "rate", .argument = "X", .kind = OPTION_DECIMAL, .low = 0, .high = 10, .either = true, .help = "h"},
    {.name = "set", .argument = "KEY=VALUE", .kind = OPTION_PAIR, .help = "h"},
    {.name = "json", .kind = OPTION_FLAG, .help = "h"},
    {.name = "version",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = 9,
     .member = "version",
     .help = "h"},
    {.name = "password-file", .argument = "FILE", .kind = OPTION_FILE, .help = "h"},
    {.name = "password", .kind = OPTION_REFUSED, .help = "a password is never an argument"},
    {0},
};
static const struct command leaf = {.name = "do", .options = options};
static const struct command *const actions[] = {&leaf, NULL};
static const struct command group = {.name = "case", .actions = actions};
static const struct command *const commands[] = {&group, NULL};
static const struct command program = {.name = "cityhub", .actions = commands};

static struct captured captured;

/* Words parted by blanks; ~ stands for a blank in a word. */
static int read_words(struct arguments *arguments, const struct command *last, const char *text, int *action) {
    static char copy[512];
    static char *words[40];
    int count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        for (char *at = word; (at = strchr(at, '~')) != NULL;) {
            *at = ' ';
        }
        words[count++] = word;
    }
    words[count] = NULL;
    *arguments = (struct arguments){.path = {.steps = {&program, &group, last}, .depth = last == NULL ? 2 : 3}};
    captured_begin(&captured, stderr);
    int code = arguments_read(arguments, count, words, action);
    captured_end(&captured);
    return code;
}

static void becomes(const char *text, const char *request) {
    struct arguments arguments;
    int action;
    if (read_words(&arguments, &leaf, text, &action) != EXIT_DONE) {
        fail_msg("%s: %s", text, captured.text);
    }
    assert_string_equal(captured.text, "");
    char *json = cJSON_PrintUnformatted(arguments.request);
    assert_string_equal(json, request);
    cJSON_free(json);
    arguments_free(&arguments);
}

static void refused(const char *text, const char *complaint) {
    struct arguments arguments;
    int action;
    char expected[512];
    assert_int_equal(read_words(&arguments, &leaf, text, &action), EXIT_USAGE);
    snprintf(expected, sizeof expected, "cityhub case do: %s\n`cityhub case do --help` tells how to use it.\n",
             complaint);
    assert_string_equal(captured.text, expected);
    arguments_free(&arguments);
}

static void test_request(void **state) {
    (void)state;
    becomes("do X --month 10", "{\"case\":\"X\",\"limit\":50,\"month\":\"10\"}");
    becomes("do --month=10 X --limit 007 --subsystem dust",
            "{\"case\":\"X\",\"subsystem\":\"dust\",\"limit\":7,\"month\":\"10\"}");
    becomes("do X --from 1 --to 2 --points -1.50", "{\"case\":\"X\",\"limit\":50,\"points\":-1.50,\"from\":\"1\"}");
    becomes("do X --month 1 --disable --no-category",
            "{\"case\":\"X\",\"limit\":50,\"month\":\"1\",\"enabled\":false,\"category\":null}");
    becomes("do X --month 1 --enable", "{\"case\":\"X\",\"limit\":50,\"month\":\"1\",\"enabled\":true}");
    becomes("do X --month 1 --month 2", "{\"case\":\"X\",\"limit\":50,\"month\":\"2\"}");
    becomes("do --month 1 -- --json", "{\"case\":\"--json\",\"limit\":50,\"month\":\"1\"}");
    becomes("do - --month 1", "{\"case\":\"-\",\"limit\":50,\"month\":\"1\"}");
    becomes("do X --mon 1 --lim 3", "{\"case\":\"X\",\"limit\":3,\"month\":\"1\"}"); /* unambiguous beginnings */
}

static void test_pairs(void **state) {
    (void)state;
    becomes(
        "do X --month 1 --set a=b=c --set n=007 --set yes=true --set list=[1,{\"k\":null}] --set empty=",
        "{\"a\":\"b=c\",\"n\":\"007\",\"yes\":true,\"list\":[1,{\"k\":null}],\"empty\":\"\",\"case\":\"X\",\"limit\":50,\"month\":\"1\"}");
    becomes("do X --month 1 --set a=1 --set a=2 --set month=9",
            "{\"a\":\"2\",\"case\":\"X\",\"limit\":50,\"month\":\"1\"}");
    refused("do X --month 1 --set a", "--set a: must be KEY=VALUE");
    refused("do X --month 1 --set a=[1", "--set a=[1: its value is no JSON");
    refused("do X --month 1 --set a={}x", "--set a={}x: its value is no JSON");
}

static void test_values(void **state) {
    (void)state;
    struct arguments arguments;
    int action;
    assert_int_equal(read_words(&arguments, &leaf, "do X 7 8 9 --month 1 --rate 2.5 --json -c file", &action),
                     EXIT_DONE);
    assert_string_equal(arguments.name, "case do");
    assert_string_equal(arguments.config_path, "file");
    assert_string_equal(argument_text(&arguments, "CODE"), "X");
    assert_int_equal(arguments.operand_count, 4);
    assert_string_equal(arguments.operands[3], "9");
    assert_int_equal(argument_number(&arguments, "limit"), 50);
    assert_false(argument_given(&arguments, "limit"));
    assert_true(argument_given(&arguments, "json"));
    assert_true(argument_decimal(&arguments, "rate") == 2.5);
    assert_null(argument_text(&arguments, "speed")); /* its alternative was given: no default */
    assert_true(argument_decimal(&arguments, "speed") == 0);
    assert_null(argument_text(&arguments, "until"));
    assert_int_equal(argument_number(&arguments, "until"), 0);
    arguments_free(&arguments);
    assert_int_equal(read_words(&arguments, &leaf, "do X --month 1", &action), EXIT_DONE);
    assert_true(argument_decimal(&arguments, "speed") == 1);
    arguments_free(&arguments);
}

static void test_what_is_missing(void **state) {
    (void)state;
    refused("do", "missing: CODE, --month MONTH or --from DAY");
    refused("do X", "missing: --month MONTH or --from DAY");
    refused("do --month 1", "missing: CODE");
    refused("do X --month 1 --limit", "--limit N: the value is missing");
    refused("do X --month 1 --config", "--config FILE: the value is missing");
}

static void test_what_belongs_together(void **state) {
    (void)state;
    refused("do X --month 1 --from 1 --to 2", "--month and --from: only one of them");
    refused("do X --from 1", "--from needs --to or --until");
    refused("do X --month 1 --enable --disable", "--enable and --disable: only one of them");
    becomes("do X --from 1 --until 2", "{\"case\":\"X\",\"limit\":50,\"from\":\"1\"}");
}

static void test_what_is_wrong(void **state) {
    (void)state;
    refused("do X --month 1 --limit 0", "--limit 0: must be a whole number from 1 to 100");
    refused("do X 7 x --month 1", "ID x: must be a whole number from 1 to 99");
    refused("do X --month 1 --points 1e1", "--points 1e1: must be a number from -10 to 10");
    refused("do X --month 1 --colour=red", "there is no option --colour");
    refused("do X --month 1 -q", "there is no option -q");
    refused("do X --month 1 --json=yes", "--json takes no value");
    refused("do X --month 1 --help=yes", "--help takes no value");
    refused("do X --month 1 --s dust", "--s is short for more than one option");
    refused("do X --month 1 --limit x --points y",
            "--limit x: must be a whole number from 1 to 100"); /* the first one */
}

/* What may be a password is not repeated. */
static void test_secrets(void **state) {
    (void)state;
    refused("do X --month 1 --password secret", "a password is never an argument");
    refused("do X --month 1 --password=secret", "a password is never an argument");
    refused("do X --month 1 --pass secret", "--pass is short for more than one option");
    refused("do X --month 1 --passwort=secret", "there is no option --passwort");
    refused("do X --month 1 -psecret", "there is no option -p");
}

static void test_help_and_version_come_first(void **state) {
    (void)state;
    static const char *const texts[] = {"do --help", "do -h", "do --limit 0 -h", "do --colour red --help",
                                        "do a b c --help --json=1"};
    struct arguments arguments;
    int action;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(read_words(&arguments, &leaf, texts[i], &action), EXIT_DONE);
        assert_true(arguments.help);
        assert_string_equal(captured.text, "");
        arguments_free(&arguments);
    }
    assert_int_equal(read_words(&arguments, &leaf, "do -V", &action), EXIT_DONE);
    assert_true(arguments.version && !arguments.help);
    arguments_free(&arguments);
    assert_int_equal(read_words(&arguments, NULL, "case --version", &action), EXIT_DONE);
    assert_true(arguments.version);
    arguments_free(&arguments);
    /* A command's own option of that name is its own. */
    becomes("do X --month 1 --version 3", "{\"case\":\"X\",\"limit\":50,\"month\":\"1\",\"version\":3}");
    refused("do X --month 1 --version", "--version N: the value is missing");
    assert_int_equal(read_words(&arguments, &leaf, "do --month 1 -- --help", &action), EXIT_DONE);
    assert_false(arguments.help);
    arguments_free(&arguments);
}

/* Before an action its options are not looked at. */
static void test_before_the_action(void **state) {
    (void)state;
    struct arguments arguments;
    int action;
    assert_int_equal(read_words(&arguments, NULL, "case --config x do --limit 0", &action), EXIT_DONE);
    assert_int_equal(action, 3);
    assert_string_equal(arguments.config_path, "x");
    arguments_free(&arguments);
    assert_int_equal(read_words(&arguments, NULL, "case", &action), EXIT_DONE);
    assert_int_equal(action, 1);
    arguments_free(&arguments);
    assert_int_equal(read_words(&arguments, NULL, "case --limit 3 do", &action), EXIT_USAGE);
    assert_string_equal(captured.text,
                        "cityhub case: there is no option --limit\n`cityhub case --help` tells how to use it.\n");
    arguments_free(&arguments);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_what_is_missing),
        cmocka_unit_test(test_what_belongs_together),
        cmocka_unit_test(test_what_is_wrong),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_help_and_version_come_first),
        cmocka_unit_test(test_before_the_action),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
