/* command_calendar.c: `cityhub calendar`: which days are worked and when offices are open. Reads and writes the files
 * that a county edits; what is right in them is judged in SQL. */
#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/cli/document.h"
#include "hub/cli/print_table.h"
#include "hub/command/commands.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

/* ---- importing ---- */

/* Hands the document to a function that answers {entered: [names], replaced: [holidays of others]}, all or nothing. */
static int import(PGconn *connection, const struct arguments *arguments, const char *function) {
    const char *path = argument_text(arguments, "FILE");
    cJSON *document = document_read(path, FILE_BYTES_MAX);
    cJSON *answer = document == NULL ? NULL : ask_json(connection, function, document);
    cJSON_Delete(document);
    if (answer == NULL) {
        return command_fail("%s: nothing is entered", path);
    }
    const cJSON *name, *taken;
    cJSON_ArrayForEach(name, member_get(answer, "entered")) {
        printf("%s: entered ", path);
        print_text(stdout, cJSON_GetStringValue(name));
        putchar('\n');
    }
    cJSON_ArrayForEach(taken, member_get(answer, "replaced")) {
        printf("%s: replaced ", path);
        print_text(stdout, member_text(taken, "name"));
        printf(" %s to %s of ", member_text(taken, "first_day"), member_text(taken, "last_day"));
        print_text(stdout, member_text(taken, "source"));
        putchar('\n');
    }
    cJSON_Delete(answer);
    return EXIT_DONE;
}

static int notice_import(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return import(connection, arguments, "onemap.calendar_import");
}

static int office_import(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return import(connection, arguments, "onemap.calendar_office_import");
}

/* ---- exporting ---- */

static int print_json(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return ask_print_json(connection, command_last(&arguments->path)->list->json, arguments->request);
}

/* ---- the command ---- */

#define CALENDAR_YEAR                                                                                                  \
    .name = "year", .argument = "YEAR", .kind = OPTION_NUMBER, .minimum = 2000, .maximum = 2200, .member = "year"

#define CALENDAR_FILE                                                                                                  \
    { .name = "FILE", .kind = OPTION_FILE, .required = true, .help = "the file, UTF-8; - is standard input" }

static const struct command_option list_options[] = {
    {CALENDAR_YEAR, .help = "of this year; else of the one it is now in the county"},
    {.name = "all",
     .kind = OPTION_FLAG,
     .member = "all",
     .help = "every day, not only those that are not as in a plain week"},
    ASK_OPTIONS,
    {0},
};

static const struct ask_list list_rows = {
    .rows = "onemap.calendar_list_table",
    .json = "onemap.calendar_list_json",
    .nothing = "no day of that year is other than in a plain week: has its notice been imported?"};

static const struct command calendar_list = {
    .name = "list",
    .summary = "show holidays and make-up workdays (调休上班) of a year",
    .options = list_options,
    .list = &list_rows,
    .examples = "cityhub calendar list --year 2026\n",
};

static const struct command_option import_options[] = {CALENDAR_FILE, {0}};

static const struct command calendar_import = {
    .name = "import",
    .summary = "enter the State Council's notice of a year (国务院办公厅节假日安排)",
    .text =
        "FILE is JSON: {\"source\": TEXT, \"holidays\": [{\"name\", \"first_day\", \"last_day\"}], \"workdays\": [day]}, or a list of "
        "such; days as 2026-10-01, workdays are the weekend days that are worked. Said again, a notice (by its source) replaces "
        "what it said before. One that takes days or a holiday of the same name from another notice is refused, unless it "
        "names that: \"replaces\": [source]; what was replaced is said. Open cases get their deadlines anew. All of it is "
        "entered, or nothing.",
    .options = import_options,
    .work = notice_import,
    .examples = "cityhub calendar export --year 2026 > 2027.json   # a pattern to edit\n"
                "cityhub calendar import 2027.json\n",
};

static const struct command_option export_options[] = {
    {CALENDAR_YEAR, .help = "notices that say something of this year; else all"}, {0}};

static const struct ask_list export_rows = {.json = "onemap.calendar_export_json"};

static const struct command calendar_export = {
    .name = "export",
    .summary = "write the notices to standard output, as import reads them",
    .options = export_options,
    .work = print_json,
    .list = &export_rows,
};

static const struct command_option office_list_options[] = {ASK_OPTIONS, {0}};

static const struct ask_list office_list_rows = {.rows = "onemap.calendar_office_table",
                                                 .json = "onemap.calendar_office_json",
                                                 .nothing = "there are no office hours"};

static const struct command office_list = {
    .name = "list",
    .summary = "show office hours (办公时间) by name, and how many departments keep them",
    .options = office_list_options,
    .list = &office_list_rows,
};

static const struct command office_import_command = {
    .name = "import",
    .summary = "add or change office hours",
    .text =
        "FILE is JSON: {\"schedule\": NAME, \"name_zh\": TEXT, \"source\": TEXT, \"periods\": [{\"opens\": \"08:30\", \"closes\": "
        "\"12:00\", \"season_from\": 601, \"season_to\": 930}]}, or a list of such. A season is month x 100 + day, both ends "
        "included; without one a period holds all year. Periods must not overlap. Limits in working hours (工作时) run by them: "
        "open cases get their deadlines anew. Which department keeps which hours is in the file of departments.",
    .options = import_options,
    .work = office_import,
    .examples = "cityhub calendar office export seasonal > hours.json\n"
                "cityhub calendar office import hours.json\n",
};

static const struct command_option office_export_options[] = {
    {.name = "SCHEDULE", .kind = OPTION_TEXT, .member = "schedule", .help = "the hours of this name; else all"}, {0}};

static const struct ask_list office_export_rows = {.json = "onemap.calendar_office_json"};

static const struct command office_export = {
    .name = "export",
    .summary = "write office hours to standard output, as import reads them",
    .options = office_export_options,
    .work = print_json,
    .list = &office_export_rows,
};

static const struct command *const office_actions[] = {&office_list, &office_import_command, &office_export, NULL};

static const struct command calendar_office = {
    .name = "office", .summary = "show and set office hours (办公时间)", .actions = office_actions};

static const struct command *const actions[] = {&calendar_list, &calendar_import, &calendar_export, &calendar_office,
                                                NULL};

const struct command command_calendar = {
    .name = "calendar",
    .summary = "list, import and export holidays, make-up workdays and office hours (工作时间)",
    .actions = actions,
    .more = "docs/cases.md",
};
