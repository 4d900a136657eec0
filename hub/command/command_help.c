/* command_help.c: `cityhub help`: the table of commands as text, manual page, completion or JSON. */
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/cli/arguments.h"
#include "hub/cli/completion.h"
#include "hub/cli/help.h"
#include "hub/cli/manual.h"
#include "hub/command/commands.h"

/* The command that the operands name. */
static int find(struct command_path *path, const struct arguments *arguments) {
    *path = (struct command_path){.steps = {arguments->path.steps[0]}, .depth = 1};
    for (size_t i = 0; i < arguments->operand_count; i++) {
        if (!command_step(path, arguments->operands[i])) {
            return arguments_misuse(arguments, "there is no command `%s`", arguments->operands[i]);
        }
    }
    return EXIT_DONE;
}

static int print_json(const struct command_path *path) {
    cJSON *table = help_json(path);
    char *text = table == NULL ? NULL : cJSON_Print(table);
    cJSON_Delete(table);
    if (text == NULL) {
        return command_fail("out of memory");
    }
    puts(text);
    free(text);
    return EXIT_DONE;
}

static int run(const struct config *config, const struct arguments *arguments) {
    (void)config;
    struct command_path path;
    int code = find(&path, arguments);
    if (code != EXIT_DONE) {
        return code;
    }
    if (argument_given(arguments, "json")) {
        return print_json(&path);
    }
    if (argument_given(arguments, "completion")) {
        completion_print_bash(stdout, path.steps[0]);
    } else if (!argument_given(arguments, "man")) {
        help_print(stdout, &path);
    } else if (path.depth > 2) {
        return arguments_misuse(arguments, "there is one page a command: `cityhub help --man %s`", path.steps[1]->name);
    } else {
        manual_print(stdout, &path);
    }
    return EXIT_DONE;
}

static const struct command_option options[] = {
    {.name = "COMMAND",
     .kind = OPTION_TEXT,
     .repeated = true,
     .help = "the command, and its action if it has some; none = the program"},
    {.name = "man", .kind = OPTION_FLAG, .help = "as a manual page in roff, as it is installed"},
    {.name = "completion",
     .argument = "SHELL",
     .kind = OPTION_WORD,
     .words = "bash",
     .either = true,
     .help = "the script that makes a shell complete cityhub's arguments, as it is installed"},
    {.name = "json", .kind = OPTION_FLAG, .either = true, .help = "the table of options itself, as JSON"},
    {0},
};

const struct command command_help = {
    .name = "help",
    .summary = "tell what a command is and takes; manual pages and completion for shells",
    .options = options,
    .run = run,
    .bare = true,
    .examples = "cityhub help vendor add\n"
                "cityhub help --man score | man -l -\n"
                "eval \"$(cityhub help --completion bash)\"\n",
};
