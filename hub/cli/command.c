/* command.c: what the commands share: help, actions, the form of their complaints. Knows none of them. */
#include "hub/cli/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"

bool command_wants_help(int argc, char **argv) {
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            return true;
        }
    }
    return false;
}

int command_act(const struct config *config, int argc, char **argv, const struct command_action *actions, size_t count,
                const char *usage) {
    if (command_wants_help(argc, argv)) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; argc > 1 && i < count; i++) {
        if (strcmp(actions[i].name, argv[1]) == 0) {
            return actions[i].function(config, argc - 1, argv + 1);
        }
    }
    if (argc > 1) {
        fprintf(stderr, "cityhub %s: `%s` is no action\n", argv[0], argv[1]);
    }
    fputs(usage, stderr);
    return EXIT_USAGE;
}

static void complain(const char *format, va_list arguments) {
    fputs("cityhub: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int command_misuse(const char *help, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    fprintf(stderr, "`%s --help` tells the options.\n", help);
    return EXIT_USAGE;
}

int command_fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(format, arguments);
    va_end(arguments);
    return EXIT_FAILED;
}

int command_number(const char *text, int64_t minimum, int64_t maximum, int64_t *number) {
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < minimum || value > maximum) {
        return CH_EINVAL;
    }
    *number = value;
    return 0;
}
