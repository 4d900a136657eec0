/* command_check_config.c: `cityhub check-config`. Whoever gets here has a configuration that was read without a fault.
 */
#include <getopt.h>
#include <stdio.h>

#include "hub/command.h"
#include "hub/error.h"

static const char usage[] =
    "usage: cityhub [--config FILE] check-config [--print]\n\n"
    "Reads the configuration and tells every fault with file and line; exit code 2 if there is one.\n\n"
    "  --print  print every key with its value, meaning, range and default, as a configuration file\n";

int command_check_config(const struct config *config, int argc, char **argv) {
    static const struct option options[] = {{"print", no_argument, NULL, 'p'}, {0}};
    if (command_wants_help(argc, argv)) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    bool print = false;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'p') {
            return command_misuse("cityhub check-config", "check-config: see above");
        }
        print = true;
    }
    if (optind < argc) {
        return command_misuse("cityhub check-config", "`%s` is one argument too many", argv[optind]);
    }
    if (print) {
        fputs("; cityhub.ini: the hub's configuration, as `cityhub check-config --print` writes it. Every key may be "
              "left\n"
              "; out; a key that is not in this list is refused. The hub reads it when it starts.\n\n",
              stdout);
        config_print(config, stdout);
    } else {
        printf("%s: no faults\n", config->path == NULL ? "built-in defaults (there is no file)" : config->path);
    }
    return EXIT_DONE;
}
