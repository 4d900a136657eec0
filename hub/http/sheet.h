/* sheet.h: a list as a workbook (XLSX), for offices: made of the list's CSV in a thread of its own, so that the loop is
 * never held. */
#ifndef CITYHUB_SHEET_H
#define CITYHUB_SHEET_H

#include <stddef.h>

struct request;

enum { SHEET_CSV_MAX = 24 * 1024 * 1024 /* bytes of the list as CSV */ };

/* Makes the workbook and then the request's answer of it, later. `csv`: RFC 4180 with a first line of names, from
 * malloc, `length` bytes, taken in any case; a ' that keeps a cell from being calculated is left out: here every cell
 * is a text, but those of the columns `numbers` (names with a blank between them; borrowed). */
void sheet_start(struct request *request, char *csv, size_t length, const char *numbers);

/* The same at once, in any thread: the workbook's bytes from malloc with their number; NULL = memory or the disk for
 * temporary files is out. `csv` is written over. */
char *sheet_make(char *csv, size_t length, const char *numbers, size_t *size);

#endif
