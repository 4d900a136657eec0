/* command_case.c: `cityhub case`: cases at a terminal: lists, one case with its journal, reports, actions, the check of
 * the journal. Every rule is SQL: nothing is judged here. */
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/member.h"
#include "hub/cli/ask.h"
#include "hub/cli/database.h"
#include "hub/cli/print_table.h"
#include "hub/command/commands.h"

/* ---- list ---- */

static const struct ask_list list_rows = {.rows = "onemap.case_list_table",
                                          .json = "onemap.case_list",
                                          .nothing = "no case fits",
                                          .limited = true,
                                          .times = true};

static int list(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    if (!argument_given(arguments, "all") && member_put(arguments->request, "open", cJSON_CreateTrue()) != 0) {
        return command_fail("out of memory");
    }
    return ask_print(connection, &list_rows, arguments);
}

/* ---- show ---- */

/* Facts and journal of the case, which the database has told as JSON. */
static int show_print(PGconn *connection, const cJSON *shown) {
    char *text = cJSON_PrintUnformatted(shown);
    const char *const parameters[] = {text};
    PGresult *facts = database_query(connection, "SELECT * FROM onemap.case_show_facts($1::jsonb)", 1, parameters);
    PGresult *journal =
        facts == NULL ? NULL
                      : database_query(connection, "SELECT * FROM onemap.case_show_journal($1::jsonb)", 1, parameters);
    if (journal != NULL) {
        print_facts(stdout, facts);
        putchar('\n');
        print_table(stdout, journal);
    }
    int code = journal == NULL ? EXIT_FAILED : EXIT_DONE;
    PQclear(facts);
    PQclear(journal);
    free(text);
    return code;
}

static int show(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    if (argument_given(arguments, "json")) {
        return ask_print_json(connection, "onemap.case_show_json", arguments->request);
    }
    cJSON *shown = ask_json(connection, "onemap.case_show_json", arguments->request);
    int code = shown == NULL ? EXIT_FAILED : show_print(connection, shown);
    cJSON_Delete(shown);
    return code;
}

/* ---- report, do ---- */

/* Calls a function that answers as onemap.case_do() does, and tells the case's new state. */
static int request_send(PGconn *connection, const char *function, const struct arguments *arguments) {
    if (argument_given(arguments, "json")) {
        return ask_print_json(connection, function, arguments->request);
    }
    cJSON *answer = ask_json(connection, function, arguments->request);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    const char *department = member_text(answer, "department");
    printf("case %s is %s, version %.0f%s%s\n", member_text(answer, "case"), member_text(answer, "state"),
           member_number(answer, "version", 0), *department == '\0' ? "" : ", with ", department);
    cJSON_Delete(answer);
    return EXIT_DONE;
}

static int act(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return request_send(connection, "onemap.case_do_now", arguments);
}

static int report(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    return request_send(connection, "onemap.case_report", arguments);
}

/* ---- check, seal ---- */

static int check(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    PGresult *found = ask_rows(connection, "onemap.case_check_table", arguments->request);
    bool whole = found != NULL && PQntuples(found) == 0;
    if (whole) {
        printf("the journal is whole\n");
    } else if (found != NULL) {
        print_table(stdout, found);
    }
    PQclear(found);
    return whole ? EXIT_DONE : EXIT_FAILED;
}

static int seal(const struct config *config, PGconn *connection, const struct arguments *arguments) {
    (void)config;
    (void)arguments;
    char *answer = database_text(connection, "SELECT onemap.case_seal_now()", 0, NULL);
    if (answer == NULL) {
        return EXIT_FAILED;
    }
    printf("%s\n", answer);
    free(answer);
    return EXIT_DONE;
}

/* ---- the command ---- */

#define CASE_JSON                                                                                                      \
    { .name = "json", .kind = OPTION_FLAG, .help = "as JSON, whole, for programs" }
#define CASE_WHO                                                                                                       \
    {.name = "role",                                                                                                   \
     .argument = "ROLE",                                                                                               \
     .kind = OPTION_TEXT,                                                                                              \
     .required = true,                                                                                                 \
     .member = "role",                                                                                                 \
     .words = "supervisor acceptor registrar dispatcher department leader",                                            \
     .help = "the post (岗位) that acts"},                                                                             \
    {                                                                                                                  \
        .name = "actor", .argument = "NAME", .kind = OPTION_TEXT, .required = true, .member = "actor",                 \
        .help = "the person that acts"                                                                                 \
    }

static const struct command_option list_options[] = {
    {.name = "state",
     .argument = "STATE",
     .kind = OPTION_TEXT,
     .member = "state",
     .words =
         "reported accepted verifying verified registered dispatched handling returned handled checked suspended closed "
         "rejected voided merged",
     .help = "in this state"},
    {.name = "department",
     .argument = "CODE",
     .kind = OPTION_TEXT,
     .member = "department",
     .help = "with this department"},
    {.name = "source",
     .argument = "SOURCE",
     .kind = OPTION_TEXT,
     .member = "source",
     .words = "supervisor public hotline leader media video subsystem alarm",
     .help = "from this source (案卷来源)"},
    {.name = "category",
     .argument = "CODE",
     .kind = OPTION_TEXT,
     .member = "category",
     .help = "of this category, 5 digits"},
    {.name = "street", .argument = "CODE", .kind = OPTION_TEXT, .member = "street", .help = "in this street, 9 digits"},
    {.name = "grid-cell",
     .argument = "CODE",
     .kind = OPTION_TEXT,
     .member = "grid_cell",
     .help = "in this grid cell, 15 digits"},
    {.name = "subsystem",
     .argument = "KEY",
     .kind = OPTION_SUBSYSTEM,
     .member = "subsystem",
     .help = "of a device of this subsystem"},
    {.name = "overdue", .kind = OPTION_FLAG, .member = "overdue", .help = "whose handling limit has passed (超期)"},
    {.name = "since",
     .argument = "TIME",
     .kind = OPTION_TEXT,
     .member = "since",
     .help = "reported at that time or later: 2026-11-24, '2026-11-24 08:00', '2 hours'"},
    {.name = "until", .argument = "TIME", .kind = OPTION_TEXT, .member = "until", .help = "reported before that time"},
    {.name = "all", .kind = OPTION_FLAG, .help = "those that have ended, too"},
    {.name = "limit",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = 1000,
     .initial = "50",
     .member = "limit",
     .help = "at most so many, the newest"},
    ASK_OPTIONS,
    {0},
};

static const struct command case_list = {
    .name = "list",
    .summary = "show open cases, newest first",
    .text = "Cases that fit all that is given, newest first.",
    .options = list_options,
    .work = list,
    .examples = "cityhub case list --department huanwei --overdue\n"
                "cityhub case list --all --since 2026-11-01 --limit 1000 --csv > november.csv\n",
};

static const struct command_option show_options[] = {
    {.name = "CODE",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "case",
     .help = "the case, such as 20261124-000123"},
    CASE_JSON,
    {0},
};

static const struct command case_show = {
    .name = "show",
    .summary = "show one case with its clock, what each post can do with it, and its journal",
    .options = show_options,
    .work = show,
    .examples = "cityhub case show 20261124-000123\n",
};

static const struct command_option report_options[] = {
    {.name = "source",
     .argument = "SOURCE",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "source",
     .words = "supervisor public hotline leader media video",
     .help = "where it comes from (案卷来源)"},
    CASE_WHO,
    {.name = "reason", .argument = "TEXT", .kind = OPTION_TEXT, .member = "reason", .help = "words for the journal"},
    {.name = "set",
     .argument = "KEY=VALUE",
     .kind = OPTION_PAIR,
     .words =
         "title description address category condition lon lat grid_cell component_code device_code subsystem vendor "
         "external_code reporter contact attachments at",
     .help =
         "a field of the report; several by saying --set again. lon and lat in WGS 84 degrees; device_code with subsystem and "
         "vendor; contact='{\"name\": ..., \"phone\": ...}'; attachments='[{\"uri\", \"sha256\", \"size_bytes\", \"media_type\"}]'"},
    CASE_JSON,
    {0},
};

static const struct command case_report = {
    .name = "report",
    .summary = "open a new case (上报)",
    .text =
        "Reports a problem. Who may report which source, and which fields there are: docs/cases.md. Lists and objects are JSON, all "
        "else is text.",
    .options = report_options,
    .work = report,
    .examples = "cityhub case report --source hotline --role acceptor --actor 李四 \\\n"
                "    --set title=垃圾成堆 --set lon=114.75 --set lat=34.55 "
                "--set category=20102\n",
};

static const struct command_option do_options[] = {
    {.name = "CODE",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "case",
     .help = "the case, such as 20261124-000123"},
    {.name = "ACTION",
     .kind = OPTION_TEXT,
     .required = true,
     .member = "action",
     .words =
         "accept reject classify ask_verify verify refute register dispatch handle feed_back return refuse_return check rework "
         "close ask_extension grant_extension refuse_extension ask_suspension refuse_suspension suspend resume supervise "
         "remind void merge attach flag call_back",
     .help = "what is done"},
    CASE_WHO,
    {.name = "reason",
     .argument = "TEXT",
     .kind = OPTION_TEXT,
     .member = "reason",
     .help = "words for the journal; some actions need them"},
    {.name = "version",
     .argument = "N",
     .kind = OPTION_NUMBER,
     .minimum = 1,
     .maximum = INT32_MAX,
     .member = "version",
     .help = "only if the case is still as it was seen; without it, as it is now"},
    {.name = "set",
     .argument = "KEY=VALUE",
     .kind = OPTION_PAIR,
     .words = "category condition department amount flags satisfaction into shirking unit attachments at",
     .help =
         "what the action needs; several by saying --set again. flags='[\"fraud\"]'; shirking=true; at is for logins with the role "
         "cityhub_history"},
    CASE_JSON,
    {0},
};

static const struct command case_do = {
    .name = "do",
    .summary = "do one action with a case, and print its new state",
    .text =
        "Which post can do what now, `cityhub case show CODE` tells. An action that is not allowed, or that comes too late because "
        "somebody else was faster, is refused with the reason, and nothing of it stays.",
    .options = do_options,
    .work = act,
    .examples = "cityhub case do 20261124-000123 dispatch --role dispatcher --actor 王 --set department=huanwei\n"
                "cityhub case do 20261124-000123 suspend --role leader --actor 赵 --reason 等材料\n",
};

static const struct command_option check_options[] = {
    {.name = "CODE", .kind = OPTION_TEXT, .member = "case", .help = "the case; else all, and the seals"}, {0}};

static const struct command case_check = {
    .name = "check",
    .summary = "recompute the hashes of the journal and its seals",
    .text =
        "Prints whatever does not fit in the journal, which nobody may change: hashes, order, transitions, seals. Exit code 1 if "
        "anything was found.",
    .options = check_options,
    .work = check,
    .examples = "cityhub case check\n",
};

static const struct command case_seal = {
    .name = "seal",
    .summary = "seal the journal now",
    .text =
        "Seals the whole journal: whatever is taken away from it or changed later shows in `cityhub case check`. Publish the seal's "
        "hash outside. The hub makes one every `case_seal_hours` (setting, 24).",
    .work = seal,
};

static const struct command *const actions[] = {&case_list,  &case_show, &case_report, &case_do,
                                                &case_check, &case_seal, NULL};

const struct command command_case = {
    .name = "case",
    .summary = "list, show and report cases (案卷) and act on them; check their journal",
    .actions = actions,
    .more = "docs/cases.md",
};
