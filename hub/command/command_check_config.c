/* command_check_config.c: `cityhub check-config`. Whoever gets here has a configuration that was read without a fault.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/know/adapter_json.h"

static const char usage[] =
    "usage: cityhub [--config FILE] check-config [--print | --catalogue]\n\n"
    "Reads the configuration and tells every fault with file and line; exit code 2 if there is one.\n\n"
    "  --print      print every key with its value, meaning, range and default, as a configuration file\n"
    "  --catalogue  print this build's metrics and device kinds as JSON, as `cityhub migrate` stores them\n";

static int print_catalogue(void) {
    char *text = adapter_json();
    if (text == NULL) {
        return command_fail("out of memory");
    }
    puts(text);
    free(text);
    return EXIT_DONE;
}

int command_check_config(const struct config *config, int argc, char **argv) {
    static const struct option options[] = {
        {"print", no_argument, NULL, 'p'}, {"catalogue", no_argument, NULL, 'c'}, {0}};
    if (command_wants_help(argc, argv)) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    bool print = false, catalogue = false;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option != 'p' && option != 'c') {
            return command_misuse("cityhub check-config", "check-config: see above");
        }
        print = print || option == 'p';
        catalogue = catalogue || option == 'c';
    }
    if (optind < argc) {
        return command_misuse("cityhub check-config", "`%s` is one argument too many", argv[optind]);
    }
    if (print && catalogue) {
        return command_misuse("cityhub check-config", "check-config: --print or --catalogue, not both");
    }
    if (catalogue) {
        return print_catalogue();
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
