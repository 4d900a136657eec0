/* help.c: the usage of commands from their table, see help.h. Must never say what the table does not. */
#include "hub/cli/help.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/member.h"
#include "hub/cli/print_table.h"

enum { LEFT_WIDTH = 26, PARAGRAPH_MAX = 4096 };

/* ---- lines ---- */

void help_wrap(FILE *out, const char *text, int column, int indent, int width) {
    bool first = true;
    for (const char *word = text + strspn(text, " \n"); *word != '\0';) {
        size_t length = strcspn(word, " \n");
        char copy[PARAGRAPH_MAX];
        snprintf(copy, sizeof copy, "%.*s", (int)length, word);
        int places = print_width(copy);
        if (!first && column + 1 + places > width) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
            first = true;
        }
        column += fprintf(out, "%s", first ? "" : " ");
        fputs(copy, out);
        column += places;
        first = false;
        word += length;
        word += strspn(word, " \n");
    }
}

/* Paragraphs, parted by an empty line. */
static void print_paragraphs(FILE *out, const char *text) {
    for (const char *end; text != NULL; text = end == NULL ? NULL : end + 2) {
        char paragraph[PARAGRAPH_MAX];
        end = strstr(text, "\n\n");
        snprintf(paragraph, sizeof paragraph, "%.*s", (int)(end == NULL ? strlen(text) : (size_t)(end - text)), text);
        help_wrap(out, paragraph, 0, 0, HELP_WIDTH);
        fputs("\n\n", out);
    }
}

/* "  left    text", the text wrapped in its own column. */
static void print_entry(FILE *out, const char *left, int left_width, const char *text) {
    int width = print_width(left);
    fputs("  ", out);
    fputs(left, out);
    if (width > left_width - 2) {
        fprintf(out, "\n%*s", left_width + 2, "");
    } else {
        fprintf(out, "%*s", left_width - width, "");
    }
    help_wrap(out, text, left_width + 2, left_width + 2, HELP_WIDTH);
    fputc('\n', out);
}

/* ---- how it is called ---- */

static bool is_last_of_group(const struct command_option *option) {
    return option[1].name == NULL || !option[1].either || !option_is_shown(&option[1]);
}

static size_t part_add(char *parts, size_t used, const char *text) {
    int length = snprintf(parts + used, HELP_SYNOPSIS_MAX - used, "%s", text);
    size_t after = used + (length < 0 ? 0 : (size_t)length);
    return after < HELP_SYNOPSIS_MAX ? after : HELP_SYNOPSIS_MAX - 1;
}

/* One row: "--limit N", with what parts it from its alternatives and shows whether it is needed. */
static size_t synopsis_row(const struct command_option *option, char *parts, size_t used, bool *needed) {
    char form[OPTION_FORM_MAX];
    bool first = !option->either;
    bool last = is_last_of_group(option);
    *needed = first ? option->required : *needed;
    if (first) {
        used = part_add(parts, used, *needed ? (last ? "" : "(") : "[");
    } else {
        used = part_add(parts, used, " | ");
    }
    used = part_add(parts, used, option_form(option, form));
    used = part_add(parts, used, option->repeated ? " ..." : "");
    if (last) {
        used = part_add(parts, used,
                        *needed                       ? (first ? "\n" : ")\n")
                        : option->kind == OPTION_PAIR ? " ...]\n"
                                                      : "]\n");
    }
    return used;
}

const char *help_synopsis(const struct command *command, char parts[static HELP_SYNOPSIS_MAX]) {
    size_t used = 0;
    bool needed = false;
    parts[0] = '\0';
    if (command->actions != NULL) {
        snprintf(parts, HELP_SYNOPSIS_MAX, "ACTION\n[ARGUMENT ...]\n");
        return parts;
    }
    /* Operands come first, as people type them; getopt takes them anywhere. */
    for (int operands = 1; operands >= 0; operands--) {
        for (const struct command_option *row = command->options; row != NULL && row->name != NULL; row++) {
            if (option_is_shown(row) && option_is_operand(row) == (operands == 1)) {
                used = synopsis_row(row, parts, used, &needed);
            }
        }
    }
    return parts;
}

/* "usage: cityhub vendor add --subsystem KEY ...", wrapped at the pieces. */
static void print_synopsis(FILE *out, const char *before, const struct command_path *path) {
    char name[COMMAND_NAME_MAX];
    char parts[HELP_SYNOPSIS_MAX];
    command_name(path, 0, name);
    int column = fprintf(out, "%s%s", before, name);
    int indent = column + 1;
    const char *part = path->depth == 1 ? "COMMAND\n[ARGUMENT ...]\n" : help_synopsis(command_last(path), parts);
    while (*part != '\0') {
        int length = (int)strcspn(part, "\n");
        if (column + 1 + length > HELP_WIDTH && column > indent) {
            fprintf(out, "\n%*s", indent - 1, "");
            column = indent - 1;
        }
        column += fprintf(out, " %.*s", length, part);
        part += length + 1;
    }
    fputc('\n', out);
}

/* ---- of a command that runs ---- */

const char *help_describe(const struct command_option *option, char text[static HELP_TEXT_MAX]) {
    char note[OPTION_NOTE_MAX];
    char needs[OPTION_NOTE_MAX];
    option_note(option, note);
    option_needs(option, needs);
    bool noted = note[0] != '\0' || needs[0] != '\0';
    snprintf(text, HELP_TEXT_MAX, "%s%s%s%s%s%s", option->help, noted ? " (" : "", note,
             needs[0] == '\0'  ? ""
             : note[0] == '\0' ? "needs "
                               : "; needs ",
             needs, noted ? ")" : "");
    return text;
}

static void print_options(FILE *out, const struct command *command) {
    char form[OPTION_FORM_MAX];
    char text[HELP_TEXT_MAX];
    const char *title = "Options:\n";
    for (const struct command_option *row = command->options; row != NULL && row->name != NULL; row++) {
        if (option_is_shown(row)) {
            fputs(title, out);
            print_entry(out, option_form(row, form), LEFT_WIDTH, help_describe(row, text));
            title = "";
        }
    }
    fputs(*title == '\0' ? "\n" : "", out);
}

/* ---- of one with actions ---- */

struct listing {
    FILE *out;
    size_t from; /* the step that names begin with */
    int width;
};

static void listing_measure(void *user, const struct command_path *path) {
    struct listing *listing = user;
    char name[COMMAND_NAME_MAX];
    int width = print_width(command_name(path, listing->from, name)) + 2;
    listing->width = width > listing->width ? width : listing->width;
}

static void listing_print(void *user, const struct command_path *path) {
    const struct listing *listing = user;
    char name[COMMAND_NAME_MAX];
    print_entry(listing->out, command_name(path, listing->from, name), listing->width, command_last(path)->summary);
}

static void print_actions(FILE *out, const struct command_path *path) {
    const struct command *const *actions = command_last(path)->actions;
    struct listing listing = {.out = out, .from = path->depth, .width = 14};
    if (path->depth > 1) {
        command_walk(path, listing_measure, &listing);
        command_walk(path, listing_print, &listing);
        return;
    }
    for (size_t i = 0; actions[i] != NULL; i++) {
        print_entry(out, actions[i]->name, listing.width, actions[i]->summary);
    }
}

/* ---- all of it ---- */

static void print_end(FILE *out, const struct command_path *path) {
    const struct command *command = command_last(path);
    const char *more = command_more(path);
    char name[COMMAND_NAME_MAX];
    if (command->examples != NULL) {
        fputs("Examples:\n", out);
        for (const char *line = command->examples; *line != '\0'; line += strcspn(line, "\n") + 1) {
            fprintf(out, "  %.*s\n", (int)strcspn(line, "\n"), line);
        }
        fputc('\n', out);
    }
    if (command->actions != NULL) {
        fprintf(out, "`%s %s --help` tells how to use one.\n", command_name(path, 0, name),
                path->depth == 1 ? "COMMAND" : "ACTION");
    }
    fputs("Anywhere: --config FILE, --help, --version (see `cityhub --help`).\n", out);
    fprintf(out, "More: man cityhub%s%s%s%s\n", path->depth > 1 ? "-" : "", path->depth > 1 ? path->steps[1]->name : "",
            more == NULL ? "" : ", ", more == NULL ? "" : more);
}

const char *help_text(const struct command *command, char text[static HELP_TEXT_MAX]) {
    if (command->text != NULL) {
        return command->text;
    }
    snprintf(text, HELP_TEXT_MAX, "%c%s.", toupper((unsigned char)command->summary[0]), command->summary + 1);
    return text;
}

void help_print(FILE *out, const struct command_path *path) {
    const struct command *command = command_last(path);
    char text[HELP_TEXT_MAX];
    print_synopsis(out, "usage: ", path);
    fputc('\n', out);
    print_paragraphs(out, help_text(command, text));
    if (command->actions == NULL) {
        print_options(out, command);
    } else {
        fputs(path->depth == 1 ? "Commands:\n" : "Actions:\n", out);
        print_actions(out, path);
        fputc('\n', out);
    }
    print_end(out, path);
}

void help_print_short(FILE *out, const struct command_path *path) {
    print_synopsis(out, "usage: ", path);
    if (command_last(path)->actions != NULL) {
        print_actions(out, path);
    }
    char name[COMMAND_NAME_MAX];
    fprintf(out, "`%s --help` tells more.\n", command_name(path, 0, name));
}

/* ---- for programs ---- */

static void put_text(cJSON *object, const char *name, const char *text) {
    if (text != NULL && *text != '\0') {
        cJSON_AddStringToObject(object, name, text);
    }
}

static cJSON *option_json(const struct command_option *option) {
    static const char *const kinds[] = {"flag",      "text", "number", "decimal", "word",
                                        "subsystem", "file", "folder", "pair"};
    char note[OPTION_NOTE_MAX];
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", option->name);
    cJSON_AddStringToObject(object, "kind", kinds[option->kind]);
    cJSON_AddBoolToObject(object, "operand", option_is_operand(option));
    cJSON_AddBoolToObject(object, "required", option->required);
    cJSON_AddBoolToObject(object, "repeated", option->repeated || option->kind == OPTION_PAIR);
    cJSON_AddBoolToObject(object, "either", option->either);
    put_text(object, "argument", option->argument);
    put_text(object, "needs", option->needs);
    put_text(object, "member", option->member);
    put_text(object, "words", option_words(option));
    put_text(object, "default", option->initial);
    put_text(object, "pattern", option->pattern);
    put_text(object, "note", option_note(option, note));
    put_text(object, "help", option->help);
    if (option->kind == OPTION_NUMBER) {
        cJSON_AddNumberToObject(object, "minimum", (double)option->minimum);
        cJSON_AddNumberToObject(object, "maximum", (double)option->maximum);
    } else if (option->kind == OPTION_DECIMAL) {
        cJSON_AddNumberToObject(object, "minimum", option->low);
        cJSON_AddNumberToObject(object, "maximum", option->high);
    }
    return object;
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as a path is long */
cJSON *help_json(const struct command_path *path) {
    const struct command *command = command_last(path);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", command->name);
    put_text(object, "summary", command->summary);
    put_text(object, "text", command->text);
    put_text(object, "examples", command->examples);
    put_text(object, "more", command_more(path));
    cJSON *list = cJSON_AddArrayToObject(object, command->actions == NULL ? "options" : "actions");
    for (const struct command_option *row = command->options; row != NULL && row->name != NULL; row++) {
        if (option_is_shown(row)) {
            cJSON_AddItemToArray(list, option_json(row));
        }
    }
    for (size_t i = 0; command->actions != NULL && command->actions[i] != NULL && path->depth < COMMAND_DEPTH_MAX;
         i++) {
        struct command_path below = *path;
        below.steps[below.depth++] = command->actions[i];
        cJSON_AddItemToArray(list, help_json(&below));
    }
    return object;
}
