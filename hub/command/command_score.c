/* command_score.c: `cityhub score`: the monthly score and the county's assessment. Turns options into the JSON that one
 * SQL function takes, and shows what it answers. Never computes a figure: the rules are in schema/110 to 115. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/bulletin/score_explain.h"
#include "hub/bulletin/score_report.h"
#include "hub/cli/command.h"
#include "hub/cli/database.h"
#include "hub/cli/print_table.h"

static const char usage[] =
    "usage: cityhub score compute --month M [--formula F] [--json]\n"
    "       cityhub score statistics --month M | --from DAY --to DAY [--by DIMENSION] [--json]\n"
    "       cityhub score explain --month M --department CODE [--formula F] [--json]\n"
    "       cityhub score enter --month M --department CODE --office NAME --author NAME --evidence TEXT WHAT\n"
    "       cityhub score status --month M [--json]\n"
    "       cityhub score publish --month M --author NAME --out FOLDER\n"
    "       cityhub score adjust --month M --department CODE --points N [--case CODE] --reason TEXT --author NAME\n"
    "       cityhub score verify --month M\n"
    "       cityhub score year --year Y [--json]\n"
    "       cityhub score formula --list | --check FILE | --put FILE --from-month M --author NAME [--example]\n\n"
    "M is a month such as 2026-10. Which month a case counts in, and every rule: docs/score.md.\n"
    "compute: the digital score of every department, and the county's assessment with what is still missing.\n"
    "  --formula F    by the formula with this key or version, as an example; otherwise the one in force\n"
    "statistics: reported, handled, overdue, reworked ... and rates.\n"
    "  --by D         department (default), street, grid_cell, category, source, person or all\n"
    "explain: why a department has its score, down to the case numbers.\n"
    "enter: one score of a campaign or office, or one bonus or deduction. WHAT is one of\n"
    "  --item KEY --score N | --item KEY --not-concerned\n"
    "  --award KIND [--times N]\n"
    "  --revoke ID    takes a bonus or deduction back (needs neither --month nor --department)\n"
    "  --input KEY --points N [--formula F]   points of a formula that people give\n"
    "status: how far the month is, and everything that is missing.\n"
    "publish: closes the month, freezes its figures, writes them to FOLDER as XLSX, HTML, CSV and JSON; of a month "
    "that\n"
    "  is published already it writes the files again. Exit code 1 while something is missing.\n"
    "adjust: corrects a closed month; the points count in the next open one.\n"
    "verify: computes a closed month again from the journal; exit code 1 if anything differs.\n";

/* What an action was asked for: `json` goes to the SQL function. */
struct request {
    cJSON *json;
    const char *out, *put, *check;
    bool as_json, list;
};

/* Text options of the request: `--not-concerned` and the like are flags and have values of their own below. */
static const struct option options[] = {{"month", required_argument, NULL, 't'},
                                        {"formula", required_argument, NULL, 't'},
                                        {"from", required_argument, NULL, 't'},
                                        {"to", required_argument, NULL, 't'},
                                        {"by", required_argument, NULL, 't'},
                                        {"year", required_argument, NULL, 't'},
                                        {"department", required_argument, NULL, 't'},
                                        {"office", required_argument, NULL, 't'},
                                        {"author", required_argument, NULL, 't'},
                                        {"evidence", required_argument, NULL, 't'},
                                        {"item", required_argument, NULL, 't'},
                                        {"score", required_argument, NULL, 't'},
                                        {"award", required_argument, NULL, 't'},
                                        {"times", required_argument, NULL, 't'},
                                        {"revoke", required_argument, NULL, 't'},
                                        {"input", required_argument, NULL, 't'},
                                        {"points", required_argument, NULL, 't'},
                                        {"case", required_argument, NULL, 't'},
                                        {"reason", required_argument, NULL, 't'},
                                        {"from-month", required_argument, NULL, 't'},
                                        {"out", required_argument, NULL, 'o'},
                                        {"put", required_argument, NULL, 'p'},
                                        {"check", required_argument, NULL, 'c'},
                                        {"list", no_argument, NULL, 'l'},
                                        {"json", no_argument, NULL, 'j'},
                                        {"not-concerned", no_argument, NULL, 'b'},
                                        {"example", no_argument, NULL, 'b'},
                                        {0}};

/* True if `name` is one of the blank-separated words of `allowed`. */
static bool is_allowed(const char *allowed, const char *name) {
    size_t length = strlen(name);
    for (const char *word = allowed; (word = strstr(word, name)) != NULL; word += length) {
        if ((word == allowed || word[-1] == ' ') && (word[length] == ' ' || word[length] == '\0')) {
            return true;
        }
    }
    return false;
}

static void key_of(const char *name, char *key, size_t size) {
    snprintf(key, size, "%s", name);
    for (char *c = key; *c != '\0'; c++) {
        *c = *c == '-' ? '_' : *c;
    }
}

static void request_take(struct request *request, int option, const char *name) {
    char key[32];
    key_of(name, key, sizeof key);
    switch (option) {
    case 't':
        cJSON_DeleteItemFromObject(request->json, key);
        cJSON_AddStringToObject(request->json, key, optarg);
        break;
    case 'b':
        cJSON_AddBoolToObject(request->json, key, true);
        break;
    case 'o':
        request->out = optarg;
        break;
    case 'p':
        request->put = optarg;
        break;
    case 'c':
        request->check = optarg;
        break;
    case 'l':
        request->list = true;
        break;
    default:
        request->as_json = true;
    }
}

/* Reads the options that the action knows, and sees that those of `needed` are there. Returns an exit code. */
static int request_parse(struct request *request, const char *action, const char *allowed, const char *needed, int argc,
                         char **argv) {
    int index = -1;
    optind = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, &index)) != -1;) {
        if (option == '?') {
            return command_misuse("cityhub score", "score %s: see above", action);
        }
        if (!is_allowed(allowed, options[index].name)) {
            return command_misuse("cityhub score", "score %s: takes no --%s", action, options[index].name);
        }
        request_take(request, option, options[index].name);
    }
    if (optind < argc) {
        return command_misuse("cityhub score", "score %s: what is `%s`?", action, argv[optind]);
    }
    for (size_t i = 0; options[i].name != NULL; i++) {
        char key[32];
        key_of(options[i].name, key, sizeof key);
        if (options[i].val == 't' && is_allowed(needed, options[i].name) && !cJSON_HasObjectItem(request->json, key)) {
            return command_misuse("cityhub score", "score %s: --%s is needed", action, options[i].name);
        }
    }
    return EXIT_DONE;
}

/* ---- asking the database ---- */

/* The answer of `SELECT function(request)` as text, NULL after telling why. The caller frees. */
static char *ask_text(PGconn *connection, const char *sql, const cJSON *json) {
    char *text = cJSON_PrintUnformatted(json);
    char *answer = text == NULL ? NULL : database_text(connection, sql, 1, (const char *const[]){text});
    free(text);
    return answer;
}

/* The same, parsed. Delete with cJSON_Delete. */
static cJSON *ask(PGconn *connection, const char *sql, const cJSON *json) {
    char *text = ask_text(connection, sql, json);
    cJSON *answer = text == NULL ? NULL : cJSON_Parse(text);
    if (text != NULL && answer == NULL) {
        command_fail("the database's answer is no JSON");
    }
    free(text);
    return answer;
}

/* Runs a query of one parameter and prints its rows; prints `nothing` if there are none. Returns an exit code. */
static int print_rows(PGconn *connection, const char *sql, const cJSON *json, const char *nothing) {
    char *text = cJSON_PrintUnformatted(json);
    PGresult *rows = text == NULL ? NULL : database_query(connection, sql, 1, (const char *const[]){text});
    free(text);
    if (rows == NULL) {
        return EXIT_FAILED;
    }
    if (PQntuples(rows) == 0) {
        printf("%s\n", nothing);
    } else {
        print_table(stdout, rows);
    }
    PQclear(rows);
    return EXIT_DONE;
}

static int print_json(PGconn *connection, const char *sql, const cJSON *json) {
    char *text = ask_text(connection, sql, json);
    if (text == NULL) {
        return EXIT_FAILED;
    }
    printf("%s\n", text);
    free(text);
    return EXIT_DONE;
}

/* What is missing, a line a department: [{department, name, missing: [{name}]}]. */
static void print_missing(FILE *out, const cJSON *missing) {
    const cJSON *unit;
    const cJSON *one;
    cJSON_ArrayForEach(unit, missing) {
        const char *name = member_text(unit, "name");
        print_text(out, name[0] == '\0' ? member_text(unit, "department") : name);
        fputs(" lacks:", out);
        cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(unit, "missing")) {
            fputs(one == cJSON_GetObjectItemCaseSensitive(unit, "missing")->child ? " " : ", ", out);
            print_text(out, member_text(one, "name"));
        }
        fputc('\n', out);
    }
}

/* ---- actions ---- */

typedef int score_action(PGconn *connection, struct request *request);

static const char compute_sql[] =
    "SELECT r.group_name AS \"group\", r.rank, r.department, r.name, r.score, pg_catalog.jsonb_array_length(r.missing) "
    "AS missing"
    " FROM pg_catalog.jsonb_to_recordset(onemap.score_compute($1::jsonb)->'rows') AS r (group_name text, rank int,"
    " department text, name text, score numeric, missing jsonb)";

static const char assessment_sql[] =
    "SELECT r.rank, r.department, r.name, r.total, r.grade, r.digital, r.campaign_mean AS campaigns, r.bonus, "
    "r.deducted,"
    " pg_catalog.jsonb_array_length(r.missing) AS missing"
    " FROM pg_catalog.jsonb_to_recordset(onemap.assessment_compute($1::jsonb)->'rows') AS r (rank int, department text,"
    " name text, total numeric, grade text, digital numeric, campaign_mean numeric, bonus numeric, deducted numeric,"
    " missing jsonb)";

static int score_compute(PGconn *connection, struct request *request) {
    if (request->as_json) {
        return print_json(
            connection,
            "SELECT pg_catalog.jsonb_pretty(pg_catalog.jsonb_build_object('digital', onemap.score_compute($1::jsonb),"
            " 'assessment', onemap.assessment_compute($1::jsonb)))",
            request->json);
    }
    printf("Digital score (数字城管)\n");
    int code = print_rows(connection, compute_sql, request->json, "no department is scored");
    if (code == EXIT_DONE && !cJSON_HasObjectItem(request->json, "formula")) {
        printf("\nAssessment (1+8+4)\n");
        code = print_rows(connection, assessment_sql, request->json, "no department is assessed");
    }
    return code;
}

static const char statistics_sql[] =
    "SELECT r.key, r.measures->'reported' AS reported, r.measures->'registered' AS registered, "
    "r.measures->'dispatched' AS"
    " dispatched, r.measures->'should_handle' AS should_handle, r.measures->'handled' AS handled,"
    " r.measures->'handled_in_time' AS in_time, r.measures->'overdue' AS overdue, r.measures->'rework_times' AS "
    "reworks,"
    " r.measures->'returned' AS returned, r.measures->'deferred' AS deferred, r.measures->'should_close' AS "
    "should_close,"
    " r.measures->'closed_in_time' AS closed_in_time, (r.rates->>'handle_in_time_rate')::numeric AS "
    "handle_in_time_rate,"
    " (r.rates->>'close_in_time_rate')::numeric AS close_in_time_rate"
    " FROM pg_catalog.jsonb_to_recordset(onemap.score_statistics($1::jsonb)->'rows') AS r (key text, measures jsonb, "
    "rates jsonb)";

static const char person_sql[] =
    "SELECT r.key AS person, m.key AS action, m.value::int AS times"
    " FROM pg_catalog.jsonb_to_recordset(onemap.score_statistics($1::jsonb)->'rows') AS r (key text, measures jsonb),"
    " pg_catalog.jsonb_each_text(r.measures) m ORDER BY 1, 2";

static int score_statistics(PGconn *connection, struct request *request) {
    if (request->as_json) {
        return print_json(connection, "SELECT pg_catalog.jsonb_pretty(onemap.score_statistics($1::jsonb))",
                          request->json);
    }
    bool person = strcmp(member_text(request->json, "by"), "person") == 0;
    return print_rows(connection, person ? person_sql : statistics_sql, request->json, "no case");
}

static int score_explain_action(PGconn *connection, struct request *request) {
    if (request->as_json) {
        return print_json(connection, "SELECT pg_catalog.jsonb_pretty(onemap.score_explain($1::jsonb))", request->json);
    }
    cJSON *answer = ask(connection, "SELECT onemap.score_explain($1::jsonb)", request->json);
    if (answer != NULL) {
        score_explain_print(stdout, answer);
    }
    cJSON_Delete(answer);
    return answer == NULL ? EXIT_FAILED : EXIT_DONE;
}

/* Moves the member `from` to `to`, the SQL function's name for it. */
static void rename_member(cJSON *json, const char *from, const char *to) {
    cJSON *member = cJSON_DetachItemFromObjectCaseSensitive(json, from);
    if (member != NULL) {
        cJSON_AddItemToObject(json, to, member);
    }
}

static int score_enter(PGconn *connection, struct request *request) {
    static const char *const kinds[] = {"item", "award", "revoke", "input"};
    static const char *const sql[] = {
        "SELECT onemap.assessment_enter($1::jsonb)->>'id'", "SELECT onemap.assessment_award_enter($1::jsonb)->>'id'",
        "SELECT onemap.assessment_award_enter($1::jsonb)->>'id'", "SELECT onemap.score_input_put($1::jsonb)->>'id'"};
    size_t kind = 0;
    int given = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (cJSON_HasObjectItem(request->json, kinds[i])) {
            kind = i;
            given++;
        }
    }
    if (given != 1) {
        return command_misuse("cityhub score", "score enter: give one of --item, --award, --revoke, --input");
    }
    if (strcmp(kinds[kind], "revoke") != 0 &&
        !(cJSON_HasObjectItem(request->json, "month") && cJSON_HasObjectItem(request->json, "department"))) {
        return command_misuse("cityhub score", "score enter: --month and --department are needed");
    }
    rename_member(request->json, "award", "kind");
    rename_member(request->json, "revoke", "revokes");
    rename_member(request->json, "input", "item");
    char *id = ask_text(connection, sql[kind], request->json);
    if (id != NULL) {
        printf("entered as %s\n", id);
    }
    free(id);
    return id == NULL ? EXIT_FAILED : EXIT_DONE;
}

static int score_status(PGconn *connection, struct request *request) {
    if (request->as_json) {
        return print_json(connection, "SELECT pg_catalog.jsonb_pretty(onemap.assessment_status($1::jsonb))",
                          request->json);
    }
    cJSON *answer = ask(connection, "SELECT onemap.assessment_status($1::jsonb)", request->json);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    const cJSON *missing = cJSON_GetObjectItemCaseSensitive(answer, "missing");
    static const char *const marks[] = {"ended", "closed", "published"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        printf("%-11s%s\n", marks[i], cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, marks[i])) ? "yes" : "no");
    }
    printf("departments %.0f, %d of them incomplete\n", member_number(answer, "departments", 0),
           cJSON_GetArraySize(missing));
    print_missing(stdout, missing);
    if (member_number(answer, "events_written_after_closing", 0) > 0) {
        printf(
            "%.0f events of this month were written after it was closed and do not count; correct it by `cityhub score "
            "adjust` if need be\n",
            member_number(answer, "events_written_after_closing", 0));
    }
    cJSON_Delete(answer);
    return EXIT_DONE;
}

/* Publishes unless that is done already. Returns an exit code. */
static int publish_ensure(PGconn *connection, const cJSON *json) {
    cJSON *status = ask(connection, "SELECT onemap.assessment_status($1::jsonb)", json);
    bool published = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(status, "published"));
    bool known = status != NULL;
    cJSON_Delete(status);
    if (!known || published) {
        return known ? EXIT_DONE : EXIT_FAILED;
    }
    cJSON *answer = ask(connection, "SELECT onemap.assessment_publish($1::jsonb)", json);
    int code = EXIT_FAILED;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "published"))) {
        code = EXIT_DONE;
    } else if (answer != NULL) {
        command_fail("the month is not published, something is missing:");
        print_missing(stderr, cJSON_GetObjectItemCaseSensitive(answer, "missing"));
    }
    cJSON_Delete(answer);
    return code;
}

static int score_publish(PGconn *connection, struct request *request) {
    if (request->out == NULL) {
        return command_misuse("cityhub score", "score publish: --out is needed");
    }
    int code = publish_ensure(connection, request->json);
    cJSON *publication = code == EXIT_DONE
                             ? ask(connection, "SELECT onemap.assessment_publication_get($1::jsonb)", request->json)
                             : NULL;
    if (publication == NULL) {
        return EXIT_FAILED;
    }
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(publication, "intact"))) {
        code = command_fail("the published figures do not fit their hash: somebody changed them in the database");
    } else if (score_report_write(publication, request->out, stdout) != 0) {
        code = EXIT_FAILED;
    } else {
        printf("SHA-256 %s\n", member_text(publication, "sha256"));
    }
    cJSON_Delete(publication);
    return code;
}

static int score_adjust(PGconn *connection, struct request *request) {
    char *counted = ask_text(connection, "SELECT onemap.score_adjust($1::jsonb)->>'counted_month'", request->json);
    if (counted != NULL) {
        printf("counts in %s\n", counted);
    }
    free(counted);
    return counted == NULL ? EXIT_FAILED : EXIT_DONE;
}

static int score_verify(PGconn *connection, struct request *request) {
    cJSON *answer = ask(connection, "SELECT onemap.score_verify($1::jsonb)", request->json);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    bool same = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "same"));
    printf("%s: %.0f rows and %d scores differ; %.0f events of the month came after it was closed\n",
           same ? "the same" : "DIFFERENT", member_number(answer, "rows_differing", 0),
           cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(answer, "scores_differing")),
           member_number(answer, "events_written_after_closing", 0));
    cJSON_Delete(answer);
    return same ? EXIT_DONE : EXIT_FAILED;
}

static const char year_sql[] =
    "SELECT r.rank, r.department, r.name, r.total, r.grade, r.months FROM pg_catalog.jsonb_to_recordset("
    "onemap.assessment_year($1::jsonb)->'rows') AS r (rank int, department text, name text, total numeric, grade text,"
    " months int)";

static int score_year(PGconn *connection, struct request *request) {
    return request->as_json
               ? print_json(connection, "SELECT pg_catalog.jsonb_pretty(onemap.assessment_year($1::jsonb))",
                            request->json)
               : print_rows(connection, year_sql, request->json, "no month of it is published");
}

/* ---- formulas ---- */

/* The JSON document of a file, NULL after telling why. */
static cJSON *formula_read(const char *path) {
    enum { MOST = 1024 * 1024 };
    FILE *file = fopen(path, "re");
    char *text = file == NULL ? NULL : calloc(1, MOST + 1);
    size_t length = text == NULL ? 0 : fread(text, 1, MOST, file);
    cJSON *document = length == 0 ? NULL : cJSON_ParseWithOpts(text, NULL, true);
    if (file == NULL) {
        command_fail("%s: %s", path, strerror(errno));
    } else if (document == NULL) {
        command_fail("%s: is no JSON document of at most %d bytes", path, MOST);
    }
    if (file != NULL) {
        fclose(file);
    }
    free(text);
    return document;
}

static int formula_problems_print(const cJSON *problems) {
    const cJSON *problem;
    cJSON_ArrayForEach(problem, problems) {
        const char *text = cJSON_GetStringValue(problem);
        print_text(stderr, text == NULL ? "" : text);
        fputc('\n', stderr);
    }
    return cJSON_GetArraySize(problems) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int score_formula(PGconn *connection, struct request *request) {
    if (request->list + (request->put != NULL) + (request->check != NULL) != 1) {
        return command_misuse("cityhub score", "score formula: give one of --list, --check, --put");
    }
    if (request->list) {
        return print_rows(
            connection,
            "SELECT f.version, f.key, f.document->>'name' AS name, pg_catalog.to_char(f.from_month, 'YYYY-MM') AS"
            " from_month, f.example, f.author FROM onemap.score_formula f WHERE $1::jsonb IS NOT NULL ORDER BY 1",
            request->json, "there is no formula");
    }
    cJSON *document = formula_read(request->put != NULL ? request->put : request->check);
    if (document == NULL) {
        return EXIT_FAILED;
    }
    cJSON_AddItemToObject(request->json, "formula", document);
    cJSON *answer =
        ask(connection,
            request->put != NULL
                ? "SELECT onemap.score_formula_put($1::jsonb)"
                : "SELECT pg_catalog.jsonb_build_object('problems', (SELECT coalesce(pg_catalog.jsonb_agg(p), '[]')"
                  " FROM onemap.score_formula_problems($1::jsonb->'formula') p))",
            request->json);
    int code =
        answer == NULL ? EXIT_FAILED : formula_problems_print(cJSON_GetObjectItemCaseSensitive(answer, "problems"));
    if (code == EXIT_DONE && request->put != NULL) {
        printf("version %.0f\n", member_number(answer, "version", 0));
    }
    cJSON_Delete(answer);
    return code;
}

/* ---- the command ---- */

static const struct {
    const char *name, *allowed, *needed;
    score_action *function;
} score_actions[] = {
    {"compute", "month formula json", "month", score_compute},
    {"statistics", "month from to by json", "", score_statistics},
    {"explain", "month department formula json", "month department", score_explain_action},
    {"enter",
     "month department office author evidence item score not-concerned award times revoke input points formula",
     "author evidence office", score_enter},
    {"status", "month json", "month", score_status},
    {"publish", "month author out", "month author", score_publish},
    {"adjust", "month department points case reason author", "month department points reason author", score_adjust},
    {"verify", "month", "month", score_verify},
    {"year", "year json", "year", score_year},
    {"formula", "list check put from-month author example", "", score_formula},
};

static int score_run(const struct config *config, int argc, char **argv) {
    size_t index = 0;
    while (strcmp(score_actions[index].name, argv[0]) != 0) {
        index++;
    }
    struct request request = {.json = cJSON_CreateObject()};
    int code = request_parse(&request, argv[0], score_actions[index].allowed, score_actions[index].needed, argc, argv);
    if (code == EXIT_DONE) {
        char name[32];
        snprintf(name, sizeof name, "score %s", argv[0]);
        PGconn *connection = database_connect(config, name);
        code = connection == NULL ? EXIT_FAILED : score_actions[index].function(connection, &request);
        PQfinish(connection);
    }
    cJSON_Delete(request.json);
    return code;
}

int command_score(const struct config *config, int argc, char **argv) {
    struct command_action actions[sizeof score_actions / sizeof score_actions[0]];
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        actions[i] = (struct command_action){score_actions[i].name, score_run};
    }
    return command_act(config, argc, argv, actions, sizeof actions / sizeof actions[0], usage);
}
