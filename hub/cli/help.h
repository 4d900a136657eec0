/* help.h: what a command is and takes, for people at a terminal, and for programs. All of it comes from the table. */
#ifndef CITYHUB_HELP_H
#define CITYHUB_HELP_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "hub/cli/command.h"

enum { HELP_WIDTH = 100 /* columns of a terminal */, HELP_SYNOPSIS_MAX = 1024, HELP_TEXT_MAX = 2048 };

/* How it is called: "--subsystem KEY [--json | --csv] [ID ...]", behind the command's name, in `parts`: pieces that are
 * not divided between lines, each ended by \n. Returns `parts`. */
const char *help_synopsis(const struct command *command, char parts[static HELP_SYNOPSIS_MAX]);

/* What an option means, with its range, words, default and what it goes with. Returns `text`. */
const char *help_describe(const struct command_option *option, char text[static HELP_TEXT_MAX]);

/* What a user must know beside the options, else the summary as a sentence. Returns `text`, or what the table has. */
const char *help_text(const struct command *command, char text[static HELP_TEXT_MAX]);

/* The whole help of a command: of one with actions, what they are. */
void help_print(FILE *out, const struct command_path *path);

/* How it is called and where to read more, for whoever called it wrongly. */
void help_print_short(FILE *out, const struct command_path *path);

/* The table as JSON: {name, summary, actions: [...], options: [{name, operand, kind, argument, required, ...}]}. The
 * caller deletes. NULL if memory is out. */
cJSON *help_json(const struct command_path *path);

/* Writes words of UTF-8 into lines of at most `width` places; the first begins at place `column`, where the cursor is,
 * the others after `indent` blanks. Ends without a line end. */
void help_wrap(FILE *out, const char *text, int column, int indent, int width);

#endif
