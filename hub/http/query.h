/* query.h: answers from PostgreSQL. A route's function, which its row names with its schema, is called as
 *     SELECT * FROM <function>($1::jsonb)            $1: the checked parameters, {"limit": 100, ...}, and who asks
 *     SELECT * FROM <function>($1::jsonb, $2)        with a body: jsonb if its type is JSON or a sink made it, else
 * bytea If the method is not GET, on what onemap.http_write makes of $1, which notes it in the audit log. It returns
 * rows with these columns, by name: body      text, json or bytea: the answer's bytes; of several rows one after the
 * other etag      text: entity tag without quotes (first row; optional) status    int: HTTP status instead of 200
 * (first row; optional) location  text: header Location (first row; optional) media_type
 * text: of the answer, one of its row's content_type and more_types (first row; optional) file, file_type, file_bytes,
 * file_small text, text, bigint, boolean: name, media type and size of an attachment, or of its small picture, whose
 * bytes are the answer instead of the body (first row; optional) content_crs  text: header Content-Crs, without its
 * angle brackets (first row; optional) code, detail, hint  text: if code is not null, the answer is that problem, and
 * what the function has noted of the refusal stays (first row; optional); an error would take it back No row is 404,
 * but for a row-by-row answer, which is empty then. An error with SQLSTATE CHnnn becomes that problem.
 */
#ifndef CITYHUB_QUERY_H
#define CITYHUB_QUERY_H

#include <stdbool.h>

#include "hub/http/pool.h"

struct request;

enum { QUERY_ANSWER_MAX = 8 * 1024 * 1024 }; /* bytes of an answer that is collected */

/* The function that answers it: its row's, or, of a memory row that is asked for a moment, that of the past. NULL =
 * none. */
const char *query_function(const struct request *request);

/* Whether its statement finds out who asks, too: of a GET that one function answers whole.
 *     SELECT f.*, i.due AS identity_due FROM onemap.identity_asking($1::jsonb, $2, $3, $4, <right>) i
 *         CROSS JOIN LATERAL <function>(i.asked) f
 *
 * No row: nobody, or without the right, or the function has none; then each is asked by itself. */
bool query_takes_identity(const struct request *request);

/* Asks. The request is woken when its answer is there; on failure it is refused at once. */
void query_start(struct request *request);
/* Who asks is known by now: its function is asked once more. */
void query_again(struct request *request);

/* Refuses it: a job for it ended otherwise than POOL_DONE, or the pool did not take it (CH_EFULL, CH_EDATABASE). */
void query_refuse(struct request *request, bool started, enum pool_end end, const struct postgres_error *error);
void query_refuse_now(struct request *request, int code);

/* The request ends: cancels what runs. */
void query_free(struct request *request);

#endif
