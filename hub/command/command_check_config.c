/* command_check_config.c: `cityhub check-config`. Whoever gets here has a configuration that was read without a fault.
 */
#include <stdio.h>
#include <stdlib.h>

#include "hub/base/error.h"
#include "hub/basemap/basemap.h"
#include "hub/cli/arguments.h"
#include "hub/command/commands.h"
#include "hub/know/adapter_json.h"

static int print_catalogue(void) {
    char *text = adapter_json();
    if (text == NULL) {
        return command_fail("out of memory");
    }
    puts(text);
    free(text);
    return EXIT_DONE;
}

/* The base maps' file, if there is one: its faults, and maps that are refused. They are told, and are no fault of the
 * configuration: a unit that checks it before its start must not keep the hub from receiving because of a picture. */
static void tell_basemaps(const struct config *config) {
    struct basemap_file file = {0};
    struct buffer faults = {0};
    if (config->http_basemaps[0] != '\0') {
        basemap_file_read(config->http_basemaps, &file, &faults);
    }
    for (size_t i = 0; i < file.count; i++) {
        if (file.maps[i].refused[0] != '\0') {
            buffer_format(&faults, "%s: %s\n", file.maps[i].name, file.maps[i].refused);
        }
    }
    if (faults.length > 0 && buffer_string(&faults) != NULL) {
        fprintf(stderr, "%s: the hub starts without these base maps:\n%s", config->http_basemaps, faults.data);
    }
    buffer_free(&faults);
    basemap_file_free(&file);
}

static int run(const struct config *config, const struct arguments *arguments) {
    if (argument_given(arguments, "catalogue")) {
        return print_catalogue();
    }
    if (argument_given(arguments, "print")) {
        fputs("; cityhub.ini: the hub's configuration, as `cityhub check-config --print` writes it. Every key may be "
              "left\n"
              "; out; a key that is not in this list is refused. The hub reads it when it starts.\n\n",
              stdout);
        config_print(config, stdout);
    } else {
        tell_basemaps(config);
        printf("%s: no faults\n", config->path == NULL ? "built-in defaults (there is no file)" : config->path);
    }
    return EXIT_DONE;
}

static const struct command_option options[] = {
    {.name = "print",
     .kind = OPTION_FLAG,
     .help = "print every key with its value, meaning, range and default, as a configuration file"},
    {.name = "catalogue",
     .kind = OPTION_FLAG,
     .either = true,
     .help = "print this build's metrics and device kinds as JSON, as `cityhub migrate` stores them"},
    {0},
};

const struct command command_check_config = {
    .name = "check-config",
    .summary = "check the configuration; --print shows every key with its range and default",
    .text =
        "Reads the configuration and tells every fault with file and line; exit code 2 if there is one. What is wrong in the file of "
        "[http] basemaps, or refused, is told as well, and is no fault: the hub starts without it. It asks neither the database nor the "
        "broker.",
    .options = options,
    .run = run,
    .examples = "cityhub check-config --config /etc/cityhub/cityhub.ini\n"
                "cityhub check-config --print > cityhub.ini\n",
    .more = "docs/deploy.md",
};
