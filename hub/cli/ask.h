/* ask.h: what the database answers to a command, shown: as a table for people, as JSON for programs, as CSV for
 * spreadsheets. A command names functions, each of which takes one request as JSON; it knows no column of theirs. */
#ifndef CITYHUB_ASK_H
#define CITYHUB_ASK_H

#include <cjson/cJSON.h>
#include <libpq-fe.h>

#include "hub/cli/arguments.h"

struct ask_list {
    const char *rows;    /* a function that returns rows, such as "onemap.vendor_list_table" */
    const char *json;    /* one that returns jsonb; NULL = the command has no --json */
    const char *nothing; /* said instead of a table without rows */
    bool limited;        /* the action has --limit: said if there are as many rows */
    const char *title;   /* a line before the table; NULL = none */
    bool times;          /* has times: said that they are the county's */
};

/* Rows for the table of options of an action that shows a list. */
#define ASK_OPTIONS                                                                                                    \
    {.name = "json", .kind = OPTION_FLAG, .help = "as JSON, whole, for programs"}, {                                   \
        .name = "csv", .kind = OPTION_FLAG, .either = true,                                                            \
        .help = "the rows as CSV (UTF-8, RFC 4180), for spreadsheets"                                                  \
    }

/* Connects, named after the action, does the command's `work`, or shows its `list`, and takes leave. Returns an exit
 * code. */
int ask_run(const struct config *config, const struct arguments *arguments);

/* Shows a list as --json or --csv want it, else as a table; the action's table of options has ASK_OPTIONS.
 * Returns an exit code. */
int ask_print(PGconn *connection, const struct ask_list *list, const struct arguments *arguments);

/* The single forms; `limit` 0 = there is none. Return an exit code. */
int ask_print_table(PGconn *connection, const struct ask_list *list, const cJSON *request, int64_t limit);
int ask_print_json(PGconn *connection, const char *function, const cJSON *request);

/* What is written as CSV: a list, or a file that `import` reads again, in which cells may begin with @ (@owner). */
enum ask_csv { ASK_CSV_LIST, ASK_CSV_FILE, ASK_CSV_FILE_WITH_MARK /* a byte order mark before it */ };

/* CSV with a header, by PostgreSQL's COPY; cells that a spreadsheet would calculate are made text (text_is_formula). */
int ask_print_csv(PGconn *connection, const char *function, const cJSON *request, enum ask_csv form);

/* The rows that a function returns; NULL after telling why. Release with PQclear. */
PGresult *ask_rows(PGconn *connection, const char *function, const cJSON *request);

/* The JSON that a function answers, parsed; NULL after telling why. The caller deletes. */
cJSON *ask_json(PGconn *connection, const char *function, const cJSON *request);

#endif
