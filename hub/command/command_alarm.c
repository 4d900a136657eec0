/* command_alarm.c: `cityhub alarm`: the limits beyond which alarms open, as the county has them. What may be changed,
 * SQL says. */
#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/cli/print_table.h"
#include "hub/command/commands.h"

static int set(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    cJSON *rule = ask_json(connection, "onemap.alarm_rule_change", arguments->request);
    if (rule == NULL) {
        return EXIT_FAILED;
    }
    printf("%s.%s ", member_text(rule, "subsystem"), member_text(rule, "rule"));
    print_text(stdout, member_text(rule, "name"));
    printf("%s%s; %s; ", member_text(rule, "limit")[0] == '\0' ? "" : ": ", member_text(rule, "limit"),
           member_text(rule, "severity"));
    printf("%s%s; source: ", member_text(rule, "category")[0] == '\0' ? "opens no case" : "opens cases of category ",
           member_text(rule, "category"));
    print_text(stdout, member_text(rule, "source"));
    puts(member_true(rule, "enabled") ? "" : "; DISABLED");
    cJSON_Delete(rule);
    return EXIT_DONE;
}

static const struct command_option list_options[] = {
    {.name = "subsystem",
     .argument = "KEY",
     .kind = OPTION_SUBSYSTEM,
     .member = "subsystem",
     .help = "only those of this subsystem"},
    {.name = "edited", .kind = OPTION_FLAG, .member = "edited", .help = "only those that the county has changed"},
    ASK_OPTIONS,
    {0},
};

static const struct ask_list list_rows = {
    .rows = "onemap.alarm_rule_list_table", .json = "onemap.alarm_rule_list_json", .nothing = "no rule fits"};

static const struct command rule_list = {
    .name = "list",
    .summary = "show the rules with their limits and where these come from",
    .options = list_options,
    .list = &list_rows,
    .examples = "cityhub alarm rule list --subsystem dust\n",
};

static const struct command_option set_options[] = {
    {.name = "subsystem",
     .argument = "KEY",
     .kind = OPTION_SUBSYSTEM,
     .required = true,
     .member = "subsystem",
     .help = "the rule's subsystem"},
    {.name = "rule",
     .argument = "KEY",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "rule",
     .help = "the rule, as `alarm rule list` names it"},
    {.name = "threshold",
     .argument = "N",
     .kind = OPTION_DECIMAL,
     .low = -1e9,
     .high = 1e9,
     .member = "threshold",
     .needs = "source",
     .help = "the limit beyond which an alarm opens, in the metric's unit"},
    {.name = "clear-threshold",
     .argument = "N",
     .kind = OPTION_DECIMAL,
     .low = -1e9,
     .high = 1e9,
     .member = "clear_threshold",
     .needs = "source",
     .help = "where it ends again (回差); a new threshold alone is both"},
    {.name = "duration",
     .argument = "SECONDS",
     .kind = OPTION_NUMBER,
     .minimum = 0,
     .maximum = 604800,
     .unit = "seconds",
     .member = "duration_s",
     .needs = "source",
     .help = "how long the limit must be passed before an alarm opens"},
    {.name = "severity",
     .argument = "WORD",
     .kind = OPTION_WORD,
     .words = "info minor major critical",
     .member = "severity",
     .help = "how bad that is"},
    {.name = "source",
     .argument = "TEXT",
     .kind = OPTION_TEXT,
     .member = "source",
     .help = "where the limit comes from: a standard with its clause, a document of the county, or \"assumed\""},
    {.name = "category",
     .argument = "CODE",
     .kind = OPTION_TEXT,
     .pattern = "^[12][0-9]{4}$",
     .shape = "5 digits, first 1 or 2",
     .member = "category_code",
     .help = "the category of the catalogue under which its alarms open cases (案卷)"},
    {.name = "no-category",
     .kind = OPTION_FLAG,
     .either = true,
     .member = "category_code",
     .value = "null",
     .help = "its alarms open no cases"},
    {.name = "enable", .kind = OPTION_FLAG, .member = "enabled", .help = "judge by it"},
    {.name = "disable",
     .kind = OPTION_FLAG,
     .either = true,
     .member = "enabled",
     .value = "false",
     .help = "do not; its open alarms end"},
    {0},
};

static const struct command rule_set = {
    .name = "set",
    .summary = "change a rule's limit, or whether it holds",
    .text =
        "Changes what the options name. It is in force at once, also in a running hub; open alarms of a limit that is changed end, "
        "for they say nothing about the new one. The change is written to the audit log, and `cityhub migrate` leaves the rule "
        "alone from then on.",
    .options = set_options,
    .work = set,
    .examples = "cityhub alarm rule set --subsystem dust --rule pm25_high --threshold 120 \\\n"
                "    --clear-threshold 110 --source '县环委〔2026〕3号'\n"
                "cityhub alarm rule set --subsystem dust --rule noise_night --disable\n",
};

static const struct command *const rule_actions[] = {&rule_list, &rule_set, NULL};

static const struct command alarm_rule = {
    .name = "rule", .summary = "list and change the rules by which alarms open", .actions = rule_actions};

static const struct command *const actions[] = {&alarm_rule, NULL};

const struct command command_alarm = {
    .name = "alarm",
    .summary = "list and change the rules by which alarms (报警) open",
    .text =
        "Each subsystem brings its rules, with the source of every limit (adapters/<subsystem>/<subsystem>.md); a county sets its "
        "own limits here.",
    .actions = actions,
    .more = "docs/architecture.md",
};
