/* all_commands.c: which commands there are, the product's and the simulator's. Knows nothing else of them. */
#include "hub/all_commands.h"

#include "hub/command/commands.h"
#include "hub/simulate/command_simulate.h"

static const struct command *const commands[] = {
    &command_serve,      &command_gateway,  &command_mapping,  &command_check_config, &command_migrate, &command_status,
    &command_bench,      &command_vendor,   &command_terminal, &command_user,         &command_token,   &command_alarm,
    &command_catalogue,  &command_calendar, &command_map,      &command_basemap,      &command_case,    &command_score,
    &command_quarantine, &command_storage,  &command_upstream, &command_simulate,     &command_help,    NULL,
};

const struct command all_commands = {
    .name = "cityhub",
    .summary = "one map of a county's eleven smart subsystems, and the cases and scores of city management",
    .text =
        "cityhub joins a county's smart subsystems (智慧环卫, 智慧路灯, 扬尘管控 ...) over MQTT into one map in PostgreSQL, opens the "
        "cases (案卷) that follow from it, and computes the monthly scores (考核评分). `cityhub serve` is the hub; the other "
        "commands look at it, set it up, and do by hand what people's programs do by the same functions.\n\n"
        "Configuration: --config FILE, else $CITYHUB_CONFIG, else /etc/cityhub/cityhub.ini if it is there, else what is built "
        "in. Exit codes: 0 done, 1 failed, 2 wrong use.",
    .actions = commands,
    .examples = "cityhub migrate\n"
                "cityhub vendor add --subsystem dust --vendor acme --generate-password acme.password\n"
                "cityhub serve\n"
                "cityhub status --follow\n",
    .more = "docs/deploy.md",
};
