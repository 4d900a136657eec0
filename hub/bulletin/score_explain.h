/* score_explain.h: an explained score (the answer of onemap.score_explain) for people at a terminal. */
#ifndef CITYHUB_SCORE_EXPLAIN_H
#define CITYHUB_SCORE_EXPLAIN_H

#include <cjson/cJSON.h>
#include <stdio.h>

/* Prints the score, under it every item with its figures, and under each the cases that cost or brought points. */
void score_explain_print(FILE *out, const cJSON *answer);

#endif
