/* page.h: the page's files (web/dist) in memory, read once when the server opens: what is served is what was read,
 * whatever becomes of the folder, and a request names a row of a table and never a path. */
#ifndef CITYHUB_PAGE_H
#define CITYHUB_PAGE_H

#include <stddef.h>

#include "hub/http/answer.h"

enum {
    PAGE_FILES_MAX = 256,
    PAGE_FILE_BYTES_MAX = 8 * 1024 * 1024, /* of one file */
    PAGE_NAME_MAX = 128,
};

struct page_file {
    char name[PAGE_NAME_MAX]; /* within assets/; "" = index.html, the first that a browser asks for */
    const char *type;         /* Content-Type */
    char *bytes;
    size_t length;
    char *packed; /* gzip, from the file beside it whose name ends in .gz; NULL = there is none */
    size_t packed_length;
    char etag[ANSWER_ETAG_MAX];
};

struct page;

/* Reads `folder`/index.html and `folder`/assets/. A folder without an index.html is no page, and none is needed: NULL,
 * after saying so in the log; as with a file that cannot be read. Blocks: at start only. */
struct page *page_open(const char *folder);
void page_free(struct page *page);

/* NULL = there is none of this name, which has `length` bytes. `page` may be NULL. */
const struct page_file *page_find(const struct page *page, const char *name, size_t length);

#endif
