/* command_catalogue.c: `cityhub catalogue`: the files that a county edits: categories with their conditions and limits,
 * and departments. Reads and writes the files; what is right in them is judged in SQL. */
#include <stdlib.h>
#include <string.h>

#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/cli/csv_table.h"
#include "hub/cli/database.h"
#include "hub/cli/print_table.h"
#include "hub/command/commands.h"

/* A file with a header of these columns, and what takes its rows. */
struct catalogue_file {
    struct csv_table table;
    const char *check_function;
    const char *import_sql; /* $1: the rows, $2: the comment */
};

static const char *const condition_columns[] = {
    "code",        "class", "name", "condition", "registration_condition", "limit", "unit", "closing_condition",
    "responsible", "source"};
static const char *const service_columns[] = {"code",     "category", "name",   "description",
                                              "keywords", "group",    "private"};
static const char *const department_columns[] = {"code", "name", "kind", "parent", "schedule", "active"};

static const struct catalogue_file conditions_file = {
    {condition_columns, COUNT_OF(condition_columns), COUNT_OF(condition_columns)},
    "onemap.case_catalogue_check",
    "SELECT onemap.case_catalogue_import($1::jsonb, $2)"};
static const struct catalogue_file departments_file = {
    {department_columns, COUNT_OF(department_columns), COUNT_OF(department_columns)},
    "onemap.department_check",
    "SELECT onemap.department_import($1::jsonb)"};

static const struct catalogue_file services_file = {
    {service_columns, COUNT_OF(service_columns), COUNT_OF(service_columns)},
    "onemap.open311_service_check",
    "SELECT onemap.open311_service_import($1::jsonb)"};

/* ---- importing ---- */

/* Prints the codes of a list, the first with `before` in front. */
static void print_codes(const char *before, const cJSON *codes) {
    const cJSON *code;
    cJSON_ArrayForEach(code, codes) {
        printf("%s%s", before, cJSON_GetStringValue(code));
        before = ", ";
    }
    putchar('\n');
}

/* Tells what became of an import. */
static int import_report(const char *path, bool check, int rows, const cJSON *answer) {
    int problems = csv_table_problems(path, answer);
    if (problems > 0) {
        return command_fail("%s: %d problem%s; nothing is imported", path, problems, problems == 1 ? "" : "s");
    }
    if (check) {
        printf("%s: %d rows, nothing is wrong with them\n", path, rows);
    } else if (member_true(answer, "unchanged")) {
        printf("version %.0f has this very content: nothing to import\n", member_number(answer, "version", 0));
    } else if (member_is_number(answer, "version")) {
        printf("version %.0f is in force: %.0f categories, %.0f conditions\n", member_number(answer, "version", 0),
               member_number(answer, "categories", 0), member_number(answer, "conditions", 0));
    } else if (member_is_number(answer, "services")) {
        printf("%.0f services are public", member_number(answer, "services", 0));
        print_codes("; public no more: ", member_get(answer, "gone"));
    } else {
        printf("%.0f departments", member_number(answer, "departments", 0));
        print_codes("; inactive now: ", member_get(answer, "made_inactive"));
    }
    return EXIT_DONE;
}

/* Stores the rows; the comment is for a file that is kept in versions. NULL after telling why. */
static cJSON *import_store(PGconn *connection, const struct catalogue_file *kind, const cJSON *rows,
                           const char *comment) {
    char *text = cJSON_PrintUnformatted(rows);
    char *answer = text == NULL ? NULL
                                : database_text(connection, kind->import_sql, comment == NULL ? 1 : 2,
                                                (const char *const[]){text, comment});
    cJSON *facts = answer == NULL ? NULL : cJSON_Parse(answer);
    free(text);
    free(answer);
    return facts;
}

static int import_run(PGconn *connection, const struct arguments *arguments, const struct catalogue_file *kind,
                      const char *comment) {
    const char *path = argument_text(arguments, "FILE");
    bool check = argument_given(arguments, "check");
    cJSON *rows = csv_table_read(path, &kind->table);
    if (rows == NULL) {
        return command_fail("%s: nothing is imported", path);
    }
    cJSON *answer =
        check ? ask_json(connection, kind->check_function, rows) : import_store(connection, kind, rows, comment);
    int code = answer == NULL ? EXIT_FAILED : import_report(path, check, cJSON_GetArraySize(rows), answer);
    cJSON_Delete(rows);
    cJSON_Delete(answer);
    return code;
}

static int conditions_import(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return import_run(connection, arguments, &conditions_file, argument_text(arguments, "comment"));
}

static int departments_import(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return import_run(connection, arguments, &departments_file, NULL);
}

static int services_import(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return import_run(connection, arguments, &services_file, NULL);
}

/* ---- exporting, listing ---- */

static int export(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return ask_print_csv(connection, command_last(&arguments->path)->list->rows, arguments->request,
                         argument_given(arguments, "bom") ? ASK_CSV_FILE_WITH_MARK : ASK_CSV_FILE);
}

static const struct ask_list categories_rows = {
    .rows = "onemap.catalogue_list_table",
    .json = "onemap.catalogue_list_json",
    .nothing = "There is no catalogue yet: `cityhub catalogue import` brings one."};
static const struct ask_list versions_rows = {.rows = "onemap.catalogue_versions_table",
                                              .json = "onemap.catalogue_versions_json",
                                              .nothing =
                                                  "There is no catalogue yet: `cityhub catalogue import` brings one.",
                                              .times = true};

static int list(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    bool versions = argument_given(arguments, "versions");
    return ask_print(connection, versions ? &versions_rows : &categories_rows, arguments);
}

/* ---- the command ---- */

#define CATALOGUE_FILE                                                                                                 \
    {                                                                                                                  \
        .name = "FILE", .kind = OPTION_FILE, .required = true,                                                         \
        .help = "the file: CSV (RFC 4180), UTF-8; - is standard input"                                                 \
    }
#define CATALOGUE_CHECK                                                                                                \
    { .name = "check", .kind = OPTION_FLAG, .help = "only tell what is wrong, line by line" }
#define CATALOGUE_BOM                                                                                                  \
    { .name = "bom", .kind = OPTION_FLAG, .help = "with a byte order mark, for spreadsheets that need one" }

static const struct command_option import_options[] = {
    CATALOGUE_FILE,
    {.name = "comment", .argument = "TEXT", .kind = OPTION_TEXT, .initial = "", .help = "kept with the version"},
    CATALOGUE_CHECK,
    {0},
};

static const struct command catalogue_import = {
    .name = "import",
    .summary = "read categories and registration conditions (立案条件) from a CSV file",
    .text =
        "The file is taken whole or not at all, as a new version; cases keep the version they were opened under. The same content "
        "again makes none. Columns, in any order: code, class, name, condition, registration_condition, limit, unit, "
        "closing_condition, responsible, source. Departments come first: the catalogue names them.",
    .options = import_options,
    .work = conditions_import,
    .examples = "cityhub catalogue import config/case_catalogue.csv --check\n"
                "cityhub catalogue import config/case_catalogue.csv --comment '2026年修订'\n",
};

static const struct command_option export_options[] = {
    {.name = "version",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = INT32_MAX,
     .member = "version",
     .help = "this version; else the one in force"},
    CATALOGUE_BOM,
    {0},
};

static const struct ask_list export_rows = {.rows = "onemap.catalogue_export_table"};

static const struct command catalogue_export = {
    .name = "export",
    .summary = "write a version to standard output, as import reads it",
    .options = export_options,
    .work = export,
    .list = &export_rows,
    .examples = "cityhub catalogue export --bom > catalogue.csv\n",
};

static const struct command_option list_options[] = {
    {.name = "versions", .kind = OPTION_FLAG, .help = "the versions instead of the categories in force"},
    ASK_OPTIONS,
    {0}};

static const struct command catalogue_list = {
    .name = "list",
    .summary = "show the categories in force, or the versions",
    .options = list_options,
    .work = list,
};

static const struct command_option departments_list_options[] = {
    {.name = "all", .kind = OPTION_FLAG, .member = "all", .help = "those that are inactive, too"}, ASK_OPTIONS, {0}};

static const struct ask_list departments_list_rows = {
    .rows = "onemap.department_list_table",
    .json = "onemap.department_list_json",
    .nothing = "There are no departments yet: `cityhub catalogue departments import` brings them."};

static const struct command departments_list = {
    .name = "list",
    .summary = "show the departments (单位)",
    .options = departments_list_options,
    .list = &departments_list_rows,
};

static const struct command_option departments_import_options[] = {CATALOGUE_FILE, CATALOGUE_CHECK, {0}};

static const struct command departments_import_command = {
    .name = "import",
    .summary = "read the departments from a CSV file",
    .text =
        "The file is the whole list: a department that it does not name becomes inactive. It is taken whole or not at all. Columns, "
        "in any order: code, name, kind, parent, schedule, active.",
    .options = departments_import_options,
    .work = departments_import,
    .examples = "cityhub catalogue departments import config/departments.csv\n",
};

static const struct command_option departments_export_options[] = {CATALOGUE_BOM, {0}};

static const struct ask_list departments_export_rows = {.rows = "onemap.department_export_table"};

static const struct command departments_export = {
    .name = "export",
    .summary = "write the departments to standard output, as import reads them",
    .options = departments_export_options,
    .work = export,
    .list = &departments_export_rows,
};

static const struct command *const departments_actions[] = {&departments_list, &departments_import_command,
                                                            &departments_export, NULL};

static const struct command catalogue_departments = {
    .name = "departments", .summary = "list, import and export the departments (单位)", .actions = departments_actions};

static const struct command_option services_list_options[] = {ASK_OPTIONS, {0}};

static const struct ask_list services_list_rows = {
    .rows = "onemap.open311_service_table",
    .json = "onemap.open311_service_json",
    .nothing = "Nothing is public yet: `cityhub catalogue services import` says what citizens may report by Open311."};

static const struct command services_list = {
    .name = "list",
    .summary = "show what citizens may report by Open311 (开放目录)",
    .options = services_list_options,
    .list = &services_list_rows,
};

static const struct command_option services_import_options[] = {CATALOGUE_FILE, CATALOGUE_CHECK, {0}};

static const struct command services_import_command = {
    .name = "import",
    .summary = "read what citizens may report from a CSV file",
    .text =
        "The file is the whole list, taken whole or not at all: programs that read it delete what it does not name. Columns, in "
        "any order: code, category (of the catalogue; empty: the desk classifies), name, description, keywords, group, "
        "private (yes: its reports are shown to nobody but who sent them).",
    .options = services_import_options,
    .work = services_import,
    .examples = "cityhub catalogue services import config/open311_services.csv --check\n",
    .more = "docs/open311.md",
};

static const struct command_option services_export_options[] = {CATALOGUE_BOM, {0}};

static const struct ask_list services_export_rows = {.rows = "onemap.open311_service_table"};

static const struct command services_export = {
    .name = "export",
    .summary = "write the services to standard output, as import reads them",
    .options = services_export_options,
    .work = export,
    .list = &services_export_rows,
};

static const struct command *const services_actions[] = {&services_list, &services_import_command, &services_export,
                                                         NULL};

static const struct command catalogue_services = {
    .name = "services",
    .summary = "list, import and export what citizens may report by Open311 (开放目录)",
    .actions = services_actions};

static const struct command *const actions[] = {&catalogue_list,        &catalogue_import,   &catalogue_export,
                                                &catalogue_departments, &catalogue_services, NULL};

const struct command command_catalogue = {
    .name = "catalogue",
    .summary = "list, import and export the categories of cases (案卷类别) and the departments (单位)",
    .actions = actions,
    .more = "docs/cases.md",
};
