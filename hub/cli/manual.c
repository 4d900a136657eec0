/* manual.c: manual pages from the table, see manual.h. What is said here is about the program as a whole; what a
 * command does and takes, the table says. */
#include "hub/cli/manual.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hub/cli/help.h"

enum { LINE_MAX_BYTES = 74 };

static void put_character(FILE *out, char c) {
    if (c == '\\') {
        fputs("\\e", out);
    } else if (c == '-') {
        fputs("\\-", out);
    } else {
        fputc(c, out);
    }
}

/* Text as roff takes it: backslashes, hyphens, and what would be a request at the start of a line. */
static void put(FILE *out, const char *text, size_t length) {
    fputs(length > 0 && (*text == '.' || *text == '\'') ? "\\&" : "", out);
    for (size_t i = 0; i < length; i++) {
        put_character(out, text[i]);
    }
}

static void put_line(FILE *out, const char *text) {
    put(out, text, strlen(text));
    fputc('\n', out);
}

/* Prose, in lines that a person can read in the source, too. */
static void put_words(FILE *out, const char *text, size_t length) {
    size_t used = 0;
    for (const char *end = text + length; text < end;) {
        size_t word = strcspn(text, " \n");
        word = word > (size_t)(end - text) ? (size_t)(end - text) : word;
        if (used > 0) {
            fputc(used + 1 + word > LINE_MAX_BYTES ? '\n' : ' ', out);
            used = used + 1 + word > LINE_MAX_BYTES ? 0 : used + 1;
        }
        put(out, text, word);
        used += word;
        text += word;
        text += text < end ? 1 : 0;
    }
    fputc('\n', out);
}

static void put_paragraphs(FILE *out, const char *text) {
    for (const char *end; text != NULL; text = end == NULL ? NULL : end + 2) {
        end = strstr(text, "\n\n");
        put_words(out, text, end == NULL ? strlen(text) : (size_t)(end - text));
        fputs(end == NULL ? "" : ".PP\n", out);
    }
}

static void put_title(FILE *out, const struct command_path *path) {
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    time_t day = epoch == NULL ? time(NULL) : (time_t)strtoll(epoch, NULL, 10);
    char stamp[32];
    struct tm parts;
    gmtime_r(&day, &parts);
    strftime(stamp, sizeof stamp, "%Y-%m-%d", &parts);
    fputs(".TH CITYHUB", out);
    if (path->depth > 1) {
        fputs("\\-", out);
        for (const char *c = path->steps[1]->name; *c != '\0'; c++) {
            fputs(*c == '-' ? "\\-" : (char[2]){(char)toupper((unsigned char)*c), '\0'}, out);
        }
    }
    fprintf(out, " 1 %s \"cityhub %s\" \"cityhub\"\n", stamp, CITYHUB_VERSION);
}

static void put_name(FILE *out, const struct command_path *path) {
    fputs(".SH NAME\ncityhub", out);
    if (path->depth > 1) {
        fputs("\\-", out);
        put(out, path->steps[1]->name, strlen(path->steps[1]->name));
    }
    fputs(" \\- ", out);
    put_line(out, command_last(path)->summary);
}

/* One way to call it; its pieces stay whole. */
static void put_synopsis(void *user, const struct command_path *path) {
    FILE *out = user;
    char name[COMMAND_NAME_MAX];
    char parts[HELP_SYNOPSIS_MAX];
    fputs(".HP\n.B ", out);
    put_line(out, command_name(path, 0, name));
    for (const char *part = help_synopsis(command_last(path), parts); *part != '\0';) {
        size_t length = strcspn(part, "\n");
        for (size_t i = 0; i < length; i++) {
            if (part[i] == ' ') {
                fputs("\\~", out);
            } else {
                put_character(out, part[i]);
            }
        }
        fputc('\n', out);
        part += length + 1;
    }
}

static void put_options(FILE *out, const struct command *command) {
    char text[HELP_TEXT_MAX];
    for (const struct command_option *row = command->options; row != NULL && row->name != NULL; row++) {
        if (!option_is_shown(row)) {
            continue;
        }
        fputs(".TP\n.B ", out);
        fputs(option_is_operand(row) ? "" : "\\-\\-", out);
        put(out, row->name, strlen(row->name));
        if (row->argument != NULL && !option_is_operand(row)) {
            fputs(" \\fI", out);
            put(out, row->argument, strlen(row->argument));
            fputs("\\fP", out);
        }
        fputc('\n', out);
        help_describe(row, text);
        put_words(out, text, strlen(text));
    }
}

static void put_examples(FILE *out, const struct command *command) {
    if (command->examples != NULL) {
        fputs(".PP\nExamples:\n.PP\n.nf\n", out);
        for (const char *line = command->examples; *line != '\0'; line += strcspn(line, "\n") + 1) {
            put(out, line, strcspn(line, "\n"));
            fputc('\n', out);
        }
        fputs(".fi\n", out);
    }
}

/* A command that runs: what it does and takes. */
static void put_body(FILE *out, const struct command *command) {
    char text[HELP_TEXT_MAX];
    put_paragraphs(out, help_text(command, text));
    put_options(out, command);
    put_examples(out, command);
}

static void put_action(void *user, const struct command_path *path) {
    FILE *out = user;
    char name[COMMAND_NAME_MAX];
    fputs(".SS ", out);
    put_line(out, command_name(path, 1, name));
    put_body(out, command_last(path));
}

static void put_commands(FILE *out, const struct command *program) {
    fputs(".SH COMMANDS\n", out);
    for (size_t i = 0; program->actions[i] != NULL; i++) {
        fputs(".TP\n.BR cityhub\\-", out);
        put(out, program->actions[i]->name, strlen(program->actions[i]->name));
        fputs(" (1)\n", out);
        put_words(out, program->actions[i]->summary, strlen(program->actions[i]->summary));
    }
}

static const char globals[] =
    ".SH GLOBAL OPTIONS\n"
    "Taken before and after the command.\n"
    ".TP\n.BR \\-c \", \" \\-\\-config \" \\fIFILE\\fP\"\n"
    "the configuration file; else that of $CITYHUB_CONFIG, else\n.I /etc/cityhub/cityhub.ini\n"
    ".TP\n.BR \\-h \", \" \\-\\-help\n"
    "what the command is and takes; needs neither a configuration nor a database\n"
    ".TP\n.BR \\-V \", \" \\-\\-version\n"
    "the version of the program\n"
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\ndone\n"
    ".TP\n.B 1\nfailed, or something was found that is not as it should be\n"
    ".TP\n.B 2\nwrong use: the arguments or the configuration have a fault; nothing was done\n";

static void put_files(FILE *out) {
    fputs(
        ".SH ENVIRONMENT\n.TP\n.B CITYHUB_CONFIG\nthe configuration file, where\n.B \\-\\-config\ndoes not name one\n"
        ".TP\n.B PGPASSFILE\nlibpq's file of passwords, else\n.IR ~/.pgpass ;\nthe other variables of libpq hold, too\n"
        ".SH FILES\n.TP\n.I /etc/cityhub/cityhub.ini\nthe configuration; all keys with their ranges:\n"
        ".B cityhub check\\-config \\-\\-print\n.TP\n.I ",
        out);
    put_line(out, CITYHUB_DATA_DIR "/docs");
    fputs("the guides that are named as docs/... in these pages\n", out);
}

static void put_see(FILE *out, const struct command_path *path) {
    const char *more = command_more(path);
    fputs(".SH SEE ALSO\n", out);
    fputs(path->depth > 1 ? ".BR cityhub (1)" : ".BR psql (1),\n.BR mosquitto (8)", out);
    if (more != NULL) {
        fputs(",\n", out);
        put(out, more, strlen(more));
    }
    fputc('\n', out);
}

void manual_print(FILE *out, const struct command_path *path) {
    const struct command *command = command_last(path);
    bool acts = command->actions != NULL;
    char text[HELP_TEXT_MAX];
    put_title(out, path);
    put_name(out, path);
    fputs(".SH SYNOPSIS\n", out);
    if (path->depth == 1) {
        fputs(".B cityhub\n[\\fIOPTION\\fP\\~...]\n\\fICOMMAND\\fP\n[\\fIARGUMENT\\fP\\~...]\n", out);
    } else {
        command_walk(path, put_synopsis, out);
    }
    fputs(".SH DESCRIPTION\n", out);
    if (path->depth > 1 && !acts) {
        put_body(out, command);
    } else {
        put_paragraphs(out, help_text(command, text));
        put_examples(out, command);
    }
    if (path->depth > 1 && acts) {
        fputs(".SH ACTIONS\n", out);
        command_walk(path, put_action, out);
    } else if (acts) {
        put_commands(out, command);
    }
    fputs(globals, out);
    if (path->depth == 1) {
        put_files(out);
    }
    put_see(out, path);
}
