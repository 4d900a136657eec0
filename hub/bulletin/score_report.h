/* score_report.h: the files of a published month: bulletin and ranking as XLSX and HTML, ranking as CSV, the figures as
 * JSON. Everything comes from the publication (onemap.assessment_publication_get); nothing is computed or looked up
 * here. */
#ifndef CITYHUB_SCORE_REPORT_H
#define CITYHUB_SCORE_REPORT_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "hub/base/member.h"

/* A publication as the database hands it out. `content` belongs to `publication`. */
struct score_report {
    const cJSON *publication; /* names, hash, author, day */
    const cJSON *content;     /* the frozen figures */
    const char *month;        /* such as 2026-10 */
};

/* Writes all files into `folder`, which is made if it is not there: MONTH.json (the frozen content, byte for byte what
 * was hashed), MONTH-publication.json (hashes, author, time), MONTH-ranking.csv, MONTH-bulletin.xlsx,
 * MONTH-bulletin.html. Each file appears whole or not at all; one of the same name is replaced. Prints their names to
 * `out`. Returns 0, or CH_EINVAL or CH_EIO after telling why on standard error. */
int score_report_write(const cJSON *publication, const char *folder, FILE *out);

/* Year and month for people: "2026年10月". `size` of at least 32 bytes. */
void score_report_month(const char *month, char *name, size_t size);

/* How many decimals a row's "total" is written with: two, or as many as it has, which keep it in its grade. */
int score_total_decimals(const cJSON *row);

/* The single files. Return 0 or CH_EIO, and tell nothing. */
int score_csv_write(const struct score_report *report, FILE *out);
int score_html_write(const struct score_report *report, FILE *out);
int score_xlsx_write(const struct score_report *report, const char *path);

#endif
