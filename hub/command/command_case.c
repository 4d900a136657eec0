/* command_case.c: `cityhub case`: cases at a terminal: lists, one case with its journal, reports, actions, the check of
 * the journal. Every rule is SQL (schema/103 to 106): nothing is judged here. */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/cli/print_table.h"

static const char usage[] =
    "usage: cityhub case list [FILTER ...] [--all] [--limit N] [--json]\n"
    "       cityhub case show CODE [--json]\n"
    "       cityhub case report --source S --role R --actor A [--set KEY=VALUE ...]\n"
    "       cityhub case do CODE ACTION --role R --actor A [--reason TEXT] [--version N] [--set KEY=VALUE ...]\n"
    "       cityhub case check [CODE]\n"
    "       cityhub case seal\n\n"
    "list: open cases, newest first (default 50). Filters: --state, --department, --source, --category, --street,\n"
    "  --grid-cell, --subsystem, --overdue, --since TIME and --until TIME of the report ('2026-11-24', '2 hours').\n"
    "  --all       those that have ended, too\n"
    "show: one case with its clock, what each post can do with it, and its journal.\n"
    "report: a new case. --set: title, description, address, category, condition, lon, lat, grid_cell, "
    "component_code,\n"
    "  device_code with subsystem and vendor, contact='{\"name\": ...}', attachments='[...]'.\n"
    "do: one action, e.g. `do 20261124-000123 dispatch --role dispatcher --actor 王 --set department=shizheng`. "
    "Prints\n"
    "  the new state. --version N: only if the case is still as you saw it; without it, as it is now.\n"
    "  --set: category, condition, department, amount, flags='[\"fraud\"]', satisfaction, into, shirking=true, unit,\n"
    "  attachments, at (only logins with the role cityhub_history).\n"
    "check: recomputes the hashes of the journal of one case, or of all and of the seals; seal: seals the journal "
    "now.\n"
    "Roles: supervisor acceptor registrar dispatcher department leader. Actions, states, errors: docs/cases.md.\n";

/* ---- list ---- */

static const struct option list_options[] = {{"state", required_argument, NULL, 'f'},
                                             {"department", required_argument, NULL, 'f'},
                                             {"source", required_argument, NULL, 'f'},
                                             {"category", required_argument, NULL, 'f'},
                                             {"street", required_argument, NULL, 'f'},
                                             {"grid-cell", required_argument, NULL, 'f'},
                                             {"subsystem", required_argument, NULL, 'f'},
                                             {"since", required_argument, NULL, 'f'},
                                             {"until", required_argument, NULL, 'f'},
                                             {"limit", required_argument, NULL, 'l'},
                                             {"overdue", no_argument, NULL, 'o'},
                                             {"all", no_argument, NULL, 'a'},
                                             {"json", no_argument, NULL, 'j'},
                                             {0}};

static const char list_sql[] =
    "SELECT c.\"case\", c.version AS ver, c.state, c.category_zh AS category, c.department_zh AS department,"
    " pg_catalog.to_char(c.reported_at AT TIME ZONE coalesce(onemap.setting('time_zone'), 'UTC'),"
    " 'YYYY-MM-DD HH24:MI') AS reported,"
    " pg_catalog.to_char(c.deadline_at AT TIME ZONE coalesce(onemap.setting('time_zone'), 'UTC'),"
    " 'YYYY-MM-DD HH24:MI') AS deadline,"
    " CASE WHEN c.overdue THEN 'yes' ELSE '' END AS overdue, pg_catalog.left(c.title, 40) AS title"
    " FROM ROWS FROM (pg_catalog.jsonb_to_recordset(onemap.case_list($1::jsonb)->'cases') AS (\"case\" text, version "
    "int,"
    " state text, category_zh text, department_zh text, reported_at timestamptz, deadline_at timestamptz, overdue "
    "boolean,"
    " title text)) WITH ORDINALITY AS c ORDER BY c.ordinality";
static const char list_json_sql[] = "SELECT pg_catalog.jsonb_pretty(onemap.case_list($1::jsonb))";

static int list_print(const struct config *config, const cJSON *filter, bool json) {
    char *text = cJSON_PrintUnformatted(filter);
    PGconn *connection = text == NULL ? NULL : database_connect(config, "case list");
    PGresult *rows = connection == NULL
                         ? NULL
                         : database_query(connection, json ? list_json_sql : list_sql, 1, (const char *const[]){text});
    if (rows != NULL && json) {
        printf("%s\n", PQgetvalue(rows, 0, 0));
    } else if (rows != NULL && PQntuples(rows) == 0) {
        printf("no case fits\n");
    } else if (rows != NULL) {
        print_table(stdout, rows);
    }
    int code = rows == NULL ? EXIT_FAILED : EXIT_DONE;
    PQclear(rows);
    PQfinish(connection);
    free(text);
    return code;
}

/* The name of a filter in SQL: options have - where it has _. Sets it in the filter, the last one counts. */
static void filter_add(cJSON *filter, const char *option, const char *value) {
    char name[32];
    snprintf(name, sizeof name, "%s", option);
    for (char *at = name; *at != '\0'; at++) {
        *at = *at == '-' ? '_' : *at;
    }
    cJSON_DeleteItemFromObject(filter, name);
    cJSON_AddStringToObject(filter, name, value);
}

static int case_list(const struct config *config, int argc, char **argv) {
    cJSON *filter = cJSON_CreateObject();
    bool all = false;
    bool json = false;
    int code = EXIT_DONE;
    int64_t limit = 0;
    int index = 0;
    optind = 0;
    for (int option; code == EXIT_DONE && (option = getopt_long(argc, argv, "", list_options, &index)) != -1;) {
        if (option == 'l' && command_number(optarg, 1, 1000, &limit) != 0) {
            code = command_misuse("cityhub case", "--limit %s: must be a whole number from 1 to 1000", optarg);
        } else if (option == 'f' || option == 'l') {
            filter_add(filter, list_options[index].name, optarg);
        } else if (option == '?') {
            code = command_misuse("cityhub case", "case list: see above");
        }
        all = all || option == 'a';
        json = json || option == 'j';
        if (option == 'o') {
            filter_add(filter, "overdue", "true");
        }
    }
    if (code == EXIT_DONE && optind < argc) {
        code = command_misuse("cityhub case", "`%s` is one argument too many", argv[optind]);
    }
    if (code == EXIT_DONE) {
        if (!all) {
            filter_add(filter, "open", "true");
        }
        code = list_print(config, filter, json);
    }
    cJSON_Delete(filter);
    return code;
}

/* ---- show ---- */

static const char facts_sql[] =
    "WITH s AS (SELECT $1::jsonb AS c, coalesce(onemap.setting('time_zone'), 'UTC') AS zone)"
    " SELECT f.fact, f.value FROM s, LATERAL (VALUES (1, 'case', s.c->>'case'), (2, 'version', s.c->>'version'),"
    " (3, 'state', pg_catalog.concat_ws(' ', s.c->>'state', s.c->>'state_zh')), (4, 'title', s.c->>'title'),"
    " (5, 'description', nullif(s.c->>'description', '')), (6, 'source', s.c->>'source'),"
    " (7, 'category', pg_catalog.concat_ws(' ', s.c->>'category', s.c->>'category_zh', s.c->'rule'->>'condition_zh')),"
    " (8, 'place', nullif(pg_catalog.concat_ws(' ', s.c->>'grid_cell', nullif(s.c->>'address', ''), s.c->>'lon', "
    "s.c->>'lat'), '')),"
    " (9, 'department', nullif(pg_catalog.concat_ws(' ', s.c->>'department', s.c->>'department_zh'), '')),"
    " (10, 'candidates', (SELECT pg_catalog.string_agg((k->>'department') || ' ' || (k->>'name_zh'), ', ')"
    "   FROM pg_catalog.jsonb_array_elements(s.c->'candidates') k)),"
    " (11, 'limit', nullif(pg_catalog.concat_ws(' ', s.c->'clock'->>'limit_value', s.c->'clock'->>'limit_unit'), '')),"
    " (12, 'deadline', pg_catalog.to_char((s.c->>'deadline_at')::timestamptz AT TIME ZONE s.zone, 'YYYY-MM-DD "
    "HH24:MI:SS')),"
    " (13, 'clock', CASE WHEN s.c->'clock' <> 'null' THEN pg_catalog.concat_ws(' ', s.c->'clock'->>'used_s', 's used,',"
    "   s.c->'clock'->>'remaining_s', 's remain,', s.c->'clock'->>'overdue_s', 's over;',"
    "   CASE WHEN (s.c->'clock'->>'running')::boolean THEN 'runs' ELSE 'stands' END) END),"
    " (14, 'flags', (SELECT nullif(pg_catalog.string_agg(x, ', '), '') FROM "
    "pg_catalog.jsonb_array_elements_text(s.c->'flags') x)),"
    " (15, 'merged into', s.c->>'merged_into'), (16, 'closing', s.c->'rule'->>'closing_zh'),"
    " (17, 'can', (SELECT pg_catalog.string_agg(k.key || ': ' || (SELECT pg_catalog.string_agg(x, ' ')"
    "   FROM pg_catalog.jsonb_array_elements_text(k.value) x), '; ' ORDER BY k.key) FROM "
    "pg_catalog.jsonb_each(s.c->'can') k)))"
    " AS f(place, fact, value) WHERE f.value <> '' ORDER BY f.place";
static const char journal_sql[] =
    "SELECT e.seq, pg_catalog.to_char(e.at AT TIME ZONE coalesce(onemap.setting('time_zone'), 'UTC'), 'YYYY-MM-DD "
    "HH24:MI:SS') AS at,"
    " e.action, e.to_state AS state, e.role, e.actor, e.department,"
    " pg_catalog.to_char(e.deadline_at AT TIME ZONE coalesce(onemap.setting('time_zone'), 'UTC'), 'YYYY-MM-DD "
    "HH24:MI') AS deadline,"
    " pg_catalog.array_to_string(e.flags, ' ') AS flags, e.reason"
    " FROM pg_catalog.jsonb_to_recordset($1::jsonb->'journal') AS e(seq int, at timestamptz, action text, to_state "
    "text, role text,"
    " actor text, department text, deadline_at timestamptz, flags text[], reason text) ORDER BY e.seq";

static int show_print(PGconn *connection, const char *answer, bool json) {
    if (json) {
        char *pretty =
            database_text(connection, "SELECT pg_catalog.jsonb_pretty($1::jsonb)", 1, (const char *const[]){answer});
        printf("%s\n", pretty == NULL ? "" : pretty);
        int code = pretty == NULL ? EXIT_FAILED : EXIT_DONE;
        free(pretty);
        return code;
    }
    PGresult *facts = database_query(connection, facts_sql, 1, (const char *const[]){answer});
    PGresult *journal =
        facts == NULL ? NULL : database_query(connection, journal_sql, 1, (const char *const[]){answer});
    for (int row = 0; journal != NULL && row < PQntuples(facts); row++) {
        printf("%-12s", PQgetvalue(facts, row, 0));
        print_text(stdout, PQgetvalue(facts, row, 1));
        putchar('\n');
    }
    if (journal != NULL) {
        putchar('\n');
        print_table(stdout, journal);
    }
    int code = journal == NULL ? EXIT_FAILED : EXIT_DONE;
    PQclear(facts);
    PQclear(journal);
    return code;
}

static int case_show(const struct config *config, int argc, char **argv) {
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {0}};
    bool json = false;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == '?') {
            return command_misuse("cityhub case", "case show: see above");
        }
        json = true;
    }
    if (argc - optind != 1) {
        return command_misuse("cityhub case", "case show: one CODE is needed");
    }
    PGconn *connection = database_connect(config, "case show");
    char *answer = connection == NULL ? NULL
                                      : database_text(connection, "SELECT onemap.case_show($1)", 1,
                                                      (const char *const[]){argv[optind]});
    int code = answer == NULL ? EXIT_FAILED : show_print(connection, answer, json);
    free(answer);
    PQfinish(connection);
    return code;
}

/* ---- report, do ---- */

static const struct option act_options[] = {
    {"role", required_argument, NULL, 'f'},    {"actor", required_argument, NULL, 'f'},
    {"reason", required_argument, NULL, 'f'},  {"source", required_argument, NULL, 'f'},
    {"version", required_argument, NULL, 'f'}, {"set", required_argument, NULL, 's'},
    {"json", no_argument, NULL, 'j'},          {0}};

/* KEY=VALUE into the request: lists, objects, true and false as JSON, all else as text (numbers too: long codes stay
 * exact). */
static int request_set(cJSON *request, const char *text) {
    const char *equals = strchr(text, '=');
    char key[64];
    if (equals == NULL || equals == text || (size_t)(equals - text) >= sizeof key) {
        return command_misuse("cityhub case", "--set %s: must be KEY=VALUE", text);
    }
    snprintf(key, sizeof key, "%.*s", (int)(equals - text), text);
    const char *value = equals + 1;
    bool structured = *value == '[' || *value == '{' || strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
    cJSON *item = structured ? cJSON_Parse(value) : cJSON_CreateString(value);
    if (item == NULL) {
        return command_misuse("cityhub case", "--set %s: is no JSON", text);
    }
    cJSON_DeleteItemFromObject(request, key);
    cJSON_AddItemToObject(request, key, item);
    return EXIT_DONE;
}

static int request_parse(cJSON *request, bool *json, int argc, char **argv) {
    int index = 0;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", act_options, &index)) != -1;) {
        if (option == '?') {
            return command_misuse("cityhub case", "case %s: see above", argv[0]);
        }
        if (option == 'f') {
            filter_add(request, act_options[index].name, optarg);
        } else if (option == 's' && request_set(request, optarg) != EXIT_DONE) {
            return EXIT_USAGE;
        }
        *json = *json || option == 'j';
    }
    if (!cJSON_HasObjectItem(request, "role") || !cJSON_HasObjectItem(request, "actor")) {
        return command_misuse("cityhub case", "case %s: --role and --actor are needed", argv[0]);
    }
    return EXIT_DONE;
}

/* Calls a function that takes the request and answers as onemap.case_do() does. */
static int request_send(PGconn *connection, const char *sql, const cJSON *request, bool json) {
    char *text = cJSON_PrintUnformatted(request);
    char *answer = text == NULL ? NULL : database_text(connection, sql, 1, (const char *const[]){text});
    free(text);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    if (json) {
        printf("%s\n", answer);
    } else {
        cJSON *facts = cJSON_Parse(answer);
        const char *unit = cJSON_GetStringValue(cJSON_GetObjectItem(facts, "department"));
        printf("case %s is %s, version %d%s%s\n", cJSON_GetStringValue(cJSON_GetObjectItem(facts, "case")),
               cJSON_GetStringValue(cJSON_GetObjectItem(facts, "state")),
               (int)cJSON_GetNumberValue(cJSON_GetObjectItem(facts, "version")), unit == NULL ? "" : ", with ",
               unit == NULL ? "" : unit);
        cJSON_Delete(facts);
    }
    free(answer);
    return EXIT_DONE;
}

/* Without a version the action is for the case as it is now. */
static int version_add(PGconn *connection, cJSON *request, const char *code) {
    if (cJSON_HasObjectItem(request, "version")) {
        return 0;
    }
    char *version =
        database_text(connection, "SELECT onemap.case_show($1)->>'version'", 1, (const char *const[]){code});
    if (version == NULL) {
        return CH_EDATABASE;
    }
    cJSON_AddStringToObject(request, "version", version);
    free(version);
    return 0;
}

static int case_do(const struct config *config, int argc, char **argv) {
    cJSON *request = cJSON_CreateObject();
    bool json = false;
    int code = request_parse(request, &json, argc, argv);
    if (code == EXIT_DONE && (argc - optind != 2 || cJSON_HasObjectItem(request, "source"))) {
        code = command_misuse("cityhub case", "case do: CODE and ACTION are needed, and no --source");
    }
    if (code == EXIT_DONE) {
        filter_add(request, "case", argv[optind]);
        filter_add(request, "action", argv[optind + 1]);
        PGconn *connection = database_connect(config, "case do");
        code = connection == NULL || version_add(connection, request, argv[optind]) != 0
                   ? EXIT_FAILED
                   : request_send(connection, "SELECT onemap.case_do($1::jsonb)", request, json);
        PQfinish(connection);
    }
    cJSON_Delete(request);
    return code;
}

static int case_report(const struct config *config, int argc, char **argv) {
    cJSON *request = cJSON_CreateObject();
    bool json = false;
    int code = request_parse(request, &json, argc, argv);
    if (code == EXIT_DONE && (optind < argc || !cJSON_HasObjectItem(request, "source"))) {
        code = command_misuse("cityhub case", "case report: --source is needed, and nothing but options");
    }
    if (code == EXIT_DONE) {
        PGconn *connection = database_connect(config, "case report");
        code = connection == NULL ? EXIT_FAILED
                                  : request_send(connection, "SELECT onemap.case_report($1::jsonb)", request, json);
        PQfinish(connection);
    }
    cJSON_Delete(request);
    return code;
}

/* ---- check, seal ---- */

/* Prints what a check found. Returns the number of findings, negative if it could not be made. */
static int check_print(PGconn *connection, const char *sql, const char *code) {
    PGresult *rows = database_query(connection, sql, code == NULL ? 0 : 1, (const char *const[]){code});
    if (rows == NULL) {
        return CH_EDATABASE;
    }
    int found = PQntuples(rows);
    if (found > 0) {
        print_table(stdout, rows);
    }
    PQclear(rows);
    return found;
}

static int case_check(const struct config *config, int argc, char **argv) {
    const char *code = argc > 1 ? argv[1] : NULL;
    if (argc > 2 || (code != NULL && code[0] == '-')) {
        return command_misuse("cityhub case", "case check: takes one CODE or none");
    }
    PGconn *connection = database_connect(config, "case check");
    if (connection == NULL) {
        return EXIT_FAILED;
    }
    int found = check_print(
        connection,
        code == NULL ? "SELECT * FROM onemap.case_chain_check()" : "SELECT * FROM onemap.case_chain_check($1)", code);
    int sealed = code != NULL ? 0 : check_print(connection, "SELECT * FROM onemap.case_seal_check()", NULL);
    PQfinish(connection);
    if (found == 0 && sealed == 0) {
        printf("the journal is whole\n");
    }
    return found == 0 && sealed == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int case_seal(const struct config *config, int argc, char **argv) {
    if (argc > 1) {
        return command_misuse("cityhub case", "`%s` is one argument too many", argv[1]);
    }
    PGconn *connection = database_connect(config, "case seal");
    char *answer = connection == NULL ? NULL : database_text(connection, "SELECT onemap.case_seal_now()", 0, NULL);
    if (answer != NULL) {
        printf("%s\n", answer);
    }
    int code = answer == NULL ? EXIT_FAILED : EXIT_DONE;
    free(answer);
    PQfinish(connection);
    return code;
}

int command_case(const struct config *config, int argc, char **argv) {
    static const struct command_action actions[] = {{"list", case_list}, {"show", case_show},   {"report", case_report},
                                                    {"do", case_do},     {"check", case_check}, {"seal", case_seal}};
    return command_act(config, argc, argv, actions, sizeof actions / sizeof actions[0], usage);
}
