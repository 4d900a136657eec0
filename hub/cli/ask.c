/* ask.c: asks functions of the database and shows what they answer, see ask.h. Must never know what they are
 * about. */
#include "hub/cli/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/error.h"
#include "hub/base/text.h"
#include "hub/cli/database.h"
#include "hub/cli/print_table.h"

enum { SQL_MAX = 160 };

/* The statement that calls a function with the request as $1. */
static const char *call(char sql[static SQL_MAX], const char *format, const char *function) {
    char name[SQL_MAX / 2];
    snprintf(name, sizeof name, "%s($1::pg_catalog.jsonb)", function);
    snprintf(sql, SQL_MAX, format, name);
    return sql;
}

static char *request_text(const cJSON *request) {
    char *text = cJSON_PrintUnformatted(request);
    if (text == NULL) {
        command_fail("out of memory");
    }
    return text;
}

PGresult *ask_rows(PGconn *connection, const char *function, const cJSON *request) {
    char sql[SQL_MAX];
    char *text = request_text(request);
    PGresult *rows = text == NULL ? NULL
                                  : database_query(connection, call(sql, "SELECT * FROM %s", function), 1,
                                                   (const char *const[]){text});
    free(text);
    return rows;
}

/* One clock everywhere: that of the county, whatever the machine's own is. */
static void tell_clock(PGconn *connection) {
    char *zone = database_text(connection, "SELECT onemap.time_zone()", 0, NULL);
    if (zone != NULL) {
        printf("Times are those of %s.\n", zone);
    }
    free(zone);
}

int ask_print_table(PGconn *connection, const struct ask_list *list, const cJSON *request, int64_t limit) {
    PGresult *rows = ask_rows(connection, list->rows, request);
    if (rows == NULL) {
        return EXIT_FAILED;
    }
    if (list->title != NULL) {
        fputs(list->title, stdout);
    }
    if (PQntuples(rows) == 0) {
        printf("%s\n", list->nothing);
    } else {
        print_table(stdout, rows);
        if (list->times) {
            tell_clock(connection);
        }
    }
    if (limit > 0 && PQntuples(rows) == limit) {
        printf("The first %lld; --limit shows more.\n", (long long)limit);
    }
    PQclear(rows);
    return EXIT_DONE;
}

static char *function_text(PGconn *connection, const char *format, const char *function, const cJSON *request) {
    char sql[SQL_MAX];
    char *text = request_text(request);
    char *answer =
        text == NULL ? NULL : database_text(connection, call(sql, format, function), 1, (const char *const[]){text});
    free(text);
    return answer;
}

int ask_print_json(PGconn *connection, const char *function, const cJSON *request) {
    char *text = function_text(connection, "SELECT pg_catalog.jsonb_pretty(%s)", function, request);
    if (text == NULL) {
        return EXIT_FAILED;
    }
    printf("%s\n", text);
    free(text);
    return EXIT_DONE;
}

cJSON *ask_json(PGconn *connection, const char *function, const cJSON *request) {
    char *text = function_text(connection, "SELECT %s", function, request);
    cJSON *answer = text == NULL ? NULL : cJSON_Parse(text);
    if (text != NULL && answer == NULL) {
        command_fail("the database's answer is no JSON");
    }
    free(text);
    return answer;
}

/* COPY takes no parameters: the request goes into it as a literal. NULL after telling why; freed by PQfreemem. */
static char *copy_statement(PGconn *connection, const char *function, const char *request) {
    char *literal = PQescapeLiteral(connection, request, strlen(request));
    char *sql = NULL;
    if (literal == NULL ||
        asprintf(&sql, "COPY (SELECT * FROM %s(%s::pg_catalog.jsonb)) TO STDOUT (FORMAT csv, HEADER)", function,
                 literal) < 0) {
        command_fail("out of memory");
        sql = NULL;
    }
    PQfreemem(literal);
    return sql;
}

/* One row as PostgreSQL has written it, with a ' before each cell that a spreadsheet would calculate. */
static void row_out(const char *line, size_t length, const char *signs) {
    const char *end = line + length;
    for (const char *at = line; at < end;) {
        bool quoted = *at == '"';
        const char *cell = at + quoted, *stop = cell;
        while (stop < end && (quoted ? *stop != '"' || stop[1] == '"' : *stop != ',' && *stop != '\n')) {
            stop += quoted && *stop == '"' ? 2 : 1;
        }
        const char *next = stop + quoted;
        next += next < end; /* the comma, or the line's end */
        fprintf(stdout, "%s%s%.*s", quoted ? "\"" : "", text_is_formula(cell, (size_t)(stop - cell), signs) ? "'" : "",
                (int)(next - cell), cell);
        at = next;
    }
}

/* PostgreSQL sends the header before it begins with the query: what is refused then must not leave a header behind, so
 * each line waits until the next one, or the end, is there. */
static int copy_out(PGconn *connection, const char *mark, const char *signs) {
    char *line = NULL;
    char *next = NULL;
    int length = 0;
    int next_length;
    while ((next_length = PQgetCopyData(connection, &next, 0)) > 0) {
        if (line != NULL) {
            fputs(mark, stdout);
            row_out(line, (size_t)length, signs);
            mark = "";
        }
        PQfreemem(line);
        line = next;
        length = next_length;
    }
    PGresult *end = PQgetResult(connection);
    int code = EXIT_FAILED;
    if (next_length == -1 && PQresultStatus(end) == PGRES_COMMAND_OK) {
        fputs(mark, stdout);
        row_out(line == NULL ? "" : line, (size_t)length, signs);
        code = EXIT_DONE;
    } else {
        database_complain(connection, end);
    }
    PQfreemem(line);
    while (end != NULL) {
        PQclear(end);
        end = PQgetResult(connection);
    }
    return code;
}

int ask_print_csv(PGconn *connection, const char *function, const cJSON *request, enum ask_csv form) {
    char *text = request_text(request);
    char *sql = text == NULL ? NULL : copy_statement(connection, function, text);
    free(text);
    if (sql == NULL) {
        return EXIT_FAILED;
    }
    PGresult *begun = PQexec(connection, sql);
    free(sql);
    int code = EXIT_FAILED;
    if (PQresultStatus(begun) == PGRES_COPY_OUT) {
        code = copy_out(connection, form == ASK_CSV_FILE_WITH_MARK ? "\xEF\xBB\xBF" : "",
                        form == ASK_CSV_LIST ? "=+-@" : "=+-");
        code = fflush(stdout) == 0 ? code : command_fail("standard output: %s", strerror(errno));
    } else {
        database_complain(connection, begun);
    }
    PQclear(begun);
    return code;
}

int ask_print(PGconn *connection, const struct ask_list *list, const struct arguments *arguments) {
    if (argument_given(arguments, "json")) {
        return ask_print_json(connection, list->json, arguments->request);
    }
    if (argument_given(arguments, "csv")) {
        return ask_print_csv(connection, list->rows, arguments->request, ASK_CSV_LIST);
    }
    return ask_print_table(connection, list, arguments->request,
                           list->limited ? argument_number(arguments, "limit") : 0);
}

int ask_run(const struct config *config, const struct arguments *arguments) {
    const struct command *command = command_last(&arguments->path);
    PGconn *connection = database_connect(config, arguments->name);
    int code = EXIT_FAILED;
    if (connection != NULL) {
        code = command->work != NULL ? command->work(config, connection, arguments)
                                     : ask_print(connection, command->list, arguments);
    }
    PQfinish(connection);
    return code;
}
