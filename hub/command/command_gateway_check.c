/* command_gateway_check.c: `cityhub gateway check`: the files that say what makes of devices mean. For who writes one.
 */
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "hub/base/buffer.h"
#include "hub/base/error.h"
#include "hub/cli/arguments.h"
#include "hub/cli/print_table.h"
#include "hub/command/commands.h"
#include "hub/gateway/dialects.h"

static bool check_file(const char *protocol, const char *path) {
    char problem[DIALECTS_PROBLEM_MAX];
    bool right = dialects_check(protocol, path, problem) == 0;
    if (!right) {
        print_text(stderr, path);
        fputs(": ", stderr);
        print_text(stderr, problem);
        fputc('\n', stderr);
    }
    return right;
}

/* All of a protocol's that are installed; returns how many are wrong. */
static size_t check_installed(const struct config *config, const char *protocol, size_t *count) {
    struct buffer pattern = {0};
    size_t wrong = 0;
    glob_t found = {0};
    buffer_format(&pattern, "%s/config/gateway/%s/*.json", config->hub_data_dir, protocol);
    if (buffer_string(&pattern) != NULL && glob(pattern.data, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            wrong += !check_file(protocol, found.gl_pathv[i]);
        }
        *count += found.gl_pathc;
    }
    globfree(&found);
    buffer_free(&pattern);
    return wrong;
}

static int run(const struct config *config, const struct arguments *arguments) {
    static const char *const protocols_checked[] = {"hj212", "jt808"};
    const char *wanted = argument_text(arguments, "protocol");
    size_t count = arguments->operand_count, wrong = 0;
    if (count > 0 && wanted == NULL) {
        return arguments_misuse(arguments, "which protocol's files are these? --protocol says it");
    }
    for (size_t i = 0; i < arguments->operand_count; i++) {
        wrong += !check_file(wanted, arguments->operands[i]);
    }
    for (size_t i = 0; arguments->operand_count == 0 && i < 2; i++) {
        if (wanted == NULL || strcmp(wanted, protocols_checked[i]) == 0) {
            wrong += check_installed(config, protocols_checked[i], &count);
        }
    }
    if (wrong > 0) {
        return command_fail("%zu of %zu files %s wrong", wrong, count, wrong == 1 ? "is" : "are");
    }
    printf("%zu files, nothing is wrong with them\n", count);
    return EXIT_DONE;
}

static const struct command_option options[] = {
    {.name = "FILE",
     .kind = OPTION_FILE,
     .repeated = true,
     .help = "the files; without any: all of config/gateway that are installed"},
    {.name = "protocol",
     .argument = "NAME",
     .kind = OPTION_WORD,
     .words = "hj212 jt808",
     .help = "only this protocol's; that of the files which are named"},
    {0},
};

const struct command command_gateway_check = {
    .name = "check",
    .summary = "check the files that say what codes, units and bits of devices mean",
    .text = "Reads dialects as the gateway does and tells each fault: the file, the key, and what is allowed there.",
    .options = options,
    .run = run,
    .examples = "cityhub gateway check\n"
                "cityhub gateway check --protocol hj212 dust-ours.json\n",
};
