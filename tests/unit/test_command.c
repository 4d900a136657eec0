/* test_command.c: from main()'s arguments to the command that runs: where options may stand, help, exit codes; and
 * `cityhub check-config`. */
#include "captured.h"

#include "hub/base/error.h"
#include "hub/cli/arguments.h"
#include "hub/cli/program.h"
#include "hub/command/commands.h"
#include "hub/know/adapter_json.h"

static struct captured captured, captured_error;

static int runs;
static char seen[200];

static int note(const struct config *config, const struct arguments *arguments) {
    runs++;
    snprintf(seen, sizeof seen, "%s config=%s port=%lld n=%s", arguments->name, config == NULL ? "none" : config->path,
             config == NULL ? -1 : (long long)config->mqtt_port, argument_text(arguments, "number"));
    return 7;
}

static const struct command_option options[] = {{.name = "number",
                                                 .argument = "N",
                                                 .kind = OPTION_NUMBER,
                                                 .minimum = 0,
                                                 .maximum = 9,
                                                 .initial = "4",
                                                 .help = "a number"},
                                                {0}};
static const struct command deep = {.name = "deep", .summary = "go deep", .options = options, .run = note};
static const struct command *const middle_actions[] = {&deep, NULL};
static const struct command middle = {.name = "middle", .summary = "be in the middle", .actions = middle_actions};
static const struct command add = {.name = "add", .summary = "add one", .options = options, .run = note};
static const struct command *const thing_actions[] = {&add, &middle, NULL};
static const struct command thing = {
    .name = "thing", .summary = "do things", .actions = thing_actions, .more = "docs/thing.md"};
static const struct command serve = {.name = "serve", .summary = "run", .options = options, .run = note};
static const struct command bare = {
    .name = "bare", .summary = "need nothing", .options = options, .run = note, .bare = true};
static const struct command *const commands[] = {&thing, &serve, &bare, &command_check_config, NULL};
static const struct command program = {.name = "cityhub", .summary = "a program", .actions = commands};

static char config_path[] = "/tmp/cityhub-test-command-XXXXXX";
static char other_path[] = "/tmp/cityhub-test-command-XXXXXX";

/* CONFIG and OTHER stand for the two files. Returns the exit code; what was written is in the two captures. */
static int run(const char *text) {
    static char copy[300];
    static char *words[20];
    int count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        words[count++] = strcmp(word, "CONFIG") == 0 ? config_path : strcmp(word, "OTHER") == 0 ? other_path : word;
    }
    words[count] = NULL;
    runs = 0;
    seen[0] = '\0';
    captured_begin(&captured, stdout);
    captured_begin(&captured_error, stderr);
    int code = program_main(&program, count, words);
    captured_end(&captured_error);
    captured_end(&captured);
    return code;
}

static void ran(const char *text, const char *expected) {
    char whole[200];
    if (run(text) != 7) {
        fail_msg("%s: %s", text, captured_error.text);
    }
    assert_int_equal(runs, 1);
    snprintf(whole, sizeof whole, "%s", expected);
    assert_string_equal(seen, whole);
    assert_string_equal(captured.text, "");
    assert_string_equal(captured_error.text, "");
}

static void test_options_before_and_after(void **state) {
    (void)state;
    char expected[200];
    static const char *const ways[] = {"cityhub --config CONFIG thing add",
                                       "cityhub thing --config CONFIG add",
                                       "cityhub thing add --config CONFIG",
                                       "cityhub -c CONFIG thing add",
                                       "cityhub thing add -c CONFIG",
                                       "/usr/bin/cityhub thing -c CONFIG add",
                                       "cityhub -c OTHER thing -c OTHER add -c CONFIG",
                                       "cityhub -c OTHER thing -c CONFIG add"};
    snprintf(expected, sizeof expected, "thing add config=%s port=99 n=4", config_path);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        ran(ways[i], expected);
    }
    snprintf(expected, sizeof expected, "thing middle deep config=%s port=98 n=5", other_path);
    ran("cityhub thing middle -c OTHER deep --number 5", expected);
    ran("cityhub bare --number 3", "bare config=none port=-1 n=3");
}

static void test_daemon_name(void **state) {
    (void)state;
    char expected[200];
    snprintf(expected, sizeof expected, "serve config=%s port=99 n=4", config_path);
    ran("/usr/sbin/cityhubd --config CONFIG", expected);
    ran("cityhub --config CONFIG serve", expected);
    assert_int_equal(run("cityhubd thing"), EXIT_USAGE);
    captured_expect(captured_error.text, "cityhub serve: `thing` is one argument too many");
    assert_int_equal(run("cityhubd --help"), EXIT_DONE);
    captured_expect(captured.text, "usage: cityhub serve [--number N]\n");
}

static void test_help(void **state) {
    (void)state;
    static const struct {
        const char *text, *first;
    } cases[] = {
        {"cityhub --help", "usage: cityhub COMMAND [ARGUMENT ...]\n"},
        {"cityhub -h", "usage: cityhub COMMAND [ARGUMENT ...]\n"},
        {"cityhub --config /nonexistent --help", "usage: cityhub COMMAND [ARGUMENT ...]\n"},
        {"cityhub thing --help", "usage: cityhub thing ACTION [ARGUMENT ...]\n"},
        {"cityhub thing --help add", "usage: cityhub thing ACTION [ARGUMENT ...]\n"},
        {"cityhub thing add --help", "usage: cityhub thing add [--number N]\n"},
        {"cityhub thing add --number x -h", "usage: cityhub thing add [--number N]\n"},
        {"cityhub thing middle --help", "usage: cityhub thing middle ACTION [ARGUMENT ...]\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(run(cases[i].text), EXIT_DONE);
        if (strncmp(captured.text, cases[i].first, strlen(cases[i].first)) != 0) {
            fail_msg("%s: %s", cases[i].text, captured.text);
        }
        assert_string_equal(captured_error.text, "");
        assert_int_equal(runs, 0);
    }
    static const char *const versions[] = {"cityhub --version", "cityhub -V", "cityhub thing add --version",
                                           "cityhubd -V"};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        assert_int_equal(run(versions[i]), EXIT_DONE);
        assert_string_equal(captured.text, "cityhub " CITYHUB_VERSION "\n");
    }
}

static void test_wrong_use(void **state) {
    (void)state;
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        {"cityhub", "cityhub: which command?\nusage: cityhub COMMAND [ARGUMENT ...]\n  thing         do things\n"},
        {"cityhub nonsense", "cityhub: `nonsense` is no command\nusage: cityhub COMMAND"},
        {"cityhub --nonsense", "cityhub: there is no option --nonsense\n`cityhub --help` tells"},
        {"cityhub --config", "cityhub: --config FILE: the value is missing\n"},
        {"cityhub thing",
         "cityhub thing: which action?\nusage: cityhub thing ACTION [ARGUMENT ...]\n  add           add one\n"},
        {"cityhub thing lists", "cityhub thing: `lists` is no action\n"},
        {"cityhub thing middle", "cityhub thing middle: which action?\n"},
        {"cityhub thing middle deeper", "cityhub thing middle: `deeper` is no action\n"},
        {"cityhub thing --number 3 add", "cityhub thing: there is no option --number\n"},
        {"cityhub thing add --number 10", "cityhub thing add: --number 10: must be a whole number from 0 to 9\n"},
        {"cityhub thing add --config CONFIG more", "cityhub thing add: `more` is one argument too many\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(run(cases[i].text), EXIT_USAGE);
        if (strncmp(captured_error.text, cases[i].complaint, strlen(cases[i].complaint)) != 0) {
            fail_msg("%s: %s", cases[i].text, captured_error.text);
        }
        captured_expect(captured_error.text, " --help` tells ");
        assert_string_equal(captured.text, "");
        assert_int_equal(runs, 0);
    }
}

static void test_faulty_configuration(void **state) {
    (void)state;
    assert_int_equal(run("cityhub thing add --config /nonexistent/cityhub.ini"), EXIT_USAGE);
    captured_expect(captured_error.text, "/nonexistent/cityhub.ini: cannot be read: No such file or directory");
    assert_int_equal(runs, 0);
    ran("cityhub bare --config /nonexistent/cityhub.ini", "bare config=none port=-1 n=4");
}

static void test_complaints(void **state) {
    (void)state;
    captured_begin(&captured, stderr);
    assert_int_equal(command_fail("no %s for %d", "room", 7), EXIT_FAILED);
    assert_string_equal(captured_end(&captured), "cityhub: no room for 7\n");
    const struct command_path path = {.steps = {&program, &thing, &add}, .depth = 3};
    captured_begin(&captured, stderr);
    assert_int_equal(command_misuse(&path, "`%s` is odd", "x"), EXIT_USAGE);
    assert_string_equal(captured_end(&captured),
                        "cityhub thing add: `x` is odd\n`cityhub thing add --help` tells how to use it.\n");
}

static void count(void *user, const struct command_path *path) {
    char name[COMMAND_NAME_MAX];
    size_t used = strlen(user);
    snprintf((char *)user + used, 200 - used, "<%s>", command_name(path, 1, name));
}

static void test_tree(void **state) {
    (void)state;
    struct command_path path = {.steps = {&program}, .depth = 1};
    char names[200] = "";
    command_walk(&path, count, names);
    assert_string_equal(names, "<thing add><thing middle deep><serve><bare><check-config>");
    assert_null(command_more(&path));
    assert_true(command_step(&path, "thing") && command_step(&path, "middle") && command_step(&path, "deep"));
    assert_false(command_step(&path, "deeper"));
    assert_ptr_equal(command_last(&path), &deep);
    assert_string_equal(command_more(&path), "docs/thing.md");
}

static void test_check_config(void **state) {
    (void)state;
    char expected[100];
    snprintf(expected, sizeof expected, "%s: no faults\n", config_path);
    assert_int_equal(run("cityhub check-config --config CONFIG"), EXIT_DONE);
    assert_string_equal(captured.text, expected);
    assert_int_equal(run("cityhub -c CONFIG check-config --print"), EXIT_DONE);
    captured_expect(captured.text, "\n[jobs]\n");
    captured_expect(captured.text, "\nport = 99\n");
    assert_int_equal(run("cityhub -c CONFIG check-config --catalogue"), EXIT_DONE);
    char *catalogue = adapter_json();
    assert_int_equal(strncmp(captured.text, catalogue, strlen(catalogue)), 0);
    assert_string_equal(captured.text + strlen(catalogue), "\n");
    free(catalogue);
    assert_int_equal(run("cityhub check-config --print --catalogue"), EXIT_USAGE);
    captured_expect(captured_error.text, "--print and --catalogue: only one of them");
    assert_int_equal(run("cityhub check-config file.ini"), EXIT_USAGE);
    captured_expect(captured_error.text, "`file.ini` is one argument too many");
}

static void put_config(char *path, const char *text) {
    int file = mkstemp(path);
    assert_true(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
    close(file);
}

int main(void) {
    put_config(config_path, "[mqtt]\nport = 99\n");
    put_config(other_path, "[mqtt]\nport = 98\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_before_and_after),
        cmocka_unit_test(test_daemon_name),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_wrong_use),
        cmocka_unit_test(test_faulty_configuration),
        cmocka_unit_test(test_complaints),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_check_config),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(config_path);
    unlink(other_path);
    return failed;
}
