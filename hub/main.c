/* main.c: `cityhub COMMAND`, and `cityhubd` = `cityhub serve` for service managers. */
#include "hub/all_commands.h"
#include "hub/base/log.h"
#include "hub/cli/program.h"

int main(int argc, char **argv) {
    log_begin();
    return program_main(&all_commands, argc, argv);
}
