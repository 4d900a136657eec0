/* attachment.h: files that people send (附件): taken piece by piece into the folder [http] attachments, made whole and
 * clean by a worker, kept under the SHA-256 of what is kept, and thrown away when the database does not want them. The
 * folder: incoming/ what is under way, 00/ to ff/ the files by the beginning of their names, with .jpg behind it the
 * small picture of one. Must never block the loop, nor keep what the database has not been told of for longer than a
 * day.
 */
#ifndef CITYHUB_ATTACHMENT_H
#define CITYHUB_ATTACHMENT_H

#include <stddef.h>
#include <uv.h>

#include "hub/base/config.h"
#include "hub/http/pool.h"
#include "hub/http/route.h"

struct attachments;

enum {
    ATTACHMENT_NAME_MAX = 64 + 1,          /* SHA-256 in hexadecimal digits */
    ATTACHMENT_LIMIT = 1024 * 1024 * 1024, /* bytes; [http] attachment_mib is not above it */
    ATTACHMENT_DEADLINE_S = 300,           /* of an upload over a phone's network */
};

/* Opens the folder, once at the start, and makes its folders. NULL after logging why: then none are taken or given. */
struct attachments *attachments_open(uv_loop_t *loop, const struct config *config, struct pool *pool);
void attachments_close(struct attachments *attachments, void (*closed)(void *user), void *user);

/* The row's sink: its function gets {sha256, original_sha256, media_type, size_bytes, thumbnail_bytes, taken_at, lon,
 * lat} of the file, and what it does not refuse is kept before the answer goes out. */
extern const struct route_sink attachment_sink;

/* The path of a file of this name ("" = the name is none) in `path`; `thumbnail`: of its small picture. */
void attachment_path(const struct attachments *attachments, const char *name, bool thumbnail, char *path, size_t size);

#endif
