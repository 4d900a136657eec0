/* print_table.h: tables for people at a terminal. */
#ifndef CITYHUB_PRINT_TABLE_H
#define CITYHUB_PRINT_TABLE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Prints the result's rows in aligned columns under their names (an underscore shows as a space). Chinese characters
 * count two places, columns of numbers stand right, SQL null is "-". */
void print_table(FILE *out, const PGresult *result);

/* Prints rows of two columns, a fact and its value, one below the other; a value of several lines stays in its column.
 */
void print_facts(FILE *out, const PGresult *result);

/* The same as print_table of `row_count` times `column_count` texts, row by row; NULL is "-". At most 32 columns. */
struct print_column {
    const char *title;
    bool right; /* stands right, for numbers */
};
void print_cells(FILE *out, const struct print_column *columns, size_t column_count, const char *const *cells,
                 size_t row_count);

/* Prints UTF-8 text from outside: control characters as \xNN, so that it cannot steer the terminal. */
void print_text(FILE *out, const char *text);

/* Places that print_text takes on a terminal. */
int print_width(const char *text);

#endif
