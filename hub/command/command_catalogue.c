/* command_catalogue.c: `cityhub catalogue`: the files that a county edits: categories with their conditions and limits,
 * departments, holidays. Reads and writes the files; what is right in them is judged in SQL (schema/101, 100). */
#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/csv.h"
#include "hub/cli/database.h"
#include "hub/cli/print_table.h"

enum { FILE_BYTES_MAX = 16 * 1024 * 1024 };

static const char usage[] =
    "usage: cityhub catalogue import FILE [--comment TEXT] [--check]\n"
    "       cityhub catalogue export [--version N] [--bom]\n"
    "       cityhub catalogue list [--versions] [--json]\n"
    "       cityhub catalogue departments import FILE [--check] | export [--bom]\n"
    "       cityhub catalogue calendar import FILE\n\n"
    "import: reads a CSV file (UTF-8, RFC 4180) of categories and registration conditions, whole or not at all, as a "
    "new\n"
    "  version; cases keep the version they were opened under. The same content again makes none.\n"
    "  --comment TEXT  kept with the version\n"
    "  --check         only tells what is wrong\n"
    "export: writes the version in force, or version N, to standard output, as import reads it.\n"
    "  --bom           with a byte order mark, for spreadsheets that need one\n"
    "list: the categories in force, or with --versions the versions.\n"
    "departments: the file of departments is the whole list; one that it does not name becomes inactive.\n"
    "calendar: the State Council's notice of a year as JSON: {\"source\", \"holidays\": [{\"name\", \"first_day\", "
    "\"last_day\"}],\n"
    "  \"workdays\": [date]}, or a list of such; open cases get their deadlines anew.\n"
    "FILE - is standard input. Columns: docs/cases.md.\n";

/* A file with a header of these columns, its SQL functions and words. */
struct catalogue_file {
    const char *const *columns;
    size_t column_count;
    const char *check_sql, *import_sql;
};

static const char *const condition_columns[] = {
    "code",        "class", "name", "condition", "registration_condition", "limit", "unit", "closing_condition",
    "responsible", "source"};
static const char *const department_columns[] = {"code", "name", "kind", "parent", "schedule", "active"};

#define PROBLEMS_SQL(function)                                                                                         \
    "SELECT pg_catalog.jsonb_build_object('imported', false, 'problems', coalesce(pg_catalog.jsonb_agg("               \
    "pg_catalog.to_jsonb(p)), '[]')) FROM " function "($1::jsonb) p"

static const struct catalogue_file conditions_file = {
    condition_columns, sizeof condition_columns / sizeof condition_columns[0],
    PROBLEMS_SQL("onemap.case_catalogue_problems"), "SELECT onemap.case_catalogue_import($1::jsonb, $2)"};
static const struct catalogue_file departments_file = {
    department_columns, sizeof department_columns / sizeof department_columns[0],
    PROBLEMS_SQL("onemap.department_problems"), "SELECT onemap.department_import($1::jsonb)"};

/* ---- reading ---- */

/* The whole file, NUL-terminated, or NULL after telling why. The caller frees. */
static char *read_file(const char *path, size_t *length) {
    bool standard_input = strcmp(path, "-") == 0;
    FILE *file = standard_input ? stdin : fopen(path, "re");
    char *bytes = malloc(FILE_BYTES_MAX + 2);
    if (file == NULL || bytes == NULL) {
        command_fail("%s: %s", path, strerror(errno));
    } else {
        *length = fread(bytes, 1, FILE_BYTES_MAX + 1, file);
        if (ferror(file) == 0 && *length <= FILE_BYTES_MAX) {
            bytes[*length] = '\0';
        } else {
            command_fail("%s: %s", path, ferror(file) != 0 ? strerror(errno) : "is larger than 16 MiB");
            free(bytes);
            bytes = NULL;
        }
    }
    if (file != NULL && !standard_input) {
        fclose(file);
    }
    if (file == NULL) {
        free(bytes);
        return NULL;
    }
    return bytes;
}

/* Which column each field of the header is; CH_EINVAL after telling what does not fit. */
static int header_match(const char *path, const struct catalogue_file *kind, const struct csv_row *header,
                        size_t *place) {
    int code = 0;
    for (size_t i = 0; i < header->count; i++) {
        place[i] = kind->column_count;
        for (size_t c = 0; c < kind->column_count; c++) {
            place[i] = strcmp(header->fields[i], kind->columns[c]) == 0 ? c : place[i];
        }
        if (place[i] == kind->column_count) {
            fprintf(stderr, "%s:1: there is no column `", path);
            print_text(stderr, header->fields[i]);
            fputs("`\n", stderr);
            code = CH_EINVAL;
        }
    }
    for (size_t c = 0; c < kind->column_count; c++) {
        size_t times = 0;
        for (size_t i = 0; i < header->count; i++) {
            times += place[i] == c;
        }
        if (times != 1) {
            fprintf(stderr, "%s:1: column `%s` %s\n", path, kind->columns[c],
                    times == 0 ? "is missing" : "is there twice");
            code = CH_EINVAL;
        }
    }
    return code;
}

/* The rows as the JSON that the SQL functions take, or NULL after telling what is wrong, with its line. */
static cJSON *read_rows(const char *path, const struct catalogue_file *kind) {
    size_t length = 0;
    char *bytes = read_file(path, &length);
    if (bytes == NULL) {
        return NULL;
    }
    struct csv csv;
    struct csv_row row = {0};
    size_t place[CSV_FIELDS_MAX];
    cJSON *rows = cJSON_CreateArray();
    int code = csv_open(&csv, bytes, length);
    code = code == 0 ? csv_next(&csv, &row) : code;
    if (code == 0) {
        fprintf(stderr, "%s:1: the file is empty\n", path);
        code = CH_EINVAL;
    } else if (code == 1) {
        code = header_match(path, kind, &row, place);
        while (code == 0 && (code = csv_next(&csv, &row)) == 1) {
            cJSON *item = cJSON_CreateObject();
            cJSON_AddNumberToObject(item, "line", (double)row.line);
            for (size_t i = 0; i < row.count; i++) {
                cJSON_AddStringToObject(item, kind->columns[place[i]], row.fields[i]);
            }
            cJSON_AddItemToArray(rows, item);
            code = 0;
        }
    }
    if (csv.error_line > 0) {
        fprintf(stderr, "%s:%lld: %s\n", path, (long long)csv.error_line, csv.error);
    }
    csv_close(&csv);
    free(bytes);
    if (code != 0) {
        cJSON_Delete(rows);
        return NULL;
    }
    return rows;
}

/* ---- importing ---- */

static int print_problems(const char *path, const cJSON *answer) {
    const cJSON *problems = cJSON_GetObjectItem(answer, "problems");
    const cJSON *problem;
    cJSON_ArrayForEach(problem, problems) {
        fprintf(stderr, "%s:%d: ", path, (int)cJSON_GetNumberValue(cJSON_GetObjectItem(problem, "line")));
        print_text(stderr, cJSON_GetStringValue(cJSON_GetObjectItem(problem, "problem")));
        fputc('\n', stderr);
    }
    return cJSON_GetArraySize(problems);
}

static int number_of(const cJSON *answer, const char *key) {
    return (int)cJSON_GetNumberValue(cJSON_GetObjectItem(answer, key));
}

/* Tells what became of an import. */
static int import_report(const char *path, bool check, int rows, const cJSON *answer) {
    int problems = print_problems(path, answer);
    if (problems > 0) {
        return command_fail("%s: %d problem%s; nothing is imported", path, problems, problems == 1 ? "" : "s");
    }
    if (check) {
        printf("%s: %d rows, nothing is wrong with them\n", path, rows);
    } else if (cJSON_IsTrue(cJSON_GetObjectItem(answer, "unchanged"))) {
        printf("version %d has this very content: nothing to import\n", number_of(answer, "version"));
    } else if (cJSON_HasObjectItem(answer, "version")) {
        printf("version %d is in force: %d categories, %d conditions\n", number_of(answer, "version"),
               number_of(answer, "categories"), number_of(answer, "conditions"));
    } else {
        printf("%d departments", number_of(answer, "departments"));
        const cJSON *code;
        const char *before = "; inactive now: ";
        cJSON_ArrayForEach(code, cJSON_GetObjectItem(answer, "made_inactive")) {
            printf("%s%s", before, cJSON_GetStringValue(code));
            before = ", ";
        }
        putchar('\n');
    }
    return EXIT_DONE;
}

static int import_run(const struct config *config, const struct catalogue_file *kind, const char *path,
                      const char *comment, bool check) {
    cJSON *rows = read_rows(path, kind);
    if (rows == NULL) {
        return command_fail("%s: nothing is imported", path);
    }
    int count = cJSON_GetArraySize(rows);
    char *text = cJSON_PrintUnformatted(rows);
    cJSON_Delete(rows);
    PGconn *connection = text == NULL ? NULL : database_connect(config, "catalogue import");
    char *answer = NULL;
    if (connection != NULL) {
        bool commented = !check && kind == &conditions_file;
        answer = database_text(connection, check ? kind->check_sql : kind->import_sql, commented ? 2 : 1,
                               (const char *const[]){text, comment});
    }
    PQfinish(connection);
    free(text);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    cJSON *facts = cJSON_Parse(answer);
    int code = import_report(path, check, count, facts);
    cJSON_Delete(facts);
    free(answer);
    return code;
}

static int import_act(const struct config *config, int argc, char **argv, const struct catalogue_file *kind) {
    static const struct option options[] = {
        {"comment", required_argument, NULL, 'm'}, {"check", no_argument, NULL, 'c'}, {0}};
    const char *comment = "";
    bool check = false;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == '?' || (option == 'm' && kind != &conditions_file)) {
            return command_misuse("cityhub catalogue", "catalogue %s: wrong option", argv[0]);
        }
        comment = option == 'm' ? optarg : comment;
        check = check || option == 'c';
    }
    if (argc - optind != 1) {
        return command_misuse("cityhub catalogue", "catalogue %s: one FILE is needed", argv[0]);
    }
    return import_run(config, kind, argv[optind], comment, check);
}

static int catalogue_import(const struct config *config, int argc, char **argv) {
    return import_act(config, argc, argv, &conditions_file);
}

static int departments_import(const struct config *config, int argc, char **argv) {
    return import_act(config, argc, argv, &departments_file);
}

/* ---- exporting ---- */

static int export_print(PGconn *connection, const char *sql, const char *parameter, bool mark) {
    PGresult *rows = database_query(connection, sql, parameter == NULL ? 0 : 1, (const char *const[]){parameter});
    if (rows == NULL) {
        return EXIT_FAILED;
    }
    int code = EXIT_DONE;
    if (PQntuples(rows) == 0) {
        code = command_fail("there is nothing to export");
    } else {
        fputs(mark ? "\xEF\xBB\xBF" : "", stdout);
        for (int row = -1; row < PQntuples(rows); row++) {
            for (int column = 0; column < PQnfields(rows); column++) {
                fputs(column == 0 ? "" : ",", stdout);
                csv_write(stdout, row < 0 ? PQfname(rows, column) : PQgetvalue(rows, row, column));
            }
            putchar('\n');
        }
        code = fflush(stdout) == 0 ? EXIT_DONE : command_fail("standard output: %s", strerror(errno));
    }
    PQclear(rows);
    return code;
}

static int export_act(const struct config *config, int argc, char **argv, const struct catalogue_file *kind) {
    static const struct option options[] = {
        {"version", required_argument, NULL, 'v'}, {"bom", no_argument, NULL, 'b'}, {0}};
    const char *version = NULL;
    bool mark = false;
    int64_t number;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'v' && kind == &conditions_file && command_number(optarg, 1, INT32_MAX, &number) == 0) {
            version = optarg;
        } else if (option == 'b') {
            mark = true;
        } else {
            return command_misuse("cityhub catalogue", "catalogue %s: wrong option", argv[0]);
        }
    }
    if (optind < argc) {
        return command_misuse("cityhub catalogue", "`%s` is one argument too many", argv[optind]);
    }
    PGconn *connection = database_connect(config, "catalogue export");
    if (connection == NULL) {
        return EXIT_FAILED;
    }
    const char *sql = kind == &departments_file ? "SELECT * FROM onemap.department_rows()"
                      : version == NULL ? "SELECT * FROM onemap.case_catalogue_rows(onemap.case_catalogue_current())"
                                        : "SELECT * FROM onemap.case_catalogue_rows($1::int)";
    int code = export_print(connection, sql, version, mark);
    PQfinish(connection);
    return code;
}

static int catalogue_export(const struct config *config, int argc, char **argv) {
    return export_act(config, argc, argv, &conditions_file);
}

static int departments_export(const struct config *config, int argc, char **argv) {
    return export_act(config, argc, argv, &departments_file);
}

/* ---- list ---- */

static const char categories_sql[] =
    "SELECT r.code, r.class, r.name, r.condition, r.registration_condition, r.\"limit\", r.unit, r.responsible"
    " FROM onemap.case_catalogue_rows(onemap.case_catalogue_current()) r";
static const char categories_json_sql[] =
    "SELECT pg_catalog.jsonb_pretty(coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r)), '[]'))"
    " FROM onemap.case_catalogue_rows(onemap.case_catalogue_current()) r";
static const char versions_sql[] =
    "SELECT v.version, pg_catalog.to_char(v.imported_at AT TIME ZONE coalesce(onemap.setting('time_zone'), 'UTC'),"
    " 'YYYY-MM-DD HH24:MI') AS imported, v.imported_by AS by, v.categories, v.conditions, v.comment"
    " FROM pg_catalog.jsonb_to_recordset(onemap.case_catalogue_versions()) AS v(version int, imported_at timestamptz,"
    " imported_by text, categories int, conditions int, comment text) ORDER BY v.version";
static const char versions_json_sql[] = "SELECT pg_catalog.jsonb_pretty(onemap.case_catalogue_versions())";

static int catalogue_list(const struct config *config, int argc, char **argv) {
    static const struct option options[] = {
        {"versions", no_argument, NULL, 'v'}, {"json", no_argument, NULL, 'j'}, {0}};
    bool json = false;
    bool versions = false;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == '?') {
            return command_misuse("cityhub catalogue", "catalogue list: see above");
        }
        json = json || option == 'j';
        versions = versions || option == 'v';
    }
    if (optind < argc) {
        return command_misuse("cityhub catalogue", "`%s` is one argument too many", argv[optind]);
    }
    PGconn *connection = database_connect(config, "catalogue list");
    const char *table_sql = versions ? versions_sql : categories_sql;
    const char *json_sql = versions ? versions_json_sql : categories_json_sql;
    PGresult *rows = connection == NULL ? NULL : database_query(connection, json ? json_sql : table_sql, 0, NULL);
    if (rows != NULL && json) {
        printf("%s\n", PQgetvalue(rows, 0, 0));
    } else if (rows != NULL && PQntuples(rows) == 0) {
        printf("There is no catalogue yet: `cityhub catalogue import` brings one.\n");
    } else if (rows != NULL) {
        print_table(stdout, rows);
    }
    int code = rows == NULL ? EXIT_FAILED : EXIT_DONE;
    PQclear(rows);
    PQfinish(connection);
    return code;
}

/* ---- departments, calendar ---- */

static int catalogue_departments(const struct config *config, int argc, char **argv) {
    static const struct command_action actions[] = {{"import", departments_import}, {"export", departments_export}};
    return command_act(config, argc, argv, actions, sizeof actions / sizeof actions[0], usage);
}

static int calendar_put(PGconn *connection, const char *path, const cJSON *notice) {
    char *text = cJSON_PrintUnformatted(notice);
    int code = text == NULL ? CH_EMEMORY
                            : database_run(connection, "SELECT onemap.calendar_notice_put($1::jsonb)", 1,
                                           (const char *const[]){text});
    free(text);
    if (code == 0) {
        printf("%s: entered ", path);
        print_text(stdout, cJSON_GetStringValue(cJSON_GetObjectItem(notice, "source")));
        putchar('\n');
    }
    return code;
}

static int calendar_import(const struct config *config, int argc, char **argv) {
    if (argc != 2) {
        return command_misuse("cityhub catalogue", "catalogue calendar import: one FILE is needed");
    }
    size_t length = 0;
    char *bytes = read_file(argv[1], &length);
    if (bytes == NULL) {
        return EXIT_FAILED;
    }
    cJSON *notices = cJSON_ParseWithLength(bytes, length);
    free(bytes);
    if (notices == NULL) {
        return command_fail("%s: is no JSON", argv[1]);
    }
    PGconn *connection = database_connect(config, "catalogue calendar import");
    int code = connection == NULL ? CH_EDATABASE : database_run(connection, "BEGIN", 0, NULL);
    if (code == 0 && cJSON_IsArray(notices)) {
        const cJSON *notice = NULL;
        cJSON_ArrayForEach(notice, notices) {
            code = code == 0 ? calendar_put(connection, argv[1], notice) : code;
        }
    } else if (code == 0) {
        code = calendar_put(connection, argv[1], notices);
    }
    code = code == 0 ? database_run(connection, "COMMIT", 0, NULL) : code;
    PQfinish(connection);
    cJSON_Delete(notices);
    return code == 0 ? EXIT_DONE : command_fail("%s: nothing is entered", argv[1]);
}

static int catalogue_calendar(const struct config *config, int argc, char **argv) {
    static const struct command_action actions[] = {{"import", calendar_import}};
    return command_act(config, argc, argv, actions, sizeof actions / sizeof actions[0], usage);
}

int command_catalogue(const struct config *config, int argc, char **argv) {
    static const struct command_action actions[] = {{"import", catalogue_import},
                                                    {"export", catalogue_export},
                                                    {"list", catalogue_list},
                                                    {"departments", catalogue_departments},
                                                    {"calendar", catalogue_calendar}};
    return command_act(config, argc, argv, actions, sizeof actions / sizeof actions[0], usage);
}
