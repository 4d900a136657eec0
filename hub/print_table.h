/* print_table.h: query results for people at a terminal. */
#ifndef CITYHUB_PRINT_TABLE_H
#define CITYHUB_PRINT_TABLE_H

#include <libpq-fe.h>
#include <stdio.h>

/* Prints the result's rows in aligned columns under their names (an underscore shows as a space). Chinese characters
 * count two places, columns of numbers stand right, SQL null is "-". */
void print_table(FILE *out, const PGresult *result);

/* Prints UTF-8 text from outside: control characters as \xNN, so that it cannot steer the terminal. */
void print_text(FILE *out, const char *text);

/* Places that print_text takes on a terminal. */
int print_width(const char *text);

#endif
