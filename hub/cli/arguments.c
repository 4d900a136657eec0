/* arguments.c: reads arguments by a table of options, with getopt_long. Must never repeat the value of an option that
 * it does not know, nor that of one that is refused: it may be a password. */
#include "hub/cli/arguments.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/member.h"

enum { ROW_FIRST = 1000, GLOBALS = 3, PROBLEM_MAX = 1024 };

/* A reading under way. The first problem is the one that is told, and none of them if help is wanted. */
struct scan {
    struct arguments *arguments;
    const struct command_option *options;
    size_t rows;
    char problem[PROBLEM_MAX];
};

__attribute__((format(printf, 2, 3))) static void scan_refuse(struct scan *scan, const char *format, ...) {
    if (scan->problem[0] == '\0') {
        va_list list;
        va_start(list, format);
        vsnprintf(scan->problem, sizeof scan->problem, format, list);
        va_end(list);
    }
}

static bool has_row(const struct scan *scan, const char *name) {
    for (size_t row = 0; row < scan->rows; row++) {
        if (strcmp(scan->options[row].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* What getopt knows: the command's own options, and those taken anywhere unless the command has its own of that name.
 */
static void known_fill(const struct scan *scan, struct option known[static OPTIONS_MAX + GLOBALS + 1]) {
    static const struct option globals[GLOBALS] = {{"help", no_argument, NULL, 'h'},
                                                   {"config", required_argument, NULL, 'c'},
                                                   {"version", no_argument, NULL, 'V'}};
    size_t used = 0;
    for (size_t i = 0; i < GLOBALS; i++) {
        if (!has_row(scan, globals[i].name)) {
            known[used++] = globals[i];
        }
    }
    for (size_t row = 0; row < scan->rows; row++) {
        const struct command_option *option = &scan->options[row];
        if (!option_is_operand(option)) {
            int takes = option->kind == OPTION_FLAG      ? no_argument
                        : option->kind == OPTION_REFUSED ? optional_argument
                                                         : required_argument;
            known[used++] = (struct option){option->name, takes, NULL, ROW_FIRST + (int)row};
        }
    }
    known[used] = (struct option){0};
}

/* What getopt did not know, by its name alone. */
static void refuse_unknown(struct scan *scan, const struct option *known, const char *word) {
    size_t length = strcspn(word, "=");
    int meant = 0;
    if (optopt >= ROW_FIRST || optopt == 'h' || optopt == 'V') {
        scan_refuse(scan, "%.*s takes no value", (int)length, word);
    } else if (optopt != 0) {
        scan_refuse(scan, "there is no option -%c", isgraph(optopt) ? optopt : '?');
    } else {
        for (size_t i = 0; known[i].name != NULL; i++) {
            meant += length > 2 && strncmp(known[i].name, word + 2, length - 2) == 0 ? 1 : 0;
        }
        scan_refuse(scan, meant > 1 ? "%.*s is short for more than one option" : "there is no option %.*s", (int)length,
                    word);
    }
}

static void refuse_without_value(struct scan *scan) {
    char form[OPTION_FORM_MAX] = "--config FILE";
    if (optopt >= ROW_FIRST) {
        option_form(&scan->options[optopt - ROW_FIRST], form);
    }
    scan_refuse(scan, "%s: the value is missing", form);
}

/* KEY=VALUE into the request: lists, objects, true and false as JSON, all else as text (numbers, too: long codes stay
 * exact). */
static void pair_take(struct scan *scan, const struct command_option *option, const char *pair) {
    size_t length = strcspn(pair, "=");
    const char *value = pair + length + 1;
    bool structured = *value == '[' || *value == '{' || strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
    char key[OPTION_FORM_MAX];
    snprintf(key, sizeof key, "%.*s", (int)length, pair);
    cJSON *item = structured ? cJSON_ParseWithOpts(value, NULL, true) : cJSON_CreateString(value);
    if (item == NULL) {
        scan_refuse(scan, "--%s %s: its value is no JSON", option->name, pair);
    } else if (member_put(scan->arguments->request, key, item) != 0) {
        scan_refuse(scan, "out of memory");
    }
}

/* What was given for a row; NULL for a flag. */
static void value_take(struct scan *scan, size_t row, const char *value) {
    if (row >= scan->rows || scan->options == NULL) {
        return;
    }
    const struct command_option *option = &scan->options[row];
    char problem[OPTION_NOTE_MAX];
    if (option->kind == OPTION_REFUSED) {
        scan_refuse(scan, "%s", option->help);
        return;
    }
    if (value != NULL && option_problem(option, value, problem) != NULL) {
        scan_refuse(scan, "%s%s %s: %s", option_is_operand(option) ? "" : "--", option->name, value, problem);
        return;
    }
    if (value != NULL && option->kind == OPTION_PAIR) {
        pair_take(scan, option, value);
    }
    scan->arguments->values[row] = value == NULL ? "" : value;
    scan->arguments->given[row] = true;
}

static void options_take(struct scan *scan, int argc, char **argv, bool permute) {
    struct option known[OPTIONS_MAX + GLOBALS + 1];
    known_fill(scan, known);
    optind = 0;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, permute ? ":hc:V" : "+:hc:V", known, NULL)) != -1;) {
        if (option == 'h') {
            scan->arguments->help = true;
        } else if (option == 'V') {
            scan->arguments->version = true;
        } else if (option == 'c') {
            scan->arguments->config_path = optarg;
        } else if (option == ':') {
            refuse_without_value(scan);
        } else if (option == '?') {
            refuse_unknown(scan, known, argv[optind - 1]);
        } else {
            value_take(scan, (size_t)(option - ROW_FIRST), optarg);
        }
    }
}

static void operands_take(struct scan *scan, int argc, char **argv) {
    int next = optind;
    scan->arguments->operands = argv + optind;
    scan->arguments->operand_count = (size_t)(argc - optind);
    for (size_t row = 0; row < scan->rows; row++) {
        if (option_is_operand(&scan->options[row]) && next < argc) {
            do {
                value_take(scan, row, argv[next++]);
            } while (scan->options[row].repeated && next < argc);
        }
    }
    if (next < argc) {
        scan_refuse(scan, "`%s` is one argument too many", argv[next]);
    }
}

/* ---- what belongs together ---- */

static const char *form_of(const struct scan *scan, size_t row) {
    static char form[OPTION_FORM_MAX];
    return option_form(&scan->options[row], form);
}

/* Rows from `first` up to the one that comes back are alternatives of each other. */
static size_t group_end(const struct scan *scan, size_t first) {
    size_t end = first + 1;
    while (end < scan->rows && scan->options[end].either) {
        end++;
    }
    return end;
}

/* How many of the rows were given; says so if there are too many. */
static size_t group_count(struct scan *scan, size_t first, size_t end) {
    size_t given = 0;
    size_t before = first;
    for (size_t row = first; row < end; row++) {
        if (scan->arguments->given[row]) {
            if (given++ > 0) {
                scan_refuse(scan, "--%s and --%s: only one of them", scan->options[before].name,
                            scan->options[row].name);
            }
            before = row;
        }
    }
    return given;
}

static void groups_check(struct scan *scan) {
    char missing[PROBLEM_MAX / 2] = "";
    size_t used = 0;
    for (size_t first = 0, end; first < scan->rows; first = end) {
        end = group_end(scan, first);
        size_t given = group_count(scan, first, end);
        for (size_t row = first; row < end && given == 0 && scan->options[first].required && used < sizeof missing;
             row++) {
            const char *before = used == 0 ? "" : row == first ? ", " : " or ";
            used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s", before, form_of(scan, row));
        }
        for (size_t row = first; row < end && given == 0; row++) {
            scan->arguments->values[row] = scan->options[row].initial;
        }
    }
    if (used > 0) {
        scan_refuse(scan, "missing: %s", missing);
    }
}

/* True if one of the blank-separated names of options was given. */
static bool any_given(const struct scan *scan, const char *names) {
    for (size_t row = 0; row < scan->rows; row++) {
        if (scan->arguments->given[row] && option_has_word(names, scan->options[row].name)) {
            return true;
        }
    }
    return false;
}

static void needs_check(struct scan *scan) {
    for (size_t row = 0; row < scan->rows; row++) {
        const char *needs = scan->options[row].needs;
        if (needs != NULL && scan->arguments->given[row] && !any_given(scan, needs)) {
            char others[OPTION_NOTE_MAX];
            scan_refuse(scan, "--%s needs %s", scan->options[row].name, option_needs(&scan->options[row], others));
        }
    }
}

/* ---- the request ---- */

static cJSON *member_value(const struct scan *scan, size_t row) {
    const struct command_option *option = &scan->options[row];
    const char *text = scan->arguments->values[row];
    char number[24];
    int64_t value = 0;
    switch (option->kind) {
    case OPTION_FLAG:
        return cJSON_Parse(option->value == NULL ? "true" : option->value);
    case OPTION_NUMBER:
        option_number(text, option->minimum, option->maximum, &value);
        snprintf(number, sizeof number, "%lld", (long long)value);
        return cJSON_CreateRaw(number);
    case OPTION_DECIMAL:
        return cJSON_CreateRaw(text);
    default:
        return cJSON_CreateString(text);
    }
}

static void request_fill(struct scan *scan) {
    for (size_t row = 0; row < scan->rows; row++) {
        const struct command_option *option = &scan->options[row];
        if (option->member != NULL && scan->arguments->values[row] != NULL &&
            member_put(scan->arguments->request, option->member, member_value(scan, row)) != 0) {
            scan_refuse(scan, "out of memory");
        }
    }
}

int arguments_read(struct arguments *arguments, int argc, char **argv, int *action) {
    *arguments = (struct arguments){.path = arguments->path, .request = cJSON_CreateObject()};
    const struct command *command = command_last(&arguments->path);
    struct scan scan = {.arguments = arguments, .options = command->options};
    while (scan.options != NULL && scan.options[scan.rows].name != NULL && scan.rows < OPTIONS_MAX) {
        scan.rows++;
    }
    command_name(&arguments->path, 1, arguments->name);
    if (arguments->request == NULL) {
        command_fail("out of memory");
        return EXIT_FAILED;
    }
    options_take(&scan, argc, argv, command->actions == NULL);
    *action = optind;
    if (command->actions == NULL) {
        operands_take(&scan, argc, argv);
        groups_check(&scan);
        needs_check(&scan);
        request_fill(&scan);
    }
    bool asked = arguments->help || arguments->version;
    return asked || scan.problem[0] == '\0' ? EXIT_DONE : command_misuse(&arguments->path, "%s", scan.problem);
}

void arguments_free(struct arguments *arguments) {
    cJSON_Delete(arguments->request);
    arguments->request = NULL;
}

/* ---- asking for values ---- */

static size_t row_of(const struct arguments *arguments, const char *name) {
    const struct command_option *options = command_last(&arguments->path)->options;
    for (size_t row = 0; options != NULL && options[row].name != NULL; row++) {
        if (strcmp(options[row].name, name) == 0) {
            return row;
        }
    }
    fprintf(stderr, "cityhub: %s has no option %s in its table\n", arguments->name, name);
    abort();
}

const char *argument_text(const struct arguments *arguments, const char *name) {
    return arguments->values[row_of(arguments, name)];
}

bool argument_given(const struct arguments *arguments, const char *name) {
    return arguments->given[row_of(arguments, name)];
}

int64_t argument_number(const struct arguments *arguments, const char *name) {
    const char *text = argument_text(arguments, name);
    return text == NULL ? 0 : strtoll(text, NULL, 10); /* was found to be one when it was read */
}

double argument_decimal(const struct arguments *arguments, const char *name) {
    const char *text = argument_text(arguments, name);
    return text == NULL ? 0 : strtod(text, NULL);
}
