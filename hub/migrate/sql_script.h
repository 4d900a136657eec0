/* sql_script.h: divides an SQL file into its statements, so that an error can be told with its line. Pure functions. */
#ifndef CITYHUB_SQL_SCRIPT_H
#define CITYHUB_SQL_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

struct sql_script {
    const char *text; /* NUL-terminated UTF-8 */
    size_t at;        /* where to read on; starts at 0 */
    int line;         /* line of `at`; starts at 1 */
};

struct sql_statement {
    const char *text; /* points into the script, starts with the statement's first word */
    size_t length;    /* without the semicolon */
    int line;         /* of its first word, from 1 */
};

/* Reads the next statement; false at the end. Knows strings, quoted names, dollar quotes, comments (nested ones too)
 * and bodies of BEGIN ATOMIC; whatever is not closed goes to the end of the text, for the server to complain about. */
bool sql_script_next(struct sql_script *script, struct sql_statement *statement);

/* True for BEGIN, START, COMMIT, END, ROLLBACK, ABORT and PREPARE TRANSACTION: what would end the transaction that a
 * migration runs in. */
bool sql_statement_is_transaction_control(const struct sql_statement *statement);

/* Line in the script of the statement's character number `position` (from 1, as PostgreSQL counts); 0 gives its first.
 */
int sql_statement_line(const struct sql_statement *statement, long position);

#endif
