/* test_all_commands.c: the table of every command: that it is well formed, that each of its arguments is refused when
 * it is wrong, and that help, manual and completion leave nothing out. */
#include "captured.h"

#include <ctype.h>
#include <regex.h>

#include "hub/all_commands.h"
#include "hub/base/error.h"
#include "hub/cli/arguments.h"
#include "hub/cli/completion.h"
#include "hub/cli/help.h"
#include "hub/cli/manual.h"
#include "hub/cli/print_table.h"

static const struct command_path program = {.steps = {&all_commands}, .depth = 1};
static struct captured captured;
static char name[COMMAND_NAME_MAX]; /* of the command that is looked at */
static size_t visited;

#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fail_msg("%s, %s: " #condition, name, row == NULL ? "-" : row->name);                                      \
        }                                                                                                              \
    } while (0)

static void each(void (*visit)(void *user, const struct command_path *path)) {
    visited = 0;
    command_walk(&program, visit, NULL);
    assert_in_range(visited, 40, 200);
}

static const struct command_option *find(const struct command *command, const char *option) {
    for (const struct command_option *row = command->options; row != NULL && row->name != NULL; row++) {
        if (strcmp(row->name, option) == 0) {
            return row;
        }
    }
    return NULL;
}

/* ---- well formed ---- */

static bool begins_small_and_has_no_stop(const char *text) {
    size_t length = strlen(text);
    return length > 2 && !isupper((unsigned char)text[0]) && text[length - 1] != '.';
}

static void check_name(const struct command_option *row) {
    const char *allowed =
        option_is_operand(row) ? "ABCDEFGHIJKLMNOPQRSTUVWXYZ" : "abcdefghijklmnopqrstuvwxyz0123456789-";
    EXPECT(!isdigit((unsigned char)row->name[0]) && strspn(row->name, allowed) == strlen(row->name) &&
           strlen(row->name) < 30);
    bool silent = row->kind == OPTION_FLAG || row->kind == OPTION_REFUSED || option_is_operand(row);
    EXPECT(silent == (row->argument == NULL));
    EXPECT(strcmp(row->name, "help") != 0 && strcmp(row->name, "config") != 0);
}

static void check_kind(const struct command_option *row) {
    char problem[OPTION_NOTE_MAX];
    regex_t expression;
    EXPECT((row->kind == OPTION_NUMBER) == (row->minimum < row->maximum));
    EXPECT((row->kind == OPTION_DECIMAL) == (row->low < row->high));
    EXPECT((row->pattern == NULL) == (row->shape == NULL));
    EXPECT(row->kind != OPTION_WORD || row->words != NULL);
    EXPECT(row->value == NULL || (row->kind == OPTION_FLAG && row->member != NULL));
    EXPECT(row->kind != OPTION_PAIR || (row->member == NULL && row->initial == NULL));
    EXPECT(row->initial == NULL || row->kind == OPTION_TEXT || option_problem(row, row->initial, problem) == NULL);
    EXPECT(row->initial == NULL || !row->required);
    if (row->pattern != NULL) {
        EXPECT(regcomp(&expression, row->pattern, REG_EXTENDED) == 0);
        regfree(&expression);
    }
}

static void check_place(const struct command *command, const struct command_option *row) {
    const struct command_option *before = row == command->options ? NULL : row - 1;
    EXPECT(!row->either || (before != NULL && !option_is_operand(row) && !option_is_operand(before) && !row->required));
    EXPECT(!row->repeated || option_is_operand(row));
    EXPECT(!option_is_operand(row) || before == NULL || option_is_operand(before)); /* operands come first */
    EXPECT(before == NULL || !before->repeated || !option_is_operand(row));
    for (const struct command_option *other = command->options; other != row; other++) {
        EXPECT(strcmp(other->name, row->name) != 0);
        bool same = other->member != NULL && row->member != NULL && strcmp(other->member, row->member) == 0;
        EXPECT(!same || row->either);
    }
    char copy[OPTION_NOTE_MAX] = "";
    snprintf(copy, sizeof copy, "%s", row->needs == NULL ? "" : row->needs);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
        EXPECT(find(command, word) != NULL);
    }
}

static void check_form(void *user, const struct command_path *path) {
    (void)user;
    const struct command *command = command_last(path);
    const struct command_option *row = NULL;
    command_name(path, 0, name);
    visited++;
    EXPECT(begins_small_and_has_no_stop(command->summary));
    EXPECT(command->run != NULL || command->work != NULL || command->list != NULL);
    EXPECT(command_more(path) != NULL || command->bare);
    EXPECT(strlen(command->text == NULL ? "" : command->text) < HELP_TEXT_MAX);
    bool forms = find(command, "json") != NULL && find(command, "csv") != NULL;
    EXPECT(command->list == NULL || command->work != NULL || forms); /* ask_print asks for both */
    size_t rows = 0;
    for (row = command->options; row != NULL && row->name != NULL; row++) {
        check_name(row);
        check_kind(row);
        check_place(command, row);
        EXPECT(begins_small_and_has_no_stop(row->help));
        EXPECT(++rows <= OPTIONS_MAX);
    }
}

static void test_form(void **state) {
    (void)state;
    each(check_form);
}

/* ---- wrong arguments ---- */

static char *words[80];
static int count;
static char storage[8192];
static size_t stored;

static void word(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void word(const char *format, ...) {
    va_list list;
    va_start(list, format);
    words[count++] = storage + stored;
    stored += (size_t)vsnprintf(storage + stored, sizeof storage - stored, format, list) + 1;
    va_end(list);
    words[count] = NULL;
    assert_true(stored < sizeof storage);
}

static void begin(void) {
    count = 0;
    stored = 0;
    word("command");
}

/* A value that the row takes; NULL for a flag. */
static const char *good(const struct command_option *row) {
    static char text[OPTION_NOTE_MAX];
    char problem[OPTION_NOTE_MAX];
    static const char *const tries[] = {"word", "1",   "2026-10", "2026-10-01",    "20102",
                                        "a=b",  "0.5", "2026",    "127.0.0.1:9001"};
    const char *first = option_words(row);
    snprintf(text, sizeof text, "%.*s%s", (int)strcspn(first, " "), first, row->kind == OPTION_PAIR ? "=x" : "");
    for (size_t i = 0; option_problem(row, text, problem) != NULL || text[0] == '\0'; i++) {
        assert_in_range(i, 0, sizeof tries / sizeof tries[0] - 1);
        snprintf(text, sizeof text, "%s", tries[i]);
    }
    return row->kind == OPTION_FLAG ? NULL : text;
}

static void give(const struct command_option *row, const char *value) {
    if (option_is_operand(row)) {
        word("%s", value);
    } else {
        word("--%s", row->name);
        if (value != NULL) {
            word("%s", value);
        }
    }
}

/* All that must be there, but for the group of `except`. */
static void give_required(const struct command *command, const struct command_option *except) {
    while (except != NULL && except->either) {
        except--;
    }
    for (const struct command_option *row = command->options; row != NULL && row->name != NULL; row++) {
        if (row->required && row != except) {
            give(row, good(row));
        }
    }
}

static void expect_refusal(const struct command_path *path, const struct command_option *row, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void expect_refusal(const struct command_path *path, const struct command_option *row, const char *format, ...) {
    struct arguments arguments = {.path = *path};
    char complaint[OPTION_NOTE_MAX];
    char expected[2 * OPTION_NOTE_MAX];
    va_list list;
    va_start(list, format);
    vsnprintf(complaint, sizeof complaint, format, list);
    va_end(list);
    int action;
    captured_begin(&captured, stderr);
    int code = arguments_read(&arguments, count, words, &action);
    captured_end(&captured);
    arguments_free(&arguments);
    snprintf(expected, sizeof expected, "%s: %s", name, complaint);
    if (code != EXIT_USAGE || strncmp(captured.text, expected, strlen(expected)) != 0) {
        fail_msg("%s, %s: code %d, expected \"%s\", found: %s", name, row == NULL ? "-" : row->name, code, expected,
                 captured.text);
    }
    snprintf(expected, sizeof expected, "\n`%s --help` tells how to use it.\n", name);
    captured_expect(captured.text, expected);
}

/* A value that the row refuses, NULL if it takes any. */
static const char *bad(const struct command_option *row) {
    static const char *const tries[] = {"no such word", ""};
    char problem[OPTION_NOTE_MAX];
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        if (row->kind != OPTION_FLAG && option_problem(row, tries[i], problem) != NULL) {
            return tries[i];
        }
    }
    return NULL;
}

static void refuse_row(const struct command_path *path, const struct command_option *row) {
    const struct command *command = command_last(path);
    const char *dashes = option_is_operand(row) ? "" : "--";
    if (bad(row) != NULL) {
        begin();
        for (const struct command_option *before = command->options; before != row; before++) {
            if (option_is_operand(row) && option_is_operand(before)) {
                give(before, good(before));
            }
        }
        give(row, bad(row));
        expect_refusal(path, row, "%s%s %s: ", dashes, row->name, bad(row));
    }
    if (!option_is_operand(row)) {
        begin();
        word(row->kind == OPTION_FLAG ? "--%s=x" : "--%s", row->name);
        if (row->kind == OPTION_FLAG) {
            expect_refusal(path, row, "--%s takes no value", row->name);
        } else {
            expect_refusal(path, row, "--%s %s: the value is missing", row->name, row->argument);
        }
    }
    if (row->either) {
        begin();
        give_required(command, row);
        give(row - 1, good(row - 1));
        give(row, good(row));
        expect_refusal(path, row, "--%s and --%s: only one of them", row[-1].name, row->name);
    }
    if (row->required) {
        begin();
        expect_refusal(path, row, "missing: ");
        captured_expect(captured.text, row->name);
    }
    if (row->needs != NULL) {
        char others[OPTION_NOTE_MAX];
        begin();
        give_required(command, row);
        give(row, good(row));
        expect_refusal(path, row, "--%s needs %s", row->name, option_needs(row, others));
    }
}

static void check_refusals(void *user, const struct command_path *path) {
    (void)user;
    const struct command *command = command_last(path);
    command_name(path, 0, name);
    visited++;
    bool endless = false;
    for (const struct command_option *row = command->options; row != NULL && row->name != NULL; row++) {
        endless = endless || row->repeated;
        if (option_is_shown(row)) {
            refuse_row(path, row);
        }
    }
    begin();
    give_required(command, NULL);
    word("--no-such-option=1");
    expect_refusal(path, NULL, "there is no option --no-such-option\n");
    if (!endless) {
        begin();
        give_required(command, NULL);
        for (int i = 0; i < 3; i++) { /* more than there are operands that may be left out */
            word("1");
        }
        word("surplus");
        expect_refusal(path, NULL, "`");
        captured_expect(captured.text, "is one argument too many");
    }
}

static void test_refusals(void **state) {
    (void)state;
    each(check_refusals);
}

/* What is right is taken, with nothing and with everything that goes together. */
static void check_acceptance(void *user, const struct command_path *path) {
    (void)user;
    const struct command *command = command_last(path);
    command_name(path, 0, name);
    visited++;
    for (int all = 0; all < 2; all++) {
        struct arguments arguments = {.path = *path};
        int action;
        begin();
        for (const struct command_option *row = command->options; row != NULL && row->name != NULL; row++) {
            bool wanted = row->required || (all == 1 && option_is_shown(row) && !row->either && row->needs == NULL);
            if (wanted) {
                give(row, good(row));
            }
        }
        captured_begin(&captured, stderr);
        int code = arguments_read(&arguments, count, words, &action);
        captured_end(&captured);
        for (const struct command_option *row = command->options; row != NULL && row->name != NULL; row++) {
            EXPECT(code == EXIT_DONE);
            bool has = row->member == NULL || cJSON_HasObjectItem(arguments.request, row->member);
            EXPECT(!argument_given(&arguments, row->name) || has);
            EXPECT(argument_text(&arguments, row->name) != NULL || row->initial == NULL || row->either);
        }
        arguments_free(&arguments);
    }
}

static void test_acceptance(void **state) {
    (void)state;
    each(check_acceptance);
}

/* ---- what is made of the table ---- */

static char *text;
static size_t size;

static FILE *open_text(void) {
    free(text);
    return open_memstream(&text, &size);
}

static void check_width(const char *line, int most) {
    for (const struct command_option *row = NULL; *line != '\0'; line += strcspn(line, "\n") + 1) {
        char copy[400];
        snprintf(copy, sizeof copy, "%.*s", (int)strcspn(line, "\n"), line);
        if (print_width(copy) > most) {
            fail_msg("%s: wider than %d: %s", name, most, copy);
        }
        EXPECT(strlen(copy) < sizeof copy - 1);
    }
}

static void check_help(void *user, const struct command_path *path) {
    (void)user;
    const struct command *command = command_last(path);
    const struct command_option *row;
    char form[OPTION_FORM_MAX];
    char described[HELP_TEXT_MAX];
    command_name(path, 0, name);
    visited++;
    FILE *out = open_text();
    help_print(out, path);
    fclose(out);
    check_width(text, 118);
    char *examples = strstr(text, "\nExamples:\n");
    if (examples != NULL) {
        *examples = '\0';
    }
    check_width(text, HELP_WIDTH);
    for (row = command->options; row != NULL && row->name != NULL; row++) {
        char line[OPTION_FORM_MAX + 8];
        snprintf(line, sizeof line, "\n  %s", option_form(row, form));
        const char *found = strstr(text, line);
        bool whole = found != NULL && strchr(" \n", found[strlen(line)]) != NULL;
        EXPECT(whole == option_is_shown(row));
        EXPECT(strlen(help_describe(row, described)) < HELP_TEXT_MAX - 1);
        EXPECT(strlen(option_note(row, described)) < OPTION_NOTE_MAX - 1);
    }
}

static void test_help(void **state) {
    (void)state;
    each(check_help);
}

/* roff's form of a name: hyphens are escaped. */
static const char *escaped(const char *plain) {
    static char out[256];
    size_t used = 0;
    for (const char *c = plain; *c != '\0'; c++) {
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%c", *c == '-' ? "\\" : "", *c);
    }
    return out;
}

static void check_manual(void *user, const struct command_path *path) {
    (void)user;
    const struct command_path whole = {.steps = {path->steps[0], path->steps[1]}, .depth = 2};
    command_name(path, 0, name);
    visited++;
    FILE *out = open_text();
    manual_print(out, &whole);
    fclose(out);
    captured_expect(text, escaped(name));
    for (const struct command_option *row = command_last(path)->options; row != NULL && row->name != NULL; row++) {
        char line[320];
        snprintf(line, sizeof line, "\n.B %s%s%s", option_is_operand(row) ? "" : "\\-\\-", escaped(row->name),
                 row->argument == NULL ? "\n" : " ");
        EXPECT((strstr(text, line) != NULL) == option_is_shown(row));
    }
}

static void test_manual(void **state) {
    (void)state;
    each(check_manual);
}

static void check_completion(void *user, const struct command_path *path) {
    (void)user;
    command_name(path, 0, name);
    visited++;
    char key[COMMAND_NAME_MAX + 32];
    snprintf(key, sizeof key, "\n    '%s -') words='", name);
    const char *found = strstr(text, key);
    const struct command_option *row = NULL;
    EXPECT(found != NULL);
    char offered[1024];
    snprintf(offered, sizeof offered, "%.*s ", (int)strcspn(found + strlen(key), "'"), found + strlen(key));
    for (row = command_last(path)->options; row != NULL && row->name != NULL; row++) {
        char option[64];
        snprintf(option, sizeof option, " --%s ", row->name);
        EXPECT((strstr(offered, option) != NULL) == (option_is_shown(row) && !option_is_operand(row)));
    }
}

static void test_completion(void **state) {
    (void)state;
    FILE *out = open_text();
    completion_print_bash(out, &all_commands);
    fclose(out);
    each(check_completion);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form), cmocka_unit_test(test_refusals), cmocka_unit_test(test_acceptance),
        cmocka_unit_test(test_help), cmocka_unit_test(test_manual),   cmocka_unit_test(test_completion),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(text);
    return failed;
}
